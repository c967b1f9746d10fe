"""While a call runs: how far it has come, and what happens to it when nobody waits any more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from pydantic import Field

from tests.mcp.server.desk import MODERN, MODES, PATIENCE, ByHand, Desk, by_hand, meta, opened
from tests.rest.desk import NIL
from toolgate import Tool, ToolContext, tool
from toolgate.surfaces.mcp.reports import Reports

Order = Annotated[int, Field(gt=0, le=9)]


class Work:
    """Two tools that take as long as a test says, and say how far they have come."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.done: list[str] = []
        self.loop = asyncio.get_running_loop()

    async def _take_time(self, context: ToolContext[Any], what: str) -> None:
        context.progress(1, 3, "begun")
        self.loop.call_soon_threadsafe(self.begun.set)
        await self._told(self.go_on)
        context.progress(2, 3)
        context.progress(1, 3, "backwards")
        context.progress(float("nan"), 3)
        context.progress(3, 3, "there")
        await self._told(self.may_end)
        self.done.append(what)

    async def _told(self, event: asyncio.Event) -> None:
        """Wait for ``event``, which lives in the test's loop."""
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(event.wait(), self.loop))

    def tools(self) -> list[Tool[Any, Any]]:
        """One that reads, one that writes."""

        @tool(effect="read", roles="anyone", timeout=20)
        async def look(context: ToolContext[Any], order: Order) -> int:
            """Look for long."""
            await self._take_time(context, "look")
            return order

        @tool(effect="write", roles="anyone", timeout=20, idempotency="pay:{order}:{workflow_id}")
        async def pay(context: ToolContext[Any], order: Order) -> int:
            """Pay for long."""
            await self._take_time(context, "pay")
            return order

        return [look, pay]


@asynccontextmanager
async def working(folder: Path) -> AsyncIterator[tuple[Desk, Work]]:
    """A desk with the two tools, which end at the latest with the block."""
    work = Work()
    async with opened(folder, tools=work.tools()) as desk:
        try:
            yield desk, work
        finally:
            work.go_on.set()
            work.may_end.set()


async def until(trail: Any, condition: Any) -> list[dict[str, Any]]:
    """The trail, once it is as a test waits for."""
    async with asyncio.timeout(PATIENCE):
        while not condition(found := await trail()):  # noqa: ASYNC110 - the trail tells nobody that it grew
            await asyncio.sleep(0)
    return list(found)


@pytest.mark.req("X3.15")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["look", "pay"])
async def test_progress_reaches_whoever_asked_for_it_in_order(tmp_path: Path, mode: str, name: str) -> None:
    heard: list[tuple[float, float | None, str | None]] = []
    began = asyncio.Event()

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total, message))
        began.set()

    async with working(tmp_path) as (desk, work), desk.client(mode=mode) as client:
        # A client that has its answer may forget who was to hear of the progress that came with it.
        work.may_end.clear()
        asking = asyncio.create_task(
            client.call_tool(name, {"order": 1}, meta=meta(), progress_callback=hear)
        )
        # It is told while the call runs, and not with its end.
        async with asyncio.timeout(PATIENCE):
            await began.wait()
        before = list(work.done)
        work.go_on.set()
        async with asyncio.timeout(PATIENCE):
            while not any(done == 3 for done, _, _ in heard):  # noqa: ASYNC110 - the client handles what it hears in tasks of its own
                await asyncio.sleep(0)
        work.may_end.set()
        answer = await asking

    assert not before
    assert (answer.structured_content or {})["result"] == 1
    assert [heard[0], heard[-1]] == [(1, 3, "begun"), (3, 3, "there")]
    assert [done for done, _, _ in heard] == sorted({done for done, _, _ in heard})


@pytest.mark.req("X3.15")
@pytest.mark.parametrize("mode", MODES)
async def test_whoever_did_not_ask_for_progress_hears_none(tmp_path: Path, mode: str) -> None:
    async with working(tmp_path) as (desk, work):
        work.go_on.set()
        async with by_hand(desk, mode, await desk.token()) as hand:
            answer = await hand.post(hand.call("look", '{"order": 1}'), name="look")

    assert "notifications/progress" not in answer.text


@pytest.mark.req("X3.15")
async def test_a_client_that_takes_reports_slowly_gets_the_newest() -> None:
    sent: list[float] = []
    slow = asyncio.Event()

    async def send(done: float, _total: float | None, _note: str | None) -> None:
        sent.append(done)
        await slow.wait()

    reports = Reports(send)
    async with reports.sending():
        await asyncio.to_thread(reports.tell, 1, None, None)
        async with asyncio.timeout(PATIENCE):
            while not sent:  # noqa: ASYNC110 - a list tells nobody that it grew
                await asyncio.sleep(0)
        for done in range(2, 1000):
            reports.tell(done, None, None)
        slow.set()

    assert sent == [1, 999]


