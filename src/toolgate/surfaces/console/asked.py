"""An approval as the pages show it: what stands in lists, and who did what to it meanwhile.

Everything comes from the review that the gate made; nothing is decided here. Not here: HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolgate.domain.approval import person
from toolgate.domain.lifecycle import ApprovalState
from toolgate.operations.withdraw import may_withdraw
from toolgate.surfaces.console import paths, spelling

if TYPE_CHECKING:
    from toolgate.domain.principal import Principal
    from toolgate.operations.review import Review

_LONGEST_PREVIEW = 240


@dataclass(frozen=True, slots=True)
class Asked:
    """One approval, for one person who looks at it."""

    review: Review
    by: Principal

    @property
    def id(self) -> str:
        """The approval's id."""
        return self.review.row.approval_id

    @property
    def path(self) -> str:
        """Its page."""
        return paths.approval_path(self.id)

    @property
    def digest(self) -> str:
        """The whole digest of what is shown, which every decision sends back."""
        return self.review.row.digest.hex()

    @property
    def summary(self) -> str:
        """What will happen, on one line: the tool's preview, or its arguments."""
        preview = self.review.shown["preview"]
        if preview:
            return spelling.one_line(str(preview), _LONGEST_PREVIEW)
        return spelling.one_line(self.review.shown["arguments"]) or "without arguments"

    @property
    def masked(self) -> list[tuple[str, ...]]:
        """The paths of what is masked."""
        return [tuple(entry["path"]) for entry in self.review.shown["masked"]]

    @property
    def looks_secret(self) -> list[str]:
        """What is masked only because it looks like a secret, as dotted paths."""
        return [".".join(entry["path"]) for entry in self.review.shown["masked"] if entry["by"] == "likeness"]

    @property
    def like(self) -> str:
        """Equal for requests that may be decided together: the same tool, and the same demanded of people."""
        return f"{self.review.row.tool} {self.review.row.requirement.hex()}"

    @property
    def given(self) -> int:
        """How many votes of this revision count."""
        return len(self.review.tally.voters)

    @property
    def i_approved(self) -> bool:
        """Whether this person has approved what is shown now."""
        return any(
            person(vote.voter) == person(self.by.id) and vote.revision == self.review.row.revision
            for vote in self.review.votes
        )

    @property
    def why_not_approve(self) -> str | None:
        """Why this person may not approve it now, or None."""
        return self.review.why_not(self.by)

    @property
    def why_not_deny(self) -> str | None:
        """Why this person may not say no, or None. Whoever edited it or approved it still may."""
        if not self.review.waits_for_people:
            return f"it is {self.review.state} already"
        return self.review.may_look(self.by)

    @property
    def why_not_edit(self) -> str | None:
        """Why this person may not change its arguments, or None."""
        return self.review.why_not_edit(self.by)

    @property
    def may_reveal(self) -> bool:
        """Whether this person may look at what is masked."""
        return self.review.is_open and self.review.may_look(self.by) is None

    @property
    def may_withdraw(self) -> bool:
        """Whether this person may take it back: who asked, who has a say in it, an operator."""
        return self.review.is_open and may_withdraw(self.review, self.by)

    @property
    def revealed(self) -> bool:
        """Whether this person has looked at what is masked in this revision."""
        return self.review.revealed_by(self.by)

    @property
    def must_reveal_first(self) -> bool:
        """Whether approving waits for a look at what is masked."""
        return self.review.must_reveal and not self.revealed

    @property
    def left(self) -> int:
        """Microseconds until it expires."""
        return self.review.row.expires_at - self.review.now

    @property
    def urgency(self) -> str:
        """How its time left is marked."""
        return spelling.urgency(self.review.row.expires_at, self.review.now)


def what_happened(review: Review, events: Sequence[Mapping[str, Any]]) -> str:
    """Who moved it last, in words: for somebody whose decision came too late."""
    revision = next(iter(reversed(review.revisions)), None)
    last = next(
        (event for event in reversed(events) if str(event.get("transition", "")).startswith("approval_")),
        None,
    )
    state = ApprovalState(review.state)
    if state is ApprovalState.PENDING and revision is not None:
        return f"{revision.editor} changed its arguments meanwhile, and said: {revision.reason}"
    who = str(last["actor"]) if last is not None and last.get("actor") else None
    why = str(last["reason"]) if last is not None and last.get("reason") else review.row.reason
    if who == "clock":
        # Its reason says what the verb says.
        why = None
    by_a_person = _DID.get(state)
    if state is ApprovalState.EXPIRED:
        return "Its time ran out meanwhile."
    if who is None or by_a_person is None:
        return f"{_HAPPENED.get(state, f'It is {state.value}')} meanwhile{f': {why}' if why else ''}."
    return f"{who} {by_a_person} meanwhile{f', and said: {why}' if why else '.'}"


_DID: Mapping[ApprovalState, str] = {
    ApprovalState.APPROVED: "approved it",
    ApprovalState.CONSUMED: "approved it",
    ApprovalState.DENIED: "denied it",
    ApprovalState.CANCELLED: "withdrew it",
}
_HAPPENED: Mapping[ApprovalState, str] = {
    ApprovalState.CANCELLED: "It was withdrawn",
    ApprovalState.DENIED: "It was denied",
    ApprovalState.APPROVED: "It was approved",
    ApprovalState.CONSUMED: "It was approved and dispatched",
}
