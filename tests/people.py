"""People who decide, as other tests need them: in person, on an open gateway, answered with a row or in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from toolgate import Caller
from toolgate.domain.principal import OPERATOR, Declined, in_person
from toolgate.operations import decide_approval as deciding
from toolgate.operations import resolve_call as resolving

if TYPE_CHECKING:
    from toolgate import Gateway
    from toolgate.domain.rows import ApprovalRow, CallRow
    from toolgate.gateway.world import World


async def decide_approval(
    gateway: Gateway,
    approval_id: str,
    decision: Literal["approve", "deny"],
    *,
    voter: Caller,
    reason: str,
    digest: bytes | None = None,
) -> ApprovalRow | str:
    """The approval as it is then, or why it was not decided so."""
    answer = await deciding.decide_approval(
        gateway.world, approval_id, decision, by=in_person(voter), reason=reason, digest=digest
    )
    return answer.reason if isinstance(answer, Declined) else answer.row


async def resolve_call(
    world: World, call_id: str, *, applied: bool, by: Caller, reason: str
) -> CallRow | str:
    """The call as it is then, or why it was not resolved so. Whoever says so is an operator here."""
    operator = in_person(Caller(by.id, {*by.roles, OPERATOR}, by.tenant))
    answer = await resolving.resolve_call(world, call_id, applied=applied, by=operator, reason=reason)
    return answer.reason if isinstance(answer, Declined) else answer