@pytest.mark.req("X3.15")
async def test_a_report_that_is_on_its_way_is_not_cut_off_by_the_end_of_its_call() -> None:
    sent: list[float] = []
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def send(done: float, _total: float | None, _note: str | None) -> None:
        begun.set()
        await go_on.wait()
        sent.append(done)

    reports = Reports(send)
    async with reports.sending():
        reports.tell(1, None, None)
        async with asyncio.timeout(PATIENCE):
            await begun.wait()
        asyncio.get_running_loop().call_soon(go_on.set)

    assert sent == [1]


@pytest.mark.req("X3.16")
@pytest.mark.parametrize("mode", MODES)
async def test_a_read_that_is_cancelled_is_given_up(tmp_path: Path, mode: str) -> None:
    async with working(tmp_path) as (desk, work), desk.client(mode=mode) as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "look", {"order": 1})
            await work.begun.wait()
            group.cancel_scope.cancel()
        *_, record = await until(desk.trail, lambda found: found)

    assert (record["toolgate.status"], record["error.type"]) == ("failed", "cancelled")
    assert not work.done


@pytest.mark.req("X3.16")
@pytest.mark.parametrize("mode", MODES)
async def test_an_effect_that_is_cancelled_is_settled_and_found_again(tmp_path: Path, mode: str) -> None:
    async with working(tmp_path) as (desk, work), desk.client(mode=mode) as client:
        async with anyio.create_task_group() as group:

            async def pay() -> None:
                await client.call_tool("pay", {"order": 1}, meta=meta())

            group.start_soon(pay)
            await work.begun.wait()
            group.cancel_scope.cancel()
        work.go_on.set()
        await until(desk.trail, lambda found: any(each["toolgate.status"] == "succeeded" for each in found))
        again = await client.call_tool("pay", {"order": 1}, meta=meta())

    body = again.structured_content or {}
    assert (body["replayed"], body["result"], body["effect"]) == (True, 1, "applied")
    assert work.done == ["pay"]


async def hang_up(hand: ByHand, work: Work, name: str) -> None:
    """Ask, and close the connection while it runs."""
    asking = asyncio.create_task(hand.post(hand.call(name, '{"order": 1}'), name=name))
    await work.begun.wait()
    asking.cancel()
    await asyncio.wait({asking})
    await hand.http.aclose()


@pytest.mark.req("X3.16")
@pytest.mark.parametrize("mode", MODES)
async def test_an_effect_outlives_the_connection_of_whoever_asked(tmp_path: Path, mode: str) -> None:
    async with working(tmp_path) as (desk, work):
        token = await desk.token()
        async with by_hand(desk, mode, token) as hand:
            await hang_up(hand, work, "pay")
        work.go_on.set()
        await until(desk.trail, lambda found: any(each["toolgate.status"] == "succeeded" for each in found))
        async with desk.client(token, mode) as client:
            again = await client.call_tool("pay", {"order": 1}, meta=meta())

    assert (again.structured_content or {})["replayed"] is True
    assert work.done == ["pay"]


@pytest.mark.req("X3.16")
async def test_a_read_whose_stream_is_closed_is_given_up(tmp_path: Path) -> None:
    """In the era without sessions closing the stream is how one cancels (2026-07-28, streamable HTTP)."""
    async with working(tmp_path) as (desk, work):
        async with by_hand(desk, MODERN, await desk.token()) as hand:
            await hang_up(hand, work, "look")
        *_, record = await until(desk.trail, lambda found: found)

    assert record["error.type"] == "cancelled"
    assert not work.done


@pytest.mark.req("X3.16")
async def test_in_a_session_hanging_up_cancels_nothing(tmp_path: Path) -> None:
    """A connection may be lost; cancelling is said (2025-11-25, streamable HTTP)."""
    async with working(tmp_path) as (desk, work):
        async with by_hand(desk, "legacy", await desk.token()) as hand:
            await hang_up(hand, work, "look")
        work.go_on.set()
        *_, record = await until(desk.trail, lambda found: found)

    assert record["toolgate.status"] == "succeeded"
    assert work.done == ["look"]


@pytest.mark.req("X3.16")
async def test_what_runs_when_the_server_ends_is_settled(tmp_path: Path) -> None:
    async with working(tmp_path) as (desk, work), by_hand(desk, "legacy", await desk.token()) as hand:
        asking = asyncio.create_task(hand.ask("pay", '{"order": 1}'))
        await work.begun.wait()
        desk.office.closing.begin()
        work.go_on.set()
        answer = await asking

    assert answer["result"]["structuredContent"]["effect"] == "applied"


@pytest.mark.req("X3.19")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["refund", "refunds"])
async def test_an_unknown_tool_and_a_hidden_one_are_one_error_and_in_the_trail(
    desk: Desk, mode: str, name: str
) -> None:

    async with desk.client(NIL, mode) as client:
        with pytest.raises(MCPError) as refused:
            await client.call_tool(name, {"order": 1}, meta=meta())

    (record,) = await desk.trail()
    assert (refused.value.code, refused.value.message) == (-32602, f"Unknown tool: {name}")
    assert (record["toolgate.status"], record["error.type"], record["user.id"]) == (
        "refused",
        "unknown_tool",
        "nil",
    )
    assert json.dumps(record)
