"""After a consumed approval turned out to have done nothing: ask again, with everything filled in.

Consumption is never undone. A new call under the same key and a new approval are drafted, in the
transaction that resolves the old one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from toolgate.domain.ledger import stored_requirement
from toolgate.domain.lifecycle import ApprovalState
from toolgate.domain.rows import ByCall
from toolgate.gateway.hold import hold_command
from toolgate.gateway.scope import Scope
from toolgate.gateway.spine import leave_quietly
from toolgate.operations.handle_call import board

if TYPE_CHECKING:
    from toolgate.domain.call import SealedCall
    from toolgate.domain.commands import DraftHold
    from toolgate.domain.rows import ApprovalRow, CallRow
    from toolgate.gateway.world import World


async def reopened(world: World, row: CallRow, sealed: SealedCall) -> DraftHold | None:
    """The hold to draft beside the resolution of ``row``; None if it never was approved, or its contract changed."""
    if sealed.contract.digest != row.contract_digest:
        return None
    approval = (await world.store.find(ByCall(row.call_id))).approval
    if approval is None or approval.state is not ApprovalState.CONSUMED:
        return None
    again = replace(sealed, received=replace(sealed.received, call_id=world.ids.new("call")))
    flight = board(world, again.received, lambda _: None)
    flight.scope = Scope(world)
    try:
        return _as_it_was(
            await hold_command(world, flight, again, stored_requirement(approval)), again, approval
        )
    finally:
        # A preview may have entered deps; what they raise on leaving says nothing about the call that is resolved.
        await leave_quietly(flight, None)
        world.flights.pop(again.call_id, None)


def _as_it_was(command: DraftHold, again: SealedCall, approval: ApprovalRow) -> DraftHold:
    """With all that edits left behind: who made one may still not approve it, and every key is still the call's.

    A key keeps the fingerprint that claimed it, so that whoever asks again for what they asked first finds the call.
    """
    claims = dict(again.received.claimed)
    claims.setdefault(command.claim.key_mac, command.claim.fingerprint)
    own, *others = (
        command.claim._replace(key_mac=mac, fingerprint=claims[mac])
        for mac in sorted(claims, key=lambda mac: mac != command.claim.key_mac)
    )
    barred = tuple(sorted({*command.approval.barred, *approval.barred}))
    drafted = command.approval._replace(revision=approval.revision, barred=barred)
    return command._replace(claim=own, also=tuple(others), approval=drafted)
