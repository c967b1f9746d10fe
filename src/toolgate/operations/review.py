"""One approval as people look at it: what would run, who asked, what is demanded, what was said and what was changed.

All of it was written by the gate from the sealed call, sensitive values replaced. Not here: deciding.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from toolgate.domain.approval import Requirement, Tally, Vote, may_see, may_vote, person, tally
from toolgate.domain.ledger import NO_OWN_EDIT, stored_requirement
from toolgate.domain.lifecycle import ApprovalCause, ApprovalState, is_open, next_approval
from toolgate.domain.principal import Action, forbids

if TYPE_CHECKING:
    from toolgate.domain.canonical import JsonValue
    from toolgate.domain.principal import Principal
    from toolgate.domain.rows import ApprovalRow, CallRow, Found, Reveal, RevisionRow


class Difference(NamedTuple):
    """One argument before and after; None where it was not there. Sensitive values are replaced in both."""

    path: str
    before: JsonValue
    after: JsonValue


class Edited(NamedTuple):
    """One edit: what it made of the revision before it."""

    revision: int
    editor: str
    reason: str
    at: int
    differences: tuple[Difference, ...]


@dataclass(frozen=True, kw_only=True)
class Review:
    """An approval, its call, what people said of it, and the store's time in microseconds."""

    row: ApprovalRow
    call: CallRow
    votes: tuple[Vote, ...]
    reveals: tuple[Reveal, ...] = ()
    revisions: tuple[RevisionRow, ...] = ()
    now: int

    @cached_property
    def requirement(self) -> Requirement:
        """What is demanded, as it was last written."""
        return stored_requirement(self.row)

    @cached_property
    def tally(self) -> Tally:
        """What the votes of this revision come to."""
        return tally(
            self.requirement,
            self.votes,
            revision=self.row.revision,
            requester=self.row.caller_id,
            barred=self.row.barred,
        )

    @property
    def is_open(self) -> bool:
        """Whether somebody can still decide it: nothing is open whose time is over, written down or not."""
        return is_open(self.row.state) and self.now < self.row.expires_at

    @property
    def state(self) -> str:
        """Where it stands; expired as soon as the clock says so."""
        if is_open(self.row.state) and self.now >= self.row.expires_at:
            return ApprovalState.EXPIRED.value
        return self.row.state.value

    @property
    def waits_for_people(self) -> bool:
        """Whether a vote would still count: open, and not enough people have agreed."""
        return self.is_open and not (self.row.state is ApprovalState.APPROVED and self.tally.enough)

    @cached_property
    def shown(self) -> dict[str, Any]:
        """What was shown, under the names of ``gateway.records.approval_row``: tool, arguments, masked, preview, ..."""
        shown: dict[str, Any] = json.loads(self.row.shown)
        shown.setdefault("masked", [])
        return shown

    @property
    def must_reveal(self) -> bool:
        """Whether something is masked that its author did not mark: nobody approves it before they have seen it."""
        return self.row.must_reveal

    def may_look(self, by: Principal) -> str | None:
        """Why ``by`` has no say in it, or None where they have."""
        if why := forbids(by, Action.DECIDE):
            return why
        return may_see(self.requirement, by.caller, requester=self.row.caller_id, tenant=self.row.tenant)

    def why_not(self, by: Principal) -> str | None:
        """Why ``by`` may not approve it now, or None. That something must be revealed first is not counted."""
        if not self.waits_for_people:
            return f"it is {self.state} already"
        if why := forbids(by, Action.DECIDE):
            return why
        if any(
            person(vote.voter) == person(by.id) and vote.revision == self.row.revision for vote in self.votes
        ):
            return "you approved it already; another person is needed"
        return may_vote(
            self.requirement,
            by.caller,
            requester=self.row.caller_id,
            tenant=self.row.tenant,
            barred=self.row.barred,
        )

    def why_not_edit(self, by: Principal) -> str | None:
        """Why ``by`` may not change its arguments, or None. What enough people agreed to once stays as it is."""
        if not self.is_open or next_approval(self.row.state, ApprovalCause.EDITED) is None:
            return f"it is {self.state} already"
        return NO_OWN_EDIT if self.requirement.own else self.may_look(by)

    def revealed_by(self, by: Principal) -> bool:
        """Whether ``by`` has seen what is masked in this revision."""
        return any(
            person(seen.viewer) == person(by.id) and seen.revision == self.row.revision
            for seen in self.reveals
        )

    @cached_property
    def edits(self) -> tuple[Edited, ...]:
        """What edits changed, oldest first."""
        told = [json.loads(revision.shown)["arguments"] for revision in self.revisions]
        told.append(self.shown["arguments"])
        return tuple(
            Edited(
                revision.revision + 1,
                revision.editor,
                revision.reason,
                revision.replaced_at,
                differences(told[place], told[place + 1]),
            )
            for place, revision in enumerate(self.revisions)
        )

    def described(self) -> dict[str, Any]:
        """For programs: an approval as every surface prints it."""
        shown, demanded = self.shown, self.requirement
        return {
            "approval_id": self.row.approval_id,
            "call_id": self.row.call_id,
            "tool": shown["tool"],
            "version": shown["version"],
            "description": shown["description"],
            "effect": shown["effect"],
            "external": shown["external"],
            "risk": demanded.risk,
            "reason": demanded.reason,
            "arguments": shown["arguments"],
            "masked": shown["masked"],
            "must_reveal": self.must_reveal,
            "preview": shown["preview"],
            "requester": shown["caller"],
            "tenant": shown["tenant"],
            "agent": shown["agent"],
            "model": shown["model"],
            "workflow_id": shown["workflow_id"],
            "claimed_reason": shown["claimed_reason"],
            "requires_role": demanded.shown_roles(),
            "own": demanded.own,
            "quorum": demanded.quorum,
            "state": self.state,
            "ended_by": self.row.ended_by,
            "ended_because": self.row.reason,
            "revision": self.row.revision,
            "missing": self.tally.missing if self.is_open else "",
            "votes": [_vote(vote) for vote in self.votes],
            "edits": [_edit(edit) for edit in self.edits],
            "digest": self.row.digest.hex(),
            "requested_at": moment(self.row.requested_at),
            "expires_at": moment(self.row.expires_at),
        }


