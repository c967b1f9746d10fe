"""Code that survives its deadline, and would begin an effect after the caller was told that nothing happened."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.machines.stage import landed
from tests.small_gate import ANA, opened
from toolgate import Caller, ToolContext, tool
from toolgate.domain.call import ReceivedCall, Workflow
from toolgate.gateway.flight import Flight, Phase
from toolgate.testing import FakeClock

ran: list[int] = []


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


@tool(effect="write", roles={"support"}, idempotency="pay:{number}:{workflow_id}", timeout=5.0)
async def pay(context: ToolContext[Any], number: int) -> int:
    """Pay a number back."""
    ran.append(number)
    return number


@pytest.mark.req("M6.4", "M10.3")
async def test_deps_that_swallow_the_deadline_do_not_let_the_tool_begin_behind_the_callers_back(
    tmp_path: Path,
) -> None:
    clock, entered = FakeClock(), threading.Event()

    @asynccontextmanager
    async def stubborn(caller: Caller) -> AsyncIterator[None]:
        entered.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        yield

    async with opened([pay], tmp_path, clock=clock, deps=stubborn) as gateway:
        asked = asyncio.create_task(gateway.call(pay, {"number": 1}, caller=ANA, workflow="wf"))
        assert await asyncio.to_thread(entered.wait, 10)
        clock.advance(5.1)
        outcome = await asked
        await landed(gateway)
        later = await gateway.get_call(outcome.call_id, caller=ANA)

    assert (outcome.effect, outcome.advice) == ("none", "retry")
    assert ran == []
    assert later.effect == "none"


@pytest.mark.req("M6.4", "M8.8")
def test_no_attempt_begins_once_a_call_was_given_up_and_a_begun_one_leaves_doubt() -> None:
    begun, given_up = _flight(), _flight()

    assert begun.begin_dispatch()
    assert begun.begin_attempt()
    assert begun.give_up() is Phase.DISPATCHED
    assert begun.in_doubt

    assert given_up.begin_dispatch()
    assert given_up.give_up() is Phase.DISPATCHED
    assert not given_up.begin_attempt()
    assert not given_up.in_doubt


def _flight() -> Flight:
    received = ReceivedCall(
        call_id="call_1",
        tool="pay",
        arguments={},
        caller=ANA,
        workflow=Workflow(id="wf", explicit=True),
        received_at=0,
    )
    return Flight(received, lambda _: None, started=0.0, deadline=5.0)
