"""Which grant stands for a person's consent to this call? A hint: the ledger decides, when it is spent.

A grant covers a call where its bounds hold the sealed arguments, under the very contract that its maker looked at.
Not here: what a person must agree to (``gates.approval``), and spending a use (``domain.ledger.grants``).
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from toolgate.domain.approval import ApprovalFact, within
from toolgate.domain.commands import GrantUse
from toolgate.domain.ledger.grants import agrees, spend

if TYPE_CHECKING:
    from toolgate.domain.approval import Requirement
    from toolgate.domain.call import SealedCall
    from toolgate.domain.rows import CallRow, GrantRow
    from toolgate.gateway.world import World

_log = logging.getLogger("toolgate")
MOST_TRIED = 200
"""Grants of one tool that are looked at for one call, the newest first."""


async def covering(world: World, sealed: SealedCall, row: CallRow, required: Requirement) -> list[GrantRow]:
    """The grants that would do, the one that ends first before the others: what would be lost is spent first."""
    now = world.clock.now()
    rows = await world.store.grants(
        tenant=sealed.caller.tenant, tool=sealed.contract.name, active_at=now, limit=MOST_TRIED
    )
    found = [
        grant
        for grant in rows
        if not isinstance(spend(use_of(grant, sealed, required), grant, row, now), str)
        and await _is_on_record(world, grant)
        and within(json.loads(grant.bounds), sealed.arguments)
    ]
    return sorted(found, key=lambda grant: (grant.until, grant.grant_id))


async def _is_on_record(world: World, grant: GrantRow) -> bool:
    """Whether the trail tells of the grant as it lies there: one put or changed in the file by hand admits nothing.

    Who writes the trail as well breaks the chain, which verification shows.
    """
    async for record in world.store.records(call_id=grant.grant_id):
        if agrees(grant, json.loads(record.record)):
            return True
    _log.error("%s is not what the trail tells of it; it admits nothing", grant.grant_id)
    return False


def use_of(grant: GrantRow, sealed: SealedCall, required: Requirement) -> GrantUse:
    """What the ledger has to find true of ``grant`` when it is spent."""
    return GrantUse(grant.grant_id, required, sealed.contract.digest, sealed.received.barred)


def fact_of(grant: GrantRow) -> ApprovalFact:
    """What the tool is told: who agreed beforehand, and why."""
    return ApprovalFact(approval_id=grant.grant_id, approved_by=(grant.granted_by,), reason=grant.reason)
