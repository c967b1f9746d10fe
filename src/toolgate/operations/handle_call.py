"""Handle one call: run the spine in a task of its own, and answer at the deadline whatever the task does.

The task and the answer are apart: at the deadline the call is given up and answered by the rules of
section 5 of the design, while a tool that swallows its cancellation, blocks a thread or blocks the whole
loop runs on. What it says later is evidence (``settle.late``), never lost and never told twice.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from toolgate.domain.duration import MICRO
from toolgate.domain.errors import StoreInDoubt, StoreUnavailable
from toolgate.domain.lifecycle import EffectState
from toolgate.domain.outcome import ErrorType, Outcome, WorldEffect
from toolgate.domain.rows import RUNNING, ByCall
from toolgate.gateway import spine
from toolgate.gateway.asking import Asking
from toolgate.gateway.faults import place_of
from toolgate.gateway.finish.judge_end import Judgement, called_off, timed_out
from toolgate.gateway.finish.outcomes import outcome
from toolgate.gateway.finish.recall import recall
from toolgate.gateway.finish.settle import audit_unavailable, evidence, give_up, refuse_unfit, settle
from toolgate.gateway.flight import Flight, Phase
from toolgate.gateway.job_run import cancelled
from toolgate.operations.watch_call import begin_trace, count_answer

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable, Coroutine, Mapping

    from toolgate.domain.answers import Answer
    from toolgate.domain.call import ReceivedCall
    from toolgate.domain.contract import Contract
    from toolgate.domain.progress import Progress
    from toolgate.domain.questions import Kind
    from toolgate.domain.rows import ApprovalRow, Found
    from toolgate.gateway.job_run import JobRun
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
    listener: Progress | None = None,
    answers: Mapping[str, Answer] | None = None,
    can_ask: frozenset[Kind] = frozenset(),
    job: JobRun | None = None,
    timeout: float | None = None,
) -> Flight:
    """Register a call. Its deadline runs from now, so that waiting for a loop counts.

    ``job`` is for the run of one, with the ``timeout`` (seconds) that is left to it; a call that asks for a job has
    the time of any call.
    ``answers`` and ``can_ask`` are for a tool that declares ``NeedsInput``; any other never hears of them.
    """
    registered = world.registry.get(received.tool)
    asks = registered is not None and registered.contract.asks
    if timeout is None:
        timeout = _DEFAULT_TIMEOUT if registered is None else _time_of(registered.contract)
    started = world.clock.monotonic()
    flight = Flight(
        received,
        on_answer,
        started=started,
        deadline=started + timeout,
        context=context,
        approval=approval,
        listener=listener,
        asking=Asking(answers or {}, can_ask) if asks else None,
        job=job,
    )
    world.flights[received.call_id] = flight
    return flight


def _time_of(contract: Contract) -> float:
    """Seconds that a call of it has. One that asks for a job runs nothing: what the job has, it has once it runs."""
    return contract.timeout if contract.job is None else min(contract.timeout, _DEFAULT_TIMEOUT)


def launch(world: World, flight: Flight) -> asyncio.Task[None]:
    """Start ``flight`` in the running loop. Its outcome goes to ``flight.answer``."""
    begin_trace(world, flight)
    task = asyncio.get_running_loop().create_task(_fly(world, flight), context=flight.context)
    flight.task = task
    left = flight.deadline - world.clock.monotonic()
    flight.timer = world.clock.call_later(max(left, 0.0), lambda: at_deadline(world, flight))
    return task


async def turn_away(world: World, flight: Flight) -> None:
    """Refuse a call for which there is no loop: every one is blocked by a tool. Runs in the service loop."""
    left = flight.deadline - world.clock.monotonic()
    flight.timer = world.clock.call_later(max(left, 0.0), lambda: at_deadline(world, flight))
    why = "every loop for tools is blocked by a tool that does not give way"
    answer: Outcome[Any] | None = None
    try:
        answer = await refuse_unfit(world, flight, None, ErrorType.OVERLOADED, why)
    except (StoreUnavailable, StoreInDoubt) as fault:
        answer = audit_unavailable(world, flight.received.call_id, fault)
    finally:
        flight.phase = Phase.OVER
        flight.timer.cancel()
        _tell(world, flight, answer)


async def _fly(world: World, flight: Flight) -> None:
    answer: Outcome[Any] | None = None
    try:
        if not flight.gave_up:
            answer = await spine.handle(world, flight)
    except asyncio.CancelledError as cancelled:
        if flight.gave_up:
            await _cancelled(world, flight)
        elif flight.job is not None and flight.job.stopped:
            answer = await _stopped(world, flight)
        else:
            # The tool cancelled its own task, or the gateway closes: whoever waits is answered all the same.
            answer = await _fault(world, flight, cancelled)
    except GeneratorExit:
        # The loop is gone and this with it; nothing can be awaited any more.
        raise
    except BaseException as error:  # noqa: BLE001 - a fault of ours must not leave a caller waiting or an effect in silence
        _log.error("the gate failed while handling %s: %s", flight.received.call_id, place_of(error))
        answer = await _fault(world, flight, error)
    finally:
        flight.phase = Phase.OVER
        flight.timer.cancel()
        flight.release()
        _tell(world, flight, answer)


def _tell(world: World, flight: Flight, answer: Outcome[Any] | None) -> None:
    """Answer, where there is something to say.

    A call is forgotten once it is both over and answered, not before: the watchdog has to find the one whose
    answer is stuck in a blocked loop.
    """
    if answer is not None:
        flight.answer(answer, lambda: count_answer(world, flight, answer))
    if (
        flight.answered
        and flight.phase is Phase.OVER
        and world.flights.get(flight.received.call_id) is flight
    ):
        # A held call that was approved meanwhile flies under the same id.
        del world.flights[flight.received.call_id]


async def _cancelled(world: World, flight: Flight) -> None:
    """The attempt honoured its cancellation: it is over, and proves nothing about what it had done before."""
    if flight.row is None or flight.sealed is None:
        return
    judged = Judgement(
        effect=WorldEffect.UNKNOWN, error_type=ErrorType.OUTCOME_UNKNOWN, reasons=("cancelled",)
    )
    await settle(world, flight, flight.sealed, judged)


async def _stopped(world: World, flight: Flight) -> Outcome[Any] | None:
    """The run of a job honoured its cancellation. One that another worker may repeat is left as the ledger has it.

    Unless the run was given up, there is an answer: whoever brought the job waits for it before it brings it again.
    """
    job, sealed, judged = flight.job, flight.sealed, cancelled(flight)
    assert job is not None
    if flight.row is None or sealed is None or (job.wish is None and sealed.contract.may_run_again):
        return await _as_it_stands(world, flight) or outcome(flight.received.call_id, judged)
    try:
        return await settle(world, flight, sealed, judged)
    except (StoreUnavailable, StoreInDoubt):
        world.trail.failed()
        world.unsettled.append(evidence(world, sealed, judged))
        return outcome(flight.received.call_id, judged)


async def _as_it_stands(world: World, flight: Flight) -> Outcome[Any] | None:
    """What the ledger says of the call, where it can be asked."""
    try:
        found = await world.store.find(ByCall(flight.received.call_id))
        return None if found.call is None else await recall(world, found, replayed=False)
    except (StoreUnavailable, StoreInDoubt):
        return None


async def _fault(world: World, flight: Flight, error: BaseException) -> Outcome[Any] | None:
    """The call ended where no call ends. It is settled by the same rules, or at the least answered truly."""
    reasons = (f"{type(error).__name__} inside the gate",)
    in_doubt = flight.row is not None and flight.dispatched and flight.in_doubt
    judged = Judgement(
        effect=WorldEffect.UNKNOWN if in_doubt else WorldEffect.NONE,
        error_type=ErrorType.OUTCOME_UNKNOWN if in_doubt else ErrorType.INTERNAL_ERROR,
        reasons=reasons,
        healthy=not in_doubt,
    )
    try:
        if flight.sealed is not None and not (flight.resuming and flight.row is None):
            return await settle(world, flight, flight.sealed, judged)
        if not flight.resuming and flight.phase < Phase.SETTLING:
            return await refuse_unfit(world, flight, None, ErrorType.INTERNAL_ERROR, reasons[0])
    except Exception as second:  # noqa: BLE001 - then there is nothing left but the answer
        if (known := await _known(world, flight)) is not None:
            return known
        world.trail.failed()
        _log.error("and could not be recorded: %s", place_of(second))
    return outcome(flight.received.call_id, judged)


async def _known(world: World, flight: Flight) -> Outcome[Any] | None:
    """What the ledger says of a call that was cut off while its record was being written: that record may stand."""
    if flight.phase < Phase.SETTLING:
        return None
    try:
        found = await world.store.find(ByCall(flight.received.call_id))
        if found.call is None or found.call.status == RUNNING:
            return None
        return await _told_of(world, flight, found)
    except (StoreUnavailable, StoreInDoubt):
        return None


async def _told_of(world: World, flight: Flight, found: Found) -> Outcome[Any]:
    """What the call itself was about to say, where that is what stands there: a read's result is kept nowhere else."""
    prepared = flight.prepared
    if prepared is not None and found.call is not None and prepared.status == found.call.status:
        return prepared
    return await recall(world, found, replayed=False)


