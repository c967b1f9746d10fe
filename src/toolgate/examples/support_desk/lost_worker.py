"""The scene in which a worker is killed in the middle of a job, and another finishes what it began.

Belongs here: real child processes, a real SIGKILL, and what the ledger and the scanner's own log say afterwards.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Any

from toolgate import Advice, Outcome, Started, Succeeded
from toolgate.domain.rows import JobRow
from toolgate.examples.support_desk import books
from toolgate.examples.support_desk.actions import Day
from toolgate.examples.support_desk.analyses import start_static_analysis
from toolgate.examples.support_desk.automations import SCRIPTS
from toolgate.examples.support_desk.worker import READY

_BEFORE_THE_END = 3
"""Scripts that the first worker reads before it is killed."""
_LOOK_EACH = 0.02
_PATIENCE = 30.0


async def a_lost_worker(day: Day) -> None:
    """A job is started, its worker is killed, another goes on where that one stopped."""
    day.stage.scene(
        "A worker is killed in the middle of a job",
        "Tomas has the desk's automations looked through: it takes long, so it is a job. Two workers take turns.",
    )
    if find_spec("dbos") is None:
        day.stage.say("Not shown here: what carries jobs is not installed. Install toolgate[jobs].")
        return
    outcome = await day.ask("tomas", start_static_analysis, {"folder": "all"}, case="case-302")
    if not isinstance(outcome, Started):
        day.stage.check("a long call is answered at once", holds=False)
        return
    day.stage.check(
        "answered at once, with the id of a job; nothing has been read yet",
        holds=outcome.advice is Advice.CHECK_JOB and books.scans(day.world) == 0,
    )
    async with _worker(day, "--stuck-after", str(_BEFORE_THE_END)) as first:
        stuck = await _until(day, outcome.job_id, lambda job: job.done == _BEFORE_THE_END)
        day.stage.bar("worker 1", stuck.done or 0, stuck.total or 1, stuck.note or "")
        async with _worker(day):
            day.stage.person("the host", "kills the first worker: SIGKILL, no goodbye")
            first.kill()
            await first.wait()
            ended: Outcome[Any] = await day.gateway.wait_for(
                outcome, caller=day.caller("tomas"), timeout=_PATIENCE
            )
    job = await day.gateway.store.job(outcome.job_id)
    assert job is not None
    day.stage.bar("worker 2", job.done or 0, job.total or 1, job.note or "")
    day.stage.answer(ended)
    day.stage.check(
        "the job is done, and the ledger knows that it took two runs",
        holds=isinstance(ended, Succeeded) and job.attempts == 2,  # noqa: PLR2004 - the two workers
    )
    day.stage.check(
        f"the scanner's own log: {len(SCRIPTS)} scripts, each read once, "
        f"{_BEFORE_THE_END} of them for the worker that died",
        holds=books.scanned(day.world) == books.scans(day.world) == len(SCRIPTS),
    )


@asynccontextmanager
async def _worker(day: Day, *more: str) -> AsyncIterator[Process]:
    """A worker in a process of its own, for as long as the block lasts, unless somebody kills it."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "toolgate.examples.support_desk.worker", str(day.world.path.parent), *more),
        stdin=PIPE,
        stdout=PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_PATIENCE):
            while (line := await process.stdout.readline()).decode().strip() != READY and line:
                pass
        yield process
    finally:
        process.stdin.close()
        await process.wait()


async def _until(day: Day, job_id: str, stands: Callable[[JobRow], bool]) -> JobRow:
    """The job once it stands so, or as it is when nobody can wait for it any longer."""
    loop = asyncio.get_running_loop()
    end = loop.time() + _PATIENCE
    while True:
        job = await day.gateway.store.job(job_id)
        assert job is not None
        if stands(job) or loop.time() > end:
            return job
        await asyncio.sleep(_LOOK_EACH)
