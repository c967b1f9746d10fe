"""An approved call that meets a blocked loop, a slow store or its deadline: held still, or known not to have run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.execution.stage import ANN, BOB, Halt, Ledger, drive, flights_over, happened, row, stage, trail
from tests.people import decide_approval
from toolgate import Approval, Caller, Gateway, Limits, PendingApproval, Succeeded, ToolContext, Unknown, tool
from toolgate.testing import FakeClock

pytestmark = pytest.mark.req("X2.15")
BOSS = Caller("eve", roles={"boss"}, tenant="acme")


def paying(ran: list[int], **more: Any) -> Any:
    @tool(
        effect="write",
        roles={"support"},
        timeout=5,
        idempotency="pay:{order}",
        approval=Approval(reason="always", approvers={"boss"}),
        **more,
    )
    async def pay(order: int) -> str:
        """Pay."""
        ran.append(order)
        return "paid"

    return pay


async def approved(gateway: Gateway) -> PendingApproval:
    held = await gateway.call("pay", {"order": 1}, caller=ANN)
    assert isinstance(held, PendingApproval)
    decided = await decide_approval(gateway, held.approval_id, "approve", voter=BOSS, reason="seen")
    assert not isinstance(decided, str)
    return held


@pytest.mark.req("M6.12")
async def test_an_approved_call_that_finds_every_loop_blocked_stays_approved_and_runs_later(
    clock: FakeClock,
) -> None:
    ran: list[int] = []
    halt = Halt()

    @tool(effect="read", roles={"support"}, timeout=5)
    async def stare() -> str:
        """Block."""
        halt.block()
        return "seen"

    async with stage(paying(ran), stare, clock=clock, limits=Limits(tool_loops=1)) as gateway:
        held = await approved(gateway)
        before = await row(gateway, held.call_id)
        call = asyncio.create_task(gateway.call(stare, {}, caller=BOB))
        await halt.reached()
        clock.advance(5.1)
        await call
        await gateway.sweep()
        async with asyncio.timeout(10):
            while held.call_id in gateway.world.flights:  # noqa: ASYNC110 - it ends in another thread
                await asyncio.sleep(0.005)
        assert await row(gateway, held.call_id) == before
        halt.go_on.set()
        async with asyncio.timeout(10):
            while not isinstance(await gateway.get_call(held.call_id, caller=ANN), Succeeded):
                await gateway.sweep()
                await flights_over(gateway)

    assert ran == [1]


@pytest.mark.req("M6.3")
async def test_an_approved_call_given_up_before_its_gates_are_passed_is_left_as_it_was(
    clock: FakeClock,
) -> None:
    ran: list[int] = []
    halt = Halt()
    blocking: list[bool] = []

    def authorize(context: ToolContext[Any], args: Any) -> bool:
        if blocking:
            blocking.clear()
            halt.block()
        return True

    async with stage(paying(ran, authorize=authorize), clock=clock) as gateway:
        held = await approved(gateway)
        before, events = await row(gateway, held.call_id), await trail(gateway, held.call_id)
        blocking.append(True)
        sweep = asyncio.create_task(gateway.sweep())
        await halt.reached()
        clock.advance(5.1)
        async with asyncio.timeout(10):
            while not all(flight.answered for flight in list(gateway.world.flights.values())):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        halt.go_on.set()
        await flights_over(gateway)
        await sweep
        assert await row(gateway, held.call_id) == before
        assert await trail(gateway, held.call_id) == events
        await gateway.sweep()
        await flights_over(gateway)
        outcome = await gateway.get_call(held.call_id, caller=ANN)

    assert isinstance(outcome, Succeeded)
    assert ran == [1]


@pytest.mark.req("X1.3", "M10.14")
async def test_an_approval_consumed_by_a_store_that_woke_too_late_runs_nothing_and_leaves_no_doubt(
    clock: FakeClock,
) -> None:
    ran: list[int] = []
    store = Ledger(clock)
    async with stage(paying(ran), clock=clock, store=store) as gateway:
        held = await approved(gateway)
        store.hold("Dispatch")
        await gateway.sweep()
        await happened(store.reached["Dispatch"])
        clock.advance(5.1)
        store.let_go("Dispatch")
        await flights_over(gateway)
        kept = await row(gateway, held.call_id)

    assert ran == []
    assert kept.effect_state == "not_applied"


async def test_an_approved_write_that_takes_too_long_is_unknown_and_its_late_word_is_heard(
    clock: FakeClock,
) -> None:
    halt = Halt()

    @tool(
        effect="write",
        roles={"support"},
        timeout=5,
        idempotency="pay:{order}",
        approval=Approval(reason="always", approvers={"boss"}),
    )
    async def pay(order: int) -> str:
        """Pay."""
        await halt.stubbornly()
        return "paid"

    async with stage(pay, clock=clock) as gateway:
        held = await approved(gateway)
        await gateway.sweep()
        await halt.reached()
        waiting: asyncio.Task[Any] = asyncio.create_task(gateway.wait_for(held, caller=ANN, timeout=60))
        clock.advance(5.1)
        outcome = await drive(waiting, clock, step=0.1, beside=0)
        halt.go_on.set()
        await flights_over(gateway)
        known = await gateway.get_call(held.call_id, caller=ANN)

    assert isinstance(outcome, Unknown)
    assert known.unwrap() == "paid"
