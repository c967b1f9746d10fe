"""Nobody waits any more: what changed nothing is given up, what may have changed something runs on and settles."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.execution import isolated_tools as isolated
from tests.execution.stage import ANN, Halt, Ledger, flights_over, happened, row, stage, trail, until
from tests.people import decide_approval
from toolgate import (
    Approval,
    Breaker,
    Caller,
    ErrorType,
    Failed,
    Gateway,
    Limits,
    Outcome,
    PendingApproval,
    Refused,
    Succeeded,
    ToolContext,
    tool,
)
from toolgate.ports import CallFilter
from toolgate.testing import FakeClock

BOSS = Caller("cleo", roles={"boss"}, tenant="acme")
CANCELLED = ("cancelled", "none", "retry")


class Asked:
    """A call on its way, and the id under which it can be cancelled."""

    def __init__(self, gateway: Gateway, tool: str, arguments: dict[str, Any]) -> None:
        self.ids: list[str] = []
        self._gateway = gateway
        workflow = gateway.make_workflow("req_1")
        self.task = asyncio.create_task(
            gateway.request(tool, arguments, caller=ANN, workflow=workflow, on_received=self.ids.append)
        )

    def cancel(self) -> None:
        self._gateway.cancel(self.ids[0])

    async def outcome(self) -> Outcome[Any]:
        async with asyncio.timeout(30):
            return await self.task


def said(outcome: Any) -> tuple[str, str, str]:
    assert isinstance(outcome, Failed)
    return outcome.error_type, outcome.effect, outcome.advice


def paying(ran: list[int], halt: Halt | None = None, **more: Any) -> Any:
    @tool(effect="write", roles={"support"}, timeout=5, idempotency="pay:{order}", **more)
    async def pay(order: int) -> str:
        """Pay."""
        ran.append(order)
        if halt is not None:
            await halt.here()
        return "paid"

    return pay


def polite(halt: Halt) -> Any:
    @tool(effect="read", roles={"support"}, timeout=5)
    async def look() -> str:
        """Look."""
        await halt.here()
        return "seen"

    return look


def deaf(halt: Halt) -> Any:
    @tool(effect="read", roles={"support"}, timeout=5)
    async def look() -> str:
        """Look, deaf to every cancellation."""
        await halt.stubbornly()
        return "seen"

    return look


def threaded(halt: Halt) -> Any:
    @tool(effect="read", roles={"support"}, timeout=5)
    def look() -> str:
        """Look, in a thread that nobody can end."""
        halt.block()
        return "seen"

    return look


def blocking(halt: Halt) -> Any:
    @tool(effect="read", roles={"support"}, timeout=5)
    async def look() -> str:
        """Look, and hold up the loop."""
        halt.block()
        return "seen"

    return look


@pytest.mark.req("M10.19")
@pytest.mark.parametrize("reading", [polite, deaf, threaded, blocking])
async def test_a_read_is_given_up_at_once_whatever_it_does(reading: Any, clock: FakeClock) -> None:
    halt = Halt()
    async with stage(reading(halt), clock=clock) as gateway:
        asked = Asked(gateway, "look", {})
        await halt.reached()
        asked.cancel()
        outcome = await asked.outcome()
        kept = await row(gateway, outcome.call_id)
        halt.go_on.set()
        await flights_over(gateway)
        events = await trail(gateway, outcome.call_id)

    assert said(outcome) == CANCELLED
    assert (kept.status, kept.error_type) == ("failed", "cancelled")
    assert [event["toolgate.status"] for event in events] == ["failed"]
    assert events[0]["toolgate.reasons"] == ["nobody waits for it any more"]


@pytest.mark.req("M10.19", "M6.6")
async def test_a_cancelled_read_in_a_process_ends_with_its_child(clock: FakeClock, tmp_path: Path) -> None:
    started = tmp_path / "started"
    async with stage(isolated.read_for_ever, clock=clock) as gateway:
        asked = Asked(gateway, "read_for_ever", {"started": str(started)})
        await until(started.exists)
        asked.cancel()
        outcome = await asked.outcome()
        await flights_over(gateway)
        children = gateway._processes.children()

    assert said(outcome) == CANCELLED
    assert children == []


@pytest.mark.req("M10.19", "M6.10")
async def test_a_cancelled_read_keeps_its_slot_until_its_thread_ends(clock: FakeClock) -> None:
    halt = Halt()
    async with stage(threaded(halt), clock=clock, limits=Limits(sync_threads=1)) as gateway:
        asked = Asked(gateway, "look", {})
        await halt.reached()
        asked.cancel()
        await asked.outcome()
        beside = await gateway.call("look", {}, caller=ANN)
        halt.go_on.set()
        await flights_over(gateway)
        after = await gateway.call("look", {}, caller=ANN)

    assert isinstance(beside, Refused)
    assert beside.error_type == "overloaded"
    assert after.unwrap() == "seen"


@pytest.mark.req("M10.19", "M6.11")
async def test_cancelling_reads_opens_no_breaker_and_closes_none(clock: FakeClock) -> None:
    halt = Halt()
    failing = True

    @tool(effect="read", roles={"support"}, timeout=5, breaker=Breaker(failures=3, cooldown=10))
    async def look() -> str:
        """Look."""
        await halt.here()
        if failing:
            raise ConnectionError
        return "seen"

    async def cancelled() -> Outcome[Any]:
        halt.entered.clear()
        asked = Asked(gateway, "look", {})
        await halt.reached()
        asked.cancel()
        return await asked.outcome()

    async with stage(look, clock=clock) as gateway:
        for _ in range(10):
            assert said(await cancelled()) == CANCELLED
        halt.go_on.set()
        failures = [await gateway.call(look, {}, caller=ANN) for _ in range(3)]
        opened = await gateway.call(look, {}, caller=ANN)
        clock.advance(10.1)
        # A trial that was cancelled says nothing: the next one is the trial.
        halt.go_on.clear()
        trial = await cancelled()
        halt.go_on.set()
        await flights_over(gateway)
        failing = False
        healed = await gateway.call(look, {}, caller=ANN)

    assert [failure.error_type for failure in failures] == ["upstream_unavailable"] * 3  # type: ignore[union-attr]
    assert opened.error_type == "circuit_open"  # type: ignore[union-attr]
    assert said(trial) == CANCELLED
    assert healed.unwrap() == "seen"


@pytest.mark.req("M10.19", "X1.3")
@pytest.mark.parametrize("way", ["here", "stubbornly"])
async def test_a_write_that_is_still_being_judged_never_runs_and_its_key_is_free(
    way: str, clock: FakeClock
) -> None:
    halt = Halt()
    ran: list[int] = []

    async def authorize(context: ToolContext[Any], args: Any) -> bool:
        await getattr(halt, way)()
        return True

    async with stage(paying(ran, authorize=authorize), clock=clock) as gateway:
        asked = Asked(gateway, "pay", {"order": 1})
        await halt.reached()
        asked.cancel()
        outcome = await asked.outcome()
        halt.go_on.set()
        await flights_over(gateway)
        events = await trail(gateway, outcome.call_id)
        assert ran == []
        again = await gateway.call("pay", {"order": 1}, caller=ANN)

    assert said(outcome) == CANCELLED
    assert [(event["toolgate.status"], event["error.type"]) for event in events] == [("failed", "cancelled")]
    assert isinstance(again, Succeeded)
    assert not again.replayed
    assert ran == [1]


@pytest.mark.req("M10.19", "M4.11")
async def test_a_write_cancelled_while_its_predicates_enter_the_dependencies_leaves_them(
    clock: FakeClock,
) -> None:
    halt = Halt()
    ran: list[int] = []
    left: list[str] = []

    @asynccontextmanager
    async def deps(caller: Caller) -> AsyncIterator[str]:
        try:
            yield f"deps of {caller.id}"
        except BaseException as error:
            left.append(type(error).__name__)
            raise

    async def authorize(context: ToolContext[Any], args: Any) -> bool:
        assert context.deps == "deps of ann"
        await halt.here()
        return True

    tool_ = paying(ran, authorize=authorize)
    async with stage(tool_, clock=clock, deps=deps) as gateway:
        asked = Asked(gateway, "pay", {"order": 1})
        await halt.reached()
        asked.cancel()
        outcome = await asked.outcome()
        await flights_over(gateway)

    assert said(outcome) == CANCELLED
    assert left == ["CancelledError"]
    assert ran == []


@pytest.mark.req("M10.19", "X1.3")
@pytest.mark.parametrize("order", [("Intend", "Settle"), ("Settle", "Intend")], ids=" then ".join)
async def test_a_write_whose_intent_is_being_written_never_runs_in_whatever_order_the_store_wakes_up(
    order: tuple[str, str], clock: FakeClock
) -> None:
    ran: list[int] = []
    store = Ledger(clock)
    async with stage(paying(ran), clock=clock, store=store) as gateway:
        store.hold("Intend")
        store.hold("Settle")
        asked = Asked(gateway, "pay", {"order": 1})
        await happened(store.reached["Intend"])
        asked.cancel()
        await happened(store.reached["Settle"])
        for name in order:
            written = len(store.written)
            store.let_go(name)
            await until(lambda written=written: len(store.written) > written)  # type: ignore[misc]
        outcome = await asked.outcome()
        await flights_over(gateway)
        kept = await row(gateway, outcome.call_id)
        assert ran == []
        again = await gateway.call("pay", {"order": 1}, caller=ANN)

    assert said(outcome) == CANCELLED
    assert (kept.status, kept.error_type) == ("failed", "cancelled")
    assert kept.effect_state in {None, "not_applied"}
    assert isinstance(again, Succeeded)
    assert not again.replayed
    assert ran == [1]


@pytest.mark.req("M10.19", "M5.7")
async def test_a_call_that_waits_behind_a_blocked_loop_is_given_up_and_asks_nobody_anything(
    clock: FakeClock,
) -> None:
    halt = Halt()
    asked_of: list[str] = []

    async def authorize(context: ToolContext[Any], args: Any) -> bool:
        asked_of.append(context.call_id)
        return True

    pay = paying([], authorize=authorize)
    async with stage(blocking(halt), pay, clock=clock) as gateway:
        blocker = Asked(gateway, "look", {})
        await halt.reached()
        asked = Asked(gateway, "pay", {"order": 1})
        await until(lambda: bool(asked.ids))
        asked.cancel()
        outcome = await asked.outcome()
        halt.go_on.set()
        assert (await blocker.outcome()).unwrap() == "seen"
        await flights_over(gateway)

    assert said(outcome) == CANCELLED
    assert asked_of == []


@pytest.mark.req("M10.19")
async def test_a_call_can_be_cancelled_as_soon_as_its_id_is_known(clock: FakeClock) -> None:
    halt = Halt()
    async with stage(polite(halt), clock=clock) as gateway:
        workflow = gateway.make_workflow("req_1")
        outcome = await gateway.request("look", {}, caller=ANN, workflow=workflow, on_received=gateway.cancel)
        await flights_over(gateway)

    assert said(outcome) == CANCELLED


@pytest.mark.req("M10.20", "M10.15")
@pytest.mark.parametrize("effect", ["write", "destructive"])
async def test_an_effect_that_was_dispatched_runs_on_and_settles(effect: Any, clock: FakeClock) -> None:
    halt = Halt()
    torn: list[str] = []

    @tool(effect=effect, roles={"support"}, timeout=5, idempotency="pay:{order}")
    async def pay(order: int) -> str:
        """Pay."""
        try:
            await halt.here()
        except asyncio.CancelledError:
            torn.append("cancelled")
            raise
        return "paid"

    async with stage(pay, clock=clock) as gateway:
        asked = Asked(gateway, "pay", {"order": 1})
        await halt.reached()
        asked.cancel()
        asked.cancel()
        # A call behind it in the service loop: the cancellation was heard.
        await gateway.operate(_nothing)
        halt.go_on.set()
        outcome = await asked.outcome()
        again = await gateway.call("pay", {"order": 1}, caller=ANN)
        events = await trail(gateway, outcome.call_id)

    assert outcome.unwrap() == "paid"
    assert outcome.effect == "applied"
    assert again.replayed
    assert torn == []
    assert [event["toolgate.transition"] for event in events] == ["intended", "settled", "replayed"]


@pytest.mark.req("M10.20")
@pytest.mark.parametrize(("name", "command"), [("look", "Record"), ("pay", "Settle")])
async def test_what_is_being_recorded_is_told_as_it_ended(name: str, command: str, clock: FakeClock) -> None:
    halt = Halt()
    halt.go_on.set()
    store = Ledger(clock)
    async with stage(polite(halt), paying([]), clock=clock, store=store) as gateway:
        store.hold(command)
        asked = Asked(gateway, name, {} if name == "look" else {"order": 1})
        await happened(store.reached[command])
        asked.cancel()
        await gateway.operate(_nothing)
        store.let_go(command)
        outcome = await asked.outcome()

    assert isinstance(outcome, Succeeded)


@pytest.mark.req("M10.20", "X2.15")
async def test_a_held_call_and_its_approved_run_are_withdrawn_and_not_cancelled(clock: FakeClock) -> None:
    halt = Halt()
    ran: list[int] = []
    pay = paying(ran, halt, approval=Approval(approvers={"boss"}))
    async with stage(pay, clock=clock, callers=_same) as gateway:
        held = await gateway.call("pay", {"order": 1}, caller=ANN)
        assert isinstance(held, PendingApproval)
        gateway.cancel(held.call_id)
        still = await gateway.get_call(held.call_id, caller=ANN)
        assert isinstance(still, PendingApproval)
        await decide_approval(gateway, held.approval_id, "approve", voter=BOSS, reason="yes")
        await gateway.sweep()
        await halt.reached()
        gateway.cancel(held.call_id)
        await gateway.operate(_nothing)
        halt.go_on.set()
        await flights_over(gateway)
        outcome = await gateway.get_call(held.call_id, caller=ANN)

    assert outcome.unwrap() == "paid"
    assert ran == [1]


@pytest.mark.req("M10.19")
async def test_cancelling_what_is_not_on_its_way_does_nothing(clock: FakeClock) -> None:
    halt = Halt()
    gateway = stage(paying([]), polite(halt), clock=clock)
    gateway.cancel("call_never_was")
    async with gateway:
        gateway.cancel("call_never_was")
        done = await gateway.call("pay", {"order": 1}, caller=ANN)
        gateway.cancel(done.call_id)
        asked = Asked(gateway, "look", {})
        await halt.reached()
        asked.cancel()
        asked.cancel()
        outcome = await asked.outcome()
        asked.cancel()
        await gateway.operate(_nothing)
        await flights_over(gateway)
        known = await gateway.get_call(done.call_id, caller=ANN)
        seen = await gateway.get_call(outcome.call_id, caller=ANN)
        events = await trail(gateway)
    gateway.cancel(done.call_id)

    assert known.unwrap() == "paid"
    assert said(seen) == CANCELLED
    assert len(events) == 3


@pytest.mark.req("M10.19")
async def test_what_fails_in_whoever_is_told_the_id_is_theirs_and_nothing_is_begun(clock: FakeClock) -> None:
    ran: list[int] = []

    def fail(call_id: str) -> None:
        raise KeyError(call_id)

    async with stage(paying(ran), clock=clock) as gateway:
        workflow = gateway.make_workflow("req_1")
        with pytest.raises(KeyError):
            await gateway.request("pay", {"order": 1}, caller=ANN, workflow=workflow, on_received=fail)
        assert gateway.world.flights == {}
        assert await trail(gateway) == []

    assert ran == []


@pytest.mark.req("M10.14", "M10.19")
async def test_a_cancelled_call_whose_trail_cannot_be_written_says_that_and_ran_nothing(
    clock: FakeClock,
) -> None:
    halt = Halt()
    store = Ledger(clock)
    async with stage(polite(halt), clock=clock, store=store) as gateway:
        asked = Asked(gateway, "look", {})
        await halt.reached()
        store.failing.add("Record")
        asked.cancel()
        outcome = await asked.outcome()
        await flights_over(gateway)

    assert said(outcome) == ("audit_unavailable", "none", "retry_later")


@pytest.mark.req("M10.19", "M10.20", "X1.1")
@pytest.mark.parametrize("seed", range(6))
async def test_cancelled_at_any_moment_a_call_says_what_it_did(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    ran: set[int] = set()
    cancelled: list[int] = []

    async def authorize(context: ToolContext[Any], args: Any) -> bool:
        await turns(args.order % 4)
        return True

    @tool(effect="write", roles={"support"}, timeout=60, idempotency="pay:{order}", authorize=authorize)
    async def pay(order: int) -> str:
        """Pay."""
        await turns(order % 3)
        ran.add(order)
        return "paid"

    async def one(gateway: Gateway, order: int) -> None:
        asked = Asked(gateway, "pay", {"order": order})
        await turns(1 + rng.randrange(40))
        asked.cancel()
        outcome = await asked.outcome()
        assert (order in ran) is isinstance(outcome, Succeeded)
        if order not in ran:
            assert said(outcome) == CANCELLED
            cancelled.append(order)

    async with Gateway([pay], store=f"sqlite:///{tmp_path}/gate.db") as gateway:
        for start in range(0, 200, 20):
            await asyncio.gather(*(one(gateway, order) for order in range(start, start + 20)))
        await flights_over(gateway)
        assert not ran & set(cancelled)
        # Whatever was cancelled can be asked for again, and is done then, once.
        again = [await gateway.call(pay, {"order": order}, caller=ANN) for order in cancelled]
        rows = (await gateway.store.calls(CallFilter(limit=1000))).rows

    assert all(isinstance(outcome, Succeeded) and not outcome.replayed for outcome in again)
    assert {kept.error_type for kept in rows} <= {None, ErrorType.CANCELLED}
    assert all(kept.effect_state in {None, "applied", "not_applied"} for kept in rows)


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def _nothing(world: Any) -> None:
    """An operation that only waits for its turn in the service loop."""


async def _same(caller_id: str, tenant: str) -> Caller:
    return ANN
