"""Find what was left in doubt, and find out: lapsed intents become unknown, unknown ones are reconciled.

Runs at start and periodically. An intent is touched only once its lease ran out; if two replicas try, the
store lets one. ``reconcile`` is the contract's own and may only say what it knows: ``None``, an error or
"not found" within the contract's horizon leave the effect unknown, for a person to resolve.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from toolgate.domain.caller import Applied, NotApplied
from toolgate.domain.commands import Done, Lapse, Renew, Resolve
from toolgate.domain.duration import MICRO
from toolgate.domain.errors import StoreInDoubt, StoreUnavailable
from toolgate.domain.lifecycle import EffectCause
from toolgate.gateway.faults import place_of
from toolgate.gateway.finish.check_result import Checked, check_result
from toolgate.gateway.prepare.seal import Unfit, seal
from toolgate.gateway.records import answer_row
from toolgate.gateway.scope import Scope, ask, context_of
from toolgate.operations.handle_call import board
from toolgate.operations.reopen import reopened
from toolgate.operations.reread import reread
from toolgate.operations.resolve_call import NOT_APPLIED, kept_words

if TYPE_CHECKING:
    from toolgate.domain.call import SealedCall
    from toolgate.domain.rows import CallRow
    from toolgate.gateway.flight import Flight
    from toolgate.gateway.world import Registered, World

_log = logging.getLogger("toolgate")
FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0
"""Seconds before a contract that could not tell is asked again."""
AT_ONCE = 1000
"""Effects in doubt that one round looks at. Those that only a person can resolve must not hide the others."""


async def lapse_intents(world: World) -> int:
    """Intents whose owner's lease ran out become unknown. How many did."""
    lapsed = 0
    for row in await world.store.lapsed():
        lapsed += isinstance(await world.store.execute(Lapse(row.call_id, world.owner)), Done)
    return lapsed


async def renew_leases(world: World) -> None:
    """Attempts of ours that outlive their call are still running: say so, or somebody might call them off."""
    for flight in list(world.flights.values()):
        if flight.gave_up and flight.row is not None:
            until = await world.store.now() + round(world.lease_margin * MICRO)
            await world.store.execute(Renew(flight.row.call_id, world.owner, until))


async def write_unsettled(world: World) -> StoreUnavailable | StoreInDoubt | None:
    """Outcomes that could not be recorded when they came. The fault that stopped it, if one did.

    What was refused goes behind the others, so that one that can never be written holds up nothing.
    """
    while world.unsettled:
        try:
            await world.store.execute(world.unsettled[0])
        except (StoreUnavailable, StoreInDoubt) as fault:
            world.unsettled.rotate(-1)
            return fault
        world.unsettled.popleft()
    return None


async def reconcile_unknown(world: World, *, patient: bool = False) -> int:
    """Ask the contracts that can tell. How many effects are known now. Runs in a tool loop: it calls authors' code.

    ``patient``: ask a contract that could not tell again only after a while, twice as long each time.
    """
    known = 0
    rows = await world.store.unknown(limit=AT_ONCE)
    waiting = world.patience
    world.patience = {row.call_id: waiting[row.call_id] for row in rows if row.call_id in waiting}
    for row in rows:
        registered = world.registry.get(row.tool)
        if registered is None or registered.tool.reconcile is None or row.call_id in world.flights:
            continue
        now = world.clock.monotonic()
        again_at, pause = world.patience.get(row.call_id, (now, FIRST_PAUSE))
        if patient and now < again_at:
            continue
        world.patience[row.call_id] = (now + pause, min(2 * pause, LONGEST_PAUSE))
        try:
            known += await reconcile(world, registered, row)
        except (StoreUnavailable, StoreInDoubt):
            raise
        except Exception as error:  # noqa: BLE001 - one call that cannot be read must not leave all others in doubt
            _log.error("reconciling %s failed: %s", row.call_id, place_of(error))
    return known


async def reconcile(world: World, registered: Registered, row: CallRow) -> bool:
    """Ask one contract about one effect, within its timeout. Whether the effect is known now."""
    received = await reread(world, row)
    sealed = seal(world, registered, received) if received is not None else None
    if received is None or sealed is None or isinstance(sealed, Unfit):
        return False
    if sealed.key_mac != row.key_mac:
        # The template changed since: asked by another key, "not found" would mean nothing.
        return False
    flight = board(world, received, lambda _: None)
    flight.scope = Scope(world)
    flight.attempts = 1
    try:
        async with asyncio.timeout(registered.contract.timeout):
            assert registered.tool.reconcile is not None
            answer = await ask(
                registered.tool.reconcile, await context_of(world, flight, sealed), sealed.args
            )
            await flight.scope.leave()
    except Exception as error:  # noqa: BLE001 - an author's reconcile that fails cannot tell
        _log.warning("reconcile of %s failed: %s", row.call_id, type(error).__name__)
        await _leave(flight)
        return False
    finally:
        world.flights.pop(received.call_id, None)
    return await _resolve(world, registered, row, sealed, answer)


async def _leave(flight: Flight) -> None:
    try:
        await flight.scope.leave()
    except Exception as error:  # noqa: BLE001 - the author's deps
        _log.warning("leaving deps of %s failed: %s", flight.received.call_id, type(error).__name__)


async def _resolve(
    world: World, registered: Registered, row: CallRow, sealed: SealedCall, answer: object
) -> bool:
    if isinstance(answer, Applied):
        result = None
        checked = check_result(sealed, answer.result, limit=registered.result_size)
        if isinstance(checked, Checked):
            result = answer_row(world, row.tenant, row.call_id, raw=checked.raw)
        command = Resolve(
            row.call_id,
            EffectCause.RECONCILED_APPLIED,
            "reconcile",
            "the contract's reconcile found it",
            result,
        )
        return isinstance(await world.store.execute(command), Done)
    if isinstance(answer, NotApplied):
        if await world.store.now() < _intended_by(row) + round(registered.contract.horizon * MICRO):
            return False
        command = Resolve(
            row.call_id,
            EffectCause.RECONCILED_NOT_APPLIED,
            "reconcile",
            registered.said(answer.reason, sealed)
            or "the contract's reconcile is sure that it did not happen",
            kept_words(world, row, NOT_APPLIED),
            reopen=await reopened(world, row, sealed),
        )
        return isinstance(await world.store.execute(command), Done)
    return False


def _intended_by(row: CallRow) -> int:
    """By when it surely was intended (µs), from where the horizon counts: a held call waits long before it runs."""
    return row.received_at if row.approval_id is None else max(row.received_at, row.lease_until)
