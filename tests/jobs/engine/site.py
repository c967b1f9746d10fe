"""Where engines under test stand, and what their jobs did.

Here: ``Site`` makes engines on one place; ``Runs`` is the callback that they call, watched by conditions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import dbos._migration

from toolgate.adapters.clock import SystemClock
from toolgate.adapters.jobs.durable import DurableJobs
from toolgate.adapters.jobs.passing import PassingJobs
from toolgate.domain.errors import GateFault
from toolgate.ports import JobEngine, Queued, Steps

Behaviour = Callable[[Steps], Awaitable[float | None]]
QUICK: dict[str, Any] = {"poll": 0.05, "pulse": 0.1, "dead_after": 5.0, "patience": 5.0}
"""So that a condition is met soon; nothing below relies on how soon."""


def queued(job_id: str, *, tool: str = "scan", tenant: str = "acme", **more: Any) -> Queued:
    return Queued(job_id=job_id, tool=tool, tenant=tenant, **more)


class Site:
    """Engines on one place: one for memory, as many as wanted on a database."""

    def __init__(self, where: Path | str | None) -> None:
        self.where = where
        self._open: list[JobEngine] = []

    @property
    def durable(self) -> bool:
        return self.where is not None

    async def engine(self, run: Runs | None, **options: Any) -> Any:
        engine: JobEngine
        if self.where is None:
            engine = PassingJobs(SystemClock(), concurrency=options.get("concurrency", 16))
        else:
            engine = DurableJobs(self.where, **(QUICK | options))
        self._open.append(engine)
        await engine.open(run)
        return engine

    async def close(self) -> None:
        for engine in self._open:
            await engine.close(drain=0.0)


class Runs:
    """What an engine calls. ``does`` says what a job does; ``hold`` keeps it running until it is let go."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.over: list[str] = []
        self.faults: list[GateFault] = []
        self.does: dict[str, Behaviour] = {}
        self._gates: dict[str, asyncio.Event] = {}
        self._changed = asyncio.Event()

    async def __call__(self, job_id: str, steps: Steps) -> float | None:
        self.began.append(job_id)
        self._changed.set()
        gate = self._gates.get(job_id)
        if gate is not None:
            await gate.wait()
        behaviour = self.does.get(job_id)
        try:
            again = await behaviour(steps) if behaviour else None
            if again is None:
                self.over.append(job_id)
        except GateFault as fault:
            self.faults.append(fault)
            raise
        finally:
            self._changed.set()
        return again

    def hold(self, *job_ids: str) -> None:
        for job_id in job_ids:
            self._gates[job_id] = asyncio.Event()

    def let_go(self, *job_ids: str) -> None:
        for job_id in job_ids or tuple(self._gates):
            self._gates[job_id].set()

    async def until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()


async def until(condition: Callable[[], Awaitable[object]]) -> None:
    """Something that no callback tells: asked again and again, bounded by the test's own time-out."""
    while not await condition():  # noqa: ASYNC110 - a database tells nobody
        await asyncio.sleep(0.01)


def schema_version() -> str:
    """Of DBOS's tables, for a database that tests copy."""
    return f"jobs, DBOS {len(dbos._migration.sqlite_migrations)}"


def migrate(where: Path | str) -> None:
    """Make the engine's tables."""

    async def open_and_close() -> None:
        engine = DurableJobs(where, **QUICK)
        await engine.open(None)
        await engine.close(drain=0.0)

    asyncio.run(open_and_close())
