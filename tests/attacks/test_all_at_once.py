"""The same moment for everything: duplicates, decisions, expiry, housekeeping and closing."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from tests.machines.stage import landed, sweep
from tests.small_gate import ANA, opened, trail
from toolgate import Approval, Caller, PendingApproval, Tool, tool
from toolgate.operations.verify_audit import verify_audit
from toolgate.ports import ApprovalFilter
from toolgate.testing import FakeClock

LEADS = [Caller(f"lead-{number}", {"lead"}, "acme") for number in range(6)]
Number = Annotated[int, Field(ge=0, le=1000)]


def payer(ran: list[int], *, version: str = "1", held: bool = False) -> Tool[Any, int]:
    @tool(
        effect="write",
        roles={"support"},
        idempotency="pay:{number}:{workflow_id}",
        version=version,
        approval=Approval(approvers={"lead"}, quorum=2, expires_in="1h") if held else None,
    )
    async def pay(number: Number) -> int:
        """Pay a number back."""
        ran.append(number)
        await asyncio.sleep(0)
        return number

    return pay


@pytest.mark.req("M9.17", "M9.5", "X1.16")
async def test_of_two_hundred_duplicates_at_two_gateways_with_housekeeping_one_runs(tmp_path: Path) -> None:
    ran: list[int] = []
    async with opened([payer(ran)], tmp_path) as one, opened([payer(ran)], tmp_path) as two:
        calls = [
            gateway.call("pay", {"number": number % 5}, caller=ANA, workflow="wf")
            for number in range(100)
            for gateway in (one, two)
        ]
        rounds = [gateway.sweep() for gateway in (one, two) for _ in range(5)]
        outcomes = (await asyncio.gather(*calls, *rounds))[: len(calls)]
        intact = (await verify_audit(one.store)).intact

    assert Counter(ran) == dict.fromkeys(range(5), 1)
    assert intact
    for outcome in outcomes:
        assert outcome is not None
        said = getattr(outcome, "error_type", None)
        assert outcome.status == "succeeded" or said == "idempotency_in_flight"


@pytest.mark.req("X2.6", "X2.7", "X2.9", "M5.12")
@pytest.mark.parametrize("late", [0.0, 3600.0])
async def test_approve_deny_expire_and_pick_up_at_once_end_in_one_state_and_at_most_one_run(
    late: float, tmp_path: Path
) -> None:
    ran: list[int] = []
    clock = FakeClock()
    tried = payer(ran, held=True)
    async with opened([tried], tmp_path, clock=clock) as one, opened([tried], tmp_path, clock=clock) as two:
        outcomes = [await one.call(tried, {"number": n}, caller=ANA, workflow="wf") for n in range(8)]
        clock.advance(late)
        work: list[Any] = []
        for place, outcome in enumerate(outcomes):
            assert isinstance(outcome, PendingApproval)
            decide = (one, two)[place % 2].approve
            work += [decide(outcome.approval_id, by=voter, reason="fine") for voter in LEADS[:4]]
            work.append(two.deny(outcome.approval_id, by=LEADS[5], reason="no"))
            work += [one.sweep(), two.sweep()]
        await asyncio.gather(*work)
        for gateway in (one, two, one, two):
            await sweep(gateway)
        rows = await one.store.approvals(ApprovalFilter(open_only=False))
        states = Counter(row.state.value for row in rows)
        events = [event["toolgate.transition"] for event in await trail(one)]

    assert max(Counter(ran).values(), default=0) <= 1
    assert len(ran) == states["consumed"] == events.count("intended")
    assert sum(states.values()) == 8
    assert set(states) <= ({"expired"} if late else {"consumed", "denied"})


@pytest.mark.req("X2.11", "M9.17")
async def test_two_gateways_with_two_versions_of_a_contract_run_a_held_call_at_most_once(
    tmp_path: Path,
) -> None:
    ran: list[int] = []
    old, new = payer(ran, held=True), payer(ran, held=True, version="2")
    async with opened([old], tmp_path) as before, opened([new], tmp_path) as after:
        held = await before.call(old, {"number": 1}, caller=ANA, workflow="wf")
        again = await after.call(new, {"number": 1}, caller=ANA, workflow="wf")
        assert isinstance(held, PendingApproval)
        assert again.call_id == held.call_id
        for voter in LEADS[:2]:
            await after.approve(held.approval_id, by=voter, reason="fine")
        await asyncio.gather(after.sweep(), before.sweep())
        await landed(before)
        await landed(after)
        (row,) = await before.store.approvals(ApprovalFilter(open_only=False))

    assert (ran, row.state.value) in [([1], "consumed"), ([], "cancelled")]


@pytest.mark.req("M5.10", "X1.2", "M10.14")
async def test_a_gateway_closed_while_calls_fly_answers_each_and_leaves_no_intent_open(
    tmp_path: Path,
) -> None:
    ran: list[int] = []
    entered, released = threading.Event(), threading.Event()

    @tool(effect="write", roles={"support"}, idempotency="pay:{number}:{workflow_id}")
    async def pay(number: Number) -> int:
        """Pay a number back."""
        entered.set()
        await asyncio.to_thread(released.wait, 10)
        ran.append(number)
        return number

    async with opened([pay], tmp_path) as gateway:
        calls = [
            asyncio.create_task(gateway.call(pay, {"number": n}, caller=ANA, workflow="wf")) for n in range(6)
        ]
        assert await asyncio.to_thread(entered.wait, 10)
        threading.Timer(0, released.set).start()
    outcomes = await asyncio.gather(*calls)

    async with opened([pay], tmp_path) as gateway:
        states = [(await gateway.get_call(outcome.call_id, caller=ANA)).effect for outcome in outcomes]

    assert [outcome.effect for outcome in outcomes] == states
    assert set(states) == {"applied"}
    assert sorted(ran) == list(range(6))
