"""Empty jobs, enqueued by waiting callers and run to their end: the gate's job engine beside DBOS itself.

Both on the same database in the same process, round after round in turn. DBOS is given its best: a queue without
limits, looked at every 50 ms. Not here: a governed job, which costs what a governed write costs besides.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from dbos import DBOS
from dbos._dbos import _get_dbos_instance

from benchmarks.measure import load
from tests.postgres.server import PostgresServer
from toolgate.adapters.jobs.durable import DurableJobs
from toolgate.ports import Queued, Steps

CALLERS: Final = 128
POLL: Final = 0.05
_QUEUE: Final = "bare"
_IN_FLIGHT: Final = "SELECT count(*) FROM {}workflow_status WHERE status IN ('ENQUEUED', 'PENDING')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Medians over the rounds: jobs from their start to their end, and CPU of the whole process a job."""

    jobs: float
    cpu_us: float
    enqueued: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Subject:
    start: Callable[[int], Awaitable[object]]
    in_flight: Callable[[], int]


@DBOS.workflow(name="empty")
async def empty(number: int) -> None:
    """A workflow that does nothing."""


async def jobs(folder: Path, *, quick: bool, note: Callable[[str], None]) -> dict[str, Any]:
    """SQLite, then a Postgres of its own with fsync on."""
    found: dict[str, Any] = {"SQLite": await _beside(folder / "ours.jobs", quick=quick, note=note)}
    server = PostgresServer(folder / "pg", fsync=True)
    await asyncio.to_thread(server.start)
    try:
        address = await asyncio.to_thread(server.create, "jobs")
        found["Postgres"] = await _beside(address, quick=quick, note=note)
    finally:
        await asyncio.to_thread(server.remove)
    return found


async def _beside(where: Path | str, *, quick: bool, note: Callable[[str], None]) -> dict[str, Pace]:
    count, rounds = (500, 3) if quick else (2000, 7)
    taken: dict[str, list[tuple[float, float, float]]] = {}
    async with _dbos(where) as bare, _gate(where, room=16) as narrow, _gate(where, room=CALLERS) as wide:
        subjects = {
            "DBOS itself": bare,
            "the gate's engine, 16 at once": narrow,
            f"the gate's engine, {CALLERS} at once": wide,
        }
        for number in range(rounds + 1):
            for name, subject in subjects.items():
                note(f"{count} jobs, {name}, round {number}/{rounds}")
                figures = await _round(subject, count=count, first=number * count)
                if number:
                    taken.setdefault(name, []).append(figures)
    return {
        name: Pace(
            jobs=statistics.median(row[0] for row in rows),
            cpu_us=statistics.median(row[1] for row in rows),
            enqueued=statistics.median(row[2] for row in rows),
        )
        for name, rows in taken.items()
    }


async def _round(subject: _Subject, *, count: int, first: int) -> tuple[float, float, float]:
    cpu, wall = time.process_time(), time.perf_counter()
    enqueued, _ = await load(subject.start, callers=CALLERS, calls=count, first=first)
    while await asyncio.to_thread(subject.in_flight):  # noqa: ASYNC110 - a database tells nobody
        await asyncio.sleep(0.01)
    took = time.perf_counter() - wall
    return count / took, (time.process_time() - cpu) / count * 1e6, count / enqueued


@asynccontextmanager
async def _dbos(where: Path | str) -> AsyncIterator[_Subject]:
    address = f"sqlite:///{where.with_name('bare.db')}" if isinstance(where, Path) else where
    DBOS(
        config={
            "name": "bare",
            "system_database_url": address,
            "dbos_system_schema": "bare",
            "application_version": "1",
            "log_level": "ERROR",
        }
    )
    await asyncio.to_thread(DBOS.launch)
    queue = await DBOS.register_queue_async(_QUEUE, polling_interval_sec=POLL)
    engine = _engine()
    try:
        yield _Subject(
            start=lambda number: queue.enqueue_async(empty, number),
            in_flight=lambda: _count(engine, "" if isinstance(where, Path) else "bare."),
        )
    finally:
        await asyncio.to_thread(DBOS.destroy)
        # DBOS gave this loop its own threads, and they are gone with it.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())


def _engine() -> sa.Engine:
    """The connections that it has, rather than one more."""
    return _get_dbos_instance()._sys_db.engine  # noqa: SLF001


@asynccontextmanager
async def _gate(where: Path | str, *, room: int) -> AsyncIterator[_Subject]:
    # Each of the two on tables of its own, or one would run the other's jobs.
    place = where.with_name(f"room{room}.jobs") if isinstance(where, Path) else where
    schema = f"room{room}"
    engine = DurableJobs(place, schema=schema, concurrency=room, poll=POLL)

    async def run(_job_id: str, _steps: Steps) -> None:
        return None

    await engine.open(run)
    connections = engine._open_parts().engine  # noqa: SLF001 - as above
    try:
        yield _Subject(
            start=lambda number: engine.start(Queued(job_id=f"job_{number}", tool="empty", tenant="acme")),
            in_flight=lambda: _count(connections, "" if isinstance(where, Path) else f"{schema}."),
        )
    finally:
        await engine.close(drain=10.0)


def _count(engine: sa.Engine, schema: str) -> int:
    with engine.connect() as connection:
        return int(connection.execute(sa.text(_IN_FLIGHT.format(schema))).scalar() or 0)
