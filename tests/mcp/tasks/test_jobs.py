"""Jobs as tasks, for clients of either era; for any other client the tools that look after a job."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from mcp.shared.exceptions import MCPError

from tests.long_work import Stock, until
from tests.mcp.confirm.house import CLIENT
from tests.mcp.server.desk import LEGACY, MODERN, ByHand, by_hand, meta
from tests.mcp.server.desk import told as told_by
from tests.mcp.tasks.house import house as tasks_house
from tests.mcp.tasks.house import knowing
from tests.mcp.tasks.knowing import begun, cancel, get, over
from tests.mcp.tasks.test_held import approve
from tests.rest.desk import ANN, BOB
from toolgate.adapters.clock import SystemClock
from toolgate.adapters.jobs.passing import PassingJobs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.mcp.confirm.house import House

pytestmark = pytest.mark.req("X3.71", "M7.2")


@pytest.fixture
async def stock() -> AsyncIterator[Stock]:
    stock = Stock()
    yield stock
    stock.proceed.set()


@asynccontextmanager
async def house(folder: Path, stock: Stock) -> AsyncIterator[House]:
    """A server whose tools are jobs."""
    clock = SystemClock()
    engine = PassingJobs(clock, concurrency=16)
    async with tasks_house(folder, more=stock.tools(), jobs=engine) as gate:
        try:
            yield gate
        finally:
            stock.proceed.set()


async def told(gate: House, task_id: str) -> None:
    """Until its tool's word on how far it is has been kept."""

    async def said() -> bool:
        job = await gate.desk.gateway.store.job(task_id.replace("call_", "job_"))
        return job is not None and job.progress_at is not None

    await until(said)


# --- 2026-07-28


async def test_a_job_is_a_task_that_says_how_far_it_is_and_holds_its_result_at_the_end(
    tmp_path: Path, stock: Stock
) -> None:
    async with house(tmp_path, stock) as gate, knowing(gate) as client:
        created = await begun(client, "count", shelves=3)
        await stock.begun()
        await told(gate, created.task_id)
        working = await get(client.session, created.task_id)
        stock.proceed.set()
        ended = await over(client.session, created.task_id)

    assert (created.status, created.poll_interval_ms) == ("working", 1000)
    assert (working.status, working.status_message) == ("working", "1 of 3: at the first shelf of north")
    assert (ended.status, ended.body["status"], ended.body["result"]) == ("completed", "succeeded", 21)
    assert ended.body["call_id"] == created.task_id


async def test_a_client_that_knows_tasks_sees_one_call_and_its_end(tmp_path: Path, stock: Stock) -> None:
    stock.proceed.set()
    async with house(tmp_path, stock) as gate, knowing(gate) as client:
        result = await client.call_tool("count", {"shelves": 2})
    assert result.structured_content is not None
    assert result.structured_content["result"] == 14


async def test_a_job_that_failed_is_a_completed_task_with_the_failure_as_its_result(
    tmp_path: Path, stock: Stock
) -> None:
    async with house(tmp_path, stock) as gate, knowing(gate) as client:
        created = await begun(client, "miscount", shelves=3)
        ended = await over(client.session, created.task_id)
    assert (ended.status, ended.body["error_type"]) == ("completed", "tool_error")


async def test_cancelling_a_task_ends_its_job(tmp_path: Path, stock: Stock) -> None:
    async with house(tmp_path, stock) as gate, knowing(gate) as client:
        created = await begun(client, "count", shelves=3)
        await stock.begun()
        await cancel(client.session, created.task_id)
        ended = await over(client.session, created.task_id)
        job = await gate.desk.gateway.store.job(created.task_id.replace("call_", "job_"))

    assert (ended.status, ended.result) == ("cancelled", None)
    assert job is not None
    assert job.cancel_reason == "cancelled through mcp: Reading Room 4.2"


async def test_a_held_job_is_one_task_from_the_question_to_the_end(tmp_path: Path, stock: Stock) -> None:
    stock.proceed.set()
    async with house(tmp_path, stock) as gate, knowing(gate) as client:
        created = await begun(client, "appraise", shelves=3)
        await approve(gate, created.task_id)
        ended = await over(client.session, created.task_id)
    assert (ended.status, ended.body["result"]) == ("completed", 300)


