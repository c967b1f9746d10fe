"""What is tried again, how often, after how long, and with which key."""

from __future__ import annotations

import asyncio
import difflib
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.execution import retry_table
from tests.execution.stage import ANN, drive, stage, trail
from toolgate import BusinessRule, Failed, Retry, Succeeded, ToolContext, TransientError, Unknown, tool
from toolgate.domain.retry import backoff
from toolgate.testing import FakeClock

GOLDEN = Path(__file__).parent.parent / "golden" / "retries.txt"


@pytest.mark.req("M8.6", "M8.1", "M8.2", "M8.3")
async def test_every_combination_of_effect_failure_and_dispatch_does_what_is_written_down() -> None:
    found = await retry_table.lines()
    written = GOLDEN.read_text("utf-8").splitlines()

    assert found == written, "\n".join(difflib.unified_diff(written, found, "written", "found", lineterm=""))


@pytest.mark.req("M8.1", "M8.9")
async def test_a_read_is_tried_again_until_it_succeeds_and_the_trail_says_how_often(clock: FakeClock) -> None:
    @tool(effect="read", roles={"support"}, timeout=30, retries=5)
    async def look(context: ToolContext[Any]) -> int:
        """Look."""
        if context.attempt < 3:
            raise ConnectionError
        return context.attempt

    async with stage(look, clock=clock) as gateway:
        outcome = await drive(asyncio.create_task(gateway.call(look, {}, caller=ANN)), clock)
        events = await trail(gateway, outcome.call_id)

    assert outcome.unwrap() == 3
    assert [event["toolgate.attempts"] for event in events] == [3]


@pytest.mark.req("M8.5", "M9.14", "M8.9")
async def test_where_downstream_honours_the_key_a_write_is_tried_again_with_the_same_key(
    clock: FakeClock,
) -> None:
    keys = []

    @tool(
        effect="write", roles={"support"}, timeout=30, retries=3, idempotency="pay:{order}", honours_key=True
    )
    async def pay(context: ToolContext[Any], order: int) -> str:
        """Pay."""
        keys.append(context.idempotency_key)
        if context.attempt < 3:
            raise TimeoutError
        return "paid"

    async with stage(pay, clock=clock) as gateway:
        outcome = await drive(asyncio.create_task(gateway.call(pay, {"order": 7}, caller=ANN)), clock)
        events = await trail(gateway, outcome.call_id)

    assert outcome.unwrap() == "paid"
    assert outcome.effect == "applied"
    assert len(keys) == 3
    assert keys[0] is not None
    assert set(keys) == {keys[0]}
    assert events[-1]["toolgate.attempts"] == 3


@pytest.mark.req("M8.4")
async def test_a_write_whose_attempt_says_that_nothing_happened_is_tried_again(clock: FakeClock) -> None:
    @tool(effect="write", roles={"support"}, timeout=30, retries=3, idempotency="pay:{order}")
    async def pay(context: ToolContext[Any], order: int) -> str:
        """Pay."""
        if context.attempt == 1:
            raise TransientError("Busy.")
        return "paid"

    async with stage(pay, clock=clock) as gateway:
        outcome = await drive(asyncio.create_task(gateway.call(pay, {"order": 7}, caller=ANN)), clock)

    assert isinstance(outcome, Succeeded)


@pytest.mark.req("M8.5", "M10.3")
async def test_a_doubt_of_an_earlier_attempt_is_not_forgotten_by_a_later_one(clock: FakeClock) -> None:
    @tool(
        effect="write", roles={"support"}, timeout=30, retries=3, idempotency="pay:{order}", honours_key=True
    )
    async def pay(context: ToolContext[Any], order: int) -> str:
        """Pay."""
        if context.attempt == 1:
            raise ConnectionError
        raise BusinessRule("No.")

    async with stage(pay, clock=clock) as gateway:
        outcome = await drive(asyncio.create_task(gateway.call(pay, {"order": 7}, caller=ANN)), clock)

    assert isinstance(outcome, Unknown)


@pytest.mark.req("M8.2", "M8.3")
async def test_without_retries_nothing_is_tried_again(clock: FakeClock) -> None:
    attempts = []

    @tool(effect="read", roles={"support"}, timeout=30)
    async def look() -> str:
        """Look."""
        attempts.append(1)
        raise TransientError("Busy.")

    async with stage(look, clock=clock) as gateway:
        outcome = await gateway.call(look, {}, caller=ANN)

    assert isinstance(outcome, Failed)
    assert len(attempts) == 1


@pytest.mark.req("M9.15", "M9.14", "M8.3")
async def test_a_write_without_a_key_is_keyed_by_its_call_and_runs_once_each_time_it_is_asked(
    clock: FakeClock,
) -> None:
    keys = []

    @tool(effect="write", roles={"support"}, timeout=30, retries=3)
    async def note(context: ToolContext[Any], text: int) -> str:
        """Note."""
        keys.append(context.idempotency_key)
        raise ConnectionError

    async with stage(note, clock=clock) as gateway:
        first = await gateway.call(note, {"text": 1}, caller=ANN)
        second = await gateway.call(note, {"text": 1}, caller=ANN)

    assert isinstance(first, Unknown)
    assert isinstance(second, Unknown)
    assert keys == [first.call_id, second.call_id]


@pytest.mark.req("M9.14")
async def test_a_read_has_no_key(clock: FakeClock) -> None:
    @tool(effect="read", roles={"support"})
    async def look(context: ToolContext[Any]) -> str:
        """Look."""
        return str(context.idempotency_key)

    async with stage(look, clock=clock) as gateway:
        assert (await gateway.call(look, {}, caller=ANN)).unwrap() == "None"


def looking(retries: Retry) -> Any:
    @tool(effect="read", roles={"support"}, retries=retries)
    async def look() -> str:
        """Look."""
        return ""

    return look.contract


@pytest.mark.req("M8.7")
@given(
    delay=st.floats(0.01, 10),
    cap=st.floats(0.01, 60),
    call_id=st.text(min_size=1, max_size=30),
    attempt=st.integers(1, 9),
)
def test_a_wait_doubles_up_to_its_bound_with_up_to_half_taken_off(
    delay: float, cap: float, call_id: str, attempt: int
) -> None:
    wait = backoff(looking(Retry(attempts=10, delay=delay, max_delay=cap)), call_id, attempt=attempt)

    whole = min(delay * 2 ** (attempt - 1), cap)
    assert whole / 2 <= wait <= whole


@pytest.mark.req("M8.7")
def test_waits_of_different_calls_spread() -> None:
    contract = looking(Retry(attempts=3, delay=1))

    waits = {backoff(contract, f"call_{number}", attempt=1) for number in range(200)}

    assert len(waits) > 50
    assert max(waits) - min(waits) > 0.4


@pytest.mark.req("M8.7")
async def test_the_tool_is_left_alone_while_a_wait_lasts(clock: FakeClock) -> None:
    at = []

    @tool(effect="read", roles={"support"}, timeout=60, retries=Retry(attempts=4, delay=1, max_delay=2))
    async def look() -> str:
        """Look."""
        at.append(clock.monotonic())
        raise TransientError("Busy.")

    async with stage(look, clock=clock) as gateway:
        await drive(asyncio.create_task(gateway.call(look, {}, caller=ANN)), clock)

    first, second, third = (after - before for before, after in pairwise(at))
    assert 0.5 <= first <= 1.2
    assert 1.0 <= second <= 2.2
    assert 1.0 <= third <= 2.2
