"""Keep jobs alive, and bring back those that nobody has: leases, wishes to end, and what an engine never heard of.

Runs at start and periodically. Not here: what becomes of a lapsed lease (``recover.lapse_intents``, ``ledger.jobs``).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from toolgate.domain.commands import Done, Renew
from toolgate.domain.duration import MICRO
from toolgate.domain.errors import GateFault
from toolgate.domain.jobs import call_id_of, state_of
from toolgate.domain.lifecycle import JobState
from toolgate.domain.rows import ByJob
from toolgate.gateway.enqueue import queued
from toolgate.gateway.flight import Phase
from toolgate.operations.run_job import cancel_run, interrupt
from toolgate.ports import JobFilter

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolgate.domain.rows import JobRow
    from toolgate.gateway.flight import Flight
    from toolgate.gateway.world import World

_log = logging.getLogger("toolgate")
AT_ONCE: Final = 1000
"""Jobs that are read at a time."""


async def keep_running(world: World) -> None:
    """Renew the leases of the jobs that run here, and end those that somebody wants to end."""
    for flight in list(world.flights.values()):
        if flight.job is None or flight.row is None or flight.phase is Phase.OVER:
            continue
        await _renew(world, flight)
        await cancel_run(world, flight)


async def _renew(world: World, flight: Flight) -> None:
    row, job = flight.row, flight.job
    assert row is not None
    assert job is not None
    now, lease = await world.store.now(), round(world.job_lease * MICRO)
    if job.lost or row.lease_until - now > lease * 2 // 3:
        return
    answer = await world.store.execute(Renew(row.call_id, world.owner, now + lease))
    if isinstance(answer, Done) and answer.call is not None:
        flight.row = row._replace(lease_until=answer.call.lease_until)
        return
    if flight.phase < Phase.SETTLING:
        # Taken for lost, and another's or back in its queue by now: what it still does counts for nothing.
        job.lost = True
        interrupt(flight)


async def start_waiting(world: World, *, stop: Callable[[], bool] = lambda: False) -> int:
    """Tell the engine of every job that waits and that it does not have. How many.

    It takes the longer the more jobs wait, so nothing that has its hour should wait for it. ``stop`` is asked between
    two pages.
    """
    if world.jobs is None:
        return 0
    started, before = 0, None
    while not stop():
        page = await world.store.jobs(JobFilter(state="queued", before=before, limit=AT_ONCE))
        known = await world.jobs.known([job.job_id for job, _ in page.rows])
        now = await world.store.now()
        # All of a page at once: an engine writes together what comes together.
        answers = await asyncio.gather(
            *(_start(world, job, now) for job, _ in page.rows if job.job_id not in known)
        )
        started += sum(answers)
        if page.next is None:
            break
        before = page.next
    return started


async def forget_ended(world: World) -> int:
    """Have the engine remove what it keeps of jobs that the ledger says are over: their steps are needed no more.

    One that waits for a person runs again once they agree, and its steps stay. How many were forgotten.
    """
    if world.jobs is None:
        return 0
    forgotten, after = 0, ""
    while job_ids := await world.jobs.over(after=after, limit=AT_ONCE):
        # Asked together: a store over a network answers what comes together in one go.
        over = await asyncio.gather(*(_is_over(world, job_id) for job_id in job_ids))
        ended = [job_id for job_id, is_over in zip(job_ids, over, strict=True) if is_over]
        await world.jobs.forget(ended)
        forgotten, after = forgotten + len(ended), job_ids[-1]
    return forgotten


async def _is_over(world: World, job_id: str) -> bool:
    call = (await world.store.find(ByJob(call_id_of(job_id)))).call
    return call is None or state_of(call) is JobState.ENDED


async def _start(world: World, job: JobRow, now: int) -> bool:
    registered = world.registry.get(job.tool)
    if registered is None or world.jobs is None:
        return False
    try:
        await world.jobs.start(queued(job, registered.contract, now=now))
    except GateFault as fault:
        _log.warning("the job engine did not take %s: %s", job.job_id, type(fault).__name__)
        return False
    return True
