"""The job engine on a database: DBOS's queues, claims and step records, under loops and threads of our own.

What is taken of DBOS is its database layer, not its process-wide runtime: any number of gateways of a process, and an
application that runs DBOS for itself, do not disturb each other. Rows are DBOS's own, so its tools read them.

What is guaranteed: a job that was started runs until its run says that it is over, whichever process dies on the way;
a step that was recorded is not worked again; at most ``concurrency`` jobs run here at once, and no more of a tool and
tenant over all processes than its limits say. What is not: that a job runs in one process at a time. A process that
stood still and wakes runs on until it asks; the ledger is the fence, and no step of it is recorded here.

On a SQLite file a process that stands still in the middle of a write keeps the others from writing until it goes on or
ends: they answer ``StoreUnavailable`` after half a minute. Several machines, or many processes, want Postgres.

Times: a job that another process started is seen within ``poll`` seconds, one of this process at once; a delay is kept
to about a second. Not here: statements (``tables``), connecting (``database``), writing (``writer``).
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import secrets
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from toolgate.adapters.jobs import tables as rows
from toolgate.adapters.jobs.claims import Claims
from toolgate.adapters.jobs.database import (
    APPLICATION,
    THREADS,
    checked_schema,
    file_engine,
    server_engine,
    system_database,
    told,
)
from toolgate.adapters.jobs.pulse import Pulse
from toolgate.adapters.jobs.recorded import Recorded, RecordedSteps
from toolgate.adapters.jobs.tables import OPEN_QUEUE, Entry, JobTables, Run
from toolgate.adapters.jobs.writer import End, Start, Writer
from toolgate.domain.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import sqlalchemy as sa
    from dbos._sys_db import SystemDatabase

    from toolgate.domain.limits import Rate
    from toolgate.ports import Queued, RunJob

T = TypeVar("T")
_log = logging.getLogger("toolgate.jobs")
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds before a run that failed for no reason of its own is tried again, doubled each time."""
_Limits = tuple[int | None, "Rate | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What an open engine consists of; ``claims`` and ``pulse`` only where it runs jobs."""

    engine: sa.Engine
    database: SystemDatabase
    tables: JobTables
    writer: Writer


class DurableJobs:
    """Runs jobs in the loop that opened it.

    Args:
        where: a file, or the address of a Postgres. The same for every process of an installation.
        schema: of the Postgres; the engine makes it and its tables.
        executor: what this process is called in the rows; never the same twice. None makes one up.
        concurrency: how many jobs run in this process at once.
        poll: seconds between two looks for what other processes started.
        pulse: seconds between two signs of life.
        dead_after: seconds without one, by the database's clock, after which others take its jobs.
        patience: seconds that a lost connection is waited for before a caller is told ``StoreUnavailable``.
    """

    def __init__(
        self,
        where: Path | str,
        *,
        schema: str = "toolgate_jobs",
        executor: str | None = None,
        concurrency: int = 16,
        poll: float = 1.0,
        pulse: float = 2.0,
        dead_after: float = 15.0,
        patience: float = 5.0,
    ) -> None:
        self._where = where
        self._schema = checked_schema(schema)
        self._executor = executor or f"exec_{secrets.token_hex(10)}"
        self._concurrency = concurrency
        self._poll = poll
        self._pulse_every = pulse
        self._dead_after = dead_after
        self._patience = patience
        # Started in a context of their own: what a caller's context holds is no business of a job.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix=f"{THREADS}-asks")
        self._parts: _Parts | None = None
        self._claims: Claims | None = None
        self._pulse: Pulse | None = None
        self._run: RunJob | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._declared: dict[str, _Limits] = {}
        self._failures: dict[str, int] = {}
        self._closing = False

    @property
    def executor(self) -> str:
        """What this process is called in the rows."""
        return self._executor

    # --- Opening and closing --------------------------------------------------------------------------------------

    async def open(self, run: RunJob | None) -> None:
        """See ``ports.JobEngine``. Creates or migrates the tables; any number of processes may do so at once."""
        self._parts = await self._in_thread(self._connect)
        if run is None:
            return
        self._run = run
        await self._in_thread(self._beat)
        self._pulse = Pulse(self._beat, every=self._pulse_every)
        self._claims = Claims(
            self._parts.database,
            self._parts.tables,
            executor=self._executor,
            room=self._concurrency,
            poll=self._poll,
            hand_on=self._into_this_loop(self._pulse),
        )

    def _into_this_loop(self, pulse: Pulse) -> Callable[[Sequence[Run]], bool]:
        loop, context = asyncio.get_running_loop(), contextvars.copy_context()

        def hand_on(runs: Sequence[Run]) -> bool:
            try:
                loop.call_soon_threadsafe(self._begin, runs, context=context)
            except RuntimeError:
                # The loop ended and nobody closed the engine: others may have its jobs.
                pulse.stop()
                return False
            return True

        return hand_on

    def _connect(self) -> _Parts:
        if isinstance(self._where, Path):
            engine = file_engine(self._where)
            self._migrate(engine)
        else:
            name = f"toolgate-jobs/{self._executor}"
            migrating = server_engine(self._where, name=name, migrating=True)
            try:
                self._migrate(migrating)
            finally:
                migrating.dispose()
            engine = server_engine(self._where, name=name)
        database = system_database(engine, self._schema)
        tables = JobTables(database)
        return _Parts(
            engine=database.engine,
            database=database,
            tables=tables,
            writer=Writer(database.engine, tables, patience=self._patience),
        )

    def _migrate(self, engine: sa.Engine) -> None:
        database = system_database(engine, self._schema)
        with told(), rows.alone(engine):
            database.run_migrations()
            with database.engine.begin() as connection:
                JobTables(database).create(connection)
            database.upsert_queue(
                name=OPEN_QUEUE,
                concurrency=None,
                worker_concurrency=None,
                rate_limit_max=None,
                rate_limit_period_sec=None,
                polling_interval_sec=self._poll,
                update_existing=False,
            )

    async def close(self, *, drain: float) -> None:
        """See ``ports.JobEngine``. Runs that are not over after ``drain`` are cancelled, and their jobs put back."""
        if self._closing:
            return
        self._closing = True
        if self._claims is not None:
            await self._in_thread(self._claims.close)
            # What was claimed last is on its way into this loop.
            await asyncio.sleep(0)
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=drain)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        if self._parts is not None:
            await self._in_thread(self._let_go, self._parts)
        self._parts = None
        self._threads.shutdown(wait=False)

    def _let_go(self, parts: _Parts) -> None:
        parts.writer.close()
        if self._pulse is not None:
            self._pulse.close()
            try:
                with told(), parts.engine.begin() as connection:
                    parts.tables.leave(connection, self._executor)
            except StoreUnavailable:
                _log.warning("the job engine could not put its jobs back; others take them over")
        parts.engine.dispose()

    # --- The port -------------------------------------------------------------------------------------------------

    async def start(self, job: Queued) -> None:
        """See ``ports.JobEngine``."""
        parts = self._open_parts()
        limits = (job.concurrency, job.rate)
        queue = OPEN_QUEUE if limits == (None, None) else f"tool:{job.tool}"
        if queue != OPEN_QUEUE and self._declared.get(queue) != limits:
            await self._in_thread(self._declare, queue, *limits)
        now = rows.now_ms()
        write = Start(
            entry=Entry(
                job_id=job.job_id,
                queue=queue,
                tenant=None if queue == OPEN_QUEUE else job.tenant,
                inputs=rows.inputs(job.job_id, job.tool, job.tenant),
                priority=job.priority,
                due=now + int(job.delay * 1000) if job.delay > 0 else None,
                created=now,
                creator=secrets.token_hex(16),
            )
        )
        parts.writer.post(write)
        await asyncio.shield(asyncio.wrap_future(write.answer))
        if self._claims is not None:
            self._claims.wake()

    def _declare(self, queue: str, concurrency: int | None, rate: Rate | None) -> None:
        """The limits of a tool hold for each of its tenants: who started one last under other limits has said it."""
        with told():
            self._open_parts().database.upsert_queue(
                name=queue,
                concurrency=None,
                worker_concurrency=None,
                rate_limit_max=None,
                rate_limit_period_sec=None,
                # The limit of one tenant: DBOS calls it a partition. One limit has to be there for it to be one.
                partition_concurrency=concurrency,
                partition_rate_limit_max=rate.count if rate else None,
                partition_rate_limit_period_sec=rate.per if rate else None,
                polling_interval_sec=self._poll,
                update_existing=True,
                application_name=APPLICATION,
            )
        self._declared[queue] = (concurrency, rate)
        if self._claims is not None:
            self._claims.look_at_queues()

    async def cancel(self, job_id: str) -> None:
        """See ``ports.JobEngine``."""
        await self._asked(lambda tables, connection: tables.cancel(connection, job_id))

    async def known(self, job_ids: Sequence[str]) -> frozenset[str]:
        """See ``ports.JobEngine``."""
        return await self._asked(lambda tables, connection: tables.known(connection, job_ids))

    async def take_over(self) -> int:
        """See ``ports.JobEngine``."""
        taken = await self._asked(
            lambda tables, connection: tables.take_over(connection, dead_after=self._dead_after)
        )
        if taken and self._claims is not None:
            self._claims.wake()
        return taken

    async def over(self, *, after: str = "", limit: int = 1000) -> Sequence[str]:
        """See ``ports.JobEngine``."""
        return await self._asked(lambda tables, connection: tables.over(connection, after, limit))

    async def forget(self, job_ids: Sequence[str]) -> None:
        """See ``ports.JobEngine``."""
        await self._asked(lambda tables, connection: tables.forget(connection, job_ids))

    # --- Running --------------------------------------------------------------------------------------------------

    def _begin(self, runs: Sequence[Run]) -> None:
        if self._closing:
            # They are put back when this process leaves.
            return
        for run in runs:
            task = asyncio.get_running_loop().create_task(self._work(run))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self, run: Run) -> None:
        assert self._run is not None
        assert self._claims is not None
        parts = self._open_parts()
        steps = RecordedSteps(run, load=self._load, post=parts.writer.post)
        again: float | None
        try:
            again = await self._run(run.job_id, steps)
            self._failures.pop(run.job_id, None)
        except asyncio.CancelledError:
            if self._closing:
                raise
            again = self._after_failure(run, "cancelled")
        except Exception as fault:  # noqa: BLE001 - a run that cannot say how it ended is run again
            again = self._after_failure(run, type(fault).__name__)
        parts.writer.post(End(run=run, again=again, written=self._claims.let_go))
        self._claims.ran(run)

    def _after_failure(self, run: Run, what: str) -> float:
        failures = self._failures.get(run.job_id, 0)
        self._failures[run.job_id] = failures + 1
        pause = min(_FIRST_PAUSE * 2.0**failures, _LONGEST_PAUSE)
        _log.error("the run of job %s failed (%s); it runs again in %g s", run.job_id, what, pause)
        return pause

    def _load(self, job_id: str) -> Future[Recorded]:
        parts = self._open_parts()

        def read() -> Recorded:
            with told(), parts.engine.connect() as connection:
                return parts.tables.steps(connection, job_id)

        return self._threads.submit(read)

    def _beat(self) -> None:
        parts = self._open_parts()
        with told(), parts.engine.begin() as connection:
            parts.tables.beat(connection, self._executor)

    # --- Threads --------------------------------------------------------------------------------------------------

    def _open_parts(self) -> _Parts:
        if self._parts is None:
            raise StoreUnavailable("the job engine is not open")
        return self._parts

    async def _asked(self, what: Callable[[JobTables, sa.Connection], T]) -> T:
        parts = self._open_parts()

        def ask() -> T:
            with told(), parts.engine.begin() as connection:
                return what(parts.tables, connection)

        return await self._in_thread(ask)

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        """Shielded: whoever gives up waiting leaves no half of it behind."""
        loop = asyncio.get_running_loop()
        return await asyncio.shield(loop.run_in_executor(self._threads, work, *arguments))
