"""What an attempt says after its call was answered: evidence, never lost, never told twice; and the lease meanwhile."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from tests.execution.stage import ANN, Halt, Ledger, flights_over, happened, row, stage, trail
from tests.people import resolve_call
from toolgate import BusinessRule, Caller, Failed, Gateway, Succeeded, Unknown, tool
from toolgate.domain.audit import verify_chains
from toolgate.ports import CallFilter
from toolgate.testing import FakeClock

OPERATOR = Caller("olga", roles={"operator"}, tenant="acme")


def stubborn(halt: Halt, *, error: Exception | None = None) -> Any:
    @tool(effect="write", roles={"support"}, timeout=5, idempotency="pay:{order}", breaker=None)
    async def pay(order: int) -> str:
        """Pay, deaf to every cancellation."""
        await halt.stubbornly()
        if error is not None:
            raise error
        return "paid"

    return pay


async def left_behind(gateway: Gateway, halt: Halt, clock: FakeClock) -> Unknown:
    """A call that was answered as unknown while its tool runs on."""
    call = asyncio.create_task(gateway.call("pay", {"order": 1}, caller=ANN))
    await halt.reached()
    clock.advance(5.1)
    outcome = await call
    assert isinstance(outcome, Unknown)
    return outcome


@pytest.mark.req("X1.9")
async def test_a_late_success_settles_the_unknown_call_and_is_replayed_from_then_on(clock: FakeClock) -> None:
    halt = Halt()
    async with stage(stubborn(halt), clock=clock) as gateway:
        unknown = await left_behind(gateway, halt, clock)
        halt.go_on.set()
        await flights_over(gateway)
        again = await gateway.call("pay", {"order": 1}, caller=ANN)
        events = await trail(gateway, unknown.call_id)

    assert isinstance(again, Succeeded)
    assert (again.result, again.effect, again.replayed, again.call_id) == (
        "paid",
        "applied",
        True,
        unknown.call_id,
    )
    assert [event["toolgate.transition"] for event in events] == [
        "intended",
        "settled",
        "late_evidence",
        "replayed",
    ]


@pytest.mark.req("X1.9")
async def test_a_late_failure_that_says_nothing_happened_frees_the_key(clock: FakeClock) -> None:
    halt = Halt()
    async with stage(stubborn(halt, error=BusinessRule("No.")), clock=clock) as gateway:
        unknown = await left_behind(gateway, halt, clock)
        halt.go_on.set()
        await flights_over(gateway)
        known = await row(gateway, unknown.call_id)
        again = await gateway.call("pay", {"order": 1}, caller=ANN)

    assert known.effect_state == "not_applied"
    assert isinstance(again, Failed)
    assert not again.replayed
    assert again.call_id != unknown.call_id


@pytest.mark.req("X1.9")
@pytest.mark.parametrize("error", [ValueError("x"), ConnectionError()])
async def test_a_late_failure_that_proves_nothing_leaves_the_call_unknown(
    error: Exception, clock: FakeClock
) -> None:
    halt = Halt()
    async with stage(stubborn(halt, error=error), clock=clock) as gateway:
        unknown = await left_behind(gateway, halt, clock)
        halt.go_on.set()
        await flights_over(gateway)
        known = await row(gateway, unknown.call_id)

    assert known.effect_state == "unknown"
    # The attempt is over, so it may be resolved at once.
    assert known.lease_until <= clock.now()


@pytest.mark.req("X1.8", "X1.17")
async def test_not_applied_is_refused_while_the_attempt_may_still_run_and_its_lease_is_renewed(
    clock: FakeClock,
) -> None:
    halt = Halt()
    async with stage(stubborn(halt, error=ValueError("x")), clock=clock, lease=10) as gateway:
        unknown = await left_behind(gateway, halt, clock)
        for _ in range(5):
            clock.advance(8)
            await gateway.sweep()
            refused = await resolve_call(
                gateway.world, unknown.call_id, applied=False, by=OPERATOR, reason="the bank shows nothing"
            )
            assert isinstance(refused, str)
            assert "may still be running" in refused
        halt.go_on.set()
        await flights_over(gateway)
        resolved = await resolve_call(
            gateway.world, unknown.call_id, applied=False, by=OPERATOR, reason="the bank shows nothing"
        )

    assert not isinstance(resolved, str)
    assert resolved.effect_state == "not_applied"


@pytest.mark.req("X1.17")
async def test_without_its_owner_the_lease_of_an_attempt_runs_out(clock: FakeClock) -> None:
    halt = Halt()
    async with stage(stubborn(halt), clock=clock, lease=10) as gateway:
        unknown = await left_behind(gateway, halt, clock)
        clock.advance(60)
        resolved = await resolve_call(
            gateway.world, unknown.call_id, applied=False, by=OPERATOR, reason="the bank shows nothing"
        )
        halt.go_on.set()
        await flights_over(gateway)

    assert not isinstance(resolved, str)


@pytest.mark.req("X1.10")
async def test_a_late_success_that_contradicts_a_person_becomes_an_incident(clock: FakeClock) -> None:
    halt = Halt()
    async with stage(stubborn(halt), clock=clock, lease=10) as gateway:
        unknown = await left_behind(gateway, halt, clock)
        clock.advance(60)
        await resolve_call(
            gateway.world, unknown.call_id, applied=False, by=OPERATOR, reason="the bank shows nothing"
        )
        halt.go_on.set()
        await flights_over(gateway)
        unresolved = (await gateway.store.calls(CallFilter(unresolved=True))).rows
        events = await trail(gateway, unknown.call_id)

    assert [found.call_id for found in unresolved] == [unknown.call_id]
    assert unresolved[0].effect_state == "not_applied"
    assert "a late result says applied" in (unresolved[0].incident or "")
    assert events[-1]["toolgate.transition"] == "incident"
    assert events[-1]["toolgate.effect"] == "applied"


@pytest.mark.req("X1.10")
async def test_a_late_result_that_agrees_with_a_person_is_no_incident(clock: FakeClock) -> None:
    halt = Halt()
    async with stage(stubborn(halt), clock=clock) as gateway:
        unknown = await left_behind(gateway, halt, clock)
        await resolve_call(
            gateway.world, unknown.call_id, applied=True, by=OPERATOR, reason="the bank shows it"
        )
        halt.go_on.set()
        await flights_over(gateway)
        known = await row(gateway, unknown.call_id)
        outcome = await gateway.get_call(unknown.call_id, caller=ANN)

    assert known.incident is None
    assert outcome.unwrap() == "paid"


@pytest.mark.req("X1.15")
async def test_an_owner_whose_lease_is_shorter_than_its_deadline_does_not_dispatch(clock: FakeClock) -> None:
    store, ran = Ledger(clock), []

    @tool(effect="write", roles={"support"}, timeout=5, idempotency="pay:{order}")
    async def pay(order: int) -> str:
        """Pay."""
        ran.append(order)
        return "paid"

    async with stage(pay, clock=clock, store=store, lease=10) as gateway:
        store.hold("Intend")
        call = asyncio.create_task(gateway.call(pay, {"order": 1}, caller=ANN))
        await happened(store.reached["Intend"])
        # The machine slept: the wall clock went on, the monotonic one stood still.
        clock.set_back(-11)
        store.let_go("Intend")
        outcome = await call
        kept = await row(gateway, outcome.call_id)
        again = await gateway.call(pay, {"order": 1}, caller=ANN)

    assert isinstance(outcome, Failed)
    assert (outcome.error_type, outcome.effect) == ("timeout", "none")
    assert kept.effect_state == "not_applied"
    assert isinstance(again, Succeeded)
    assert ran == [1]


@pytest.mark.req("X1.15")
async def test_an_intent_that_another_took_for_lost_is_not_dispatched_and_its_owner_says_so(
    clock: FakeClock,
) -> None:
    store, ran = Ledger(clock), []

    @tool(effect="write", roles={"support"}, timeout=5, idempotency="pay:{order}")
    async def pay(order: int) -> str:
        """Pay."""
        ran.append(order)
        return "paid"

    async with stage(pay, clock=clock, store=store, lease=10) as gateway:
        store.hold("Settle")
        intend = store.execute

        async def slow(command: Any) -> Any:
            answer = await intend(command)
            if type(command).__name__ == "Intend":
                clock.set_back(-60)
                await gateway.sweep()
            return answer

        store.execute = slow  # type: ignore[method-assign]
        call = asyncio.create_task(gateway.call(pay, {"order": 1}, caller=ANN))
        await happened(store.reached["Settle"])
        store.let_go("Settle")
        outcome = await call
        kept = await row(gateway, outcome.call_id)

    assert outcome.effect == "none"
    assert kept.effect_state == "not_applied"
    assert ran == []


@pytest.mark.req("X1.9", "M10.3", "M9.2")
async def test_whoever_wins_the_race_between_the_deadline_and_the_end_the_answer_and_the_ledger_agree(
    clock: FakeClock,
) -> None:
    chance = random.Random(20260101)
    halts = [Halt() for _ in range(150)]
    ran: list[int] = []

    @tool(effect="write", roles={"support"}, timeout=5, idempotency="pay:{order}", breaker=None)
    async def pay(order: int) -> str:
        """Pay."""
        await (halts[order].stubbornly() if order % 3 else halts[order].here())
        ran.append(order)
        return "paid"

    async with stage(pay, clock=clock) as gateway:
        for first in range(0, len(halts), 10):
            batch = range(first, first + 10)
            calls = [asyncio.create_task(gateway.call(pay, {"order": order}, caller=ANN)) for order in batch]
            for order in batch:
                await halts[order].reached()
            # The ends and the deadline come at once, from two threads.
            deadline = asyncio.create_task(asyncio.to_thread(clock.advance, 5.1))
            for order in chance.sample(batch, len(batch)):
                halts[order].go_on.set()
                await asyncio.sleep(0)
            await deadline
            outcomes = await asyncio.gather(*calls)
            await flights_over(gateway)
            for order, outcome in zip(batch, outcomes, strict=True):
                kept = await row_by(gateway, outcome.call_id)
                assert outcome.status in {"succeeded", "unknown"}
                if order in ran:
                    assert kept.effect_state == "applied"
                else:
                    assert (outcome.status, kept.effect_state) == ("unknown", "unknown")
        assert len(ran) == len(set(ran))
        records = [record async for record in gateway.store.records()]
        report = verify_chains(records, known_heads=await gateway.store.heads())

    assert report.intact


async def row_by(gateway: Gateway, call_id: str) -> Any:
    rows = (await gateway.store.calls(CallFilter(limit=1000))).rows
    return next(found for found in rows if found.call_id == call_id)
