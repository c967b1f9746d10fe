"""What every engine does alike: in memory, on SQLite and on Postgres."""

from __future__ import annotations

import asyncio
import threading
from functools import partial

import pytest

from tests.jobs.engine.site import Runs, Site, queued, until
from toolgate.domain.errors import GateFault, StoreUnavailable
from toolgate.domain.limits import Rate
from toolgate.ports import Steps


@pytest.mark.req("M7.24")
async def test_a_job_runs_once_and_is_then_no_longer_known(site: Site, runs: Runs) -> None:
    runs.hold("job_1")
    engine = await site.engine(runs)
    await engine.start(queued("job_1"))
    await runs.until(lambda: runs.began)
    assert await engine.known(["job_1", "job_2"]) == {"job_1"}
    runs.let_go()

    async def over() -> bool:
        return not await engine.known(["job_1"])

    await until(over)
    assert runs.over == ["job_1"]


@pytest.mark.req("M7.24")
async def test_a_job_that_is_started_again_while_it_waits_or_runs_runs_once(site: Site, runs: Runs) -> None:
    runs.hold("job_1")
    engine = await site.engine(runs)
    await asyncio.gather(*(engine.start(queued("job_1")) for _ in range(5)))
    await runs.until(lambda: runs.began)
    await engine.start(queued("job_1"))
    runs.let_go()
    await engine.start(queued("job_2"))
    await runs.until(lambda: len(runs.over) == 2)
    assert runs.began.count("job_1") == 1


@pytest.mark.req("M7.24")
@pytest.mark.parametrize("other", [{"tool": "other"}, {"tenant": "other"}], ids=str)
async def test_a_job_id_is_refused_for_another_tool_or_tenant_also_after_its_end(
    site: Site, runs: Runs, other: dict[str, str]
) -> None:
    engine = await site.engine(runs)
    runs.hold("job_1")
    await engine.start(queued("job_1"))
    with pytest.raises(GateFault, match="in use for another tool or tenant"):
        await engine.start(queued("job_1", **other))
    runs.let_go()

    async def over() -> bool:
        return not await engine.known(["job_1"])

    await until(over)
    with pytest.raises(GateFault, match="in use for another tool or tenant"):
        await engine.start(queued("job_1", **other))


@pytest.mark.req("M7.24")
async def test_of_many_starts_at_once_the_one_that_is_refused_spoils_no_other(site: Site, runs: Runs) -> None:
    engine = await site.engine(None)
    await engine.start(queued("job_0"))
    answers = await asyncio.gather(
        *(engine.start(queued(f"job_{number}")) for number in range(1, 20)),
        engine.start(queued("job_0", tenant="other")),
        return_exceptions=True,
    )
    assert [type(answer) for answer in answers] == [type(None)] * 19 + [GateFault]
    assert len(await engine.known([f"job_{number}" for number in range(20)])) == 20


@pytest.mark.req("M7.24")
async def test_a_job_that_is_over_and_started_again_runs_again(site: Site, runs: Runs) -> None:
    engine = await site.engine(runs)
    await engine.start(queued("job_1"))

    async def over() -> bool:
        return not await engine.known(["job_1"])

    await until(over)
    await engine.start(queued("job_1"))
    await runs.until(lambda: len(runs.over) == 2)


@pytest.mark.req("M7.30")
async def test_a_job_that_cannot_run_now_is_asked_again_until_it_says_that_it_is_over(
    site: Site, runs: Runs
) -> None:
    async def not_yet(_: Steps) -> float | None:
        return 0.01 if len(runs.began) < 4 else None

    runs.does["job_1"] = not_yet
    engine = await site.engine(runs)
    await engine.start(queued("job_1"))
    await runs.until(lambda: runs.over)
    assert runs.began == ["job_1"] * 4


