"""Handle one call: run the spine in a task of its own, and answer at the deadline whatever the task does.

The task and the answer are apart: at the deadline the call is given up and answered by the rules of
section 5 of the design, while a tool that swallows its cancellation, blocks a thread or blocks the whole
loop runs on. What it says later is evidence (``settle.late``), never lost and never told twice.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from toolgate.domain.errors import StoreInDoubt, StoreUnavailable
from toolgate.domain.outcome import ErrorType, Outcome, WorldEffect, unsuccessful
from toolgate.gateway import spine
from toolgate.gateway.faults import place_of
from toolgate.gateway.finish.judge_end import Judgement, timed_out
from toolgate.gateway.finish.outcomes import outcome
from toolgate.gateway.finish.settle import audit_unavailable, give_up, refuse_unfit, settle
from toolgate.gateway.flight import Flight, Phase

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable

    from toolgate.domain.call import ReceivedCall
    from toolgate.domain.rows import ApprovalRow
    from toolgate.gateway.world import World

_log = logging.getLogger("toolgate")
_DEFAULT_TIMEOUT = 30.0


def board(
    world: World,
    received: ReceivedCall,
    on_answer: Callable[[Outcome[Any]], object],
    *,
    context: contextvars.Context | None = None,
    approval: ApprovalRow | None = None,
) -> Flight:
    """Register a call. Its deadline runs from now, so that waiting for a loop counts."""
    registered = world.registry.get(received.tool)
    timeout = registered.contract.timeout if registered is not None else _DEFAULT_TIMEOUT
    started = world.clock.monotonic()
    flight = Flight(
        received, on_answer, started=started, deadline=started + timeout, context=context, approval=approval
    )
    world.flights[received.call_id] = flight
    return flight


def launch(world: World, flight: Flight) -> asyncio.Task[None]:
    """Start ``flight`` in the running loop. Its outcome goes to ``flight.answer``."""
    task = asyncio.get_running_loop().create_task(_fly(world, flight), context=flight.context)
    flight.task = task
    left = flight.deadline - world.clock.monotonic()
    flight.timer = world.clock.call_later(max(left, 0.0), lambda: at_deadline(world, flight))
    return task


async def turn_away(world: World, flight: Flight) -> None:
    """Refuse a call for which there is no loop: every one is blocked by a tool."""
    flight.sealed = None
    why = "every loop for tools is blocked by a tool that does not give way"
    try:
        answer = await refuse_unfit(world, flight, None, ErrorType.OVERLOADED, why)
    except (StoreUnavailable, StoreInDoubt) as fault:
        answer = audit_unavailable(world, flight.received.call_id, fault)
    world.flights.pop(flight.received.call_id, None)
    if answer is not None:
        flight.answer(answer)


async def _fly(world: World, flight: Flight) -> None:
    try:
        answer = await spine.handle(world, flight)
    except asyncio.CancelledError:
        if not flight.gave_up:
            raise
        answer = None
        await _cancelled(world, flight)
    except Exception as error:  # noqa: BLE001 - a fault of ours must not leave a caller waiting or an effect in silence
        _log.error("the gate failed while handling %s: %s", flight.received.call_id, place_of(error))  # noqa: TRY400
        answer = await _fault(world, flight, error)
    finally:
        flight.phase = Phase.OVER
        flight.timer.cancel()
        flight.release()
        world.flights.pop(flight.received.call_id, None)
    if answer is not None:
        flight.answer(answer)


async def _cancelled(world: World, flight: Flight) -> None:
    """The attempt honoured its cancellation: it is over, and proves nothing about what it had done before."""
    if flight.row is None or flight.sealed is None:
        return
    judged = Judgement(effect=WorldEffect.UNKNOWN, error_type=ErrorType.OUTCOME_UNKNOWN, reasons=("cancelled",))
    await settle(world, flight, flight.sealed, judged)


async def _fault(world: World, flight: Flight, error: Exception) -> Outcome[Any] | None:
    reasons = (f"{type(error).__name__} inside the gate",)
    if flight.row is None or flight.sealed is None:
        return unsuccessful(ErrorType.INTERNAL_ERROR, call_id=flight.received.call_id, reasons=reasons)
    judged = Judgement(
        effect=WorldEffect.UNKNOWN, error_type=ErrorType.OUTCOME_UNKNOWN, reasons=reasons, healthy=False
    )
    return await settle(world, flight, flight.sealed, judged)


def at_deadline(world: World, flight: Flight) -> None:
    """Give the call up and answer it. Runs in a loop that is not blocked: the call's own, or its successor."""
    phase = flight.give_up()
    if phase is None:
        if flight.phase is Phase.SETTLING and not flight.answered:
            _answer_without_store(world, flight, dispatched=True)
        return
    judged = _judged(flight, phase)
    task = asyncio.get_running_loop().create_task(_conclude(world, flight, judged))
    _PENDING.add(task)
    task.add_done_callback(_PENDING.discard)
    # A store that hangs must not keep the agent waiting for its word about a call that is over anyway.
    _answer_without_store(world, flight, dispatched=phase is Phase.DISPATCHED)
    # The commit of an intent or a hold is left alone: whether it happened has to be known.
    if phase is not Phase.INTENDING and flight.task is not None:
        flight.task.get_loop().call_soon_threadsafe(flight.task.cancel)


_PENDING: set[asyncio.Task[None]] = set()
"""Loops hold tasks weakly."""


def _judged(flight: Flight, phase: Phase) -> Judgement:
    writes = flight.sealed is not None and flight.sealed.contract.has_effects
    seconds = flight.deadline - flight.started
    # An attempt that said "nothing happened" and was waiting for the next one leaves no doubt.
    return timed_out(writes=writes, dispatched=phase is Phase.DISPATCHED and flight.in_doubt, seconds=seconds)


async def _conclude(world: World, flight: Flight, judged: Judgement) -> None:
    answer = await give_up(world, flight, judged)
    if answer is not None:
        flight.answer(answer)


def _answer_without_store(world: World, flight: Flight, *, dispatched: bool) -> None:
    def late_word() -> None:
        if flight.answered:
            return
        call_id = flight.received.call_id
        writes = flight.sealed is not None and flight.sealed.contract.has_effects
        if dispatched and writes:
            flight.answer(outcome(call_id, _judged(flight, Phase.DISPATCHED)))
        else:
            fault = TimeoutError("the store does not answer")
            flight.answer(audit_unavailable(world, call_id, fault, ran=dispatched))

    world.clock.call_later(world.settle_grace, late_word)
