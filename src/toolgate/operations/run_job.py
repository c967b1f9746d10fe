"""Run one job that an engine brought: look whether it may run now, as whom, and for how long; then the same spine.

The engine knows an id and nothing else; the ledger says whether the job waits, runs elsewhere or is over, and whoever
does not win ``BeginJob`` there runs nothing. The original tenant, workflow, agent and request stay; the rights are
the caller's current ones. Not here: which jobs nobody brought (``recover_jobs``).
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from toolgate.domain.commands import EndJob, Lapse, MoveJob
from toolgate.domain.duration import MICRO
from toolgate.domain.errors import GateFault, StoreInDoubt, StoreUnavailable
from toolgate.domain.jobs import call_id_of, state_of
from toolgate.domain.ledger.jobs import PASSED, deadline_passed
from toolgate.domain.lifecycle import JobState
from toolgate.domain.outcome import ErrorType, Failed, Outcome, Refused
from toolgate.domain.rows import ByJob, CallRow, JobRow
from toolgate.gateway.flight import Flight, Phase
from toolgate.gateway.job_run import JobRun, Wish
from toolgate.operations.handle_call import at_grace, board
from toolgate.operations.reread import reread

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolgate.domain.call import ReceivedCall
    from toolgate.gateway.world import World
    from toolgate.ports import Steps

_log = logging.getLogger("toolgate")
SOON: Final = 1.0
NOT_HERE: Final = 5.0
"""Seconds until a job is looked at again that this process cannot run: another may have its tool."""
OTHER_RELEASE: Final = 300.0
"""Seconds, from when a job may run, in which a worker with another contract leaves it alone: where releases change one
by one, somebody has the one it was asked for under. After that it is refused."""
PROGRESS_EVERY: Final = 0.5
"""Seconds between two words on the progress of one job that are kept."""
_LONGEST: Final = 5.0
_FINAL: Final = frozenset(
    {
        ErrorType.PERMISSION_DENIED,
        ErrorType.UNKNOWN_TOOL,
        ErrorType.INVALID_ARGUMENTS,
        ErrorType.CONTRACT_CHANGED,
        ErrorType.TOOL_QUARANTINED,
    }
)
"""What waiting cannot mend. A full house, or a broken dependency, leaves the job in its queue."""


async def run_job(
    world: World, job_id: str, steps: Steps, submit: Callable[[Flight], object]
) -> float | None:
    """Run it, if it may run here and now. None: it is over. Seconds: look again after so long."""
    try:
        return await _run(world, job_id, steps, submit)
    except (StoreUnavailable, StoreInDoubt) as fault:
        _log.warning("%s waits for the store: %s", job_id, type(fault).__name__)
        return SOON


async def _run(world: World, job_id: str, steps: Steps, submit: Callable[[Flight], object]) -> float | None:
    found = await world.store.find(ByJob(call_id_of(job_id)))
    call, job = found.call, found.job
    if call is None or job is None:
        _log.error("the job engine brought %s, which the ledger does not know", job_id)
        return None
    match state_of(call):
        case JobState.ENDED | JobState.WAITING:
            return None
        case JobState.RUNNING:
            return await _of_another(world, call)
        case JobState.QUEUED:
            return await _begin(world, call, job, steps, submit)


async def _of_another(world: World, call: CallRow) -> float | None:
    """It runs already, here or elsewhere; or its worker died, and then it may be known what becomes of it."""
    left = (call.lease_until - await world.store.now()) / MICRO
    if left > 0 or _flies(world, call.call_id):
        return min(max(left, 0.0) + 0.05, _LONGEST)
    await world.store.execute(Lapse(call.call_id, world.owner))
    return 0.05


async def _begin(
    world: World, call: CallRow, job: JobRow, steps: Steps, submit: Callable[[Flight], object]
) -> float | None:
    now = await world.store.now()
    if job.not_before > now:
        return (job.not_before - now) / MICRO
    if deadline_passed(job, now):
        await _end(world, call, ErrorType.TIMEOUT, PASSED)
        return None
    registered = world.registry.get(job.tool)
    if registered is None:
        return NOT_HERE
    if _flies(world, call.call_id):
        return SOON
    if registered.contract.digest != call.contract_digest:
        if now < job.not_before + round(OTHER_RELEASE * MICRO):
            return NOT_HERE
        await _end(world, call, ErrorType.CONTRACT_CHANGED, "the contract changed since it was asked for")
        return None
    try:
        received = await reread(world, call)
    except (StoreUnavailable, StoreInDoubt):
        raise
    except GateFault as fault:
        received = None
        _log.error("the request of %s cannot be opened: %s", call.call_id, type(fault).__name__)
    if received is None:
        await _end(world, call, ErrorType.INTERNAL_ERROR, "what was asked for cannot be read any more")
        return None
    return await _fly(world, job, received, steps, submit, left=_left(job, now))


def _flies(world: World, call_id: str) -> bool:
    """Whether a run of this job by this process has not ended.

    The call that asked for it may be about to answer under the same id; it begins nothing more, and is not waited for.
    """
    flight = world.flights.get(call_id)
    return flight is not None and flight.job is not None


def _left(job: JobRow, now: int) -> float:
    """Seconds that this run has: the deadline covers every run of the job."""
    return (job.timeout_us - (0 if job.started_at is None else now - job.started_at)) / MICRO


async def _fly(
    world: World,
    job: JobRow,
    received: ReceivedCall,
    steps: Steps,
    submit: Callable[[Flight], object],
    *,
    left: float,
) -> float | None:
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()
    answered: asyncio.Future[Outcome[Any]] = loop.create_future()
    run = JobRun(job, steps, lambda: loop.call_soon_threadsafe(woken.set))

    def tell(outcome: Outcome[Any]) -> None:
        if not answered.done():
            answered.set_result(outcome)

    def on_answer(outcome: Outcome[Any]) -> None:
        loop.call_soon_threadsafe(tell, outcome)

    flight = board(world, received, on_answer, listener=run.report, job=run, timeout=left)
    writing = loop.create_task(_write_progress(world, flight, woken))
    submit(flight)
    try:
        outcome = await answered
    except asyncio.CancelledError:
        await _leave(world, flight)
        raise
    finally:
        writing.cancel()
    await _write_latest(world, flight)
    return await _after(world, flight, outcome)


async def _after(world: World, flight: Flight, outcome: Outcome[Any]) -> float | None:
    """What the engine is told. A run that never began leaves the ledger as it was, unless waiting is of no use."""
    call_id = flight.received.call_id
    if flight.row is not None:
        found = await world.store.find(ByJob(call_id))
        # Taken for lost meanwhile, it may be in its queue again; then the engine has to bring it again.
        over = found.call is None or state_of(found.call) in {JobState.ENDED, JobState.WAITING}
        return None if over else SOON
    if isinstance(outcome, Refused | Failed) and outcome.error_type in _FINAL:
        await world.store.execute(
            EndJob(call_id, world.owner, outcome.error_type.value, outcome.reasons or (outcome.message,))
        )
        return None
    wait = getattr(outcome, "retry_after", None)
    return SOON if wait is None else max(float(wait), 0.05)


async def _end(world: World, call: CallRow, error: ErrorType, reason: str) -> None:
    await world.store.execute(EndJob(call.call_id, world.owner, error.value, (reason,)))


async def _write_progress(world: World, flight: Flight, woken: asyncio.Event) -> None:
    """The latest word at once, and then one each while."""
    while True:
        await woken.wait()
        woken.clear()
        await _write_latest(world, flight)
        await world.clock.sleep(PROGRESS_EVERY)


async def _write_latest(world: World, flight: Flight) -> None:
    told = None if flight.job is None else flight.job.take()
    if told is None:
        return
    try:
        await world.store.execute(MoveJob(flight.received.call_id, world.owner, *told))
    except (StoreUnavailable, StoreInDoubt) as fault:
        # How far it came is no part of the trail; the next word says it again.
        _log.info("progress of %s was not kept: %s", flight.received.call_id, type(fault).__name__)


async def cancel_run(world: World, flight: Flight) -> None:
    """Let a run know that the ledger has a wish for it to end, if it has. Runs in the service loop; twice is once."""
    run = flight.job
    if run is None or run.stopped or flight.row is None:
        return
    row = await world.store.job(run.row.job_id)
    if row is None or row.cancel_at is None or run.stopped:
        return
    run.wish = Wish(row.cancelled_by or "somebody", row.cancel_reason or "no reason given")
    interrupt(flight)
    world.clock.call_later(world.settle_grace, lambda: at_grace(world, flight))


def interrupt(flight: Flight) -> None:
    """Cancel the task of a run that should end. One that is being settled says its last word already."""
    if flight.task is not None and flight.phase is Phase.DISPATCHED:
        with suppress(RuntimeError):  # its loop has ended, and the task with it
            flight.task.get_loop().call_soon_threadsafe(flight.task.cancel)


async def _leave(world: World, flight: Flight) -> None:
    """This process stops while the job runs: it is cut off, and given back at once where another may run it."""
    assert flight.job is not None
    flight.job.lost = True
    interrupt(flight)
    if flight.task is not None and flight.task.get_loop() is not asyncio.get_running_loop():
        await _until_over(flight)
    world.flights.pop(flight.received.call_id, None)
    if flight.row is None or flight.phase is not Phase.OVER:
        # It runs on, in a thread: its lease tells the others when they may take it.
        return
    try:
        await world.store.execute(Lapse(flight.received.call_id, world.owner, gone=True))
    except (StoreUnavailable, StoreInDoubt) as fault:
        _log.warning("%s was not given back: %s", flight.received.call_id, type(fault).__name__)


async def _until_over(flight: Flight) -> None:
    """Wait for the end of a run that was cut off, a second at most."""
    loop, over = asyncio.get_running_loop(), asyncio.Event()
    task = flight.task
    assert task is not None

    def look() -> None:
        task.add_done_callback(lambda _: loop.call_soon_threadsafe(over.set))

    with suppress(RuntimeError, TimeoutError):
        task.get_loop().call_soon_threadsafe(look)
        async with asyncio.timeout(1.0):
            await over.wait()