@pytest.mark.req("M7.30", "M7.26")
async def test_a_run_that_fails_is_run_again_and_what_failed_is_named_without_its_words(
    site: Site, runs: Runs, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails_once(_: Steps) -> float | None:
        if len(runs.began) == 1:
            raise RuntimeError("password=hunter2")
        return None

    runs.does["job_1"] = fails_once
    engine = await site.engine(runs)
    await engine.start(queued("job_1"))
    await runs.until(lambda: runs.over)
    assert "job_1 failed (RuntimeError)" in caplog.text
    assert "hunter2" not in caplog.text
    assert "Traceback" not in caplog.text


@pytest.mark.req("M7.21")
async def test_the_more_urgent_job_runs_first_and_equal_ones_in_their_order(site: Site, runs: Runs) -> None:
    runs.hold("job_first")
    engine = await site.engine(runs, concurrency=1)
    await engine.start(queued("job_first"))
    await runs.until(lambda: runs.began)
    for job_id, priority in (("job_a", 5), ("job_b", 5), ("job_c", 1), ("job_d", 0), ("job_e", 5)):
        await engine.start(queued(job_id, priority=priority))
        # Order is kept to the millisecond.
        await asyncio.sleep(0.002)
    runs.let_go()
    await runs.until(lambda: len(runs.over) == 6)
    assert runs.began == ["job_first", "job_d", "job_c", "job_a", "job_b", "job_e"]


@pytest.mark.req("M7.21")
async def test_a_delayed_job_waits_its_time_while_others_pass_it(site: Site, runs: Runs) -> None:
    engine = await site.engine(runs)
    await engine.start(queued("job_later", delay=3600.0))
    await engine.start(queued("job_soon", delay=0.2))
    await engine.start(queued("job_now"))
    await runs.until(lambda: len(runs.over) == 2)
    assert runs.over == ["job_now", "job_soon"]
    assert await engine.known(["job_later"]) == {"job_later"}


@pytest.mark.req("M7.20")
async def test_of_a_tool_no_more_run_for_one_tenant_than_its_limit_and_other_tenants_have_their_own(
    site: Site, runs: Runs
) -> None:
    ours, theirs = [f"job_a{number}" for number in range(4)], ["job_b0", "job_b1", "job_b2"]
    runs.hold(*ours, *theirs)
    engine = await site.engine(runs)
    for job_id in ours:
        await engine.start(queued(job_id, concurrency=2))
    for job_id in theirs:
        await engine.start(queued(job_id, tenant="globex", concurrency=2))
    await runs.until(lambda: len(runs.began) == 4)
    # Every queue has been looked at once this one ran.
    await engine.start(queued("job_free", tool="other"))
    await runs.until(lambda: "job_free" in runs.over)
    begun = [job_id for job_id in runs.began if job_id != "job_free"]
    assert len(set(begun) & set(ours)) == 2
    assert len(set(begun) & set(theirs)) == 2
    runs.let_go()
    await runs.until(lambda: len(runs.over) == 8)


@pytest.mark.req("M7.20")
async def test_of_a_tool_no_more_begin_in_a_time_than_its_rate(site: Site, runs: Runs) -> None:
    jobs = [f"job_{number}" for number in range(5)]
    engine = await site.engine(runs)
    for job_id in jobs:
        await engine.start(queued(job_id, rate=Rate(2, 3600.0)))
    await engine.start(queued("job_other", tenant="globex", rate=Rate(2, 3600.0)))
    await runs.until(lambda: len(runs.over) == 3)
    await engine.start(queued("job_free", tool="other"))
    await runs.until(lambda: "job_free" in runs.over)
    assert len(await engine.known(jobs)) == 3
    assert len(runs.began) == 4


@pytest.mark.req("M7.20")
async def test_a_rate_lets_the_next_begin_when_its_time_is_over(site: Site, runs: Runs) -> None:
    engine = await site.engine(runs)
    for number in range(3):
        await engine.start(queued(f"job_{number}", rate=Rate(1, 0.3)))
    await runs.until(lambda: len(runs.over) == 3)


@pytest.mark.req("M7.20")
async def test_a_process_runs_no_more_jobs_at_once_than_it_has_room_for(site: Site, runs: Runs) -> None:
    jobs = [f"job_{number}" for number in range(8)]
    runs.hold(*jobs)
    engine = await site.engine(runs, concurrency=3)
    for number, job_id in enumerate(jobs):
        await engine.start(queued(job_id, tool=f"tool_{number % 4}", concurrency=5 if number % 2 else None))
    await runs.until(lambda: len(runs.began) == 3)
    most = ended = 0

    def settled() -> bool:
        return len(runs.over) == ended and len(runs.began) - ended == min(3, len(jobs) - ended)

    while ended < len(jobs):
        most = max(most, len(runs.began) - len(runs.over))
        runs.let_go(next(job_id for job_id in runs.began if job_id not in runs.over))
        ended += 1
        await runs.until(settled)
    assert most == 3


@pytest.mark.req("M7.11")
async def test_a_job_that_waits_is_forgotten_when_cancelled_and_one_that_runs_is_not(
    site: Site, runs: Runs
) -> None:
    runs.hold("job_runs")
    engine = await site.engine(runs, concurrency=1)
    await engine.start(queued("job_runs"))
    await runs.until(lambda: runs.began)
    await engine.start(queued("job_waits"))
    await engine.start(queued("job_delayed", delay=3600.0))
    await engine.start(queued("job_last"))
    for job_id in ("job_waits", "job_delayed", "job_runs", "job_unheard_of"):
        await engine.cancel(job_id)
    assert await engine.known(["job_waits", "job_delayed", "job_runs"]) == {"job_runs"}
    runs.let_go()
    await runs.until(lambda: "job_last" in runs.over)
    assert runs.began == ["job_runs", "job_last"]


@pytest.mark.req("M7.22")
async def test_a_step_that_was_recorded_is_not_worked_again_in_the_next_run(site: Site, runs: Runs) -> None:
    worked: list[str] = []
    results: list[list[bytes]] = []

    async def work(steps: Steps) -> float | None:
        async def fetch() -> bytes:
            worked.append("fetch")
            return bytes(range(256))

        async def more() -> bytes:
            worked.append("more")
            return b""

        got = [await steps.run("fetch", fetch), await steps.run("fetch", more)]
        if len(runs.began) == 2:
            # Another turn than in the first run: a step is found by its name and not by its place.
            got.insert(0, await steps.run("new", more))
        results.append(got)
        return 0.0 if len(runs.began) == 1 else None

    runs.does["job_1"] = work
    engine = await site.engine(runs)
    await engine.start(queued("job_1"))
    await runs.until(lambda: runs.over)
    assert worked == ["fetch", "more", "more"]
    assert results == [[bytes(range(256)), b""], [b"", bytes(range(256)), b""]]


@pytest.mark.req("M7.22")
async def test_a_step_that_fails_is_not_recorded_and_its_error_reaches_the_job(
    site: Site, runs: Runs
) -> None:
    caught: list[str] = []

    async def work(steps: Steps) -> float | None:
        async def fails() -> bytes:
            if not caught:
                raise ValueError("no such page")
            return b"page"

        try:
            await steps.run("fetch", fails)
        except ValueError as failed:
            caught.append(str(failed))
            return 0.0
        return None

    runs.does["job_1"] = work
    engine = await site.engine(runs)
    await engine.start(queued("job_1"))
    await runs.until(lambda: runs.over)
    assert caught == ["no such page"]


@pytest.mark.req("M7.22")
async def test_steps_may_run_at_the_same_time_and_keep_their_own_results(site: Site, runs: Runs) -> None:
    seen: list[list[bytes]] = []

    async def work(steps: Steps) -> float | None:
        meet = asyncio.Barrier(5)

        async def one(number: int) -> bytes:
            await meet.wait()
            return b"%d" % number

        first = len(runs.began) == 1
        seen.append(
            await asyncio.gather(*(steps.run(f"page {number}", partial(one, number)) for number in range(5)))
        )
        return 0.0 if first else None

    runs.does["job_1"] = work
    engine = await site.engine(runs)
    await engine.start(queued("job_1"))
    await runs.until(lambda: runs.over)
    assert seen == [[b"0", b"1", b"2", b"3", b"4"]] * 2


@pytest.mark.req("M7.22")
async def test_a_step_works_in_the_loop_of_whoever_asked_for_it(site: Site, runs: Runs) -> None:
    threads: list[str] = []

    async def work(steps: Steps) -> float | None:
        async def fetch() -> bytes:
            threads.append(threading.current_thread().name)
            return b"page"

        def in_a_loop_of_its_own() -> bytes:
            return asyncio.run(steps.run("fetch", fetch))

        await asyncio.get_running_loop().run_in_executor(None, in_a_loop_of_its_own)
        threads.append(threading.current_thread().name)
        return None

    runs.does["job_1"] = work
    engine = await site.engine(runs)
    await engine.start(queued("job_1"))
    await runs.until(lambda: runs.over)
    assert threads[0].startswith("asyncio_")
    assert threads[1] == threading.current_thread().name


@pytest.mark.req("M7.27")
async def test_closing_waits_for_what_runs(site: Site, runs: Runs) -> None:
    runs.hold("job_1")
    engine = await site.engine(runs)
    await engine.start(queued("job_1"))
    await runs.until(lambda: runs.began)
    closing = asyncio.create_task(engine.close(drain=60.0))
    await asyncio.sleep(0)
    runs.let_go()
    await closing
    assert runs.over == ["job_1"]


@pytest.mark.req("M7.27")
async def test_closing_cancels_what_does_not_end_in_time_and_refuses_what_comes_after(
    site: Site, runs: Runs
) -> None:
    ended: list[str] = []

    async def stubborn(_: Steps) -> float | None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cancelled")
        return None

    runs.does["job_1"] = stubborn
    engine = await site.engine(runs)
    await engine.start(queued("job_1"))
    await runs.until(lambda: runs.began)
    await engine.close(drain=0.0)
    assert ended == ["cancelled"]
    with pytest.raises(StoreUnavailable):
        await engine.start(queued("job_2"))


@pytest.mark.req("M7.24")
async def test_a_caller_that_gives_up_waiting_leaves_a_started_job(site: Site, runs: Runs) -> None:
    engine = await site.engine(runs)
    for number in range(10):
        starting = asyncio.create_task(engine.start(queued(f"job_{number}")))
        await asyncio.sleep(0)
        starting.cancel()
    await runs.until(lambda: len(runs.over) == 10)


@pytest.mark.req("M7.29")
async def test_what_is_over_can_be_forgotten_and_what_is_not_stays(site: Site, runs: Runs) -> None:
    runs.hold("job_runs")
    engine = await site.engine(runs, concurrency=1)
    await engine.start(queued("job_over"))
    await runs.until(lambda: runs.over)
    await engine.start(queued("job_runs"))
    await runs.until(lambda: "job_runs" in runs.began)
    await engine.start(queued("job_waits"))

    async def forgotten() -> bool:
        await engine.forget(["job_over", "job_runs", "job_waits", "job_unheard_of"])
        try:
            await engine.start(queued("job_over", tenant="other", delay=3600.0))
        except GateFault:
            return False
        return True

    # Its end is written a moment after its run.
    await until(forgotten)
    assert await engine.known(["job_runs", "job_waits"]) == {"job_runs", "job_waits"}


@pytest.mark.req("M7.24")
async def test_hundreds_of_jobs_at_once_run_once_each(site: Site, runs: Runs) -> None:
    jobs = [f"job_{number}" for number in range(300)]
    engine = await site.engine(runs)
    await asyncio.gather(*(engine.start(queued(job_id)) for job_id in jobs))
    await runs.until(lambda: len(runs.over) >= len(jobs))
    assert sorted(runs.began) == sorted(jobs)
