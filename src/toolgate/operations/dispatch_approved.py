"""Pick up what people approved, and run it as the requester, everything checked again.

Whoever decides only records it; a gateway that owns the tool dispatches. The original tenant, workflow,
agent and request stay; the rights are the caller's current ones, which ``prepare.identify`` asks for.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from toolgate.domain.commands import EndApproval
from toolgate.domain.duration import MICRO
from toolgate.domain.errors import GateFault, StoreInDoubt, StoreUnavailable
from toolgate.domain.lifecycle import ApprovalCause, ApprovalState
from toolgate.domain.outcome import ErrorType, Outcome, Refused
from toolgate.domain.rows import ByApproval
from toolgate.gateway.faults import place_of
from toolgate.gateway.flight import Phase
from toolgate.operations.handle_call import board
from toolgate.operations.reread import reread
from toolgate.ports import ApprovalFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from toolgate.domain.rows import ApprovalRow, CallRow, Found
    from toolgate.gateway.flight import Flight
    from toolgate.gateway.world import World

_log = logging.getLogger("toolgate")
AT_ONCE = 1000
"""Rows that are read at a time: those of tools that another gateway has stand between ours."""
OTHER_RELEASE = 300.0
"""Seconds from its approval for which a call of a contract that came meanwhile is left to whoever has that contract."""
FINAL_REFUSALS = frozenset({ErrorType.PERMISSION_DENIED, ErrorType.UNKNOWN_TOOL, ErrorType.INVALID_ARGUMENTS})
"""What cannot change by waiting: the approval is cancelled. A full or broken dependency leaves it approved."""


async def dispatch_approved(world: World, submit: Callable[[Flight], object]) -> int:
    """Start every approved call whose tool this gateway has. How many were started."""
    started, after = 0, None
    while rows := await world.store.dispatchable(AT_ONCE, after):
        started += await _start_all(world, rows, submit)
        after = rows[-1].approval_id
    return started


async def _start_all(world: World, rows: Sequence[ApprovalRow], submit: Callable[[Flight], object]) -> int:
    started = 0
    for approval in rows:
        flying = world.flights.get(approval.call_id)
        if approval.tool not in world.registry or (flying is not None and flying.phase is not Phase.OVER):
            continue
        try:
            started += await _start(world, approval, submit)
        except (StoreUnavailable, StoreInDoubt):
            raise
        except Exception as fault:  # noqa: BLE001 - one row that cannot be read must not hold up all others
            _log.error("%s cannot be picked up: %s", approval.approval_id, place_of(fault))
    return started


async def _start(world: World, approval: ApprovalRow, submit: Callable[[Flight], object]) -> bool:
    found = await world.store.find(ByApproval(approval.approval_id))
    call = found.call
    if call is None or found.approval is None or found.approval.state is not ApprovalState.APPROVED:
        return False
    contract = world.registry[approval.tool].contract
    if contract.digest != call.contract_digest:
        if await _is_of_another_release(world, call, found.approval):
            return False
        await _cancel(
            world, approval, "the contract changed since it was approved", ErrorType.CONTRACT_CHANGED
        )
        return False
    if not await _votes_are_on_record(world, found):
        _log.error("%s has a vote that the trail knows nothing of; it does not run", approval.approval_id)
        await _cancel(world, approval, "a vote on it is not in the audit trail", ErrorType.APPROVAL_EXPIRED)
        return False
    try:
        received = await reread(world, call)
    except (StoreUnavailable, StoreInDoubt):
        raise
    except GateFault as fault:
        received = None
        _log.error("the request of %s cannot be opened: %s", call.call_id, type(fault).__name__)
    if received is None:
        await _cancel(
            world, approval, "what was approved cannot be read any more", ErrorType.APPROVAL_EXPIRED
        )
        return False
    approval = found.approval
    flight = board(world, received, lambda outcome: _answered(world, approval, outcome), approval=approval)
    submit(flight)
    return True


async def _is_of_another_release(world: World, call: CallRow, approval: ApprovalRow) -> bool:
    """Whether somebody beside us has the contract that the call was asked for under, and may still run it.

    A call that came since this gateway began, under a contract that it does not have, was taken by a gateway of another
    release. That one runs it, while releases change one by one; what it leaves is cancelled after ``OTHER_RELEASE``.
    """
    if world.opened_at is None or call.received_at <= world.opened_at:
        return False
    return await world.store.now() < approval.updated_at + round(OTHER_RELEASE * MICRO)


async def _votes_are_on_record(world: World, found: Found) -> bool:
    """Whether every vote came with its event, in one transaction, as votes do.

    One that was put into the file by hand has none; who writes that as well breaks the chain, which
    verification shows.
    """
    assert found.call is not None
    said = set()
    async for row in world.store.records(call_id=found.call.call_id):
        record = json.loads(row.record)
        if record.get("toolgate.transition") == "approval_approved":
            said.add(record.get("toolgate.actor"))
    return said.issuperset(vote.voter for vote in found.votes)


def _answered(world: World, approval: ApprovalRow, outcome: Outcome[Any]) -> None:
    """A refusal that waiting cannot mend ends the approval; nobody waits for the outcome itself here."""
    if isinstance(outcome, Refused) and outcome.error_type in FINAL_REFUSALS:
        world.ended_approvals.append((approval.approval_id, outcome.reasons, outcome.error_type.value))


async def end_refused(world: World) -> None:
    """Cancel the approvals whose call was refused for good."""
    while world.ended_approvals:
        approval_id, reasons, error_type = world.ended_approvals.popleft()
        reason = "; ".join(reasons) or "refused at execution"
        await world.store.execute(
            EndApproval(approval_id, ApprovalCause.WITHDRAWN, world.owner, reason, error_type)
        )


async def _cancel(world: World, approval: ApprovalRow, reason: str, error_type: ErrorType) -> None:
    await world.store.execute(
        EndApproval(approval.approval_id, ApprovalCause.WITHDRAWN, world.owner, reason, error_type.value)
    )


async def expire_approvals(world: World) -> int:
    """Write down what the clock has ended. Deciding late is refused without this, too."""
    now = await world.store.now()
    expired = await world.store.approvals(ApprovalFilter(lapsed_at=now, limit=AT_ONCE))
    for row in expired:
        await world.store.execute(
            EndApproval(
                row.approval_id, ApprovalCause.LAPSED, "clock", "its time ran out", "approval_expired"
            )
        )
    return len(expired)
