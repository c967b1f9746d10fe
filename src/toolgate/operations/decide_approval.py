"""A person decides on a held call. Deciding only records; a gateway that owns the tool dispatches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

from toolgate.domain.commands import DecideApproval
from toolgate.domain.principal import Action, Declined, forbids
from toolgate.domain.redaction import redact_text
from toolgate.operations.answers import declined
from toolgate.operations.may_decide import facts_of, forbidden_by_rule
from toolgate.operations.review_approval import NO_SUCH_APPROVAL, find_review, written_review

if TYPE_CHECKING:
    from toolgate.domain.principal import Principal
    from toolgate.gateway.world import World
    from toolgate.operations.review import Review

MAX_REASON = 2000
Decision = Literal["approve", "deny"]
CHANGED = Declined("conflict", "it changed since it was shown; look at it again")
_IN_PERSON: Final = {"approve": "confirmed in person", "deny": "declined in person"}
SAY_WHY = Declined("invalid", "say why, in a few words; the trail keeps it")


async def decide_approval(
    world: World, approval_id: str, decision: Decision, *, by: Principal, reason: str, digest: bytes | None
) -> Review | Declined:
    """The approval as it is after the decision, or why it may not be decided so.

    ``digest`` is that of what the person saw. None is for programs that showed the approval in the same breath: that
    of the approval as it is now. Whoever confirms what they asked for themself need not say why.
    """
    if why := forbids(by, Action.DECIDE):
        return Declined("forbidden", why)
    review = await find_review(world, approval_id, tenant=by.tenant)
    text = said(reason) or (_IN_PERSON[decision] if review is not None and review.requirement.own else "")
    if not text:
        return SAY_WHY
    if review is None:
        return NO_SUCH_APPROVAL
    seen = review.row.digest if digest is None else digest
    if decision == "approve" and review.is_open and seen != review.row.digest:
        # The ledger says so too, but of the revision that is there when the rule has answered: an edit that comes in
        # between must not bring a vote for arguments that the rule was never asked about.
        return CHANGED
    if decision == "approve" and (why := await forbidden_by_rule(world, by, facts_of(review))):
        return Declined("forbidden", why)
    answer = await world.store.execute(DecideApproval(approval_id, decision, by.caller, text, seen))
    if (refused := declined(answer, "it was decided meanwhile")) is not None:
        return refused
    return await written_review(world, approval_id, tenant=by.tenant)


def said(reason: str) -> str:
    """A person's words as the trail keeps them: without secrets, at most 2000 characters; empty for none."""
    return redact_text(reason.strip())[:MAX_REASON]
