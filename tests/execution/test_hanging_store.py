"""A store that does not answer: the agent is answered all the same, truly, and nothing runs on its own afterwards."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.execution.stage import ANN, Halt, Ledger, drive, flights_over, happened, row, stage, until
from toolgate import Approval, Failed, PendingApproval, Refused, Succeeded, Unknown, tool
from toolgate.domain.commands import Lapse
from toolgate.domain.rows import ByCall
from toolgate.testing import FakeClock

pytestmark = pytest.mark.req("M10.14")
GRACE = 10.0


@pytest.fixture
def store(clock: FakeClock) -> Ledger:
    return Ledger(clock)


def paying(ran: list[int], **more: Any) -> Any:
    @tool(effect="write", roles={"support"}, timeout=5, idempotency="pay:{order}", **more)
    async def pay(order: int) -> str:
        """Pay."""
        ran.append(order)
        return "paid"

    return pay


async def past_grace(call: asyncio.Task[Any], clock: FakeClock) -> Any:
    """The answer that comes once the deadline and the store's grace are over."""
    clock.advance(5.1)
    return await drive(call, clock, step=0.5, beside=0)


@pytest.mark.req("X1.3", "M6.2")
async def test_an_intent_that_hangs_is_answered_and_what_it_would_have_permitted_never_runs(
    clock: FakeClock, store: Ledger
) -> None:
    ran: list[int] = []
    pay = paying(ran)
    async with stage(pay, clock=clock, store=store) as gateway:
        store.hold("Intend")
        call = asyncio.create_task(gateway.call(pay, {"order": 1}, caller=ANN))
        await happened(store.reached["Intend"])
        outcome = await past_grace(call, clock)
        store.let_go("Intend")
        await flights_over(gateway)
        kept = await row(gateway, outcome.call_id)
        again = await gateway.call(pay, {"order": 1}, caller=ANN)

    assert outcome.effect == "none"
    assert kept.effect_state in {None, "not_applied"}
    assert isinstance(again, Succeeded)
    assert not again.replayed
    assert ran == [1]


@pytest.mark.req("X1.3")
@pytest.mark.parametrize("order", [("Intend", "Settle"), ("Settle", "Intend")], ids=" then ".join)
async def test_in_whatever_order_a_store_wakes_up_a_call_that_never_ran_leaves_no_doubt(
    order: tuple[str, str], clock: FakeClock, store: Ledger
) -> None:
    ran: list[int] = []
    pay = paying(ran)
    async with stage(pay, clock=clock, store=store) as gateway:
        store.hold("Intend")
        store.hold("Settle")
        call = asyncio.create_task(gateway.call(pay, {"order": 1}, caller=ANN))
        await happened(store.reached["Intend"])
        clock.advance(5.1)
        await happened(store.reached["Settle"])
        outcome = await drive(call, clock, step=0.5, beside=0)
        for name in order:
            written = len(store.written)
            store.let_go(name)
            await until(lambda written=written: len(store.written) > written)  # type: ignore[misc]
        await flights_over(gateway)
        await gateway.sweep()
        kept = await row(gateway, outcome.call_id)
        again = await gateway.call(pay, {"order": 1}, caller=ANN)

    assert isinstance(outcome, Refused)
    assert (outcome.error_type, outcome.effect, outcome.advice) == (
        "audit_unavailable",
        "none",
        "retry_later",
    )
    assert kept.effect_state in {None, "not_applied"}
    assert isinstance(again, Succeeded)
    assert ran == [1]


async def test_a_settlement_that_hangs_is_answered_as_unknown_and_the_ledger_knows_better_later(
    clock: FakeClock, store: Ledger
) -> None:
    ran: list[int] = []
    pay = paying(ran)
    async with stage(pay, clock=clock, store=store) as gateway:
        store.hold("Settle")
        call = asyncio.create_task(gateway.call(pay, {"order": 1}, caller=ANN))
        await happened(store.reached["Settle"])
        outcome = await past_grace(call, clock)
        assert isinstance(outcome, Unknown)
        store.let_go("Settle")
        await flights_over(gateway)
        known = await gateway.get_call(outcome.call_id, caller=ANN)

    assert known.unwrap() == "paid"
    assert ran == [1]


@pytest.mark.req("X1.9")
async def test_a_gateway_that_closes_while_an_end_is_being_recorded_loses_nothing_of_it(
    clock: FakeClock, store: Ledger
) -> None:
    ran: list[int] = []
    pay = paying(ran)
    async with stage(pay, clock=clock, store=store) as gateway:
        store.hold("Settle")
        call = asyncio.create_task(gateway.call(pay, {"order": 1}, caller=ANN))
        await happened(store.reached["Settle"])
        outcome = await past_grace(call, clock)
        clock.advance(60)
        found = (await store.inner.find(ByCall(outcome.call_id))).call
        assert found is not None
        await store.inner.execute(Lapse(found.call_id, "another replica"))
        store.reached["Settle"].clear()
        closing = asyncio.create_task(gateway.__aexit__(None, None, None))
        await happened(store.reached["Settle"])
        store.let_go("Settle")
        await closing
        kept = (await store.inner.find(ByCall(outcome.call_id))).call

    assert isinstance(outcome, Unknown)
    assert kept is not None
    assert kept.effect_state == "applied"
    assert ran == [1]


