"""The last step of every call: its outcome and its audit event in one transaction, then the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolgate.domain.commands import Append, LateEvidence, Record, Settle, Superseded
from toolgate.domain.duration import MICRO
from toolgate.domain.errors import StoreInDoubt, StoreUnavailable
from toolgate.domain.lifecycle import EffectState
from toolgate.domain.outcome import ErrorType, Outcome, WorldEffect, unsuccessful
from toolgate.domain.rows import ByCall, Event, Found
from toolgate.domain.trail import call_record
from toolgate.gateway import records
from toolgate.gateway.finish.judge_end import Judgement, rule_status
from toolgate.gateway.finish.misfits import shown_misfit
from toolgate.gateway.finish.outcomes import outcome
from toolgate.gateway.finish.recall import observed, recall
from toolgate.gateway.flight import Phase
from toolgate.gateway.prepare.parse import Unfit

if TYPE_CHECKING:
    from toolgate.domain.call import SealedCall
    from toolgate.domain.rows import CallRow
    from toolgate.domain.verdict import Deny
    from toolgate.gateway.flight import Flight
    from toolgate.gateway.world import Registered, World

_STATES = {
    WorldEffect.APPLIED: EffectState.APPLIED,
    WorldEffect.NONE: EffectState.NOT_APPLIED,
    WorldEffect.UNKNOWN: EffectState.UNKNOWN,
}


def audit_unavailable(
    world: World, call_id: str, fault: Exception | None, *, ran: bool = False
) -> Outcome[Any]:
    """The trail cannot be written: nothing runs, and no read's result is released."""
    if fault is not None:
        world.trail.failed()
    reasons = (f"{type(fault).__name__}: {fault}",) if fault is not None else ("an earlier write failed",)
    return unsuccessful(
        ErrorType.AUDIT_UNAVAILABLE, call_id=call_id, reasons=reasons, retry_after=1.0, ran=ran
    )


async def refuse_unfit(
    world: World, flight: Flight, registered: Registered | None, error_type: ErrorType, why: str | Unfit
) -> Outcome[Any] | None:
    """Refuse a call that never was sealed."""
    if not flight.begin_settling():
        return None
    received = flight.received
    shown = shown_misfit(
        world, received.tool, why.arguments if isinstance(why, Unfit) else received.arguments
    )
    reason = why.message if isinstance(why, Unfit) else why
    contract = registered.contract if registered else None
    message = why.message if isinstance(why, Unfit) else None
    advice = why.advice if isinstance(why, Unfit) else None
    answer = unsuccessful(
        error_type, call_id=received.call_id, message=message, advice=advice, reasons=(reason,)
    )
    if flight.resuming:
        # The held call stays as it is: whoever dispatches decides whether this refusal is final.
        return answer
    now = world.clock.now()
    row = records.call_row(
        world,
        received,
        contract,
        now=now,
        status="refused",
        error_type=error_type.value,
        duration_us=_elapsed(world, flight),
    )
    event = records.event(
        row,
        transition="refused",
        decision="deny",
        effect="none",
        arguments=shown,
        reasons=(reason,),
    )
    await world.store.execute(Record(row, event))
    return answer


async def refuse(world: World, flight: Flight, sealed: SealedCall, deny: Deny) -> Outcome[Any] | None:
    """Refuse a sealed call, for the reason a gate gave."""
    if not flight.begin_settling():
        return None
    answer = unsuccessful(
        deny.error_type,
        call_id=sealed.call_id,
        message=deny.message,
        advice=deny.advice,
        reasons=(deny.reason,),
        retry_after=deny.retry_after,
        approval_id=flight.approval.approval_id if flight.approval else None,
    )
    if flight.resuming:
        # The held call stays as it is: whoever dispatches decides whether this refusal is final.
        return answer
    row = records.call_row(
        world,
        sealed.received,
        sealed.contract,
        now=world.clock.now(),
        status="refused",
        sealed=sealed,
        error_type=deny.error_type.value,
        duration_us=_elapsed(world, flight),
    )
    event = records.event(
        row,
        transition="refused",
        decision="deny",
        effect="none",
        arguments=sealed.redacted,
        reasons=(deny.reason,),
    )
    await world.store.execute(Record(row, event))
    return answer