async def test_nobody_else_finds_the_task_of_a_job(tmp_path: Path, stock: Stock) -> None:
    async with house(tmp_path, stock) as gate, knowing(gate) as ann, knowing(gate, BOB) as bob:
        created = await begun(ann, "count", shelves=3)
        for ask in (get, cancel):
            with pytest.raises(MCPError, match="Task not found"):
                await ask(bob.session, created.task_id)


# --- 2025-11-25, whose tasks no client of the SDK speaks


class Older:
    """A client of 2025-11-25 that knows tasks, by hand."""

    def __init__(self, hand: ByHand) -> None:
        self._hand = hand

    async def send(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer to a message: its result, or its error."""
        body = {"jsonrpc": "2.0", "id": 9, "method": method, "params": params}
        return told_by(await self._hand.http.post("/mcp", json=body, headers=self._hand.headers()))

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The answer to a call that asks for a task."""
        return await self.send(
            "tools/call", name=tool, arguments=arguments, task={"ttl": 60_000}, _meta=meta()
        )

    async def task(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The task that such a call is answered with."""
        answer = await self.call(tool, **arguments)
        assert set(answer["result"]) == {"task"}, answer
        return dict(answer["result"]["task"])

    async def look(self, task_id: str) -> dict[str, Any]:
        """How it stands."""
        return dict((await self.send("tasks/get", taskId=task_id))["result"])


@asynccontextmanager
async def older(gate: House, caller: Any = ANN) -> AsyncIterator[Older]:
    """A client of 2025-11-25."""
    async with by_hand(gate.desk, "legacy", await gate.desk.token(caller)) as hand:
        yield Older(hand)


async def test_a_client_of_2025_asks_for_a_task_and_reads_its_result(tmp_path: Path, stock: Stock) -> None:
    async with house(tmp_path, stock) as gate, older(gate) as client:
        task = await client.task("count", shelves=3)
        await stock.begun()
        await told(gate, task["taskId"])
        working = await client.look(task["taskId"])
        asked = asyncio.create_task(client.send("tasks/result", taskId=task["taskId"]))
        stock.proceed.set()
        result = (await asked)["result"]
        ended = await client.look(task["taskId"])

    assert (task["status"], task["ttl"], task["pollInterval"]) == ("working", None, 1000)
    assert (working["status"], working["statusMessage"]) == ("working", "1 of 3: at the first shelf of north")
    assert result["structuredContent"]["result"] == 21
    assert result["_meta"] == {"io.modelcontextprotocol/related-task": {"taskId": task["taskId"]}}
    assert ended["status"] == "completed"


async def test_a_client_of_2025_ends_a_job_and_is_not_told_that_it_ended_before_it_has(
    tmp_path: Path, stock: Stock
) -> None:
    async with house(tmp_path, stock) as gate, older(gate) as client:
        task_id = (await client.task("count", shelves=3))["taskId"]
        await stock.begun()
        answer = await client.send("tasks/cancel", taskId=task_id)

        async def cancelled() -> bool:
            return bool((await client.look(task_id))["status"] == "cancelled")

        await until(cancelled)
        again = await client.send("tasks/cancel", taskId=task_id)
    assert answer["result"]["status"] in {"working", "cancelled"}
    assert (again["error"]["code"], "over already" in again["error"]["message"]) == (-32602, True)


async def test_a_task_of_2025_is_its_callers_alone_and_only_tools_that_say_so_have_one(
    tmp_path: Path, stock: Stock
) -> None:
    async with house(tmp_path, stock) as gate, older(gate) as ann, older(gate, BOB) as bob:
        tools = (await ann.send("tools/list"))["result"]["tools"]
        listed = {tool["name"]: tool.get("execution") for tool in tools}
        task_id = (await ann.task("count", shelves=3))["taskId"]
        theirs = [
            await bob.send(method, taskId=task_id) for method in ("tasks/get", "tasks/result", "tasks/cancel")
        ]
        refused = await ann.call("get_job", job_id="job_none")
        unknown = await ann.call("no_such_tool")
        updated = await ann.send("tasks/update", taskId=task_id, inputResponses={})
    assert [each["error"] for each in theirs] == [{"code": -32602, "message": "Task not found"}] * 3
    assert listed["count"] == {"taskSupport": "optional"}
    assert listed["get_job"] is None
    assert refused["error"]["code"] == -32601
    assert unknown["error"]["code"] == -32602
    assert updated["error"]["code"] == -32601


async def test_a_call_that_ended_at_once_is_a_task_that_is_over(tmp_path: Path, stock: Stock) -> None:
    async with house(tmp_path, stock) as gate, older(gate) as client:
        task = await client.task("count", shelves=100)
        ended = await client.send("tasks/result", taskId=task["taskId"])
    assert task["status"] == "completed"
    assert ended["result"]["structuredContent"]["error_type"] == "invalid_arguments"


async def test_only_2025_is_told_of_the_tasks_that_only_it_knows(tmp_path: Path, stock: Stock) -> None:
    said = {}
    async with house(tmp_path, stock) as gate, gate.desk.raw(await gate.desk.token(ANN)) as http:
        for version in (LEGACY, "2025-06-18"):
            params = {
                "protocolVersion": version,
                "capabilities": {},
                "clientInfo": {"name": "t", "version": "1"},
            }
            body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
            answer = told_by(await http.post("/mcp", json=body))
            said[version] = answer["result"]["capabilities"].get("tasks")
    assert said == {LEGACY: {"cancel": {}, "requests": {"tools": {"call": {}}}}, "2025-06-18": None}


# --- any client


@pytest.mark.parametrize("mode", ["legacy", MODERN])
async def test_a_client_without_tasks_looks_after_a_job_by_tools(
    tmp_path: Path, stock: Stock, mode: str
) -> None:
    async with house(tmp_path, stock) as gate, gate.desk.client(ANN, mode, client_info=CLIENT) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        started = (await client.call_tool("count", {"shelves": 3})).structured_content
        assert started is not None
        await stock.begun()
        await told(gate, started["call_id"])
        running = (await client.call_tool("get_job", {"job_id": started["job_id"]})).structured_content
        ended = (
            await client.call_tool("cancel_job", {"job_id": started["job_id"], "reason": "not needed"})
        ).structured_content
        call = (
            await client.call_tool("get_call", {"call_id": started["call_id"], "wait_seconds": 30})
        ).structured_content
    assert {"get_job", "cancel_job", "get_call"} <= set(names)
    assert (started["status"], started["advice"]) == ("started", "check_job")
    assert running is not None
    assert running["result"]["state"] == "running"
    assert running["result"]["progress"]["done"] == 1
    assert ended is not None
    assert ended["result"]["cancel"]["reason"] == "not needed"
    assert call is not None
    assert call["error_type"] == "cancelled"


@pytest.mark.parametrize("mode", ["legacy", MODERN])
async def test_whoever_waits_with_a_progress_token_hears_how_far_it_is(
    tmp_path: Path, stock: Stock, mode: str
) -> None:
    heard: asyncio.Queue[tuple[float, float | None, str | None]] = asyncio.Queue()

    async def listen(progress: float, total: float | None, message: str | None) -> None:
        heard.put_nowait((progress, total, message))

    async with house(tmp_path, stock) as gate, gate.desk.client(ANN, mode, client_info=CLIENT) as client:
        started = (await client.call_tool("count", {"shelves": 3})).structured_content
        assert started is not None
        await stock.begun()
        await told(gate, started["call_id"])
        waiting = asyncio.create_task(
            client.call_tool(
                "get_call",
                {"call_id": started["call_id"], "wait_seconds": 30},
                progress_callback=listen,
            )
        )
        first = await heard.get()
        stock.proceed.set()
        ended = (await waiting).structured_content
    assert first == (1.0, 3.0, "at the first shelf of north")
    assert ended is not None
    assert ended["result"] == 21
