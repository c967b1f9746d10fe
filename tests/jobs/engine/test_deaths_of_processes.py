"""Processes that run jobs are killed and stopped, and others go on with what they held."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from tests.jobs.engine.site import Runs, Site, queued, until
from toolgate.ports import Steps

pytestmark = pytest.mark.req("M7.3", "M7.23")
DEAD_SOON = {"dead_after": 1.0}
ENDED = ("ended",)
ROOT = Path(__file__).resolve().parents[3]


class Worker:
    """A process; ``said`` is what it wrote so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[tuple[str, ...]] = []
        self._more = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.said.append(tuple(line.decode().split()))
            self._more.set()
        self.said.append(ENDED)
        self._more.set()

    async def says(self, *words: str) -> None:
        while words not in [line[: len(words)] for line in self.said]:
            assert ENDED not in self.said, f"the worker ended; it said {self.said}"
            self._more.clear()
            await self._more.wait()

    async def has_said(self, lines: int) -> None:
        while len(self.said) < lines and ENDED not in self.said:
            self._more.clear()
            await self._more.wait()

    def stop(self) -> None:
        """Until it stands still."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    async def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        await self.process.stdin.drain()

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        await self._reading


@asynccontextmanager
async def worker(where: object, concurrency: int = 4) -> AsyncIterator[Worker]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.jobs.engine.worker",
        str(where),
        str(concurrency),
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    made = Worker(process)
    try:
        yield made
    finally:
        await made.kill()


def stop_between_writes(process: Worker, site: Site) -> None:
    """A process that stands still within a write to a SQLite file keeps the file from everybody."""
    process.stop()
    while isinstance(site.where, Path) and not may_be_written(site.where):
        process.process.send_signal(signal.SIGCONT)
        process.stop()


def may_be_written(path: Path) -> bool:
    with closing(sqlite3.connect(path, timeout=0.0)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True


async def taken_over(site: Site) -> int:
    """By an engine that only looks after others."""
    engine = await site.engine(None, **DEAD_SOON)
    taken = 0

    async def some() -> bool:
        nonlocal taken
        taken = await engine.take_over()
        return bool(taken)

    await until(some)
    return taken


async def test_the_job_of_a_killed_process_is_finished_by_another_with_the_steps_it_recorded(
    durable: Site, runs: Runs
) -> None:
    worked: list[str] = []

    async def rest(steps: Steps) -> float | None:
        async def fetch() -> bytes:
            worked.append("fetch")
            return b"another page"

        assert await steps.run("fetch", fetch) == b"page"
        return None

    runs.does["job_wait"] = rest
    starter = await durable.engine(None)
    async with worker(durable.where) as dying:
        await starter.start(queued("job_wait"))
        await dying.says("waits", "job_wait")
        await dying.kill()
    assert await starter.known(["job_wait"]) == {"job_wait"}
    await durable.engine(runs)
    assert await taken_over(durable) == 1
    await runs.until(lambda: runs.over)
    assert worked == []


async def test_a_process_that_wakes_after_its_job_was_taken_over_records_nothing_and_ends_nothing(
    durable: Site, runs: Runs
) -> None:
    runs.hold("job_wait")
    starter = await durable.engine(None)
    async with worker(durable.where, 1) as sleeper:
        await starter.start(queued("job_wait"))
        await sleeper.says("waits", "job_wait")
        stop_between_writes(sleeper, durable)
        await durable.engine(runs)
        assert await taken_over(durable) == 1
        await runs.until(lambda: runs.began)
        sleeper.process.send_signal(signal.SIGCONT)
        await sleeper.go_on()
        await sleeper.says("refused", "job_wait", "GateFault")
        # What it says of the end reaches the rows before it has room for another job.
        await starter.start(queued("job_next"))
        ended = asyncio.create_task(sleeper.says("over", "job_next"))
        ours = asyncio.create_task(runs.until(lambda: "job_next" in runs.over))
        await asyncio.wait({ended, ours}, return_when=asyncio.FIRST_COMPLETED)
        for waiting in (ended, ours):
            waiting.cancel()
        assert await starter.known(["job_wait"]) == {"job_wait"}
        runs.let_go()
        await runs.until(lambda: "job_wait" in runs.over)


async def test_of_many_that_take_over_at_once_one_does_it(durable: Site, runs: Runs) -> None:
    jobs = ["job_0", "job_1", "job_2"]
    runs.hold(*jobs)
    # It says once that it lives, and then no more.
    silent = await durable.engine(runs, pulse=3600.0)
    for job_id in jobs:
        await silent.start(queued(job_id))
    await runs.until(lambda: len(runs.began) == 3)
    others = [await durable.engine(None, **DEAD_SOON) for _ in range(4)]
    taken: list[int] = []

    async def some() -> bool:
        taken.extend(await asyncio.gather(*(engine.take_over() for engine in others)))
        return any(taken)

    await until(some)
    assert max(taken) == sum(taken) == 3


async def test_the_jobs_of_a_process_that_lives_are_not_taken_over(durable: Site, runs: Runs) -> None:
    runs.hold("job_1")
    engine = await durable.engine(runs, dead_after=60.0)
    await engine.start(queued("job_1"))
    await runs.until(lambda: runs.began)
    assert await engine.take_over() == 0
    runs.let_go()
    await runs.until(lambda: runs.over)
    assert runs.began == ["job_1"]


async def test_a_process_that_closes_leaves_its_jobs_to_others_at_once(durable: Site, runs: Runs) -> None:
    first = Runs()
    first.hold("job_1")
    leaving = await durable.engine(first)
    await leaving.start(queued("job_1"))
    await first.until(lambda: first.began)
    await leaving.close(drain=0.0)
    await durable.engine(runs)
    await runs.until(lambda: runs.over == ["job_1"])


async def test_every_job_ends_though_processes_are_killed_at_random_moments(durable: Site) -> None:
    chance = random.Random(20)
    starter = await durable.engine(None, **DEAD_SOON)
    jobs = [f"job_{number}" for number in range(60)]
    worked = set[str]()

    async def all_over() -> bool:
        await starter.take_over()
        known: frozenset[str] = await starter.known(jobs)
        return not known

    async def live(sayings: int, over: asyncio.Event) -> None:
        """Until it has said so much, or until everything is over."""
        async with worker(durable.where) as process:
            waits = {asyncio.create_task(process.has_said(sayings)), asyncio.create_task(over.wait())}
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for waiting in waits:
                waiting.cancel()
        worked.update(words[1] for words in process.said if words[0] == "works")

    for job_id in jobs:
        await starter.start(queued(job_id, concurrency=3))
    over = asyncio.Event()
    lives = [
        asyncio.create_task(live(sayings, over))
        for sayings in (chance.randrange(2, 20), chance.randrange(2, 40), 10_000)
    ]
    await until(all_over)
    over.set()
    await asyncio.gather(*lives)
    assert worked == set(jobs)
