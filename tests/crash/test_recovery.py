"""What becomes of a call whose process died: recovery at start and periodically, reconcile, and a person's word."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

from tests.crash.business import (
    AGENT,
    AUDITOR,
    TIMEOUT,
    Business,
    Refund,
    found_in_the_books,
    refund_held,
    refund_plain,
)
from tests.crash.child import ORDER, WORKFLOW, recover
from tests.crash.clocks import HOUR, LATER
from tests.crash.deaths import dead
from tests.crash.nursery import Nursery
from tests.crash.survivor import approve, replica, survivor, the_calls, told
from tests.people import resolve_call
from toolgate import Gateway, PendingApproval, Succeeded, ToolContext, Unknown, tool
from toolgate.domain.duration import MICRO
from toolgate.domain.lifecycle import ApprovalState, EffectState
from toolgate.domain.rows import ByApproval, ByCall
from toolgate.testing import CrashPoint, FakeClock, PortTap
from toolgate.testing.clock import EPOCH

MARGIN = 10.0
PAST_THE_LEASE = EPOCH + round((TIMEOUT + MARGIN + 1) * MICRO)
HORIZON = 60.0
PATIENCE = 20.0
BEFORE_THE_EFFECT = "at tool: entered #1"
AFTER_THE_EFFECT = "at business: after COMMIT #1"


async def states(gateway: Gateway) -> list[EffectState | None]:
    return [row.effect_state for row in await the_calls(gateway)]


async def transitions(gateway: Gateway, call_id: str) -> Counter[str]:
    """How often the trail tells each transition of a call."""
    records = [json.loads(stored.record) async for stored in gateway.store.records(call_id=call_id)]
    return Counter(record["toolgate.transition"] for record in records)


@pytest.mark.req("X1.4")
@pytest.mark.parametrize("point", [BEFORE_THE_EFFECT, AFTER_THE_EFFECT])
async def test_an_intent_whose_owner_died_becomes_unknown_once_its_lease_ran_out_and_never_runs_by_itself(
    point: str, nursery: Nursery, tmp_path: Path
) -> None:
    folder = await dead("a plain write", point, nursery, tmp_path)
    clock = FakeClock(now=EPOCH + MICRO)
    business = Business(folder / "business.db")
    done = business.paid(ORDER)
    async with survivor(folder, clock=clock) as gateway:
        await recover(gateway)
        assert await states(gateway) == [EffectState.INTENDED]
        clock.advance(TIMEOUT + MARGIN)
        await recover(gateway)
        assert await states(gateway) == [EffectState.UNKNOWN]
        clock.advance(HOUR)
        await recover(gateway)
        again = await gateway.call(refund_plain, {"order_id": ORDER}, caller=AGENT, workflow=WORKFLOW)
        assert isinstance(again, Unknown)
    assert business.paid(ORDER) == done


@pytest.mark.req("X1.5", "X1.6")
@pytest.mark.parametrize(
    "scenario", ["a write that can be reconciled", "an approved write that can be reconciled"]
)
async def test_what_reconcile_does_not_find_stays_unknown_until_the_horizon_has_passed(
    scenario: str, nursery: Nursery, tmp_path: Path
) -> None:
    folder = await dead(scenario, BEFORE_THE_EFFECT, nursery, tmp_path)
    clock = FakeClock(now=PAST_THE_LEASE)
    async with survivor(folder, clock=clock) as gateway:
        await recover(gateway)
        assert await states(gateway) == [EffectState.UNKNOWN]
        clock.advance(HORIZON)
        await recover(gateway)
        assert (await states(gateway))[0] is EffectState.NOT_APPLIED


@pytest.mark.req("X1.6")
async def test_the_horizon_of_a_held_call_counts_from_when_it_ran_and_not_from_when_it_was_asked(
    nursery: Nursery, tmp_path: Path
) -> None:
    folder = await dead("a write approved an hour later", BEFORE_THE_EFFECT, nursery, tmp_path)
    clock = FakeClock(now=PAST_THE_LEASE + round(HOUR * MICRO))
    async with survivor(folder, clock=clock) as gateway:
        await recover(gateway)
        assert await states(gateway) == [EffectState.UNKNOWN]
        clock.advance(HORIZON)
        await recover(gateway)
        assert (await states(gateway))[0] is EffectState.NOT_APPLIED


@pytest.mark.req("X1.5")
async def test_what_reconcile_finds_is_applied_with_the_result_that_the_call_would_have_had(
    nursery: Nursery, tmp_path: Path
) -> None:
    folder = await dead("a write that can be reconciled", AFTER_THE_EFFECT, nursery, tmp_path)
    async with survivor(folder, clock=FakeClock(now=PAST_THE_LEASE)) as gateway:
        await recover(gateway)
        (row,) = await the_calls(gateway)
        now = await gateway.get_call(row.call_id, caller=AGENT)
    assert isinstance(now, Succeeded)
    assert now.result.refund_id == Business(folder / "business.db").paid(ORDER)[0]


@pytest.mark.req("X1.7")
async def test_a_person_settles_an_unknown_call_once_and_with_a_reason(
    nursery: Nursery, tmp_path: Path
) -> None:
    folder = await dead("a plain write", AFTER_THE_EFFECT, nursery, tmp_path)
    async with survivor(folder) as gateway:
        await recover(gateway)
        call_id = (await the_calls(gateway))[0].call_id
        world = gateway.world
        silent = await resolve_call(world, call_id, applied=True, by=AUDITOR, reason="  ")
        assert isinstance(silent, str)
        assert await states(gateway) == [EffectState.UNKNOWN]
        moved = await resolve_call(world, call_id, applied=True, by=AUDITOR, reason="it is in the books")
        assert not isinstance(moved, str)
        second = await resolve_call(world, call_id, applied=False, by=AUDITOR, reason="I thought again")
        assert isinstance(second, str)
        assert await states(gateway) == [EffectState.APPLIED]
        said = [json.loads(stored.record) async for stored in gateway.store.records(call_id=call_id)][-1]
    assert (said["toolgate.actor"], said["toolgate.reason"]) == (AUDITOR.id, "it is in the books")


@pytest.mark.req("X1.8")
async def test_nobody_may_say_not_applied_while_the_attempt_may_still_be_running(
    nursery: Nursery, tmp_path: Path
) -> None:
    """The call was given up at its deadline and is unknown; its owner then died, and only the lease can tell."""
    folder = await dead("a write that never ends", "at application: told #1", nursery, tmp_path)
    clock = FakeClock(now=EPOCH + round((TIMEOUT + 2) * MICRO))
    async with survivor(folder, clock=clock) as gateway:
        await recover(gateway)
        assert await states(gateway) == [EffectState.UNKNOWN]
        call_id = (await the_calls(gateway))[0].call_id
        early = await resolve_call(gateway.world, call_id, applied=False, by=AUDITOR, reason="it looks dead")
        assert isinstance(early, str)
        assert await states(gateway) == [EffectState.UNKNOWN]
        clock.advance(MARGIN)
        late = await resolve_call(gateway.world, call_id, applied=False, by=AUDITOR, reason="it is dead")
        assert not isinstance(late, str)


@pytest.mark.req("X1.11")
async def test_recovery_runs_when_a_gateway_starts_and_again_by_itself(
    nursery: Nursery, tmp_path: Path
) -> None:
    folder = await dead("a plain write", AFTER_THE_EFFECT, nursery, tmp_path)
    clock = FakeClock(now=EPOCH + MICRO)
    looked, lapsed = threading.Event(), threading.Event()

    def hook(point: CrashPoint) -> None:
        if str(point) == "after store.lapsed #1":
            looked.set()
        if str(point) == "after store.execute(Lapse) #1":
            lapsed.set()

    async with replica(folder, clock, PortTap(hook), housekeeping=0.01) as gateway:
        assert await asyncio.to_thread(looked.wait, PATIENCE)
        assert await states(gateway) == [EffectState.INTENDED]
        clock.advance(TIMEOUT + MARGIN)
        assert await asyncio.to_thread(lapsed.wait, PATIENCE)
        assert await states(gateway) == [EffectState.UNKNOWN]


@pytest.mark.req("X1.11")
@pytest.mark.parametrize("point", ["after store.lapsed #1", "after store.unknown #1"])
async def test_two_replicas_that_see_one_lost_intent_recover_it_once(
    point: str, nursery: Nursery, tmp_path: Path
) -> None:
    """The first looks, the second takes it meanwhile, and the first comes too late."""
    folder = await dead("a write that can be reconciled", AFTER_THE_EFFECT, nursery, tmp_path)
    clock = FakeClock(now=LATER)
    looked, go_on = threading.Event(), threading.Event()

    def hold(met: CrashPoint) -> None:
        if str(met) == point:
            looked.set()
            go_on.wait(PATIENCE)

    async with replica(folder, clock, PortTap(hold)) as slow, survivor(folder, clock=clock) as quick:
        sweeping = asyncio.create_task(slow.sweep())
        assert await asyncio.to_thread(looked.wait, PATIENCE)
        await quick.sweep()
        go_on.set()
        await sweeping
        assert await states(quick) == [EffectState.APPLIED]
        call_id = (await the_calls(quick))[0].call_id
        assert await transitions(quick, call_id) == {"intended": 1, "lapsed": 1, "resolved": 1}


@pytest.mark.req("X2.13")
@pytest.mark.parametrize("by", ["a person", "reconcile"])
async def test_what_was_consumed_and_did_not_happen_is_asked_anew_with_everything_filled_in(
    by: str, nursery: Nursery, tmp_path: Path
) -> None:
    scenario = "an approved write" if by == "a person" else "an approved write that can be reconciled"
    folder = await dead(scenario, BEFORE_THE_EFFECT, nursery, tmp_path)
    business = Business(folder / "business.db")
    async with survivor(folder) as gateway:
        await recover(gateway)
        if by == "a person":
            (row,) = await the_calls(gateway)
            assert row.effect_state is EffectState.UNKNOWN
            await resolve_call(
                gateway.world, row.call_id, applied=False, by=AUDITOR, reason="the books hold nothing"
            )
        first, second = await the_calls(gateway)
        old = (await gateway.store.find(ByCall(first.call_id))).approval
        new = (await gateway.store.find(ByCall(second.call_id))).approval
        assert old is not None
        assert new is not None
        assert (old.state, new.state) == (ApprovalState.CONSUMED, ApprovalState.PENDING)
        assert (new.shown, new.requirement, new.caller_id) == (old.shown, old.requirement, old.caller_id)
        assert (second.workflow_id, second.key_mac) == (first.workflow_id, first.key_mac)
        asked = await gateway.call(first.tool, {"order_id": ORDER}, caller=AGENT, workflow=WORKFLOW)
        assert isinstance(asked, PendingApproval)
        assert asked.approval_id == new.approval_id

        await recover(gateway)
        assert business.paid(ORDER) == []
        await approve(gateway, new.approval_id)

        assert len(business.paid(ORDER)) == 1
        assert [row.effect_state for row in await the_calls(gateway)] == [
            EffectState.NOT_APPLIED,
            EffectState.APPLIED,
        ]


@pytest.mark.req("X2.14")
@pytest.mark.parametrize(
    "point", ["after store.execute(DecideApproval) #1", "before store.execute(Dispatch) #1"]
)
async def test_what_was_approved_before_the_gateway_died_is_run_by_the_next_one(
    point: str, nursery: Nursery, tmp_path: Path
) -> None:
    folder = await dead("an approved write", point, nursery, tmp_path)
    business = Business(folder / "business.db")
    assert business.paid(ORDER) == []
    asked = told(folder)[0]
    async with survivor(folder) as gateway:
        await recover(gateway)
        assert len(business.paid(ORDER)) == 1
        assert isinstance(await gateway.get_call(asked["call_id"], caller=AGENT), Succeeded)
        approval = (await gateway.store.find(ByApproval(asked["approval_id"]))).approval
        assert approval is not None
        assert approval.state is ApprovalState.CONSUMED
        again = await gateway.call(refund_held, {"order_id": ORDER}, caller=AGENT, workflow=WORKFLOW)
        assert again.replayed
    assert len(business.paid(ORDER)) == 1


@pytest.mark.req("X1.5")
async def test_a_contract_whose_key_changed_cannot_tell_by_its_new_key_that_nothing_happened(
    nursery: Nursery, tmp_path: Path
) -> None:
    folder = await dead("a write that can be reconciled", AFTER_THE_EFFECT, nursery, tmp_path)

    @tool(
        name="refund_reconciled",
        effect="write",
        roles={"support"},
        idempotency="refund:v2:{order_id}",
        reconcile=found_in_the_books,
        horizon="1m",
    )
    async def rewritten(context: ToolContext[Business], order_id: int) -> Refund:
        """Refund an order under a key of another form."""
        return context.deps.refund(order_id, context.idempotency_key)

    async with survivor(folder, tools=[rewritten]) as gateway:
        await recover(gateway)
        assert await states(gateway) == [EffectState.UNKNOWN]


@pytest.mark.req("X1.11")
async def test_a_call_whose_request_cannot_be_read_any_more_does_not_end_recovery(
    nursery: Nursery, tmp_path: Path
) -> None:
    folder = await dead("a write that can be reconciled", AFTER_THE_EFFECT, nursery, tmp_path)
    with closing(sqlite3.connect(folder / "ledger.db")) as db, db:
        db.execute("UPDATE sealed SET sealed = x'00' WHERE kind = 'request'")
    async with survivor(folder) as gateway:
        await recover(gateway)
        assert await states(gateway) == [EffectState.UNKNOWN]
