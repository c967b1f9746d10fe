"""What a tool says of how far it has come: who hears it, in what form, and that it can harm nothing."""

from __future__ import annotations

import asyncio
import math
import threading
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from tests.execution import isolated_tools as isolated
from tests.execution.stage import ANN, Halt, flights_over, stage, until
from tests.people import decide_approval
from toolgate import Approval, Caller, Failed, Gateway, PendingApproval, Succeeded, ToolContext, tool
from toolgate.domain.progress import MAX_NOTE
from toolgate.testing import FakeClock

BOSS = Caller("cleo", roles={"boss"}, tenant="acme")
Told = tuple[float, float | None, str | None]


class Listener:
    """Writes down what it is told, and in which threads."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.threads: set[int] = set()

    def __call__(self, done: float, total: float | None, note: str | None) -> None:
        self.told.append((done, total, note))
        self.threads.add(threading.get_ident())


@tool(effect="read", roles={"support"})
async def count_async(context: ToolContext[Any]) -> int:
    """Count to three."""
    for number in (1, 2, 3):
        context.progress(number, 3, f"number {number}")
    return 3


@tool(effect="read", roles={"support"})
def count_sync(context: ToolContext[Any]) -> int:
    """Count to three, in a thread."""
    for number in (1, 2, 3):
        context.progress(number, 3, f"number {number}")
    return 3


@tool(effect="read", roles={"support"})
async def count_elsewhere(context: ToolContext[Any]) -> int:
    """Count to three, in threads of its own."""
    for number in (1, 2, 3):
        await asyncio.to_thread(context.progress, number, 3, f"number {number}")
    return 3


THREE: list[Told] = [(1.0, 3.0, "number 1"), (2.0, 3.0, "number 2"), (3.0, 3.0, "number 3")]


@pytest.mark.req("M6.15")
@pytest.mark.parametrize(
    "tool_", [count_async, count_sync, count_elsewhere, isolated.count_in_child], ids=lambda tool: tool.name
)
async def test_whoever_waits_hears_how_far_a_tool_has_come_wherever_it_runs(
    tool_: Any, clock: FakeClock
) -> None:
    listener = Listener()
    async with stage(tool_, clock=clock) as gateway:
        outcome = await gateway.call(tool_, {}, caller=ANN, progress=listener)

    assert outcome.unwrap() == 3
    assert listener.told == THREE
    assert threading.get_ident() not in listener.threads


@pytest.mark.req("M6.15")
@pytest.mark.parametrize(
    "tool_", [count_async, count_sync, isolated.count_in_child], ids=lambda tool: tool.name
)
async def test_a_tool_reports_to_nobody_as_gladly(tool_: Any, clock: FakeClock) -> None:
    async with stage(tool_, clock=clock) as gateway:
        outcome = await gateway.call(tool_, {}, caller=ANN)

    assert outcome.unwrap() == 3


@pytest.mark.req("M6.15")
async def test_a_flow_and_a_program_without_a_loop_hear_the_same() -> None:
    flowing, plain = Listener(), Listener()

    def without_a_loop() -> None:
        with Gateway([count_async]) as gateway:
            flow = gateway.workflow("req_1", caller=ANN)
            flow.call_sync(count_async, {}, progress=flowing)
            gateway.call_sync(count_async, {}, caller=ANN, progress=plain)

    await asyncio.to_thread(without_a_loop)

    assert flowing.told == plain.told == THREE


@pytest.mark.req("M6.15")
@pytest.mark.parametrize("error", [ValueError("no"), asyncio.CancelledError(), SystemExit(3)], ids=repr)
async def test_a_listener_that_fails_harms_neither_the_tool_nor_its_outcome(
    error: BaseException, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[float] = []

    def fail(done: float, total: float | None, note: str | None) -> None:
        heard.append(done)
        raise error

    async with stage(count_async, count_sync, clock=clock) as gateway:
        in_loop = await gateway.call(count_async, {}, caller=ANN, progress=fail)
        in_thread = await gateway.call(count_sync, {}, caller=ANN, progress=fail)

    assert (in_loop.unwrap(), in_thread.unwrap()) == (3, 3)
    # Told once a call: nobody goes on talking to somebody who cannot listen.
    assert heard == [1.0, 1.0]
    assert type(error).__name__ in caplog.text


@pytest.mark.req("M6.16")
async def test_what_is_no_finite_number_is_not_told(clock: FakeClock) -> None:
    listener = Listener()

    @tool(effect="read", roles={"support"})
    async def babble(context: ToolContext[Any]) -> str:
        """Report nonsense."""
        for done in (math.nan, math.inf, -math.inf, -1, 10**400, True, "3", None):
            context.progress(done)  # type: ignore[arg-type]
        for total in (math.nan, math.inf, -1, 10**400, True, "3"):
            context.progress(1, total)  # type: ignore[arg-type]
        context.progress(2, 4, object())  # type: ignore[arg-type]
        return "done"

    async with stage(babble, clock=clock) as gateway:
        outcome = await gateway.call(babble, {}, caller=ANN, progress=listener)

    assert outcome.unwrap() == "done"
    assert listener.told == [(1.0, None, None)] * 6 + [(2.0, 4.0, None)]


@pytest.mark.req("M6.16")
async def test_a_note_is_one_bounded_line_without_secrets(clock: FakeClock) -> None:
    listener = Listener()
    secret = "AKIA" + "IOSFODNN7EXAMPLE"

    @tool(effect="read", roles={"support"})
    async def talk(context: ToolContext[Any]) -> str:
        """Talk."""
        context.progress(1, note=f"with {secret}\nand\x1b[31m a line")
        context.progress(2, note="x" * 1_000_000)
        context.progress(3, note="x" * (MAX_NOTE - 8) + " " + secret)
        context.progress(4, note="half \ud800 a pair")
        context.progress(5, note=" \n ")
        return "done"

    async with stage(talk, clock=clock) as gateway:
        outcome = await gateway.call(talk, {}, caller=ANN, progress=listener)

    assert outcome.unwrap() == "done"
    notes = [note or "" for _, _, note in listener.told]
    assert all(len(note) <= MAX_NOTE and note.isprintable() for note in notes)
    assert not any("AKIA" in note for note in notes)
    assert "and" in notes[0]
    assert listener.told[4] == (5.0, None, None)


@pytest.mark.req("M6.16")
async def test_nothing_is_told_of_a_run_that_was_given_up(clock: FakeClock) -> None:
    listener, halt = Listener(), Halt()

    @tool(effect="read", roles={"support"}, timeout=5)
    def slow(context: ToolContext[Any]) -> str:
        """Take a while."""
        context.progress(1)
        halt.block()
        context.progress(2)
        return "too late"

    async with stage(slow, clock=clock) as gateway:
        call = asyncio.create_task(gateway.call(slow, {}, caller=ANN, progress=listener))
        await halt.reached()
        clock.advance(5.1)
        outcome = await call
        halt.go_on.set()
        await flights_over(gateway)

    assert isinstance(outcome, Failed)
    assert listener.told == [(1.0, None, None)]


@pytest.mark.req("M6.16")
async def test_nothing_is_told_after_the_answer(clock: FakeClock) -> None:
    listener = Listener()
    kept: list[ToolContext[Any]] = []

    @tool(effect="read", roles={"support"})
    async def leave_it_lying(context: ToolContext[Any]) -> str:
        """Give the context to somebody."""
        kept.append(context)
        return "done"

    async with stage(leave_it_lying, clock=clock) as gateway:
        outcome = await gateway.call(leave_it_lying, {}, caller=ANN, progress=listener)
        kept[0].progress(1)

    assert isinstance(outcome, Succeeded)
    assert listener.told == []


@pytest.mark.req("M6.15")
async def test_the_run_of_a_held_call_is_reported_to_nobody(clock: FakeClock) -> None:
    listener = Listener()
    ran: list[bool] = []

    @tool(effect="write", roles={"support"}, idempotency="w:{id}", approval=Approval(approvers={"boss"}))
    async def change(context: ToolContext[Any], id: Annotated[int, Field(gt=0, le=9)]) -> str:
        """Change something."""
        ran.append(True)
        context.progress(1)
        return "done"

    async with stage(change, clock=clock, callers=_same) as gateway:
        held = await gateway.call(change, {"id": 1}, caller=ANN, progress=listener)
        assert isinstance(held, PendingApproval)
        await decide_approval(gateway, held.approval_id, "approve", voter=BOSS, reason="yes")
        await gateway.sweep()
        await until(lambda: bool(ran))
        await flights_over(gateway)

    assert listener.told == []


@pytest.mark.req("M6.15")
async def test_what_a_child_says_behind_its_answer_is_not_the_next_calls(
    clock: FakeClock, tmp_path: Path
) -> None:
    first, second = Listener(), Listener()
    async with stage(isolated.report_on_and_on, clock=clock) as gateway:
        pids = [
            (await gateway.call(isolated.report_on_and_on, {}, caller=ANN, progress=listener)).unwrap()
            for listener in (first, second)
        ]

    # The same child, warm: what its first call left behind did not make it unusable either.
    assert pids[0] == pids[1]
    assert {note for _, _, note in first.told} <= {"call 1"}
    assert {note for _, _, note in second.told} <= {"call 2"}
    assert second.told


async def _same(caller_id: str, tenant: str) -> Any:
    return ANN
