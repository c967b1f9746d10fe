"""A held call as a task: for a client that knows them, until it is over, whatever becomes of the server meanwhile."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import mcp_types as types
import pytest
from mcp.shared.exceptions import MCPError

from tests.mcp.confirm.house import House, call
from tests.mcp.server.desk import MODERN, MODES, PATIENCE
from tests.mcp.tasks.house import RESEARCH, house, knowing
from tests.mcp.tasks.knowing import TASKS, KnowsTasks, asked, begun, get, over, update
from tests.rest.desk import ANN, LEA
from toolgate import Caller, PendingApproval
from toolgate.domain.rows import ByCall
from toolgate.surfaces.mcp.around import nested
from toolgate.surfaces.mcp.handlers import Answered, Ask, McpCall
from toolgate.surfaces.mcp.tasks import as_task
from toolgate.testing import FakeClock, FaultyStore


async def approval_of(gate: House, task_id: str) -> str:
    """What stands between a task and its end."""
    row = (await gate.desk.gateway.store.find(ByCall(task_id))).approval
    assert row is not None
    return row.approval_id


async def approve(gate: House, task_id: str) -> None:
    """A lead agrees."""
    approved = await gate.desk.gateway.approve(await approval_of(gate, task_id), by=LEA, reason="fine")
    assert not isinstance(approved, str), approved


@pytest.mark.req("X3.50", "X3.51")
async def test_a_held_call_is_a_task_that_works_until_a_person_agrees_and_then_holds_its_result(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as gate, knowing(gate) as client:
        created = await begun(client, "pay_more", order=1, cents=9000)
        waiting = await get(client.session, created.task_id)
        paid_before = list(gate.business.paid)
        await approve(gate, created.task_id)
        ended = await over(client.session, created.task_id)

    assert (created.status, waiting.status, paid_before) == ("working", "working", [])
    assert waiting.model_dump(exclude={"result_type", "input_requests", "result", "error"}) == (
        created.model_dump(exclude={"result_type"})
    )
    # It is kept for good, and says until when somebody may decide.
    assert created.ttl_ms is None
    assert created.poll_interval_ms == 5000
    assert created.status_message is not None
    assert created.status_message.startswith("Waiting for a person: ")
    assert " Nothing ran. Undecided, it ends at " in created.status_message
    assert (ended.status, ended.poll_interval_ms, ended.error) == ("completed", None, None)
    assert (ended.body["status"], ended.body["result"], ended.body["call_id"]) == (
        "succeeded",
        9000,
        created.task_id,
    )
    assert gate.business.paid == [(1, 9000)]


@pytest.mark.req("X3.50")
async def test_a_client_that_finishes_tasks_by_itself_sees_an_ordinary_result(tmp_path: Path) -> None:
    extension = KnowsTasks()
    async with house(tmp_path) as gate, knowing(gate, extension=extension) as client:
        calling = asyncio.create_task(call(client, "pay_more", cents=9000))
        await approve(gate, (await extension.created.get()).task_id)
        body = await calling

    assert (body["status"], body["result"]) == ("succeeded", 9000)


@pytest.mark.req("X3.50")
@pytest.mark.parametrize("mode", MODES)
async def test_a_client_that_says_nothing_of_tasks_gets_the_pending_outcome(
    tmp_path: Path, mode: str
) -> None:
    async with house(tmp_path) as gate, gate.client(mode) as client:
        body = await call(client, "pay_more", cents=9000)

    assert (body["status"], body["advice"]) == ("pending_approval", "wait_for_approval")


@pytest.mark.req("X3.50", "X3.47")
async def test_what_only_the_business_holds_is_a_task_too_and_for_other_clients_pending(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as gate, knowing(gate) as client, gate.client(MODERN) as other:
        created = await begun(client, "lend", book=7)
        pending = await asked(other, "lend", book=7)
        await approve(gate, created.task_id)
        ended = await over(client.session, created.task_id)

    assert isinstance(pending, types.CallToolResult)
    assert pending.structured_content is not None
    assert pending.structured_content["status"] == "pending_approval"
    assert pending.structured_content["call_id"] == created.task_id
    assert ended.body["result"] == "lent"


@pytest.mark.req("X3.50")
async def test_what_was_agreed_to_and_ran_before_its_task_was_told_is_answered_as_it_ended(
    tmp_path: Path,
) -> None:
    async def hurries(call: McpCall, ask: Ask) -> Answered:
        held = await ask()
        assert isinstance(held, PendingApproval)
        gateway = gate.desk.gateway
        assert not isinstance(await gateway.approve(held.approval_id, by=LEA, reason="fine"), str)
        assert (await gateway.wait_for(held, caller=ANN)).status == "succeeded"
        return held

    async with house(tmp_path, around=nested(as_task, hurries)) as gate, knowing(gate) as client:
        answered = await asked(client, "pay_more", order=1, cents=9000)

    assert isinstance(answered, types.CallToolResult)
    assert answered.structured_content is not None
    assert answered.structured_content["result"] == 9000


@pytest.mark.req("X3.50")
async def test_where_the_ledger_cannot_be_read_just_then_a_held_call_is_answered_as_held(
    tmp_path: Path,
) -> None:
    async def blinds(call: McpCall, ask: Ask) -> Answered:
        answer = await ask()
        store.fail_reads()
        return answer

    async def mends(call: McpCall, ask: Ask) -> Answered:
        answer = await ask()
        store.mend()
        return answer

    async with house(tmp_path, around=nested(mends, as_task, blinds)) as gate, knowing(gate) as client:
        world = gate.desk.gateway.world
        store = world.store = FaultyStore(world.store)
        answered = await asked(client, "pay_more", order=1, cents=9000)
        assert isinstance(answered, types.CallToolResult)
        look = await get(client.session, (answered.structured_content or {})["call_id"])

    assert answered.structured_content is not None
    assert answered.structured_content["status"] == "pending_approval"
    assert look.status == "working"


@pytest.mark.req("X3.50")
async def test_in_the_handshake_era_the_extension_is_nothing_and_nobody_gets_a_task_unasked(
    tmp_path: Path,
) -> None:
    async with (
        house(tmp_path) as gate,
        gate.client("legacy", extensions=[KnowsTasks()]) as client,
    ):
        body = await call(client, "pay_more", cents=9000)
        declared = client.server_capabilities
        with pytest.raises(MCPError) as refused:
            await update(client.session, body["call_id"], {})

    assert body["status"] == "pending_approval"
    assert declared.extensions is None
    assert refused.value.code == types.METHOD_NOT_FOUND


@pytest.mark.req("X3.50")
async def test_the_server_declares_the_extension_where_a_client_asks_what_it_has(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, knowing(gate) as client:
        told = await client.session.send_discover(MODERN)

    assert told["capabilities"]["extensions"] == {TASKS: {}}


@pytest.mark.req("X3.50")
async def test_what_is_not_held_is_no_task(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, knowing(gate) as client:
        answered = await asked(client, "pay_more", order=0)
        unknown = await asked(client, "get_call", call_id="call_never")
        with pytest.raises(MCPError) as refused:
            await asked(client, "burn")

    assert isinstance(answered, types.CallToolResult)
    assert isinstance(unknown, types.CallToolResult)
    assert refused.value.code == types.INVALID_PARAMS


@pytest.mark.req("X3.51")
async def test_a_denied_call_is_a_completed_task_whose_result_is_the_refusal(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, knowing(gate) as client:
        created = await begun(client, "pay_more", order=1, cents=9000)
        await gate.desk.gateway.deny(await approval_of(gate, created.task_id), by=LEA, reason="no")
        ended = await get(client.session, created.task_id)
        told = (await client.call_tool("get_call", {"call_id": created.task_id})).structured_content

    assert ended.status == "completed"
    assert ended.result is not None
    assert ended.result["isError"] is True
    assert ended.body["error_type"] == "approval_denied"
    assert ended.body == told
    assert ended.status_message == ended.body["message"]


@pytest.mark.req("X3.51")
async def test_a_call_that_nobody_decided_in_time_is_a_completed_task_with_that_refusal(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    async with house(tmp_path, clock=clock) as gate, knowing(gate) as client:
        created = await begun(client, "pay_more", order=1, cents=9000)
        clock.advance(3599)
        waiting = await get(client.session, created.task_id)
        clock.advance(2)
        ended = await get(client.session, created.task_id)

    assert (waiting.status, ended.status) == ("working", "completed")
    assert ended.body["error_type"] == "approval_expired"
    assert ended.last_updated_at > created.last_updated_at


@pytest.mark.req("X3.51")
async def test_a_tool_that_fails_ends_its_task_as_completed_with_an_error_in_the_result(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as gate, knowing(gate) as client:
        created = await begun(client, "tear", page=7)
        await approve(gate, created.task_id)
        ended = await over(client.session, created.task_id)

    assert ended.status == "completed"
    assert ended.result is not None
    assert ended.result["isError"] is True
    assert (ended.body["status"], ended.body["message"]) == ("failed", "the paper is too strong")


@pytest.mark.req("X3.51")
async def test_a_tool_that_its_caller_may_not_see_any_more_ends_its_task_with_the_error_of_the_protocol(
    tmp_path: Path,
) -> None:
    async def rights(user_id: str, tenant: str) -> Caller:
        return Caller(user_id, {"clerk"}, tenant)

    scholar = Caller(ANN.id, {"clerk", RESEARCH}, ANN.tenant)
    async with house(tmp_path, callers=rights) as gate, knowing(gate, scholar) as client:
        created = await begun(client, "archive")
        await approve(gate, created.task_id)
        ended = await over(client.session, created.task_id)

    assert (ended.status, ended.result) == ("failed", None)
    assert ended.error == {"code": types.INVALID_PARAMS, "message": "Unknown tool: archive"}


@pytest.mark.req("X3.51")
async def test_the_result_of_a_task_is_the_tools_own_content_where_the_tool_answers_that(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as gate, knowing(gate) as client:
        created = await begun(client, "page", number=7)
        await approve(gate, created.task_id)
        ended = await over(client.session, created.task_id)

    assert ended.result is not None
    result = types.CallToolResult.model_validate(ended.result)
    assert result.content == [types.TextContent(text="page 7")]
    assert result.meta is not None
    assert result.meta["dev.toolgate/outcome"]["status"] == "succeeded"


@pytest.mark.req("X3.51")
async def test_asking_again_for_what_waits_joins_its_task_and_for_what_ended_answers_at_once(
    tmp_path: Path,
) -> None:
    async with house(tmp_path) as gate, knowing(gate) as client:
        gate.business.slow = threading.Event()
        held = await begun(client, "pay", order=1)
        again = await begun(client, "pay", order=1)
        other = await begun(client, "pay", order=2)
        approval = await approval_of(gate, held.task_id)
        assert not isinstance(await gate.desk.gateway.approve(approval, by=ANN, reason="yes"), str)
        await asyncio.to_thread(gate.business.entered.wait, PATIENCE)
        running = await asked(client, "pay", order=1)
        look = await get(client.session, held.task_id)
        gate.business.slow.set()
        await over(client.session, held.task_id)
        after = await asked(client, "pay", order=1)

    assert again.task_id == held.task_id != other.task_id
    # What runs is no second task, and nobody is told that it waits.
    assert isinstance(running, types.CallToolResult)
    assert running.structured_content is not None
    assert running.structured_content["error_type"] == "idempotency_in_flight"
    assert (look.status, look.poll_interval_ms) == ("working", 1000)
    assert isinstance(after, types.CallToolResult)
    assert after.structured_content is not None
    assert (after.structured_content["replayed"], after.structured_content["result"]) == (True, 500)
    assert gate.business.paid == [(1, 500)]


@pytest.mark.req("X3.51")
async def test_a_task_outlives_the_server_that_began_it(tmp_path: Path) -> None:
    async with house(tmp_path) as gate:
        token = await gate.desk.token()
        async with knowing(gate, token) as client:
            created = await begun(client, "pay_more", order=1, cents=9000)

    async with house(tmp_path) as gate, knowing(gate, token) as client:
        waiting = await get(client.session, created.task_id)
        await approve(gate, created.task_id)
        ended = await over(client.session, created.task_id)
        paid = list(gate.business.paid)

    async with house(tmp_path) as gate, knowing(gate, token) as client:
        once_more = await get(client.session, created.task_id)

    assert waiting.created_at == created.created_at
    assert (ended.status, ended.body["result"]) == ("completed", 9000)
    assert once_more == ended
    assert paid == [(1, 9000)]


@pytest.mark.req("X3.51")
async def test_of_a_call_that_two_gateways_know_either_tells_the_same(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, house(tmp_path) as replica:
        token = await gate.desk.token()
        async with knowing(gate, token) as client, knowing(replica, token) as beside:
            created = await begun(client, "pay_more", order=1, cents=9000)
            here, there = (
                await get(client.session, created.task_id),
                await get(beside.session, created.task_id),
            )
            joined = await begun(beside, "pay_more", order=1, cents=9000)

    assert here == there
    assert joined.task_id == created.task_id
