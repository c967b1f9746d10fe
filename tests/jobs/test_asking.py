"""A call that becomes a job: answered at once, asked again, waited for, put behind others."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.jobs.works import ANA, BEN, LEE, job_of, over, transitions
from toolgate import Caller, Gateway, Job, Refused, Started, Succeeded, ToolContext, UsageError, tool
from toolgate.domain.jobs import job_id_of
from toolgate.domain.outcome import Advice, WorldEffect
from toolgate.domain.principal import in_person
from toolgate.domain.rows import ByJob
from toolgate.operations.jobs import cancel_job

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.jobs.works import Works
    from tests.machines.stage import Stage
    from toolgate.ports import Queued, RunJob


@pytest.mark.req("M7.1", "M7.2")
async def test_a_job_is_answered_at_once_and_ends_with_its_result(every_stage: Stage, works: Works) -> None:
    async with every_stage.gateway(works.crawl()) as gateway:
        asked = await gateway.call("crawl", {"site": "a"}, caller=ANA)

        assert isinstance(asked, Started)
        assert asked.job_id == job_id_of(asked.call_id)
        assert asked.to_model() == {
            "ok": False,
            "status": "started",
            "message": "Started. Ask for the job's status with its id.",
            "job_id": asked.job_id,
            "call_id": asked.call_id,
            "advice": "check_job",
            "effect": "none",
        }
        await works.stands()
        assert (await job_of(gateway, asked)).state == "running"
        works.let_go()
        ended = await over(gateway, asked)
        assert ended.unwrap() == ["first a", "second a", "third a"]
        view = await job_of(gateway, asked)
        assert (view.state, view.row.attempts) == ("succeeded", 1)
        assert view.outcome == ended
        assert await transitions(gateway, asked.call_id) == ["job_started", "intended", "settled"]


@pytest.mark.req("M7.6")
async def test_the_same_key_is_one_job_whose_outcome_is_told_again(every_stage: Stage, works: Works) -> None:
    async with every_stage.gateway(works.pay()) as gateway:
        flow = gateway.workflow("w-1", caller=ANA)
        asked = await flow.call("pay", {"order": 7})
        await works.stands()
        again = await flow.call("pay", {"order": 7})

        assert isinstance(asked, Started)
        assert isinstance(again, Started)
        assert (again.job_id, again.replayed, again.effect) == (asked.job_id, True, WorldEffect.UNKNOWN)
        works.let_go()
        assert (await over(gateway, asked)).unwrap() == 700
        replayed = await flow.call("pay", {"order": 7})
        assert isinstance(replayed, Succeeded)
        assert (replayed.result, replayed.replayed, replayed.call_id) == (700, True, asked.call_id)
        assert len(works.done) == 1


@pytest.mark.req("M7.6")
async def test_two_who_ask_at_once_with_one_key_get_one_job(every_stage: Stage, works: Works) -> None:
    async with (
        every_stage.gateway(works.pay(), jobs=False) as gateway,
        every_stage.gateway(works.pay(), jobs=False) as other,
    ):
        first = await gateway.workflow("w-1", caller=ANA).call("pay", {"order": 7})
        second = await other.workflow("w-1", caller=ANA).call("pay", {"order": 7})
        others = await other.workflow("w-1", caller=BEN).call("pay", {"order": 7})

    assert isinstance(first, Started)
    assert isinstance(second, Started)
    assert first.job_id == second.job_id
    assert isinstance(others, Refused)
    assert others.error_type == "idempotency_conflict"


@pytest.mark.req("M7.6")
async def test_a_key_whose_job_was_cancelled_before_it_began_is_free(stage: Stage, works: Works) -> None:
    async with stage.gateway(works.pay(), jobs=False) as gateway:
        flow = gateway.workflow("w-1", caller=ANA)
        asked = await flow.call("pay", {"order": 7})
        assert isinstance(asked, Started)
        await gateway.operate(cancel_job, asked.job_id, by=in_person(ANA), reason="wrong order")
        again = await flow.call("pay", {"order": 7})

    assert isinstance(again, Started)
    assert again.job_id != asked.job_id


@pytest.mark.req("M7.1")
async def test_a_job_of_a_sync_tool_runs_in_a_thread_and_takes_steps(stage: Stage, works: Works) -> None:
    @tool(effect="read", roles={"support"}, timeout="1h", job=True)
    def add(context: ToolContext[None], a: int, b: int) -> int:
        """Add."""
        context.progress(1, 2)
        return context.step_sync("sum", lambda: int(works.work("sum", a + b)))

    async with stage.gateway(add) as gateway:
        ended = await over(gateway, await gateway.call(add, {"a": 2, "b": 3}, caller=ANA))

    assert ended.unwrap() == 5
    assert works.worked == ["sum"]


@pytest.mark.req("M7.2")
async def test_get_job_and_cancel_job_are_tools_of_a_gateway_that_has_a_job(
    stage: Stage, works: Works
) -> None:
    @tool(effect="read", roles={"support"})
    def plain() -> None:
        """Do nothing."""

    async with stage.gateway(plain) as gateway:
        assert [one.name for one in gateway.tools(ANA)] == ["plain"]
    async with stage.gateway(plain, works.crawl()) as gateway:
        assert [one.name for one in gateway.tools(ANA)] == ["cancel_job", "crawl", "get_job", "plain"]
        asked = await gateway.call("crawl", {"site": "a"}, caller=ANA)
        assert isinstance(asked, Started)
        await works.stands()
        seen = (await gateway.call("get_job", {"job_id": asked.job_id}, caller=ANA)).unwrap()
        assert (seen["state"], seen["tool"], seen["attempts"]) == ("running", "crawl", 1)
        while "progress" not in seen:
            seen = (await gateway.call("get_job", {"job_id": asked.job_id}, caller=ANA)).unwrap()
        assert (seen["progress"]["done"] in {1.0, 2.0}, seen["progress"]["total"]) == (True, 3.0)
        works.let_go()
        await over(gateway, asked)
        seen = (await gateway.call("get_job", {"job_id": asked.job_id}, caller=ANA)).unwrap()
        assert seen["outcome"]["result"] == ["first a", "second a", "third a"]
        late = await gateway.call("cancel_job", {"job_id": asked.job_id, "reason": "late"}, caller=ANA)
        assert late.to_model()["code"] == "not_cancelled"


@pytest.mark.req("M7.2", "M4.9", "M4.8")
async def test_get_job_and_cancel_job_are_shown_to_whoever_may_call_a_job_and_to_nobody_else(
    stage: Stage, works: Works
) -> None:
    @tool(effect="read", roles="anyone")
    def plain() -> None:
        """Do nothing."""

    works.let_go()
    async with stage.gateway(plain, works.crawl(), works.asks(roles={"clerk"})) as gateway:
        assert [one.name for one in gateway.tools(LEE)] == ["plain"]
        clerk = Caller("u-cy", roles={"clerk"}, tenant="acme")
        assert {one.name for one in gateway.tools(clerk)} == {"asks", "cancel_job", "get_job", "plain"}
        asked = await gateway.call("crawl", {"site": "a"}, caller=ANA)
        assert isinstance(asked, Started)
        hidden = await gateway.call("get_job", {"job_id": asked.job_id}, caller=LEE)
        missing = await gateway.call("get_jobs", {"job_id": asked.job_id}, caller=LEE)
        assert hidden.to_model() | {"call_id": ""} == missing.to_model() | {"call_id": ""}
        assert hidden.to_model()["error_type"] == "unknown_tool"
        assert (await gateway.call("get_job", {"job_id": asked.job_id}, caller=ANA)).ok
    async with stage.gateway(plain, works.asks(roles="anyone")) as gateway:
        assert {one.name for one in gateway.tools(LEE)} == {"asks", "cancel_job", "get_job", "plain"}
    crawl = works.crawl()
    off = crawl.with_contract(replace(crawl.contract, enabled=False))
    async with stage.gateway(plain, off) as gateway:
        assert {one.name for one in gateway.tools(ANA)} == {"plain"}
        assert "get_job" not in gateway.world.registry


@pytest.mark.req("M7.2")
def test_a_store_in_memory_warns_of_effects_of_tools_and_not_of_cancelling_jobs(works: Works) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Gateway([works.crawl()], housekeeping=None)
    with pytest.warns(UserWarning, match="pay has effects, and the memory store forgets"):
        Gateway([works.crawl(), works.pay()], housekeeping=None)


class Listening:
    """An engine that keeps what it is told and runs nothing."""

    def __init__(self) -> None:
        self.told: list[Queued] = []

    async def open(self, run: RunJob | None) -> None:
        """Run nothing."""

    async def start(self, job: Queued) -> None:
        """Keep it."""
        self.told.append(job)

    async def cancel(self, job_id: str) -> None:
        """Forget it."""
        self.told = [job for job in self.told if job.job_id != job_id]

    async def known(self, job_ids: Sequence[str]) -> frozenset[str]:
        """Those that are kept."""
        return frozenset(job_ids) & {job.job_id for job in self.told}

    async def take_over(self) -> int:
        """Nobody dies here."""
        return 0

    async def over(self, *, after: str = "", limit: int = 1000) -> Sequence[str]:
        """None: nothing runs."""
        return [after][:0][:limit]

    async def forget(self, job_ids: Sequence[str]) -> None:
        """Forget them."""

    async def close(self, *, drain: float) -> None:
        """Nothing runs."""


@pytest.mark.req("M7.18", "M7.5")
async def test_the_engine_is_told_where_a_job_waits_and_never_what_it_does(
    stage: Stage, works: Works
) -> None:
    engine = Listening()
    queue = Job(concurrency=2, rate="100/minute", priority=5)
    async with stage.gateway(works.crawl(job=queue), jobs=engine) as gateway:
        await gateway.call("crawl", {"site": "secret.example"}, caller=ANA)
        await gateway.call("crawl", {"site": "b"}, caller=ANA, priority=1, delay="2m")

    first, second = engine.told
    assert (first.tool, first.tenant, first.priority, first.delay) == ("crawl", "acme", 5, 0.0)
    assert (first.concurrency, str(first.rate)) == (2, "100/minute")
    assert (second.priority, second.delay) == (1, 120.0)
    assert "secret" not in repr(engine.told)


@pytest.mark.req("M7.18")
async def test_a_delayed_job_waits_for_its_time(stage: Stage, works: Works) -> None:
    works.let_go()
    async with stage.gateway(works.crawl()) as gateway:
        asked = await gateway.call("crawl", {"site": "a"}, caller=ANA, delay=90)
        await gateway.sweep()
        view = await job_of(gateway, asked)
        assert (view.state, view.to_json()["not_before"]) == ("queued", "2026-01-01T00:01:30.000Z")
        assert works.worked == []
        stage.clock.advance(90)
        assert (await over(gateway, asked)).ok


@pytest.mark.req("M7.18")
@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"priority": -1}, "no whole number from 0"),
        ({"priority": True}, "no whole number from 0"),
        ({"delay": "soon"}, "delay"),
    ],
)
async def test_a_priority_or_delay_that_is_none_is_the_programs_fault(
    stage: Stage, works: Works, given: dict[str, Any], words: str
) -> None:
    async with stage.gateway(works.crawl(), jobs=False) as gateway:
        with pytest.raises(UsageError, match=words):
            await gateway.call("crawl", {"site": "a"}, caller=ANA, **given)


@pytest.mark.req("M7.18")
async def test_priority_and_delay_are_for_jobs_alone(stage: Stage) -> None:
    @tool(effect="read", roles={"support"})
    def plain() -> None:
        """Do nothing."""

    async with stage.gateway(plain) as gateway:
        with pytest.raises(UsageError, match="are for tools that run as jobs; plain is none"):
            await gateway.call(plain, {}, caller=ANA, priority=1)


@pytest.mark.req("M7.5")
async def test_what_was_asked_lies_sealed_and_the_job_row_holds_none_of_it(
    stage: Stage, works: Works
) -> None:
    async with stage.gateway(works.crawl(), jobs=False) as gateway:
        asked = await gateway.call("crawl", {"site": "hidden.example"}, caller=ANA)
        found = await gateway.store.find(ByJob(asked.call_id))
        kept = await gateway.store.sealed(asked.call_id, "request")

    assert found.job is not None
    assert kept is not None
    assert "hidden" not in repr(found.job)
    assert b"hidden" not in kept.sealed
    assert found.job.rerun
    assert asked.advice is Advice.CHECK_JOB
