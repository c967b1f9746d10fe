"""Whoever asked for a call confirms it, through a program that showed it to them.

In person they do so like any approver (``decide_approval``). Here speaks a program that acts for them, such as an MCP
client: the trail keeps which one, and nothing but the caller's own confirmation can be given so. Not here: how it is
shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toolgate.domain.commands import DecideApproval
from toolgate.domain.names import label
from toolgate.domain.principal import Action, Declined, forbids
from toolgate.operations.answers import declined
from toolgate.operations.decide_approval import CHANGED
from toolgate.operations.list_calls import is_own_call
from toolgate.operations.may_decide import facts_of, forbidden_by_rule
from toolgate.operations.review_approval import NO_SUCH_APPROVAL, find_review, written_review

if TYPE_CHECKING:
    from toolgate.domain.principal import Principal
    from toolgate.gateway.world import World
    from toolgate.operations.review import Review

LONGEST_NAME: Final = 120
"""Characters that are kept of the name of a program."""
NOT_OWN: Final = Declined(
    "forbidden", "another person has to agree to it; that whoever asked confirms it is not enough"
)
NO_RIGHT: Final = Declined("forbidden", "with these rights the tool may not be called")


async def confirm_own(
    world: World, approval_id: str, *, by: Principal, accepted: bool, through: str, digest: bytes
) -> Review | Declined:
    """The approval after ``by`` confirmed or refused what was shown to them, or why it counts for nothing.

    Args:
        world: the gateway's.
        approval_id: of a call that ``by`` asked for; an agent, of one that it asked for itself.
        by: whoever asked, through whatever program shows it to them.
        accepted: False is a denial, which is final for the call's key.
        through: the program that showed it, with its version; cut to 120 characters.
        digest: that of the approval as it was shown.
    """
    if why := forbids(by, Action.CALL_TOOLS):
        return Declined("forbidden", why)
    review = await find_review(world, approval_id, tenant=by.tenant)
    if review is None or not is_own_call(review.call, by):
        return NO_SUCH_APPROVAL
    if not review.requirement.own:
        return NOT_OWN
    if digest != review.row.digest:
        return CHANGED
    registered = world.registry.get(review.call.tool)
    # A call keeps the rights that it was asked for with where nobody knows those of now; a credential says its own.
    if accepted and registered is not None and not registered.visible_to(by.caller):
        return NO_RIGHT
    if accepted and (why := await forbidden_by_rule(world, by, facts_of(review))):
        return Declined("forbidden", why)
    program = label(through, limit=LONGEST_NAME)
    words = f"{'confirmed' if accepted else 'declined'} through {program}"
    answer = await world.store.execute(
        DecideApproval(
            approval_id, "approve" if accepted else "deny", by.caller, words, digest, through=program
        )
    )
    if (refused := declined(answer, "it was decided meanwhile")) is not None:
        return refused
    return await written_review(world, approval_id, tenant=by.tenant)