def at_deadline(world: World, flight: Flight) -> None:
    """Give the call up and answer it. Runs in a loop that is not blocked: the call's own, or its successor."""
    phase = flight.give_up()
    if phase is None:
        # It is being settled, or was given up in a loop that is blocked now: the store had its chance.
        if not flight.answered:
            _start(_ask_the_ledger(world, flight))
            _answer_without_store(world, flight)
        return
    _give_up(world, flight, phase, _judged(flight, phase))


def at_grace(world: World, flight: Flight) -> None:
    """Answer a run that somebody wanted to end and that does not end. Runs in the service loop."""
    phase = flight.give_up()
    if phase is not None:
        _give_up(world, flight, phase, cancelled(flight))


def _give_up(world: World, flight: Flight, phase: Phase, judged: Judgement) -> None:
    _start(_conclude(world, flight, judged))
    # A store that hangs must not keep the agent waiting for its word about a call that is over anyway.
    _answer_without_store(world, flight)
    # The commit of an intent or a hold is left alone: whether it happened has to be known.
    if phase is not Phase.INTENDING and flight.task is not None:
        flight.task.get_loop().call_soon_threadsafe(flight.task.cancel)


def call_off(world: World, flight: Flight) -> None:
    """Nobody waits for the call any more: give it up, unless its effect was dispatched. Runs in the service loop."""
    phase = flight.call_off()
    if phase is None:
        return
    _answer_without_store(world, flight)
    if phase is Phase.INTENDING and flight.task is not None:
        # Its own loop is just handing the intent to the store; the word that nothing ran has to come behind that.
        with suppress(RuntimeError):
            flight.task.get_loop().call_soon_threadsafe(
                lambda: _start(_conclude(world, flight, called_off()))
            )
        return
    _start(_conclude(world, flight, called_off()))
    if flight.task is not None:
        with suppress(RuntimeError):  # its loop has ended, and the task with it
            flight.task.get_loop().call_soon_threadsafe(flight.task.cancel)