async def refuse_found(world: World, flight: Flight, sealed: SealedCall, found: Found) -> Outcome[Any] | None:
    """Answer from the ledger: nothing runs again, and the trail says that it was asked again."""
    if not flight.begin_settling():
        return None
    found = await observed(world, found)
    answer = await recall(world, found, replayed=True)
    now = world.clock.now()
    call = found.call or _as_it_was(world, sealed, answer, now)
    record = call_record(
        call,
        transition="replayed",
        at=now,
        decision="replay",
        effect=answer.effect.value,
        arguments=sealed.redacted,
        extra={"toolgate.replay.id": sealed.call_id},
    )
    await world.store.execute(Append((Event(call.call_id, now, record),)))
    return answer


def _as_it_was(world: World, sealed: SealedCall, answer: Outcome[Any], now: int) -> CallRow:
    """For the trail, the call of a tombstone: its row is gone, but who asks again asks for the same."""
    row = records.call_row(
        world,
        sealed.received,
        sealed.contract,
        now=now,
        status=answer.status.value,
        sealed=sealed,
        effect_state=EffectState.APPLIED,
    )
    return row._replace(call_id=answer.call_id)


async def settle(world: World, flight: Flight, sealed: SealedCall, judged: Judgement) -> Outcome[Any] | None:
    """Write how the run ended, then answer. None: the call had been given up; what is known now is late evidence.

    The first word on a run is the one that counts: a call that is cut off while it is being recorded says nothing new.
    """
    flight.judged = judged = flight.judged or judged
    if not flight.begin_settling():
        await late(world, flight, sealed, judged)
        return None
    note(world, flight, judged)
    if flight.row is None:
        return await _settle_read(world, flight, sealed, judged)
    return await _settle_effect(world, flight, sealed, judged)


def note(world: World, flight: Flight, judged: Judgement) -> None:
    """Tell the tool's breaker how it went, if the tool was entered at all; of a call that was given up only that."""
    if flight.dispatched and flight.sealed is not None:
        world.reservations.note(flight.sealed.contract, healthy=judged.healthy)


async def _settle_read(world: World, flight: Flight, sealed: SealedCall, judged: Judgement) -> Outcome[Any]:
    flight.prepared = outcome(sealed.call_id, judged)
    await _record_read(world, flight, sealed, judged)
    return flight.prepared


async def _record_read(world: World, flight: Flight, sealed: SealedCall, judged: Judgement) -> None:
    row = records.call_row(
        world,
        sealed.received,
        sealed.contract,
        now=world.clock.now(),
        status=rule_status(judged.error_type),
        sealed=sealed,
        error_type=judged.error_type.value if judged.error_type else None,
        duration_us=_elapsed(world, flight),
    )
    event = records.event(
        row,
        transition="settled",
        decision="allow",
        effect=judged.effect.value,
        arguments=sealed.redacted,
        reasons=judged.reasons,
        attempts=flight.attempts,
        extra=flight.asking.told() if flight.asking is not None else None,
    )
    await world.store.execute(Record(row, event))


async def _settle_effect(
    world: World, flight: Flight, sealed: SealedCall, judged: Judgement
) -> Outcome[Any] | None:
    approval_id = flight.approval.approval_id if flight.approval else None
    try:
        answer = await world.store.execute(_settle_command(world, flight, sealed, judged))
    except (StoreUnavailable, StoreInDoubt) as fault:
        # The intent is durable and its outcome is not: what we know is kept and written when that works again.
        world.trail.failed()
        world.unsettled.append(evidence(world, sealed, judged))
        doubt = ("the outcome could not be recorded", f"{type(fault).__name__}: {fault}")
        return unsuccessful(
            ErrorType.OUTCOME_UNKNOWN, call_id=sealed.call_id, reasons=doubt, approval_id=approval_id
        )
    if isinstance(answer, Superseded):
        return await superseded(world, flight, sealed, judged)
    return outcome(sealed.call_id, judged, approval_id=approval_id)


async def superseded(world: World, flight: Flight, sealed: SealedCall, judged: Judgement) -> Outcome[Any]:
    """Somebody else moved the call meanwhile: what is known here is evidence, and the ledger gives the answer."""
    await late(world, flight, sealed, judged)
    found = await world.store.find(ByCall(sealed.call_id))
    if found.call is None:
        reasons = ("the ledger has lost the intent",)
        return unsuccessful(ErrorType.OUTCOME_UNKNOWN, call_id=sealed.call_id, reasons=reasons)
    return await recall(world, found, replayed=False)


