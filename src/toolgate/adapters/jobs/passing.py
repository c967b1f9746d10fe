"""The job engine of a gateway without a database: the same queues and answers, and nothing outlives the process.

Not here: anything durable (``durable``).
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toolgate.adapters.jobs.names import StepNames
from toolgate.domain.errors import GateFault, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from toolgate.domain.limits import Rate
    from toolgate.ports import Clock, Queued, RunJob, Timer

_log = logging.getLogger("toolgate.jobs")
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds before a run that failed for no reason of its own is tried again, doubled each time."""


@dataclass(slots=True, eq=False)
class _Job:
    queued: Queued
    number: int
    not_before: float
    failures: int = 0
    steps: dict[str, bytes] = field(default_factory=dict)
    running: asyncio.Task[None] | None = None


@dataclass(slots=True)
class _Queue:
    """One tool of one tenant: how many of it run, and when those began that its rate still counts."""

    running: int = 0
    begun: deque[float] = field(default_factory=deque)

    def pause(self, job: Queued, now: float) -> float | None:
        """0 if another one may begin now, the seconds until its rate allows one, None until one ends."""
        if job.concurrency is not None and self.running >= job.concurrency:
            return None
        return self._next(job.rate, now) if job.rate else 0.0

    def _next(self, rate: Rate, now: float) -> float:
        while self.begun and self.begun[0] <= now - rate.per:
            self.begun.popleft()
        return 0.0 if len(self.begun) < rate.count else self.begun[0] + rate.per - now


class _Steps:
    """Steps of one run over what earlier runs of this process recorded."""

    __slots__ = ("_names", "_recorded")

    def __init__(self, recorded: dict[str, bytes]) -> None:
        self._recorded = recorded
        self._names = StepNames()

    async def run(self, name: str, work: Callable[[], Awaitable[bytes]]) -> bytes:
        label = self._names.label(name)
        if label not in self._recorded:
            try:
                self._recorded[label] = await work()
            except BaseException:
                self._names.give_back(name)
                raise
        return self._recorded[label]


class PassingJobs:
    """Runs jobs in the loop that opened it.

    Args:
        clock: for delays, rates and pauses.
        concurrency: how many jobs run at once in all.
    """

    def __init__(self, clock: Clock, *, concurrency: int = 16) -> None:
        self._clock = clock
        self._concurrency = concurrency
        self._numbers = itertools.count()
        self._jobs: dict[str, _Job] = {}
        self._over: dict[str, tuple[str, str]] = {}
        self._queues: dict[tuple[str, str], _Queue] = {}
        self._run: RunJob | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: Timer | None = None
        self._closed = False

    async def open(self, run: RunJob | None) -> None:
        """See ``ports.JobEngine``."""
        self._run = run
        self._loop = asyncio.get_running_loop()

    async def start(self, job: Queued) -> None:
        """See ``ports.JobEngine``."""
        if self._closed:
            raise StoreUnavailable("the job engine is closed")
        known = self._jobs.get(job.job_id)
        tool_and_tenant = (known.queued.tool, known.queued.tenant) if known else self._over.get(job.job_id)
        if tool_and_tenant not in {None, (job.tool, job.tenant)}:
            raise GateFault("the id of this job is in use for another tool or tenant")
        if known is not None:
            return
        self._over.pop(job.job_id, None)
        self._jobs[job.job_id] = _Job(
            queued=job, number=next(self._numbers), not_before=self._clock.monotonic() + job.delay
        )
        self._wake()

    async def cancel(self, job_id: str) -> None:
        """See ``ports.JobEngine``."""
        job = self._jobs.get(job_id)
        if job is not None and job.running is None:
            del self._jobs[job_id]

    async def known(self, job_ids: Sequence[str]) -> frozenset[str]:
        """See ``ports.JobEngine``."""
        return frozenset(job_id for job_id in job_ids if job_id in self._jobs)

    async def take_over(self) -> int:
        """Nothing: no other process can hold a job of this one."""
        return 0

    async def over(self, *, after: str = "", limit: int = 1000) -> Sequence[str]:
        """See ``ports.JobEngine``."""
        return sorted(job_id for job_id in self._over if job_id > after)[:limit]

    async def forget(self, job_ids: Sequence[str]) -> None:
        """See ``ports.JobEngine``."""
        for job_id in job_ids:
            self._over.pop(job_id, None)

    async def close(self, *, drain: float) -> None:
        """See ``ports.JobEngine``."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        running = [job.running for job in self._jobs.values() if job.running is not None]
        if not running:
            return
        _, late = await asyncio.wait(running, timeout=drain)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _wake(self) -> None:
        """Look for work at the end of this turn of the opener's loop, whichever loop calls."""
        assert self._loop is not None, "the job engine is not open"
        self._loop.call_soon_threadsafe(self._pick)

    def _pick(self) -> None:
        if self._closed or self._run is None:
            return
        now = self._clock.monotonic()
        free = self._concurrency - sum(1 for job in self._jobs.values() if job.running is not None)
        pauses: list[float] = []
        for job in sorted(self._waiting(), key=lambda job: (job.queued.priority, job.number)):
            if free <= 0:
                break
            queue = self._queues.setdefault((job.queued.tool, job.queued.tenant), _Queue())
            pause = max(job.not_before - now, 0.0) or queue.pause(job.queued, now)
            if pause == 0.0:
                free -= 1
                self._begin(job, queue, now)
            elif pause is not None:
                pauses.append(pause)
        self._look_again(min(pauses, default=None))

    def _waiting(self) -> list[_Job]:
        return [job for job in self._jobs.values() if job.running is None]

    def _look_again(self, pause: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if pause is None else self._clock.call_later(pause, self._pick)

    def _begin(self, job: _Job, queue: _Queue, now: float) -> None:
        queue.running += 1
        if job.queued.rate is not None:
            queue.begun.append(now)
        assert self._loop is not None
        job.running = self._loop.create_task(self._work(job, queue))

    async def _work(self, job: _Job, queue: _Queue) -> None:
        assert self._run is not None
        wait: float | None = None
        try:
            wait = await self._run(job.queued.job_id, _Steps(job.steps))
        except asyncio.CancelledError:
            if self._closed:
                raise
            wait = self._after_failure(job, "cancelled")
        except Exception as fault:  # noqa: BLE001 - a run that cannot say how it ended is run again
            wait = self._after_failure(job, type(fault).__name__)
        finally:
            queue.running -= 1
            job.running = None
        if wait is None:
            self._end(job)
        else:
            job.not_before = self._clock.monotonic() + wait
        self._pick()

    def _end(self, job: _Job) -> None:
        self._jobs.pop(job.queued.job_id, None)
        self._over[job.queued.job_id] = (job.queued.tool, job.queued.tenant)

    def _after_failure(self, job: _Job, what: str) -> float:
        pause = min(_FIRST_PAUSE * 2.0**job.failures, _LONGEST_PAUSE)
        job.failures += 1
        _log.error("the run of job %s failed (%s); it runs again in %g s", job.queued.job_id, what, pause)
        return pause