def rescue(world: World, flight: Flight) -> None:
    """The same for a call whose own loop is blocked; once, however often the watchdog asks. In the service loop."""
    if not flight.rescued:
        flight.rescued = True
        at_deadline(world, flight)


_PENDING: set[asyncio.Task[None]] = set()
"""Loops hold tasks weakly."""


def _start(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.get_running_loop().create_task(work)
    _PENDING.add(task)
    task.add_done_callback(_PENDING.discard)


_TOLD = {EffectState.APPLIED: WorldEffect.APPLIED, EffectState.NOT_APPLIED: WorldEffect.NONE}
"""What the settled state of an effect says of the world."""


async def _ask_the_ledger(world: World, flight: Flight) -> None:
    """Answer from what is committed already: the loop that waits to hear of it may be blocked."""
    try:
        found = await world.store.find(ByCall(flight.received.call_id))
        if found.call is None or found.call.status == RUNNING:
            return
        if found.call.effect_state in _TOLD:
            # Settled, but by whom? Only what this call itself was about to say may be told; somebody else's word
            # may be contradicted by an attempt that is not over.
            if flight.prepared is not None and flight.prepared.effect is _TOLD[found.call.effect_state]:
                _tell(world, flight, flight.prepared)
            return
        _tell(world, flight, await _told_of(world, flight, found))
    except (StoreUnavailable, StoreInDoubt):
        # Then the grace decides.
        return


def _judged(flight: Flight, phase: Phase) -> Judgement:
    writes = flight.sealed is not None and flight.sealed.contract.has_effects
    seconds = flight.deadline - flight.started
    if flight.job is not None:
        seconds = flight.job.row.timeout_us / MICRO
    # An attempt that said "nothing happened" and was waiting for the next one leaves no doubt.
    return timed_out(writes=writes, dispatched=phase is Phase.DISPATCHED and flight.in_doubt, seconds=seconds)


async def _conclude(world: World, flight: Flight, judged: Judgement) -> None:
    _tell(world, flight, await give_up(world, flight, judged))


def _answer_without_store(world: World, flight: Flight) -> None:
    """Answer once the store has had its grace. What is said is true whatever the store comes to write."""

    def late_word() -> None:
        if flight.answered:
            return
        call_id = flight.received.call_id
        writes = flight.sealed is not None and flight.sealed.contract.has_effects
        if flight.dispatched and writes:
            _tell(world, flight, outcome(call_id, _judged(flight, Phase.DISPATCHED)))
        else:
            fault = TimeoutError("the store does not answer")
            _tell(world, flight, audit_unavailable(world, call_id, fault, ran=flight.dispatched))

    world.clock.call_later(world.settle_grace, late_word)