async def test_giving_up_a_dispatched_write_on_a_store_that_hangs_is_unknown(
    clock: FakeClock, store: Ledger
) -> None:
    halt = Halt()

    @tool(effect="write", roles={"support"}, timeout=5, idempotency="pay:{order}")
    async def pay(order: int) -> str:
        """Pay."""
        await halt.stubbornly()
        return "paid"

    async with stage(pay, clock=clock, store=store) as gateway:
        call = asyncio.create_task(gateway.call(pay, {"order": 1}, caller=ANN))
        await halt.reached()
        store.hold("Settle")
        outcome = await past_grace(call, clock)
        halt.go_on.set()
        # The late word comes before the settlement that was to say "unknown".
        await until(lambda: "LateEvidence" in store.written)
        store.let_go("Settle")
        await flights_over(gateway)
        kept = await row(gateway, outcome.call_id)

    assert isinstance(outcome, Unknown)
    assert kept.effect_state == "applied"


@pytest.mark.req("X5.5")
async def test_a_read_whose_record_hangs_is_withheld(clock: FakeClock, store: Ledger) -> None:
    @tool(effect="read", roles={"support"}, timeout=5)
    async def look() -> str:
        """Look."""
        return "the secret of the house"

    async with stage(look, clock=clock, store=store) as gateway:
        store.hold("Record")
        call = asyncio.create_task(gateway.call(look, {}, caller=ANN))
        await happened(store.reached["Record"])
        outcome = await past_grace(call, clock)
        store.let_go("Record")
        await flights_over(gateway)

    assert isinstance(outcome, Failed)
    assert (outcome.error_type, outcome.effect) == ("audit_unavailable", "none")
    assert "secret" not in str(outcome)


async def test_a_refusal_whose_record_hangs_is_no_doubt_about_the_world(
    clock: FakeClock, store: Ledger
) -> None:
    ran: list[int] = []
    pay = paying(ran, authorize=lambda context, args: context is args)
    async with stage(pay, clock=clock, store=store) as gateway:
        store.hold("Record")
        call = asyncio.create_task(gateway.call(pay, {"order": 1}, caller=ANN))
        await happened(store.reached["Record"])
        outcome = await past_grace(call, clock)
        store.let_go("Record")
        await flights_over(gateway)

    assert isinstance(outcome, Refused)
    assert outcome.effect == "none"
    assert ran == []


async def test_a_hold_that_hangs_is_answered_and_can_be_joined_later(clock: FakeClock, store: Ledger) -> None:
    ran: list[int] = []
    pay = paying(ran, approval=Approval(reason="always", approvers={"boss"}))
    async with stage(pay, clock=clock, store=store) as gateway:
        store.hold("DraftHold")
        call = asyncio.create_task(gateway.call(pay, {"order": 1}, caller=ANN))
        await happened(store.reached["DraftHold"])
        outcome = await past_grace(call, clock)
        store.let_go("DraftHold")
        await flights_over(gateway)
        again = await gateway.call(pay, {"order": 1}, caller=ANN)

    assert isinstance(outcome, Refused)
    assert (outcome.error_type, outcome.effect) == ("audit_unavailable", "none")
    assert isinstance(again, PendingApproval)
    assert again.call_id == outcome.call_id
    assert ran == []


@pytest.mark.req("M5.7")
async def test_a_look_up_that_hangs_runs_into_the_deadline_and_nothing_runs(
    clock: FakeClock, store: Ledger
) -> None:
    ran: list[int] = []
    pay = paying(ran)
    async with stage(pay, clock=clock, store=store) as gateway:
        store.hold("find")
        call = asyncio.create_task(gateway.call(pay, {"order": 1}, caller=ANN))
        await happened(store.reached["find"])
        clock.advance(5.1)
        outcome = await call
        store.let_go("find")
        await flights_over(gateway)

    assert isinstance(outcome, Failed)
    assert (outcome.error_type, outcome.effect) == ("timeout", "none")
    assert ran == []


@pytest.mark.req("M6.8")
async def test_a_stuck_tool_does_not_hold_the_store(clock: FakeClock, store: Ledger) -> None:
    halt = Halt()

    @tool(effect="write", roles={"support"}, timeout=50, idempotency="pay:{order}")
    async def pay(order: int) -> str:
        """Pay."""
        await halt.stubbornly()
        return "paid"

    @tool(effect="write", roles={"support"}, timeout=5, idempotency="book:{order}")
    async def book(order: int) -> str:
        """Book."""
        return "booked"

    async with stage(pay, book, clock=clock, store=store) as gateway:
        call = asyncio.create_task(gateway.call(pay, {"order": 1}, caller=ANN))
        await halt.reached()
        outcomes = await asyncio.gather(
            *(gateway.call(book, {"order": number}, caller=ANN) for number in range(20))
        )
        halt.go_on.set()
        await call

    assert all(isinstance(outcome, Succeeded) for outcome in outcomes)
