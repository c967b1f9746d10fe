"""Rates, slots, threads and breakers: who is refused, when to come back, and that nothing reserved is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.execution.stage import ANN, BOB, Halt, Ledger, drive, flights_over, stage, trail, until
from toolgate import (
    Approval,
    Breaker,
    BusinessRule,
    Caller,
    Failed,
    Limits,
    PendingApproval,
    Rate,
    Refused,
    Succeeded,
    TransientError,
    Unknown,
    tool,
)
from toolgate.adapters.reservations import ProcessReservations
from toolgate.testing import FakeClock

CARL = Caller("carl", roles={"support"}, tenant="umbrella")


@tool(effect="read", roles={"support"}, rate_limit="3/minute")
async def look() -> str:
    """Look."""
    return "seen"


@tool(effect="read", roles={"support"})
async def glance() -> str:
    """Look, at no rate."""
    return "seen"


@pytest.mark.req("M6.9")
async def test_a_rate_of_a_tool_holds_for_each_caller_and_says_when_to_come_back(clock: FakeClock) -> None:
    async with stage(look, clock=clock) as gateway:
        burst = [await gateway.call(look, {}, caller=ANN) for _ in range(3)]
        refused = await gateway.call(look, {}, caller=ANN)
        other = await gateway.call(look, {}, caller=BOB)
        assert all(isinstance(outcome, Succeeded) for outcome in [*burst, other])
        assert isinstance(refused, Refused)
        assert (refused.error_type, refused.advice) == ("rate_limited", "retry_later")
        assert refused.to_model()["retry_after_s"] == pytest.approx(20, abs=0.01)
        clock.advance(19.9)
        assert isinstance(await gateway.call(look, {}, caller=ANN), Refused)
        clock.advance(0.2)
        assert isinstance(await gateway.call(look, {}, caller=ANN), Succeeded)


@pytest.mark.req("M6.9")
@pytest.mark.parametrize(
    ("limits", "others"),
    [(Limits(per_caller=Rate(2, 60)), "succeeded"), (Limits(per_tenant=Rate(2, 60)), "refused")],
    ids=["per caller", "per tenant"],
)
async def test_a_rate_of_the_gateway_holds_over_all_tools(
    limits: Limits, others: str, clock: FakeClock
) -> None:
    async with stage(look, glance, clock=clock, limits=limits) as gateway:
        await gateway.call(look, {}, caller=ANN)
        await gateway.call(glance, {}, caller=ANN)
        mine = await gateway.call(glance, {}, caller=ANN)
        colleague = await gateway.call(glance, {}, caller=BOB)
        stranger = await gateway.call(glance, {}, caller=CARL)

    assert mine.status == "refused"
    assert colleague.status == others
    assert stranger.status == "succeeded"


@pytest.mark.req("M6.9")
@given(
    count=st.integers(1, 20),
    per=st.sampled_from([1.0, 60.0, 3600.0]),
    waits=st.lists(st.floats(0, 100), min_size=1, max_size=60),
)
def test_a_rate_gives_no_more_than_it_says_in_any_window_and_keeps_its_word(
    count: int, per: float, waits: list[float]
) -> None:
    now = 0.0
    reservations = ProcessReservations(Limits(), monotonic=lambda: now, sync_tools=frozenset())
    given_at = []
    for wait in waits:
        now += wait
        again = reservations.spend(("k",), Rate(count, per))
        if again > 0:
            # Whoever comes back when told to, is let through.
            now += again + 1e-6
            assert reservations.spend(("k",), Rate(count, per)) == 0
        given_at.append(now)
    # GCRA: never more than a burst and what flows in meanwhile.
    for first, start in enumerate(given_at):
        for last in range(first, len(given_at)):
            assert last - first + 1 <= count + (given_at[last] - start) * count / per + 1e-3


@pytest.mark.req("M6.10")
@pytest.mark.parametrize("ending", ["returns", "raises", "swallows its deadline", "is refused later"])
async def test_a_slot_comes_back_however_its_call_ended(ending: str, clock: FakeClock) -> None:
    halt = Halt()
    held = Approval(reason="always", approvers={"boss"}) if ending == "is refused later" else None

    @tool(
        effect="write",
        roles={"support"},
        timeout=5,
        concurrency=1,
        idempotency="w:{number}",
        approval=held,
        breaker=None,
    )
    async def work(number: int) -> str:
        """Work."""
        if ending == "raises":
            raise BusinessRule("No.")
        if ending == "swallows its deadline" and number == 1:
            await halt.stubbornly()
        return "done"

    async with stage(work, clock=clock) as gateway:
        call = asyncio.create_task(gateway.call(work, {"number": 1}, caller=ANN))
        if ending == "swallows its deadline":
            await halt.reached()
            clock.advance(5.1)
            assert isinstance(await call, Unknown)
            # It still runs: its slot is still taken.
            assert isinstance(await gateway.call(work, {"number": 2}, caller=ANN), Refused)
            halt.go_on.set()
            await flights_over(gateway)
        await call
        outcome = await gateway.call(work, {"number": 3}, caller=ANN)

    assert outcome.to_model().get("error_type") != "overloaded"


@pytest.mark.req("M6.10")
@pytest.mark.parametrize("bound", ["tool", "gateway"])
async def test_more_than_may_run_at_once_are_refused_as_overloaded_and_audited(
    bound: str, clock: FakeClock
) -> None:
    halt = Halt()

    @tool(effect="read", roles={"support"}, timeout=5, concurrency=2 if bound == "tool" else None)
    async def work() -> str:
        """Work."""
        await halt.here()
        return "done"

    limits = Limits() if bound == "tool" else Limits(concurrency=2)
    async with stage(work, glance, clock=clock, limits=limits) as gateway:
        running = [asyncio.create_task(gateway.call(work, {}, caller=ANN)) for _ in range(2)]
        await until(lambda: sum(flight.dispatched for flight in list(gateway.world.flights.values())) == 2)
        third = await gateway.call(work, {}, caller=ANN)
        other = await gateway.call(glance, {}, caller=ANN)
        halt.go_on.set()
        await asyncio.gather(*running)
        fourth = await gateway.call(work, {}, caller=ANN)
        events = await trail(gateway, third.call_id)

    assert isinstance(third, Refused)
    assert (third.error_type, third.advice, third.retry_after) == ("overloaded", "retry_later", 1.0)
    assert events[0]["toolgate.decision"] == "deny"
    assert other.status == ("succeeded" if bound == "tool" else "refused")
    assert isinstance(fourth, Succeeded)


@pytest.mark.req("M6.5", "M6.4", "M10.3")
async def test_a_stuck_thread_keeps_its_slot_and_a_full_pool_refuses(clock: FakeClock) -> None:
    halt = Halt()

    @tool(effect="write", roles={"support"}, timeout=5, idempotency="w:{number}", breaker=None)
    def work(number: int) -> str:
        """Block a thread."""
        if number == 1:
            halt.block()
        return "done"

    async with stage(work, glance, clock=clock, limits=Limits(sync_threads=1)) as gateway:
        call = asyncio.create_task(gateway.call(work, {"number": 1}, caller=ANN))
        await halt.reached()
        clock.advance(5.1)
        stuck = await call
        full = await gateway.call(work, {"number": 2}, caller=ANN)
        beside = await gateway.call(glance, {}, caller=ANN)
        halt.go_on.set()
        await flights_over(gateway)
        after = await gateway.call(work, {"number": 2}, caller=ANN)
        known = await gateway.call(work, {"number": 1}, caller=ANN)

    assert isinstance(stuck, Unknown)
    assert isinstance(full, Refused)
    assert full.error_type == "overloaded"
    assert isinstance(beside, Succeeded)
    assert isinstance(after, Succeeded)
    # The thread's late word was heard.
    assert (known.unwrap(), known.replayed) == ("done", True)


def flaky(state: dict[str, Any], **more: Any) -> Any:
    @tool(effect="read", roles={"support"}, timeout=5, breaker=Breaker(failures=3, cooldown=30), **more)
    async def fetch() -> str:
        """Fetch."""
        state["runs"] = state.get("runs", 0) + 1
        if (halt := state.get("halt")) is not None:
            await halt.here()
        if state["down"]:
            raise TransientError("Down.")
        return "fetched"

    return fetch


@pytest.mark.req("M6.11")
async def test_a_breaker_opens_lets_one_trial_through_and_closes_on_its_success(clock: FakeClock) -> None:
    state: dict[str, Any] = {"down": True}
    fetch = flaky(state)
    async with stage(fetch, clock=clock) as gateway:
        for _ in range(3):
            assert isinstance(await gateway.call(fetch, {}, caller=ANN), Failed)
        refused = await gateway.call(fetch, {}, caller=BOB)
        assert isinstance(refused, Refused)
        assert refused.error_type == "circuit_open"
        assert refused.retry_after == pytest.approx(30)
        assert state["runs"] == 3
        # A trial that fails closes the door again.
        clock.advance(30.1)
        assert isinstance(await gateway.call(fetch, {}, caller=ANN), Failed)
        assert isinstance(await gateway.call(fetch, {}, caller=ANN), Refused)
        assert state["runs"] == 4
        # While one tries, the others wait.
        clock.advance(30.1)
        state.update(down=False, halt=Halt())
        trial = asyncio.create_task(gateway.call(fetch, {}, caller=ANN))
        await state["halt"].reached()
        assert isinstance(await gateway.call(fetch, {}, caller=BOB), Refused)
        state["halt"].go_on.set()
        assert isinstance(await trial, Succeeded)
        assert isinstance(await gateway.call(fetch, {}, caller=BOB), Succeeded)


@pytest.mark.req("M6.11")
async def test_time_outs_open_a_breaker_and_a_late_success_does_not_close_it(clock: FakeClock) -> None:
    halts = [Halt() for _ in range(3)]
    stubborn = iter(halts)

    @tool(effect="read", roles={"support"}, timeout=5, breaker=Breaker(failures=3, cooldown=30))
    async def fetch() -> str:
        """Fetch."""
        await next(stubborn).stubbornly()
        return "fetched"

    async with stage(fetch, clock=clock) as gateway:
        for halt in halts:
            call = asyncio.create_task(gateway.call(fetch, {}, caller=ANN))
            await halt.reached()
            clock.advance(5.1)
            assert isinstance(await call, Failed)
        for halt in halts:
            halt.go_on.set()
        await flights_over(gateway)
        refused = await gateway.call(fetch, {}, caller=ANN)

    assert isinstance(refused, Refused)
    assert refused.error_type == "circuit_open"


@pytest.mark.req("M6.11")
async def test_what_the_business_refuses_does_not_open_a_breaker(clock: FakeClock) -> None:
    @tool(effect="read", roles={"support"}, breaker=Breaker(failures=1, cooldown=30))
    async def fetch() -> str:
        """Fetch."""
        raise BusinessRule("No.")

    async with stage(fetch, clock=clock) as gateway:
        outcomes = [await gateway.call(fetch, {}, caller=ANN) for _ in range(3)]

    assert all(isinstance(outcome, Failed) for outcome in outcomes)


@pytest.mark.req("M5.5", "M6.11")
@pytest.mark.parametrize("later", ["held", "full", "store down"])
async def test_a_trial_that_never_reached_the_tool_is_given_back(later: str, clock: FakeClock) -> None:
    halt, store, state = Halt(), Ledger(clock), {"down": True, "held": False}

    def sometimes(context: Any, args: Any) -> str | None:
        return "now" if state["held"] else None

    @tool(
        effect="write",
        roles={"support"},
        timeout=5,
        idempotency="w:{number}",
        concurrency=1,
        breaker=Breaker(failures=1, cooldown=30),
        approval=Approval(reason="sometimes", approvers={"boss"}, when=sometimes),
    )
    async def work(number: int) -> str:
        """Work."""
        if state["down"]:
            raise TransientError("Down.")
        if number == 1:
            await halt.here()
        return "done"

    async with stage(work, clock=clock, store=store) as gateway:
        await gateway.call(work, {"number": 0}, caller=ANN)
        state["down"] = False
        clock.advance(30.1)
        if later == "held":
            state["held"] = True
            assert isinstance(await gateway.call(work, {"number": 2}, caller=ANN), PendingApproval)
            state["held"] = False
        if later == "full":
            trial = asyncio.create_task(gateway.call(work, {"number": 1}, caller=ANN))
            await halt.reached()
            assert (await gateway.call(work, {"number": 2}, caller=ANN)).to_model()[
                "error_type"
            ] == "overloaded"
            halt.go_on.set()
            await trial
        if later == "store down":
            store.failing.add("Intend")
            assert isinstance(await gateway.call(work, {"number": 2}, caller=ANN), Refused)
            store.failing.clear()
        outcome = await gateway.call(work, {"number": 3}, caller=ANN)

    assert isinstance(outcome, Succeeded)


@pytest.mark.req("M5.5", "M6.10")
async def test_a_call_that_is_held_keeps_no_slot(clock: FakeClock) -> None:
    @tool(
        effect="write",
        roles={"support"},
        idempotency="w:{number}",
        concurrency=1,
        approval=Approval(reason="always", approvers={"boss"}),
    )
    async def work(number: int) -> str:
        """Work."""
        return "done"

    async with stage(work, clock=clock) as gateway:
        outcomes = [await gateway.call(work, {"number": number}, caller=ANN) for number in range(5)]

    assert all(isinstance(outcome, PendingApproval) for outcome in outcomes)


@pytest.mark.req("M6.9", "M8.9")
async def test_retries_of_one_call_spend_one_of_the_rate(clock: FakeClock) -> None:
    @tool(effect="read", roles={"support"}, timeout=60, retries=3, rate_limit="2/hour", breaker=None)
    async def fetch() -> str:
        """Fetch."""
        raise TransientError("Down.")

    async with stage(fetch, clock=clock) as gateway:
        outcomes = [
            await drive(asyncio.create_task(gateway.call(fetch, {}, caller=ANN)), clock) for _ in range(3)
        ]

    assert [outcome.status for outcome in outcomes] == ["failed", "failed", "refused"]
