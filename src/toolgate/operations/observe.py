"""Every number of now: what this process counted and holds, and what stands in the ledger.

It is read when somebody asks for it: a call pays for one count alone. It tells of all tenants and names none. Not here:
what there is to count (``domain.metrics``), and how it is shown (``surfaces.http.metrics``, ``adapters.telemetry``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toolgate.domain.duration import MICRO
from toolgate.domain.metrics import (
    APPROVAL_AGE,
    APPROVALS,
    CALLS_RUNNING,
    HOUSE_AGE,
    JOB_AGE,
    JOBS,
    UNKNOWN,
    UNKNOWN_AGE,
    UNWRITTEN,
    UPSTREAM_UP,
    Reading,
)
from toolgate.ports import ApprovalFilter, JobFilter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from toolgate.domain.metrics import Metric
    from toolgate.gateway.world import World

COUNTED: Final = 1_000
"""What waits is counted up to here; more is as bad."""


async def observe(world: World) -> Sequence[Reading]:
    """All readings. A metric of which nothing was counted has none.

    Raises:
        StoreUnavailable: if the ledger cannot be read.
    """
    return [*observe_process(world), *await _of_the_store(world)]


def observe_process(world: World) -> Sequence[Reading]:
    """Those that do not need the ledger."""
    found = [*world.meter.readings()] if world.meter is not None else []
    running = sum(not flight.answered for flight in list(world.flights.values()))
    found.append(Reading(CALLS_RUNNING, (), running))
    found.append(Reading(UNWRITTEN, (), len(world.unsettled)))
    if world.house_kept_at is not None:
        found.append(Reading(HOUSE_AGE, (), world.clock.monotonic() - world.house_kept_at))
    if world.upstreams is not None:
        found += [
            Reading(UPSTREAM_UP, (state.name,), float(state.status == "ready"))
            for state in world.upstreams.states()
        ]
    return found


async def _of_the_store(world: World) -> Sequence[Reading]:
    now = await world.store.now()
    any_job = any(entry.contract.job is not None for entry in world.registry.values())
    jobs = await _jobs(world, now) if any_job else ()
    waiting = await world.store.approvals(ApprovalFilter(open_only=True, limit=COUNTED))
    unknown = await world.store.unknown(COUNTED)
    return [
        Reading(APPROVALS, (), len(waiting)),
        _age(APPROVAL_AGE, now, (row.requested_at for row in waiting)),
        Reading(UNKNOWN, (), len(unknown)),
        _age(UNKNOWN_AGE, now, (row.received_at for row in unknown)),
        *jobs,
    ]


async def _jobs(world: World, now: int) -> Sequence[Reading]:
    """Jobs that wait and that run; one that is delayed does not wait before its time."""
    queued = (await world.store.jobs(JobFilter(state="queued", limit=COUNTED))).rows
    running = (await world.store.jobs(JobFilter(state="running", limit=COUNTED))).rows
    return [
        Reading(JOBS, ("queued",), len(queued)),
        Reading(JOBS, ("running",), len(running)),
        _age(JOB_AGE, now, (max(job.created_at, job.not_before) for job, _ in queued)),
    ]


def _age(metric: Metric, now: int, since: Iterable[int]) -> Reading:
    """How old the oldest is, in seconds; 0 where there is none."""
    return Reading(metric, (), max(0, now - min(since, default=now)) / MICRO)
