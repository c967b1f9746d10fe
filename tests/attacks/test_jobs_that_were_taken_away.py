"""A worker whose lease ran out while it stood still: the job is not lost with it, and it is not done twice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.jobs.works import ANA, PATIENCE, Works, job_of
from tests.machines.stage import KINDS, Stage
from toolgate.config.jobs import JobSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AT_ONCE = JobSettings(drain=0.01)


@pytest.fixture(params=KINDS)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """An empty ledger."""
    made = Stage(kind=request.param, folder=tmp_path)
    yield made
    made.leave()


@pytest.mark.req("M7.13", "M7.30")
@pytest.mark.parametrize("name", ["crawl", "pay"])
async def test_a_worker_that_lost_its_job_to_nobody_runs_it_again(stage: Stage, name: str) -> None:
    works = Works()
    offered = works.crawl() if name == "crawl" else works.pay(honours_key=True)
    arguments = {"site": "a"} if name == "crawl" else {"order": 1}
    async with stage.gateway(offered, jobs=AT_ONCE) as worker, stage.gateway(offered, jobs=False) as other:
        asked = await worker.workflow("w", caller=ANA).call(name, arguments)
        await works.stands()
        stage.clock.advance(worker.world.job_lease + 1)
        while (await job_of(other, asked)).state != "queued":
            await other.sweep()
        # It wakes, and hears from the ledger that the job is not its own any more.
        await worker.sweep()
        works.let_go()
        async with asyncio.timeout(PATIENCE):
            while not (view := await job_of(other, asked)).ended:
                await worker.sweep()
                stage.clock.advance(1)

        assert (view.state, view.row.attempts) == ("succeeded", 2)
        assert len(set(works.worked)) == len(works.worked)
        assert len(set(works.done)) <= 1
        async with asyncio.timeout(PATIENCE):
            while asked.call_id in worker.world.flights:
                await worker.sweep()
