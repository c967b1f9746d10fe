"""Every call is answered at its deadline, whatever the tool does, and the answer is true."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.execution.stage import ANN, Halt, drive, flights_over, row, stage, trail
from toolgate import Caller, Failed, Succeeded, ToolContext, TransientError, Unknown, tool
from toolgate.testing import FakeClock


@pytest.mark.req("M6.1")
async def test_a_tool_whose_author_thought_of_no_deadline_has_one(clock: FakeClock) -> None:
    halt = Halt()

    @tool(effect="read", roles={"support"})
    async def look() -> str:
        """Look."""
        await halt.here()
        return "seen"

    async with stage(look, clock=clock) as gateway:
        call = asyncio.create_task(gateway.call(look, {}, caller=ANN))
        await halt.reached()
        clock.advance(29.9)
        assert not call.done()
        clock.advance(0.2)
        outcome = await call

    assert isinstance(outcome, Failed)
    assert outcome.error_type == "timeout"


@pytest.mark.req("M6.1", "M10.4")
async def test_a_read_that_takes_too_long_failed_without_effect_and_may_be_tried_again(
    clock: FakeClock,
) -> None:
    halt = Halt()

    @tool(effect="read", roles={"support"}, timeout=5)
    async def look() -> str:
        """Look."""
        await halt.here()
        return "seen"

    async with stage(look, clock=clock) as gateway:
        call = asyncio.create_task(gateway.call(look, {}, caller=ANN))
        await halt.reached()
        clock.advance(5.1)
        outcome = await call
        events = await trail(gateway, outcome.call_id)

    assert isinstance(outcome, Failed)
    assert (outcome.error_type, outcome.effect, outcome.advice) == ("timeout", "none", "retry")
    assert [event["toolgate.status"] for event in events] == ["failed"]


@pytest.mark.req("M10.3", "M8.3")
@pytest.mark.parametrize("effect", ["write", "destructive"])
async def test_a_write_that_takes_too_long_after_dispatch_is_unknown(effect: Any, clock: FakeClock) -> None:
    halt = Halt()

    @tool(effect=effect, roles={"support"}, timeout=5, idempotency="pay:{order}", retries=3)
    async def pay(order: int) -> str:
        """Pay."""
        await halt.here()
        return "paid"

    async with stage(pay, clock=clock) as gateway:
        call = asyncio.create_task(gateway.call(pay, {"order": 1}, caller=ANN))
        await halt.reached()
        clock.advance(5.1)
        outcome = await call
        again = await gateway.call(pay, {"order": 1}, caller=ANN)
        kept = await row(gateway, outcome.call_id)

    assert isinstance(outcome, Unknown)
    assert (outcome.effect, outcome.advice) == ("unknown", "ask_human")
    assert isinstance(again, Unknown)
    assert again.replayed
    assert again.call_id == outcome.call_id
    assert kept.status == "unknown"


@pytest.mark.req("M6.4", "M6.8")
async def test_a_caller_is_answered_though_the_tool_swallows_its_cancellation(clock: FakeClock) -> None:
    halt = Halt()

    @tool(effect="write", roles={"support"}, timeout=5, idempotency="pay:{order}")
    async def pay(order: int) -> str:
        """Pay."""
        await halt.stubbornly()
        return "paid"

    @tool(effect="read", roles={"support"}, timeout=5)
    async def look() -> str:
        """Look."""
        return "seen"

    async with stage(pay, look, clock=clock) as gateway:
        call = asyncio.create_task(gateway.call(pay, {"order": 1}, caller=ANN))
        await halt.reached()
        clock.advance(5.1)
        outcome = await call
        beside = await gateway.call(look, {}, caller=ANN)
        halt.go_on.set()
        await flights_over(gateway)

    assert isinstance(outcome, Unknown)
    assert isinstance(beside, Succeeded)


@pytest.mark.req("M6.2", "M8.8")
async def test_the_deadline_covers_retries_and_the_waits_between_them(clock: FakeClock) -> None:
    attempts = 0

    @tool(effect="read", roles={"support"}, timeout=1, retries=10)
    async def look() -> str:
        """Look."""
        nonlocal attempts
        attempts += 1
        raise TransientError("Busy.")

    async with stage(look, clock=clock) as gateway:
        outcome = await drive(asyncio.create_task(gateway.call(look, {}, caller=ANN)), clock)

    # Waits of at most 0.1, 0.2, 0.4 and 0.8 s, at least half of that: the whole ten would take more than a second.
    assert 3 <= attempts < 7
    assert clock.monotonic() <= 1.1
    # It was not waited for in vain: the last failure is told as it was.
    assert isinstance(outcome, Failed)
    assert outcome.error_type == "upstream_unavailable"


@pytest.mark.req("M8.8")
async def test_an_attempt_that_could_only_begin_after_the_deadline_is_not_waited_for(
    clock: FakeClock,
) -> None:
    @tool(effect="read", roles={"support"}, timeout=1, retries=3)
    async def look() -> str:
        """Look."""
        clock.advance(0.98)
        raise TransientError("Busy.")

    async with stage(look, clock=clock) as gateway:
        outcome = await gateway.call(look, {}, caller=ANN)
        events = await trail(gateway, outcome.call_id)

    assert isinstance(outcome, Failed)
    assert outcome.error_type == "upstream_unavailable"
    assert events[-1]["toolgate.attempts"] == 1


@pytest.mark.req("M6.2", "M10.4")
async def test_the_deadline_passing_between_two_attempts_that_did_nothing_leaves_no_doubt(
    clock: FakeClock,
) -> None:
    failed = Halt()

    @tool(effect="write", roles={"support"}, timeout=1, idempotency="pay:{order}", retries=3)
    async def pay(order: int) -> str:
        """Pay."""
        clock.advance(0.8)
        failed.entered.set()
        raise TransientError("Busy.")

    async with stage(pay, clock=clock) as gateway:
        call = asyncio.create_task(gateway.call(pay, {"order": 1}, caller=ANN))
        await failed.reached()
        clock.advance(5)
        outcome = await call
        kept = await row(gateway, outcome.call_id)

    assert isinstance(outcome, Failed)
    assert outcome.effect == "none"
    assert kept.effect_state == "not_applied"


@pytest.mark.req("M6.2", "M5.7")
async def test_a_predicate_that_hangs_runs_into_the_deadline_and_nothing_runs(clock: FakeClock) -> None:
    halt, ran = Halt(), []

    async def authorize(context: ToolContext[Any], args: Any) -> bool:
        await halt.stubbornly()
        return True

    @tool(effect="write", roles={"support"}, timeout=5, idempotency="pay:{order}", authorize=authorize)
    async def pay(order: int) -> str:
        """Pay."""
        ran.append(order)
        return "paid"

    async with stage(pay, clock=clock) as gateway:
        call = asyncio.create_task(gateway.call(pay, {"order": 1}, caller=ANN))
        await halt.reached()
        clock.advance(5.1)
        outcome = await call
        # The predicate's late yes must not start anything any more.
        halt.go_on.set()
        await flights_over(gateway)
        kept = await row(gateway, outcome.call_id)

    assert isinstance(outcome, Failed)
    assert (outcome.error_type, outcome.effect) == ("timeout", "none")
    assert ran == []
    assert kept.effect_state is None


@pytest.mark.req("M6.2")
@pytest.mark.parametrize("where", ["entering", "leaving"])
async def test_the_deadline_covers_the_dependencies(where: str, clock: FakeClock) -> None:
    halt = Halt()

    @asynccontextmanager
    async def deps(caller: Caller) -> AsyncIterator[None]:
        if where == "entering":
            await halt.here()
        yield
        await halt.here()

    @tool(effect="write", roles={"support"}, timeout=5, idempotency="pay:{order}")
    async def pay(order: int) -> str:
        """Pay."""
        return "paid"

    async with stage(pay, clock=clock, deps=deps) as gateway:
        call = asyncio.create_task(gateway.call(pay, {"order": 1}, caller=ANN))
        await halt.reached()
        clock.advance(5.1)
        outcome = await call

    # A commit on leaving may be what really wrote; before entering nothing can have.
    assert (outcome.status, outcome.effect) == {
        "entering": ("failed", "none"),
        "leaving": ("unknown", "unknown"),
    }[where]


@pytest.mark.req("M10.4")
async def test_the_slot_of_a_call_that_was_cancelled_at_its_deadline_comes_back(clock: FakeClock) -> None:
    halt = Halt()

    @tool(effect="read", roles={"support"}, timeout=5, concurrency=1)
    async def look() -> str:
        """Look."""
        await halt.here()
        return "seen"

    async with stage(look, clock=clock) as gateway:
        call = asyncio.create_task(gateway.call(look, {}, caller=ANN))
        await halt.reached()
        clock.advance(5.1)
        await call
        await flights_over(gateway)
        halt.go_on.set()
        outcome = await gateway.call(look, {}, caller=ANN)

    assert isinstance(outcome, Succeeded)