def _settle_command(world: World, flight: Flight, sealed: SealedCall, judged: Judgement) -> Settle:
    assert flight.row is not None
    row = flight.row._replace(
        updated_at=world.clock.now(),
        status=rule_status(judged.error_type),
        effect_state=_STATES[judged.effect],
        error_type=judged.error_type.value if judged.error_type else None,
        duration_us=_elapsed(world, flight),
    )
    event = records.event(
        row,
        transition="settled",
        decision="allow",
        effect=judged.effect.value,
        reasons=judged.reasons,
        approval_status="consumed" if row.approval_id else None,
        attempts=flight.attempts,
    )
    return Settle(row, judged.cause, _result(world, sealed, judged), event)


def _result(world: World, sealed: SealedCall, judged: Judgement) -> Any:
    canonical = judged.checked.raw if judged.checked else None
    return records.result_row(world, sealed, canonical, judged.kept())


async def late(world: World, flight: Flight, sealed: SealedCall, judged: Judgement) -> None:
    """An attempt ended after its call had been given up: what it says is evidence, and never thrown away."""
    if flight.row is None:
        return
    command = evidence(world, sealed, judged)
    try:
        await world.store.execute(command)
    except (StoreUnavailable, StoreInDoubt):
        world.trail.failed()
        world.unsettled.append(command)


def evidence(world: World, sealed: SealedCall, judged: Judgement) -> LateEvidence:
    """What the end of an attempt says about the world."""
    applied = {WorldEffect.APPLIED: True, WorldEffect.NONE: False, WorldEffect.UNKNOWN: None}[judged.effect]
    detail = judged.reasons[0] if judged.reasons else "the tool returned"
    error_type = judged.error_type.value if judged.error_type else None
    return LateEvidence(
        sealed.call_id, world.owner, applied, detail, _result(world, sealed, judged), error_type
    )


async def give_up(world: World, flight: Flight, judged: Judgement) -> Outcome[Any] | None:
    """Answer a call that was given up, while its task may still be running."""
    sealed = flight.sealed
    if not flight.called_off:
        # That nobody waits any more says nothing about what the tool depends on.
        note(world, flight, judged)
    try:
        if sealed is None or flight.row is None:
            return await _give_up_unpermitted(world, flight, sealed, judged)
        answer = await world.store.execute(_settle_command(world, flight, sealed, judged))
        if isinstance(answer, Superseded) and answer.call is None:
            # The intent itself was refused: somebody else holds the key. The call leaves its trace all the same.
            await _record_read(world, flight, sealed, judged)
    except (StoreUnavailable, StoreInDoubt) as fault:
        world.trail.failed()
        if judged.effect is WorldEffect.UNKNOWN:
            return outcome(flight.received.call_id, judged)
        return audit_unavailable(world, flight.received.call_id, fault, ran=True)
    if isinstance(answer, Superseded) and answer.call is not None and answer.call.effect_state is not None:
        return await _resolved_meanwhile(world, flight, judged, answer.call)
    return outcome(flight.received.call_id, judged)


async def _resolved_meanwhile(world: World, flight: Flight, judged: Judgement, row: CallRow) -> Outcome[Any]:
    """Somebody else said how the call ended. That is believed only where our own attempt cannot say otherwise."""
    agreed = judged.effect is WorldEffect.NONE and row.effect_state is EffectState.NOT_APPLIED
    if agreed or flight.phase is Phase.OVER:
        try:
            return await recall(world, await world.store.find(ByCall(row.call_id)), replayed=False)
        except StoreUnavailable:
            world.trail.failed()
    return unsuccessful(
        ErrorType.OUTCOME_UNKNOWN,
        call_id=row.call_id,
        reasons=("it was resolved while this attempt was still running",),
        approval_id=row.approval_id,
    )


async def _give_up_unpermitted(
    world: World, flight: Flight, sealed: SealedCall | None, judged: Judgement
) -> Outcome[Any]:
    if flight.resuming:
        # The held call stays as it is, and is tried again.
        return outcome(flight.received.call_id, judged)
    if sealed is None:
        error = judged.error_type or ErrorType.TIMEOUT
        row = records.call_row(
            world,
            flight.received,
            None,
            now=world.clock.now(),
            status=rule_status(error),
            error_type=error.value,
        )
        event = records.event(
            row, transition="settled", decision="allow", effect="none", reasons=judged.reasons
        )
        await world.store.execute(Record(row, event))
    else:
        await _record_read(world, flight, sealed, judged)
    return outcome(flight.received.call_id, judged)


def _elapsed(world: World, flight: Flight) -> int:
    return round((world.clock.monotonic() - flight.started) * MICRO)
