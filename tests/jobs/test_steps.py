"""Durable steps: worked once, sealed, bounded, one at a time, and begun only by whoever the ledger says has the job."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.jobs.works import ANA, job_of, over
from toolgate import Failed, ToolContext, tool
from toolgate.domain.errors import UsageError
from toolgate.gateway.steps import MOST_BYTES

if TYPE_CHECKING:
    from tests.jobs.works import Works
    from tests.machines.stage import Stage


@pytest.mark.req("M7.9")
async def test_a_step_that_was_worked_is_found_by_the_next_attempt_and_one_that_failed_is_worked(
    stage: Stage, works: Works
) -> None:
    works.failures = 2
    async with stage.gateway(works.flaky()) as gateway:
        asked = await gateway.call("flaky", {}, caller=ANA)
        await _attempts(stage, gateway, asked, 2)
        ended = await over(gateway, asked)

    assert ended.unwrap() == ["fetch 1", "fetch 2"]
    assert works.worked == ["fetch 1", "fetch 2"]


async def _attempts(stage: Stage, gateway: Any, asked: Any, times: int) -> None:
    """Let the waits between attempts pass."""
    for _ in range(times):
        await asyncio.to_thread(stage.clock.wait_for_alarm, within=1.0)
        stage.clock.advance(1.0)


@pytest.mark.req("M7.9")
@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({1, 2}, "set"),
        ((1, 2), "tuple"),
        ({1: "a"}, "dict"),
        (float("nan"), "the number nan"),
        ("x" * MOST_BYTES, "at most"),
        ([[object()]], "object"),
    ],
)
async def test_what_is_no_bounded_json_is_the_authors_fault_and_is_said_so(
    stage: Stage, value: object, words: str
) -> None:
    raised: list[BaseException] = []

    @tool(effect="read", roles={"support"}, timeout="1h", job=True)
    async def odd(context: ToolContext[Any]) -> None:
        """Keep something odd."""
        try:
            await context.step("odd", lambda: value)
        except UsageError as said:
            raised.append(said)
            raise

    async with stage.gateway(odd) as gateway:
        ended = await over(gateway, await gateway.call(odd, {}, caller=ANA))

    assert isinstance(ended, Failed)
    assert ended.error_type == "internal_error"
    assert "step 'odd' returned" in str(raised[0])
    assert words in str(raised[0])


@pytest.mark.req("M7.9")
async def test_a_tool_that_is_no_job_is_told_that_nothing_would_be_recorded(stage: Stage) -> None:
    raised: list[str] = []

    @tool(effect="read", roles={"support"})
    async def plain(context: ToolContext[Any]) -> None:
        """Try a step."""
        try:
            await context.step("a", lambda: 1)
        except UsageError as said:
            raised.append(str(said))

    async with stage.gateway(plain) as gateway:
        assert (await gateway.call(plain, {}, caller=ANA)).ok

    assert raised == [
        (
            "step 'a': plain does not run as a job here, so nothing would be recorded; write @tool(job=True, ...), "
            "without isolation='process', and take no step in a predicate"
        )
    ]


@pytest.mark.req("M7.9")
async def test_steps_run_one_at_a_time_and_none_inside_another(stage: Stage) -> None:
    running: list[int] = []
    most: list[int] = []
    raised: list[str] = []

    @tool(effect="read", roles={"support"}, timeout="1h", job=True)
    async def many(context: ToolContext[Any]) -> list[int]:
        """Take steps at once."""

        async def one(number: int) -> int:
            running.append(number)
            most.append(len(running))
            await asyncio.sleep(0)
            running.remove(number)
            return number

        async def nested() -> None:
            try:
                await context.step("inner", lambda: 1)
            except UsageError as said:
                raised.append(str(said))

        await context.step("outer", nested)
        return await asyncio.gather(*(context.step("one", partial(one, n)) for n in range(4)))

    async with stage.gateway(many) as gateway:
        ended = await over(gateway, await gateway.call(many, {}, caller=ANA))

    assert ended.unwrap() == [0, 1, 2, 3]
    assert set(most) == {1}
    assert raised == ["step 'inner' begins inside another step; let one end before the next begins"]


@pytest.mark.req("M7.5", "M7.9")
async def test_what_an_engine_keeps_of_a_step_is_sealed_and_opens_for_that_step_alone(stage: Stage) -> None:
    kept: dict[str, bytes] = {}

    @tool(effect="read", roles={"support"}, timeout="1h", job=True)
    async def secretive(context: ToolContext[Any]) -> str:
        """Keep a secret."""
        return await context.step("secret", lambda: "hunter2-hunter2")

    async with stage.gateway(secretive) as gateway:
        engine = gateway.world.jobs
        assert engine is not None
        asked = await gateway.call(secretive, {}, caller=ANA)
        jobs = engine._jobs  # type: ignore[attr-defined]
        job = jobs.get((await job_of(gateway, asked)).row.job_id)
        kept = job.steps if job is not None else {}
        await over(gateway, asked)

    assert not any(b"hunter2" in raw for raw in kept.values())


@pytest.mark.req("M7.10")
async def test_progress_is_kept_redacted_and_leaves_no_event(every_stage: Stage, works: Works) -> None:
    @tool(effect="read", roles={"support"}, timeout="1h", job=True)
    async def tells(context: ToolContext[Any]) -> None:
        """Tell how far it is."""
        context.progress(1, 4, "token sk-live-0123456789abcdefghijklmnop")
        context.progress(float("nan"), 4)
        await works.stand()

    async with every_stage.gateway(tells) as gateway:
        asked = await gateway.call(tells, {}, caller=ANA)
        await works.stands()
        while (view := await job_of(gateway, asked)).row.done is None:
            await asyncio.to_thread(lambda: None)
        works.let_go()
        await over(gateway, asked)
        events = [row async for row in gateway.store.records(call_id=asked.call_id)]
        kept = (await job_of(gateway, asked)).row

    assert view.state == "running"
    assert (kept.done, kept.total) == (1.0, 4.0)
    assert kept.note is not None
    assert "sk-live" not in kept.note
    assert len(events) == 3
