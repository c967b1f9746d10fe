"""The command that drafts a hold: claim, call, approval and encrypted request, for one transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.domain.commands import DraftHold
from toolgate.gateway import records
from toolgate.gateway.gates.idempotency import attach_mac

if TYPE_CHECKING:
    from toolgate.domain.approval import Requirement
    from toolgate.domain.call import SealedCall
    from toolgate.gateway.flight import Flight
    from toolgate.gateway.world import World


async def hold_command(world: World, flight: Flight, sealed: SealedCall, required: Requirement) -> DraftHold:
    """A pending approval of ``sealed``. A call without a key is found again by workflow and fingerprint."""
    now = world.clock.now()
    approval = await records.approval_row(world, flight, sealed, required, now=now)
    row = records.call_row(
        world,
        sealed.received,
        sealed.contract,
        now=now,
        status="pending_approval",
        sealed=sealed,
        approval_id=approval.approval_id,
    )
    event = records.event(
        row,
        transition="held",
        decision="hold",
        effect="none",
        arguments=sealed.redacted,
        reasons=(required.reason,),
        approval_status="pending",
    )
    mac = sealed.key_mac or attach_mac(world, sealed)
    claim = records.claim_row(sealed, mac, attach_only=sealed.key_mac is None)
    return DraftHold(row, claim, approval, records.request_row(world, sealed), event)
