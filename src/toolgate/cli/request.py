"""One approval as an approver sees it: what would run, who asked, what is demanded and what was said so far.

All of it was written by the gate from the sealed call, sensitive values replaced. Not here: deciding (``approvals``).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from toolgate.cli.plain import iso, printable, span
from toolgate.domain.approval import Requirement, Tally, Vote, tally
from toolgate.domain.ledger import stored_requirement
from toolgate.domain.lifecycle import is_open
from toolgate.domain.rows import ApprovalRow, ByApproval
from toolgate.ports import Store

SHOWN_DIGEST: Final = 16
"""Hexadecimal digits of a digest that are shown, and that ``--digest`` needs at least."""


@dataclass(frozen=True, slots=True)
class Request:
    """An approval, its votes, and the store's time in microseconds."""

    row: ApprovalRow
    votes: tuple[Vote, ...]
    now: int

    @property
    def requirement(self) -> Requirement:
        """What is demanded, as it was last written."""
        return stored_requirement(self.row)

    @property
    def tally(self) -> Tally:
        """What the votes of this revision come to."""
        return tally(self.requirement, self.votes, revision=self.row.revision, requester=self.row.caller_id)

    @property
    def is_open(self) -> bool:
        """Whether somebody or the clock can still move it."""
        return is_open(self.row.state)

    def is_what(self, digest: str) -> bool:
        """Whether ``digest`` is the beginning of this approval's, long enough to mean it."""
        return len(digest) >= SHOWN_DIGEST and self.row.digest.hex().startswith(digest.lower())

    def facts(self) -> list[tuple[str, str]]:
        """For people, most important first."""
        shown, demanded = self._shown(), self.requirement
        effect = str(shown["effect"]) + (", leaves the house" if shown["external"] else "")
        claimed = shown["claimed_reason"]
        return [
            ("approval", self.row.approval_id),
            ("state", self.row.state.value + (f": {self.row.reason}" if self.row.reason else "")),
            ("tool", f"{shown['tool']} (version {shown['version']})"),
            ("what it does", str(shown["description"])),
            ("effect", effect),
            ("risk", demanded.risk),
            ("why a person", demanded.reason),
            ("asked by", f"{shown['caller']} of {shown['tenant']}"),
            ("agent", _joined(shown["agent"], shown["model"])),
            ("workflow", str(shown["workflow_id"])),
            ("call", self.row.call_id),
            ("needs", f"{demanded.quorum} by {demanded.shown_roles()}"),
            ("missing", self.tally.missing if self.is_open else ""),
            ("time left", span(self.row.expires_at - self.now) if self.is_open else ""),
            ("digest", self.row.digest.hex()[:SHOWN_DIGEST]),
            ("agent claims", "" if claimed is None else str(claimed)),
        ]

    def blocks(self) -> list[tuple[str, list[str]]]:
        """What needs lines of its own: the arguments, the preview, the votes."""
        shown = self._shown()
        arguments = json.dumps(shown["arguments"], indent=2, ensure_ascii=False).splitlines()
        found = [("Arguments, sensitive values replaced", [printable(line) for line in arguments])]
        if shown["preview"] is not None:
            found.append(
                ("The tool's preview", [printable(line) for line in str(shown["preview"]).splitlines()])
            )
        if self.votes:
            found.append(("Votes", [_vote(vote, self.row.revision) for vote in self.votes]))
        return found

    def described(self) -> dict[str, Any]:
        """For programs."""
        shown, demanded = self._shown(), self.requirement
        return {
            "approval_id": self.row.approval_id,
            "call_id": self.row.call_id,
            "tool": shown["tool"],
            "version": shown["version"],
            "effect": shown["effect"],
            "external": shown["external"],
            "risk": demanded.risk,
            "reason": demanded.reason,
            "arguments": shown["arguments"],
            "preview": shown["preview"],
            "requester": shown["caller"],
            "tenant": shown["tenant"],
            "agent": shown["agent"],
            "model": shown["model"],
            "workflow_id": shown["workflow_id"],
            "claimed_reason": shown["claimed_reason"],
            "requires_role": demanded.shown_roles(),
            "quorum": demanded.quorum,
            "state": self.row.state.value,
            "ended_because": self.row.reason,
            "revision": self.row.revision,
            "missing": self.tally.missing,
            "votes": [
                {"voter": vote.voter, "reason": vote.reason, "at": iso(vote.at), "revision": vote.revision}
                for vote in self.votes
            ],
            "digest": self.row.digest.hex(),
            "requested_at": iso(self.row.requested_at),
            "expires_at": iso(self.row.expires_at),
        }

    def _shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self.row.shown)
        return shown


async def find_request(store: Store, approval_id: str) -> Request | None:
    """The approval with its votes, or None."""
    found = await store.find(ByApproval(approval_id))
    return None if found.approval is None else Request(found.approval, found.votes, await store.now())


def _joined(*parts: object) -> str:
    return ", ".join(str(part) for part in parts if part)


def _vote(vote: Vote, revision: int) -> str:
    void = "" if vote.revision == revision else " (void: it was edited since)"
    said = " ".join(vote.reason.splitlines())  # on its one line, or it could pass for another vote
    return printable(f"{vote.voter} approved at {iso(vote.at)}{void}: {said}")
