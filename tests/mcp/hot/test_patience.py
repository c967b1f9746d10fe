"""A direct answer that takes long: kept open as the SDK keeps it, and given up when nobody waits for it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.mcp.hot.door import Answer, Door, opened
from toolgate import Tool, ToolContext, tool
from toolgate.surfaces.mcp import patience

SOON = 0.001


class Slow:
    """Tools that wait until they are let go."""

    def __init__(self) -> None:
        self.entered = asyncio.Event()
        self.proceed = asyncio.Event()
        self.loops: list[asyncio.AbstractEventLoop] = []

    def tools(self) -> list[Tool[Any, Any]]:
        """A read and a write."""

        @tool(effect="read", roles={"clerk"}, timeout=60)
        async def look() -> str:
            """Look for long."""
            return await self._wait()

        @tool(effect="write", roles={"clerk"}, timeout=60, idempotency="change:{workflow_id}")
        async def change(context: ToolContext[Any]) -> str:
            """Change for long."""
            return await self._wait()

        return [look, change]

    async def _wait(self) -> str:
        # Events of the test's loop: tools have one of their own.
        self.loops[0].call_soon_threadsafe(self.entered.set)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.proceed.wait(), self.loops[0]))
        return "done"


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.mark.req("X3.48")
async def test_an_answer_that_takes_long_ends_a_stream_that_was_kept_open(
    tmp_path: Path, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "FIRST_LOOK", SOON)
    monkeypatch.setattr(patience, "PING_EVERY", SOON)
    slow.loops.append(asyncio.get_running_loop())
    async with opened(tmp_path / "gate.db", offered=slow.tools(), sdk=False) as door:
        pinged = asyncio.Event()
        answering = asyncio.create_task(door.ask("look", {}, on_body=lambda _: pinged.set()))
        await pinged.wait()
        slow.proceed.set()
        answer: Answer = await answering

    assert (answer.status, answer.kind) == (200, "text/event-stream")
    assert answer.body.startswith(b": ping\r\n\r\n")
    assert answer.message["result"]["structuredContent"]["result"] == "done"


@pytest.mark.req("X3.48")
async def test_an_answer_within_the_first_moments_is_one_json_object(tmp_path: Path, slow: Slow) -> None:
    slow.loops.append(asyncio.get_running_loop())
    slow.proceed.set()
    async with opened(tmp_path / "gate.db", offered=slow.tools(), sdk=False) as door:
        answer: Answer = await door.ask("look", {})

    assert (answer.status, answer.kind) == (200, "application/json")


@pytest.mark.req("X3.48")
async def test_whoever_hangs_up_gives_up_a_read_and_not_what_was_begun(
    tmp_path: Path, slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "FIRST_LOOK", SOON)
    slow.loops.append(asyncio.get_running_loop())
    async with opened(tmp_path / "gate.db", offered=slow.tools(), sdk=False) as door:
        read = await _hung_up(door, slow, "look")
        slow.entered.clear()
        write = asyncio.create_task(_hung_up(door, slow, "change"))
        await slow.entered.wait()
        slow.proceed.set()
        await write
        records = [json.loads(row.record) async for row in door.gateway.store.records()]

    ended = {
        record["gen_ai.tool.name"]: record["toolgate.status"]
        for record in records
        if record["event"] == "llm_tool_call" and record["toolgate.transition"] == "settled"
    }
    assert read.message["result"]["structuredContent"]["error_type"] == "cancelled"
    assert ended == {"look": "failed", "change": "succeeded"}


async def _hung_up(door: Door, slow: Slow, name: str) -> Answer:
    gone = asyncio.Event()
    asking = asyncio.create_task(door.ask(name, {}, hang_up=gone))
    await slow.entered.wait()
    gone.set()
    return await asking
