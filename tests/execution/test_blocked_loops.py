"""Tools that block or try to end the loop they share with everybody: only their own calls suffer."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.execution.stage import (
    ANN,
    BOB,
    Halt,
    Ledger,
    drive,
    flights_over,
    happened,
    row,
    stage,
    trail,
    until,
)
from toolgate import Failed, Limits, Refused, Succeeded, ToolContext, Unknown, tool
from toolgate.testing import FakeClock

pytestmark = pytest.mark.req("M6.8")


def paying(halt: Halt, *, timeout: float = 5) -> Any:
    @tool(effect="write", roles={"support"}, timeout=timeout, idempotency="pay:{order}")
    async def pay(order: int) -> str:
        """Block the whole loop, in C, without giving way."""
        halt.block()
        return "paid"

    return pay


@tool(effect="read", roles={"support"}, timeout=5)
async def look() -> str:
    """Tell in which thread."""
    return threading.current_thread().name


@pytest.mark.req("M6.3", "M6.12", "M10.3", "X1.9")
async def test_a_call_that_blocks_its_loop_is_answered_and_its_late_result_is_evidence(
    clock: FakeClock,
) -> None:
    halt = Halt()
    pay = paying(halt)
    async with stage(pay, look, clock=clock) as gateway:
        before = await gateway.call(look, {}, caller=ANN)
        call = asyncio.create_task(gateway.call(pay, {"order": 1}, caller=ANN))
        await halt.reached()
        clock.advance(5.1)
        outcome = await call
        assert isinstance(outcome, Unknown)
        meanwhile = await gateway.call(look, {}, caller=BOB)
        assert meanwhile.unwrap() != before.unwrap()
        halt.go_on.set()
        await flights_over(gateway)
        known = await gateway.get_call(outcome.call_id, caller=ANN)
        events = await trail(gateway, outcome.call_id)

    assert known.unwrap() == "paid"
    assert [event["toolgate.transition"] for event in events] == ["intended", "settled", "late_evidence"]


@pytest.mark.req("M6.3")
async def test_a_blocked_read_is_answered_too(clock: FakeClock) -> None:
    halt = Halt()

    @tool(effect="read", roles={"support"}, timeout=5)
    async def stare() -> str:
        """Block."""
        halt.block()
        return "seen"

    async with stage(stare, clock=clock) as gateway:
        call = asyncio.create_task(gateway.call(stare, {}, caller=ANN))
        await halt.reached()
        clock.advance(5.1)
        outcome = await call
        halt.go_on.set()
        await flights_over(gateway)

    assert isinstance(outcome, Failed)
    assert outcome.error_type == "timeout"


@pytest.mark.req("M6.3")
async def test_calls_that_wait_behind_a_blocked_loop_move_to_the_fresh_one(clock: FakeClock) -> None:
    halt = Halt()
    pay = paying(halt, timeout=5)

    @tool(effect="read", roles={"support"}, timeout=60)
    async def patient() -> str:
        """Look."""
        return "seen"

    async with stage(pay, patient, clock=clock) as gateway:
        call = asyncio.create_task(gateway.call(pay, {"order": 1}, caller=ANN))
        await halt.reached()
        waiting = [asyncio.create_task(gateway.call(patient, {}, caller=BOB)) for _ in range(5)]
        await until(lambda: len(gateway.world.flights) == 6)
        clock.advance(5.1)
        assert isinstance(await call, Unknown)
        outcomes = await asyncio.gather(*waiting)
        halt.go_on.set()
        await flights_over(gateway)

    assert {outcome.unwrap() for outcome in outcomes} == {"seen"}


@pytest.mark.req("M6.3", "M4.6")
async def test_a_predicate_that_blocks_the_loop_past_its_deadline_starts_nothing(clock: FakeClock) -> None:
    halt, ran = Halt(), []

    def authorize(context: ToolContext[Any], args: Any) -> bool:
        halt.block()
        return True

    @tool(effect="write", roles={"support"}, timeout=5, idempotency="pay:{order}", authorize=authorize)
    async def pay(order: int) -> str:
        """Pay."""
        ran.append(order)
        return "paid"

    async with stage(pay, clock=clock) as gateway:
        call = asyncio.create_task(gateway.call(pay, {"order": 1}, caller=ANN))
        await halt.reached()
        clock.advance(5.1)
        outcome = await call
        halt.go_on.set()
        await flights_over(gateway)
        kept = await row(gateway, outcome.call_id)
        again = await gateway.call(pay, {"order": 1}, caller=ANN)

    assert isinstance(outcome, Failed)
    assert (outcome.error_type, outcome.effect) == ("timeout", "none")
    # The late yes wrote no intent: nothing is in doubt, the key is free, and it runs once it is asked again.
    assert kept.effect_state is None
    assert isinstance(again, Succeeded)
    assert ran == [1]


@pytest.mark.req("M6.12", "M6.5", "M11.2")
async def test_with_every_loop_blocked_a_call_is_refused_as_overloaded_and_audited(clock: FakeClock) -> None:
    halts = [Halt(), Halt()]
    first, second = paying(halts[0]), halts[1]

    @tool(effect="write", roles={"support"}, timeout=5, idempotency="book:{order}")
    async def book(order: int) -> str:
        """Block as well."""
        second.block()
        return "booked"

    async with stage(first, book, look, clock=clock, limits=Limits(tool_loops=2)) as gateway:
        for halt, name in zip(halts, ("pay", "book"), strict=True):
            call = asyncio.create_task(gateway.call(name, {"order": 1}, caller=ANN))
            await halt.reached()
            clock.advance(5.1)
            assert isinstance(await call, Unknown)
        outcome = await gateway.call(look, {}, caller=ANN)
        events = await trail(gateway, outcome.call_id)
        assert isinstance(outcome, Refused)
        assert (outcome.error_type, outcome.advice) == ("overloaded", "retry_later")
        assert [(event["toolgate.decision"], event["error.type"]) for event in events] == [
            ("deny", "overloaded")
        ]
        # One that lets go is taken back into service.
        halts[0].go_on.set()
        async with asyncio.timeout(10):
            while not isinstance(await gateway.call(look, {}, caller=ANN), Succeeded):  # noqa: ASYNC110 - as an agent would
                await asyncio.sleep(0.05)
        halts[1].go_on.set()
        await flights_over(gateway)


@pytest.mark.req("M6.12")
async def test_a_turned_away_call_is_answered_though_the_store_hangs(clock: FakeClock) -> None:
    halt = Halt()
    store = Ledger(clock)
    pay = paying(halt)
    async with stage(pay, look, clock=clock, store=store, limits=Limits(tool_loops=1)) as gateway:
        call = asyncio.create_task(gateway.call(pay, {"order": 1}, caller=ANN))
        await halt.reached()
        clock.advance(5.1)
        await call
        store.hold("Record")
        turned_away = asyncio.create_task(gateway.call(look, {}, caller=ANN))
        await happened(store.reached["Record"])
        clock.advance(5.1)
        outcome = await drive(turned_away, clock, step=0.5, beside=0)
        store.let_go("Record")
        halt.go_on.set()
        await flights_over(gateway)

    assert isinstance(outcome, Refused)
    assert outcome.error_type == "audit_unavailable"


async def test_a_call_being_settled_when_another_blocks_the_loop_is_not_forgotten(clock: FakeClock) -> None:
    halt, store = Halt(), Ledger(clock)
    pay = paying(halt)

    @tool(effect="write", roles={"support"}, timeout=5, idempotency="book:{order}")
    async def book(order: int) -> str:
        """Quick."""
        return "booked"

    async with stage(pay, book, clock=clock, store=store) as gateway:
        store.hold("Settle")
        settled = asyncio.create_task(gateway.call(book, {"order": 1}, caller=ANN))
        await happened(store.reached["Settle"])
        blocked = asyncio.create_task(gateway.call(pay, {"order": 1}, caller=BOB))
        await halt.reached()
        clock.advance(5.1)
        # The watchdog sees to both of them in another loop, and gives the store its grace.
        await until(lambda: all(flight.rescued for flight in list(gateway.world.flights.values())))
        outcomes = [await drive(call, clock, step=0.5, beside=0) for call in (settled, blocked)]
        store.let_go("Settle")
        halt.go_on.set()
        await flights_over(gateway)
        booked = await row(gateway, outcomes[0].call_id)

    assert [outcome.status for outcome in outcomes] == ["unknown", "unknown"]
    assert booked.effect_state == "applied"


@pytest.mark.req("M6.3")
@pytest.mark.parametrize("effect", ["read", "write"])
async def test_what_is_committed_is_told_though_the_loop_that_waits_to_hear_of_it_is_blocked(
    effect: Any, clock: FakeClock
) -> None:
    halt, store = Halt(), Ledger(clock)
    pay = paying(halt)
    key: dict[str, Any] = {} if effect == "read" else {"idempotency": "book:{order}"}
    command = "Record" if effect == "read" else "Settle"

    @tool(effect=effect, roles={"support"}, timeout=5, **key)
    async def book(order: int) -> str:
        """Quick."""
        return "booked"

    async with stage(pay, book, clock=clock, store=store) as gateway:
        store.hold(command)
        call = asyncio.create_task(gateway.call("book", {"order": 1}, caller=ANN))
        await happened(store.reached[command])
        blocked = asyncio.create_task(gateway.call(pay, {"order": 1}, caller=BOB))
        await halt.reached()
        store.let_go(command)
        await until(lambda: command in store.written)
        clock.advance(5.1)
        outcome = await call
        await blocked
        halt.go_on.set()
        await flights_over(gateway)

    assert outcome.unwrap() == "booked"
    assert clock.monotonic() < 6


@pytest.mark.req("M6.3")
async def test_a_call_given_up_just_before_another_blocks_the_loop_is_answered(clock: FakeClock) -> None:
    waiting, halt, store = Halt(), Halt(), Ledger(clock)
    pay = paying(halt, timeout=100)

    @tool(effect="read", roles={"support"}, timeout=5)
    async def stare() -> str:
        """Wait."""
        await waiting.here()
        return "seen"

    async with stage(pay, stare, clock=clock, store=store) as gateway:
        call = asyncio.create_task(gateway.call(stare, {}, caller=ANN))
        await waiting.reached()
        store.hold("Record")
        clock.advance(5.01)
        await happened(store.reached["Record"])
        blocked = asyncio.create_task(gateway.call(pay, {"order": 1}, caller=BOB))
        await halt.reached()
        store.let_go("Record")
        clock.advance(1)
        outcome = await drive(call, clock, step=0.1, beside=0)
        halt.go_on.set()
        await blocked
        await flights_over(gateway)

    assert isinstance(outcome, Failed)
    assert outcome.effect == "none"


@pytest.mark.parametrize(
    "quit_", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, BaseException]
)
@pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])
async def test_a_tool_that_tries_to_end_the_program_ends_only_its_call(
    quit_: type[BaseException], sync: bool, clock: FakeClock
) -> None:
    if sync:

        @tool(effect="write", roles={"support"}, timeout=5, idempotency="pay:{order}")
        def pay(order: int) -> str:
            """Quit."""
            raise quit_

    else:

        @tool(effect="write", roles={"support"}, timeout=5, idempotency="pay:{order}")
        async def pay(order: int) -> str:
            """Quit."""
            raise quit_

    async with stage(pay, look, clock=clock) as gateway:
        before = await gateway.call(look, {}, caller=ANN)
        outcome = await gateway.call(pay, {"order": 1}, caller=ANN)
        after = await gateway.call(look, {}, caller=ANN)

    assert isinstance(outcome, Unknown)
    assert after.unwrap() == before.unwrap()


async def test_a_task_that_a_tool_left_behind_cannot_end_the_loop(clock: FakeClock) -> None:
    async def bomb() -> None:
        raise SystemExit(3)

    tasks = []

    @tool(effect="read", roles={"support"}, timeout=5)
    async def plant() -> str:
        """Leave a task that quits."""
        tasks.append(asyncio.create_task(bomb()))
        return "planted"

    @tool(effect="read", roles={"support"}, timeout=5)
    async def stop() -> str:
        """Stop the loop itself."""
        asyncio.get_running_loop().stop()
        return "stopped"

    async with stage(plant, stop, look, clock=clock) as gateway:
        before = await gateway.call(look, {}, caller=ANN)
        await gateway.call(plant, {}, caller=ANN)
        await until(lambda: tasks[0].done())  # noqa: PLW0108 - there is no task yet
        assert (await gateway.call(stop, {}, caller=ANN)).unwrap() == "stopped"
        after = await gateway.call(look, {}, caller=ANN)
        assert isinstance(tasks[0].exception(), SystemExit)

    assert after.unwrap() == before.unwrap()


@pytest.mark.parametrize("effect", ["read", "write"])
async def test_a_tool_that_cancels_its_own_task_is_answered_and_settled(
    effect: Any, clock: FakeClock
) -> None:
    @tool(effect=effect, roles={"support"}, timeout=5)
    async def jump() -> str:
        """Cancel whatever runs this."""
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
        return "landed"

    async with stage(jump, look, clock=clock) as gateway:
        outcome = await gateway.call(jump, {}, caller=ANN)
        after = await gateway.call(look, {}, caller=ANN)
        events = await trail(gateway, outcome.call_id)

    assert outcome.status == {"read": "failed", "write": "unknown"}[effect]
    assert events[-1]["toolgate.transition"] == "settled"
    assert isinstance(after, Succeeded)
