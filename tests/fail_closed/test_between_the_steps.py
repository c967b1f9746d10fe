"""The ledger fails between two steps of a call: before or after its write, with a refusal, a lost answer or silence."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.fail_closed.conftest import MAYA, Counter, Shop
from tests.fail_closed.telling import assert_in_doubt, assert_unavailable, told
from tests.people import decide_approval
from toolgate import (
    Approval,
    BusinessRule,
    Caller,
    ErrorType,
    Failed,
    Gateway,
    NeedsApproval,
    PendingApproval,
    Refused,
    StoreUnavailable,
    Succeeded,
    Unknown,
    tool,
)
from toolgate.adapters.keys import Keyring
from toolgate.domain.commands import (
    Append,
    Command,
    Dispatch,
    DraftHold,
    Intend,
    LateEvidence,
    Record,
    Rehold,
    Settle,
)
from toolgate.domain.lifecycle import ApprovalState, EffectState
from toolgate.domain.rows import ByApproval, ByCall
from toolgate.operations.verify_audit import verify_audit
from toolgate.ports import ApprovalFilter
from toolgate.testing import FakeClock, FaultyStore
from toolgate.testing.faults import How, When

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from toolgate.adapters.stores.sqlite import SqliteStore
    from toolgate.ports import Store

    CounterOn = Callable[[Store], AbstractAsyncContextManager[Counter]]

TIMEOUT = 30.0
"""The default deadline of a tool, seconds."""

ANNE = Caller("u-anne", roles={"lead"})


@pytest.fixture
def faulty(sqlite_store: SqliteStore) -> FaultyStore:
    return FaultyStore(sqlite_store)


@pytest.fixture
async def counter(faulty: FaultyStore, counter_on: CounterOn) -> AsyncIterator[Counter]:
    async with counter_on(faulty) as counter:
        yield counter


async def effect_of(faulty: FaultyStore, call_id: str) -> EffectState | None:
    call = (await faulty.inner.find(ByCall(call_id))).call
    return None if call is None else call.effect_state


# --- the intent -----------------------------------------------------------------------------------------------


@pytest.mark.req("X1.3", "X5.4")
async def test_a_refused_intent_runs_nothing_and_leaves_the_key_free(
    counter: Counter, faulty: FaultyStore
) -> None:
    faulty.fail("refuse", Intend)

    assert_unavailable(await counter.ship(1))

    assert counter.shop.shipped == []
    assert (await counter.ship(1)).unwrap() == "shipped 1"


@pytest.mark.req("X1.14")
async def test_an_intent_whose_commit_answered_nothing_is_read_again_and_runs_if_it_is_there(
    counter: Counter, faulty: FaultyStore
) -> None:
    faulty.fail("doubt", Intend, when="after")

    assert (await counter.ship(1)).unwrap() == "shipped 1"

    assert counter.shop.shipped == [1]


@pytest.mark.req("X1.14", "X1.3")
async def test_an_intent_whose_commit_answered_nothing_runs_nothing_if_it_is_not_there(
    counter: Counter, faulty: FaultyStore
) -> None:
    faulty.fail("doubt", Intend, when="before")

    assert_unavailable(await counter.ship(1))

    assert counter.shop.shipped == []
    assert (await counter.ship(1)).unwrap() == "shipped 1"


@pytest.mark.req("X1.14", "M9.9")
async def test_an_intent_that_cannot_be_read_again_runs_nothing_and_ends_as_not_applied(
    counter: Counter, faulty: FaultyStore
) -> None:
    def blind() -> None:
        faulty.fail_reads()

    faulty.fail("doubt", Intend, when="after")
    original = faulty.inner.execute

    async def execute_then_blind(command: Command) -> Any:
        answer = await original(command)
        if isinstance(command, Intend):
            blind()
        return answer

    faulty.inner.execute = execute_then_blind  # type: ignore[method-assign]

    outcome = await counter.ship(1)

    assert_unavailable(outcome)
    assert counter.shop.shipped == []
    faulty.inner.execute = original  # type: ignore[method-assign]
    faulty.mend()
    await counter.gateway.sweep()
    assert await effect_of(faulty, outcome.call_id) is EffectState.NOT_APPLIED
    assert (await counter.ship(1)).unwrap() == "shipped 1"


@pytest.mark.req("M6.8", "X1.3", "M10.14")
async def test_an_intent_that_hangs_past_the_deadline_is_answered_and_never_run(
    counter: Counter, faulty: FaultyStore, clock: FakeClock
) -> None:
    fault = faulty.fail("hang", Intend)
    waiting = asyncio.ensure_future(counter.ship(1))
    await asyncio.to_thread(fault.wait)

    clock.advance(TIMEOUT)
    outcome = await waiting
    fault.release()

    assert isinstance(outcome, Failed | Refused)
    assert told(outcome)["effect"] == "none"
    again = await counter.ship(1)
    assert again.unwrap() == "shipped 1"
    assert counter.shop.shipped == [1]


# --- the outcome ----------------------------------------------------------------------------------------------


@pytest.mark.req("M10.14")
@pytest.mark.parametrize(("how", "when"), [("refuse", "before"), ("doubt", "before"), ("doubt", "after")])
async def test_an_outcome_that_could_not_be_recorded_is_unknown_until_the_store_recovers(
    counter: Counter, faulty: FaultyStore, how: How, when: When
) -> None:
    faulty.fail(how, Settle, when=when)

    outcome = await counter.ship(1)

    assert_in_doubt(outcome)
    assert counter.shop.shipped == [1]
    await counter.gateway.sweep()
    later = await counter.again(outcome)
    assert isinstance(later, Succeeded)
    assert later.result == "shipped 1"
    call = (await faulty.find(ByCall(outcome.call_id))).call
    assert call is not None
    assert (call.effect_state, call.incident) == (EffectState.APPLIED, None)


@pytest.mark.req("M10.14", "M10.5")
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_failure_that_could_not_be_recorded_keeps_its_words_for_later(
    counter: Counter, faulty: FaultyStore, when: When
) -> None:
    def sold_out() -> None:
        raise BusinessRule("There is none left.", code="sold_out")

    counter.shop.while_shipping = sold_out
    faulty.fail("doubt", Settle, when=when)

    outcome = await counter.ship(1)

    assert_in_doubt(outcome)
    await counter.gateway.sweep()
    later = await counter.again(outcome)
    assert isinstance(later, Failed)
    assert (later.error_type, later.code, later.effect.value) == (ErrorType.TOOL_ERROR, "sold_out", "none")


@pytest.mark.req("M6.8", "M10.14")
async def test_an_outcome_whose_recording_hangs_is_answered_as_unknown_and_recorded_when_it_goes_on(
    counter: Counter, faulty: FaultyStore, clock: FakeClock
) -> None:
    fault = faulty.fail("hang", Settle)
    waiting = asyncio.ensure_future(counter.ship(1))
    await asyncio.to_thread(fault.wait)
    clock.advance(TIMEOUT)
    await asyncio.to_thread(clock.wait_for_alarm, within=counter.gateway.world.settle_grace)
    clock.advance(counter.gateway.world.settle_grace)

    outcome = await waiting
    assert_in_doubt(outcome)
    fault.release()

    # The next call of the same key comes behind the recording, in whatever order the two are taken.
    while isinstance(again := await counter.ship(1), Refused):
        assert again.error_type is ErrorType.IDEMPOTENCY_IN_FLIGHT
    assert again.unwrap() == "shipped 1"
    assert counter.shop.shipped == [1]


@pytest.mark.req("X5.5")
@pytest.mark.parametrize(("how", "when"), [("refuse", "before"), ("doubt", "before"), ("doubt", "after")])
async def test_a_read_is_withheld_unless_its_trail_is_surely_there(
    counter: Counter, faulty: FaultyStore, how: How, when: When
) -> None:
    faulty.fail(how, Record, when=when)

    outcome = await counter.look_up(1)

    assert counter.shop.looked_up == [1]
    assert_unavailable(outcome)


@pytest.mark.req("X5.5", "M6.8")
async def test_a_read_whose_trail_hangs_is_answered_without_its_result(
    counter: Counter, faulty: FaultyStore, clock: FakeClock
) -> None:
    fault = faulty.fail("hang", Record)
    waiting = asyncio.ensure_future(counter.look_up(1))
    await asyncio.to_thread(fault.wait)
    clock.advance(TIMEOUT)
    await asyncio.to_thread(clock.wait_for_alarm, within=counter.gateway.world.settle_grace)
    clock.advance(counter.gateway.world.settle_grace)

    assert_unavailable(await waiting)
    fault.release()


@pytest.mark.req("X5.4", "M11.2")
async def test_a_refusal_that_cannot_be_recorded_is_not_told_as_one(
    counter: Counter, faulty: FaultyStore
) -> None:
    faulty.fail("refuse", Record, times=2)

    stranger = await counter.gateway.call("ship", {"order": 1}, caller=Caller("u-eve"))
    faulty.fail("refuse", Append)
    nonsense = await counter.gateway.call("ship", {"order": "one"}, caller=MAYA)

    assert_unavailable(stranger)
    assert_unavailable(nonsense)


@pytest.mark.req("X5.4", "M9.2")
async def test_a_replay_that_cannot_be_recorded_is_withheld(counter: Counter, faulty: FaultyStore) -> None:
    (await counter.ship(1)).unwrap()
    faulty.fail("refuse", Append)

    assert_unavailable(await counter.ship(1))


@pytest.mark.req("M5.7")
async def test_a_gate_that_cannot_look_refuses(counter: Counter, faulty: FaultyStore) -> None:
    faulty.fail_reads()

    assert_unavailable(await counter.ship(1))

    faulty.mend()
    assert counter.shop.shipped == []
    assert (await counter.ship(1)).unwrap() == "shipped 1"


@pytest.mark.req("M10.14")
async def test_evidence_that_cannot_be_written_yet_is_kept_for_the_next_round(
    counter: Counter, faulty: FaultyStore
) -> None:
    faulty.fail("refuse", Settle)
    faulty.fail("refuse", LateEvidence, times=2)
    outcome = await counter.ship(1)

    for _ in range(2):
        await counter.gateway.sweep()
        assert not isinstance(await counter.again(outcome), Succeeded)
    await counter.gateway.sweep()

    assert isinstance(await counter.again(outcome), Succeeded)


@pytest.mark.req("M10.14", "X1.18")
async def test_evidence_that_can_never_be_written_holds_up_nothing(
    counter: Counter, faulty: FaultyStore
) -> None:
    faulty.fail("refuse", Settle, times=2)
    first = await counter.ship(1)
    second = await counter.ship(2)
    original = faulty.inner.execute

    async def refuse_the_first(command: Command) -> Any:
        if isinstance(command, LateEvidence) and command.call_id == first.call_id:
            raise StoreUnavailable("this one never")
        return await original(command)

    faulty.inner.execute = refuse_the_first  # type: ignore[method-assign]
    counter.clock.advance(3600)
    for _ in range(2):
        await counter.gateway.sweep()

    # The other is recorded, and recovery says of the first that it is in doubt.
    assert await effect_of(faulty, second.call_id) is EffectState.APPLIED
    assert await effect_of(faulty, first.call_id) is EffectState.UNKNOWN
    faulty.inner.execute = original  # type: ignore[method-assign]
    await counter.gateway.sweep()
    assert await effect_of(faulty, first.call_id) is EffectState.APPLIED


@pytest.mark.req("X5.6")
async def test_a_probe_that_fails_keeps_the_gate_closed(counter: Counter, faulty: FaultyStore) -> None:
    faulty.fail("refuse", Record)
    faulty.fail("refuse", Append, times=2)

    for _ in range(3):
        assert_unavailable(await counter.look_up(1))

    assert counter.shop.looked_up == [1]
    assert (await counter.look_up(2)).unwrap() == "secret of 2"


# --- approvals ------------------------------------------------------------------------------------------------


class Bank:
    """A tool that always needs a person, and one whose business asks for one."""

    def __init__(self) -> None:
        self.paid: list[int] = []

    def tools(self) -> list[Any]:
        @tool(
            effect="write",
            roles={"support"},
            idempotency="pay:{amount}",
            approval=Approval(approvers={"lead"}),
        )
        async def pay(amount: int) -> int:
            """Pay an amount."""
            self.paid.append(amount)
            return amount

        @tool(
            effect="write",
            roles={"support"},
            idempotency="ask:{amount}",
            approval=Approval(approvers={"lead"}, when={"amount": {"gt": 1_000_000}}),
        )
        async def pay_if_small(amount: int) -> int:
            """Pay an amount, and ask where it is large."""
            if amount > 100:
                raise NeedsApproval("it is a large amount")
            self.paid.append(amount)
            return amount

        return [pay, pay_if_small]


@pytest.fixture
def bank() -> Bank:
    return Bank()


@pytest.fixture
async def gate(faulty: FaultyStore, bank: Bank, clock: FakeClock) -> AsyncIterator[Gateway]:
    gateway = Gateway(bank.tools(), store=faulty, keys=Keyring.ephemeral(), clock=clock, housekeeping=None)
    async with gateway:
        yield gateway


async def hold_and_approve(gate: Gateway, amount: int) -> PendingApproval:
    held = await gate.call("pay", {"amount": amount}, caller=MAYA)
    assert isinstance(held, PendingApproval)
    decided = await decide_approval(gate, held.approval_id, "approve", voter=ANNE, reason="fine")
    assert not isinstance(decided, str)
    return held


@pytest.mark.req("X5.4", "M12.2")
async def test_a_hold_that_cannot_be_recorded_is_no_hold(gate: Gateway, faulty: FaultyStore) -> None:
    faulty.fail("refuse", DraftHold)

    assert_unavailable(await gate.call("pay", {"amount": 5}, caller=MAYA))

    assert await faulty.approvals(ApprovalFilter(open_only=True)) == []


@pytest.mark.req("X2.6", "X1.3")
async def test_an_approval_that_cannot_be_consumed_runs_nothing_and_is_used_later(
    gate: Gateway, faulty: FaultyStore, bank: Bank
) -> None:
    held = await hold_and_approve(gate, 5)
    fault = faulty.fail("refuse", Dispatch)
    await gate.sweep()
    await asyncio.to_thread(fault.wait)

    assert bank.paid == []
    await settled(gate, held)
    assert bank.paid == [5]


async def settled(gate: Gateway, held: PendingApproval) -> Any:
    """Sweep until the approved call has run: a sweep may come while the flight before it is still landing."""
    for _ in range(1_000):
        await gate.sweep()
        outcome = await gate.get_call(held.call_id, caller=MAYA)
        if isinstance(outcome, Succeeded | Failed | Unknown):
            return outcome
    raise AssertionError("the approved call never ended")


@pytest.mark.req("X1.14", "X2.6")
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_consumption_whose_commit_answered_nothing_is_read_again(
    gate: Gateway, faulty: FaultyStore, bank: Bank, when: When
) -> None:
    held = await hold_and_approve(gate, 5)
    faulty.fail("doubt", Dispatch, when=when)

    outcome = await settled(gate, held)

    assert isinstance(outcome, Succeeded)
    assert bank.paid == [5]
    approval = (await faulty.find(ByApproval(held.approval_id))).approval
    assert approval is not None
    assert approval.state is ApprovalState.CONSUMED


@pytest.mark.req("M3.4", "M9.9")
async def test_a_wish_for_a_person_that_cannot_be_recorded_ends_as_not_applied(
    gate: Gateway, faulty: FaultyStore, bank: Bank
) -> None:
    faulty.fail("refuse", Rehold)

    outcome = await gate.call("pay_if_small", {"amount": 500}, caller=MAYA)

    assert bank.paid == []
    assert told(outcome)["effect"] == "none"
    await gate.sweep()
    assert await effect_of(faulty, outcome.call_id) is EffectState.NOT_APPLIED
    assert isinstance(await gate.call("pay_if_small", {"amount": 500}, caller=MAYA), PendingApproval)


# --- every point ----------------------------------------------------------------------------------------------


@pytest.mark.req("X5.4", "M10.14", "X1.3", "X1.14", "X5.7")
@pytest.mark.parametrize(("how", "when"), [("refuse", "before"), ("doubt", "before"), ("doubt", "after")])
@pytest.mark.parametrize("nth", range(1, 8))
async def test_whatever_command_fails_the_ledger_ends_up_agreeing_with_the_world(
    counter: Counter, faulty: FaultyStore, shop: Shop, how: How, when: When, nth: int
) -> None:
    faulty.fail(how, nth=nth, when=when)
    outcomes = [await counter.ship(1), await counter.look_up(2), await counter.ship(1), await counter.ship(3)]

    for outcome in outcomes:
        told(outcome)
        if isinstance(outcome, Succeeded) and outcome.effect.value == "applied":
            assert await effect_of(faulty, outcome.call_id) is EffectState.APPLIED
    faulty.mend()
    await counter.gateway.sweep()
    assert sorted(shop.shipped) == sorted(set(shop.shipped))
    for order in (1, 3):
        assert (await counter.ship(order)).unwrap() == f"shipped {order}"
    assert sorted(shop.shipped) == [1, 3]
    assert await faulty.unknown() == []
    assert (await verify_audit(faulty)).problems == ()
