"""Cancelling a task: what waits is withdrawn, what has begun is not called back, and nothing is undone."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from tests.mcp.confirm.house import YES, User
from tests.mcp.server.desk import PATIENCE
from tests.mcp.tasks.house import house, knowing
from tests.mcp.tasks.knowing import begun, cancel, get, over
from tests.mcp.tasks.test_held import approval_of, approve
from tests.rest.desk import ANN, LEA, OLA
from toolgate.domain.lifecycle import ApprovalState
from toolgate.domain.principal import Declined, in_person
from toolgate.operations.withdraw import withdraw

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.req("X3.54")


async def test_what_waits_for_a_person_is_withdrawn_and_never_runs(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, knowing(gate) as client:
        created = await begun(client, "pay_more", order=1, cents=9000)
        approval_id = await approval_of(gate, created.task_id)
        await cancel(client.session, created.task_id)
        cancelled = await get(client.session, created.task_id)
        late = await gate.desk.gateway.approve(approval_id, by=LEA, reason="fine")
        row = await gate.approval(approval_id)

    assert (cancelled.status, cancelled.result, cancelled.error) == ("cancelled", None, None)
    assert cancelled.status_message == "It was withdrawn. Nothing ran."
    assert isinstance(late, str)
    assert (row.state, row.ended_by, row.reason) == (
        ApprovalState.CANCELLED,
        "ann",
        "cancelled through mcp: Reading Room 4.2",
    )
    assert gate.business.paid == []


async def test_what_waits_for_its_own_caller_is_withdrawn_too(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, knowing(gate, elicitation_callback=User(YES)) as client:
        created = await begun(client, "pay", order=1)
        await cancel(client.session, created.task_id)
        cancelled = await get(client.session, created.task_id)

    assert (cancelled.status, cancelled.input_requests) == ("cancelled", None)


async def test_what_was_cancelled_may_be_asked_for_again_and_is_another_task(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, knowing(gate) as client:
        first = await begun(client, "pay_more", order=1, cents=9000)
        await cancel(client.session, first.task_id)
        second = await begun(client, "pay_more", order=1, cents=9000)
        await approve(gate, second.task_id)
        ended = await over(client.session, second.task_id)
        before = await get(client.session, first.task_id)

    assert first.task_id != second.task_id
    assert (before.status, ended.body["status"]) == ("cancelled", "succeeded")
    assert gate.business.paid == [(1, 9000)]


async def test_what_somebody_else_withdrew_is_a_cancelled_task(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, knowing(gate) as client:
        created = await begun(client, "pay_more", order=1, cents=9000)
        approval_id = await approval_of(gate, created.task_id)
        gone = await gate.desk.gateway.operate(
            withdraw, approval_id, by=in_person(OLA), reason="the shop is shut"
        )
        cancelled = await get(client.session, created.task_id)

    assert not isinstance(gone, Declined)
    assert cancelled.status == "cancelled"
    assert "the shop is shut" not in str(cancelled)


async def test_what_was_agreed_to_and_has_begun_runs_to_its_end(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, knowing(gate) as client:
        gate.business.slow = threading.Event()
        created = await begun(client, "pay", order=1)
        approval_id = await approval_of(gate, created.task_id)
        assert not isinstance(await gate.desk.gateway.approve(approval_id, by=ANN, reason="yes"), str)
        await asyncio.to_thread(gate.business.entered.wait, PATIENCE)
        await cancel(client.session, created.task_id)
        running = await get(client.session, created.task_id)
        gate.business.slow.set()
        ended = await over(client.session, created.task_id)

    assert (running.status, ended.status, ended.body["status"]) == ("working", "completed", "succeeded")
    assert gate.business.paid == [(1, 500)]


async def test_what_is_over_stays_as_it_ended(tmp_path: Path) -> None:
    async with house(tmp_path) as gate, knowing(gate) as client:
        created = await begun(client, "pay_more", order=1, cents=9000)
        await approve(gate, created.task_id)
        ended = await over(client.session, created.task_id)
        for _ in range(2):
            await cancel(client.session, created.task_id)
        after = await get(client.session, created.task_id)

    assert after == ended
