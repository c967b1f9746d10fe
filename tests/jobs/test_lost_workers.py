"""Workers that die, stop and wake, or leave in order: what runs again, what is in doubt, and who has a say."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.jobs.works import ANA, job_of, over, transitions
from tests.machines.stage import Stage
from toolgate import ConfigurationError, Gateway, Started, Unknown, tool
from toolgate.adapters.stores.sqlite import SqliteStore, connection
from toolgate.config import load_settings
from toolgate.config.jobs import JobSettings
from toolgate.domain.commands import BeginJob, Done, Superseded
from toolgate.domain.rows import ByJob

if TYPE_CHECKING:
    from pathlib import Path

    from tests.jobs.works import Works

AT_ONCE = JobSettings(drain=0.01)
"""A process that leaves without waiting for its jobs."""


@pytest.mark.req("M7.3")
async def test_a_job_whose_worker_died_runs_again_where_nothing_can_be_doubled(
    every_stage: Stage, works: Works
) -> None:
    store = every_stage.store()
    async with every_stage.gateway(works.crawl(), store=store, jobs=AT_ONCE) as gateway:
        asked = await gateway.call("crawl", {"site": "a"}, caller=ANA)
        await works.stands()
        store.fall()
        works.let_go()
    async with every_stage.gateway(works.crawl()) as later:
        assert (await job_of(later, asked)).state == "running"
        every_stage.clock.advance(later.world.job_lease + 1)
        await later.sweep()
        assert (await over(later, asked)).ok
        view = await job_of(later, asked)

        assert (view.state, view.row.attempts) == ("succeeded", 2)
        assert await transitions(later, asked.call_id) == [
            "job_started",
            "intended",
            "job_requeued",
            "intended",
            "settled",
        ]


@pytest.mark.req("M7.3", "M7.17")
async def test_how_soon_the_job_of_a_dead_worker_is_taken_over_is_configured(
    stage: Stage, works: Works
) -> None:
    store = stage.store()
    soon = JobSettings(lease=5.0, drain=0.01)
    async with stage.gateway(works.crawl(), store=store, jobs=soon) as gateway:
        asked = await gateway.call("crawl", {"site": "a"}, caller=ANA)
        await works.stands()
        store.fall()
        works.let_go()
    async with stage.gateway(works.crawl(), jobs=False) as later:
        stage.clock.advance(4.0)
        await later.sweep()
        assert (await job_of(later, asked)).state == "running"
        stage.clock.advance(2.0)
        await later.sweep()
        assert (await job_of(later, asked)).state == "queued"


@pytest.mark.req("M7.4")
async def test_an_effect_whose_worker_died_is_in_doubt_and_never_runs_again(
    every_stage: Stage, works: Works
) -> None:
    store = every_stage.store()
    async with every_stage.gateway(works.pay(), store=store, jobs=AT_ONCE) as gateway:
        asked = await gateway.workflow("w", caller=ANA).call("pay", {"order": 1})
        await works.stands()
        store.fall()
        works.let_go()
    before = len(works.done)
    async with every_stage.gateway(works.pay()) as later:
        every_stage.clock.advance(later.world.job_lease + 1)
        await later.sweep()
        assert isinstance(await over(later, asked), Unknown)
        again = await later.workflow("w", caller=ANA).call("pay", {"order": 1})

        assert isinstance(again, Unknown)
        assert again.replayed
        assert len(works.done) == before
        assert (await job_of(later, asked)).row.attempts == 1


@pytest.mark.req("M7.4")
async def test_an_effect_that_honours_its_key_runs_again_with_the_same_key(
    stage: Stage, works: Works
) -> None:
    store = stage.store()
    pay = works.pay(honours_key=True)
    async with stage.gateway(pay, store=store, jobs=AT_ONCE) as gateway:
        asked = await gateway.workflow("w", caller=ANA).call("pay", {"order": 1})
        await works.stands()
        store.fall()
        works.let_go()
    async with stage.gateway(pay) as later:
        stage.clock.advance(later.world.job_lease + 1)
        await later.sweep()
        assert (await over(later, asked)).unwrap() == 100

    assert set(works.done) == {works.done[0]}


@pytest.mark.req("M7.13")
async def test_a_worker_that_was_taken_for_dead_neither_begins_a_step_nor_settles(
    every_stage: Stage, works: Works
) -> None:
    stood = every_stage.gateway(works.crawl(), jobs=AT_ONCE)
    taking = every_stage.gateway(works.crawl(), jobs=False)
    async with stood as stopped, taking as other:
        asked = await stopped.call("crawl", {"site": "a"}, caller=ANA)
        await works.stands()
        every_stage.clock.advance(stopped.world.job_lease + 1)
        while (await job_of(other, asked)).state != "queued":
            await other.sweep()
        now = await other.store.now()
        digest = (await other.store.find(ByJob(asked.call_id))).call
        assert digest is not None
        begun = await other.store.execute(BeginJob(asked.call_id, "another", now + 60_000_000, digest.digest))
        assert isinstance(begun, Done)
        works.let_go()
        while asked.call_id in stopped.world.flights:
            await asyncio.to_thread(lambda: None)
        again = await other.store.execute(BeginJob(asked.call_id, "a third", now + 60_000_000, digest.digest))
        assert isinstance(again, Superseded)
        row = (await other.store.find(ByJob(asked.call_id))).call

        assert works.worked == ["first a", "second a"]
        assert row is not None
        assert (row.owner, row.status) == ("another", "running")
        assert "settled" not in await transitions(other, asked.call_id)


@pytest.mark.req("M7.3", "M7.13")
async def test_the_lease_of_a_job_that_runs_is_renewed_by_each_round(stage: Stage, works: Works) -> None:
    async with (
        stage.gateway(works.crawl(), jobs=AT_ONCE) as gateway,
        stage.gateway(works.crawl(), jobs=False) as other,
    ):
        asked = await gateway.call("crawl", {"site": "a"}, caller=ANA)
        await works.stands()
        for _ in range(5):
            stage.clock.advance(gateway.world.job_lease / 2)
            await gateway.sweep()
            await other.sweep()
        assert (await job_of(other, asked)).state == "running"
        works.let_go()
        assert (await over(gateway, asked)).ok


@pytest.mark.req("M7.3")
async def test_a_process_that_leaves_gives_back_what_another_may_run(stage: Stage, works: Works) -> None:
    async with stage.gateway(works.crawl(), jobs=AT_ONCE) as gateway:
        asked = await gateway.call("crawl", {"site": "a"}, caller=ANA)
        await works.stands()
    async with stage.gateway(works.crawl()) as later:
        assert (await job_of(later, asked)).state == "queued"
        works.let_go()
        await later.sweep()
        assert (await over(later, asked)).ok
        assert (await job_of(later, asked)).row.attempts == 2


@pytest.mark.req("M7.4")
async def test_a_process_that_leaves_says_of_its_effects_that_they_are_in_doubt(
    stage: Stage, works: Works
) -> None:
    async with stage.gateway(works.pay(), jobs=AT_ONCE) as gateway:
        asked = await gateway.workflow("w", caller=ANA).call("pay", {"order": 1})
        await works.stands()
    works.let_go()
    async with stage.gateway(works.pay(), jobs=False) as later:
        assert isinstance(await later.get_call(asked.call_id, caller=ANA), Unknown)


@pytest.mark.req("M7.16")
async def test_a_job_that_no_engine_heard_of_is_found_in_the_ledger(every_stage: Stage, works: Works) -> None:
    works.let_go()
    async with every_stage.gateway(works.crawl(), jobs=False) as asking:
        asked = [await asking.call("crawl", {"site": str(n)}, caller=ANA) for n in range(3)]
        assert all(isinstance(one, Started) for one in asked)
    async with every_stage.gateway(works.crawl()) as working:
        await working.sweep()
        for one in asked:
            assert (await over(working, one)).ok


@pytest.mark.req("M7.16")
async def test_a_process_that_runs_no_jobs_still_queues_them(stage: Stage, works: Works) -> None:
    works.let_go()
    async with stage.gateway(works.crawl(), jobs=JobSettings(run=False)) as gateway:
        asked = await gateway.call("crawl", {"site": "a"}, caller=ANA)
        await gateway.sweep()
        assert (await job_of(gateway, asked)).state == "queued"


@pytest.mark.req("M7.17")
async def test_a_store_that_lasts_needs_what_carries_jobs_and_says_so(
    tmp_path: Path, works: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "toolgate.adapters.jobs.durable", None)
    url = f"sqlite:///{tmp_path / 'gate.db'}"

    with pytest.raises(ConfigurationError, match=r"install toolgate\[jobs\]"):
        Gateway([works.crawl()], store=url)

    @tool(effect="read", roles={"support"})
    def plain() -> None:
        """Do nothing."""

    Gateway([plain], store=url)


@pytest.mark.req("M7.3", "M7.5")
async def test_beside_a_file_a_job_is_carried_over_a_restart_with_its_steps(
    tmp_path: Path, works: Works
) -> None:
    url = f"sqlite:///{tmp_path / 'gate.db'}"
    async with Gateway([works.crawl()], store=url, jobs=AT_ONCE) as gateway:
        asked = await gateway.call("crawl", {"site": "hidden.example"}, caller=ANA)
        await works.stands()
    works.let_go()
    async with Gateway([works.crawl()], store=url) as later:
        assert (await over(later, asked)).unwrap() == [
            f"{name} hidden.example" for name in ("first", "second", "third")
        ]

    assert works.worked == [f"{name} hidden.example" for name in ("first", "second", "third")]
    kept = _bytes_of(tmp_path)
    assert b"hidden" not in kept


@pytest.mark.req("M7.5", "M7.29")
async def test_the_steps_of_a_job_that_is_over_are_kept_no_longer(tmp_path: Path, works: Works) -> None:
    works.let_go()
    async with Gateway([works.crawl()], store=f"sqlite:///{tmp_path / 'gate.db'}", jobs=AT_ONCE) as gateway:
        outcome = await gateway.call("crawl", {"site": "a"}, caller=ANA)
        assert (await over(gateway, outcome)).ok
        async with asyncio.timeout(60):
            while _rows_of(tmp_path / "gate.db.jobs") != (0, 0):
                await gateway.sweep()


def _rows_of(path: Path) -> tuple[int, int]:
    """The jobs and the steps that the engine keeps."""
    with closing(sqlite3.connect(path)) as database:
        jobs = database.execute("SELECT count(*) FROM workflow_status").fetchone()[0]
        return jobs, database.execute("SELECT count(*) FROM operation_outputs").fetchone()[0]


def _bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("gate.db.jobs*"))


@pytest.mark.req("M7.19")
async def test_a_ledger_of_before_there_were_jobs_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "old.db"

    @tool(effect="write", roles={"support"}, idempotency="{n}")
    def write(n: int) -> int:
        """Write."""
        return n

    stage = Stage(kind="sqlite", folder=tmp_path)
    known = list(connection._migrations())  # the release before had the first two of them
    with pytest.MonkeyPatch.context() as before:
        before.setattr(connection, "_migrations", lambda: iter(known[:2]))
        async with stage.gateway(
            write, store=SqliteStore(path, boot_id="old", now=stage.clock.now)
        ) as gateway:
            done = await gateway.call(write, {"n": 1}, caller=ANA)
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT name FROM sqlite_master WHERE name = 'jobs'").fetchall() == []
    async with stage.gateway(write, store=SqliteStore(path, boot_id="new", now=stage.clock.now)) as later:
        again = await later.call(write, {"n": 1}, caller=ANA)

    assert again.replayed
    assert again.call_id == done.call_id
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM jobs").fetchone() == (0,)


@pytest.mark.req("M7.17")
def test_settings_of_jobs_are_read_and_refused_in_place(tmp_path: Path) -> None:
    def read(text: str) -> Any:
        file = tmp_path / "toolgate.toml"
        file.write_text(text)
        return load_settings(file).jobs

    assert read("") == JobSettings(
        run=True, concurrency=16, poll=1.0, drain=10.0, lease=30.0, dead_after=15.0
    )
    assert read("[jobs]\nlease = '1m'\ndead_after = '20s'") == JobSettings(lease=60.0, dead_after=20.0)
    assert read("[jobs]\nrun = false\nconcurrency = 4\npoll = '2s'\ndrain = '1m'") == JobSettings(
        run=False, concurrency=4, poll=2.0, drain=60.0
    )
    with pytest.raises(ConfigurationError, match=r"toml:2: jobs\.run: write true or false"):
        read("[jobs]\nrun = 1")
    with pytest.raises(ConfigurationError, match=r"toml:2: jobs\.workers"):
        read("[jobs]\nworkers = 1")
    for key in ("lease", "dead_after"):
        with pytest.raises(ConfigurationError, match=rf"toml:2: jobs\.{key}: write 3 seconds or more"):
            read(f"[jobs]\n{key} = '1s'")