def reviewed(found: Found, now: int, revisions: tuple[RevisionRow, ...] = ()) -> Review | None:
    """The approval in ``found``; None where there is none."""
    if found.approval is None or found.call is None:
        return None
    return Review(
        row=found.approval,
        call=found.call,
        votes=found.votes,
        reveals=found.reveals,
        revisions=revisions,
        now=now,
    )


def differences(before: JsonValue, after: JsonValue, path: str = "") -> tuple[Difference, ...]:
    """Where two trees differ: objects by their fields, anything else as a whole."""
    if before == after and type(before) is type(after):
        return ()
    if isinstance(before, dict) and isinstance(after, dict):
        found: list[Difference] = []
        for key in {**before, **after}:
            found += differences(before.get(key), after.get(key), f"{path}.{key}" if path else key)
        return tuple(found)
    return (Difference(path, before, after),)


def moment(at: int) -> str:
    """Microseconds since the epoch as RFC 3339, in UTC, to the second."""
    return datetime.fromtimestamp(at / 1e6, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _vote(vote: Vote) -> dict[str, Any]:
    return {"voter": vote.voter, "reason": vote.reason, "at": moment(vote.at), "revision": vote.revision}


def _edit(edit: Edited) -> dict[str, Any]:
    changed = [{"path": one.path, "before": one.before, "after": one.after} for one in edit.differences]
    return {
        "revision": edit.revision,
        "editor": edit.editor,
        "reason": edit.reason,
        "at": moment(edit.at),
        "differences": changed,
    }
