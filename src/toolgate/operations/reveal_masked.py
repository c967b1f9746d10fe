"""Show an approver what is masked. That they look is written down before they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.domain.commands import RevealMasked
from toolgate.domain.errors import GateFault, StoreInDoubt, StoreUnavailable
from toolgate.domain.principal import Action, Declined, forbids
from toolgate.operations.answers import declined
from toolgate.operations.decide_approval import CHANGED, SAY_WHY, said
from toolgate.operations.reread import reread
from toolgate.operations.review_approval import NO_SUCH_APPROVAL, find_review

if TYPE_CHECKING:
    from toolgate.domain.canonical import JsonValue
    from toolgate.domain.principal import Principal
    from toolgate.gateway.world import World

UNREADABLE = Declined(
    "conflict", "what was asked for cannot be read any more, so it cannot run either; deny it"
)


async def reveal_masked(
    world: World, approval_id: str, *, by: Principal, reason: str, digest: bytes
) -> dict[str, JsonValue] | Declined:
    """The arguments whole, as they would run. For the eyes of ``by`` alone: they are kept nowhere else."""
    if why := forbids(by, Action.DECIDE):
        return Declined("forbidden", why)
    if not (text := said(reason)):
        return SAY_WHY
    review = await find_review(world, approval_id, tenant=by.tenant)
    if review is None:
        return NO_SUCH_APPROVAL
    answer = await world.store.execute(RevealMasked(approval_id, by.caller, text, digest))
    if (refused := declined(answer, "it was decided meanwhile")) is not None:
        return refused
    try:
        received = await reread(world, review.call)
    except (StoreUnavailable, StoreInDoubt):
        raise
    except GateFault:
        return UNREADABLE
    if received is None:
        return UNREADABLE
    now = await find_review(world, approval_id, tenant=by.tenant)
    if now is None or now.row.digest != digest:
        # An edit came in between: what was read may be another revision's, which this look is not recorded for.
        return CHANGED
    arguments: dict[str, JsonValue] = received.arguments
    return arguments
