"""A business service that asks for a person by itself: nothing happened yet, and the call becomes a hold."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from tests.approvals.desk import (
    ANN,
    ANN_AS_LEAD,
    BIG_ONES,
    BOSS,
    LEA,
    MAX,
    approval_of,
    ask,
    call_of,
    held,
    trail_of,
    transitions,
)
from tests.machines.stage import approve, deny, sweep
from tests.people import decide_approval
from toolgate import Caller, ErrorType, Failed, NeedsApproval, Refused, Succeeded, TransientError, WorldEffect
from toolgate.domain.lifecycle import ApprovalState
from toolgate.ports import ApprovalFilter

if TYPE_CHECKING:
    from tests.approvals.desk import Desk
    from tests.machines.stage import Stage

WISH = NeedsApproval("a second look at this customer", approvers={"lead"}, risk="high")


@pytest.mark.req("M3.4")
async def test_a_wish_becomes_a_hold_under_the_same_key_and_runs_once_approved(
    stage: Stage, desk: Desk
) -> None:
    desk.ends = [WISH]
    async with stage.gateway(desk.tool(None)) as gateway:
        outcome = await held(gateway, cents=900)
        row = await call_of(gateway, outcome)
        again = await held(gateway, cents=900)
        other = await ask(gateway, cents=1)
        await approve(gateway, outcome.approval_id, LEA)
        await sweep(gateway)
        answer = await ask(gateway, cents=900)
        said = await transitions(gateway, outcome)

    first, second = desk.contexts
    assert row.effect_state is None
    assert outcome.effect is WorldEffect.NONE
    assert again.call_id == outcome.call_id
    assert other.error_type is ErrorType.IDEMPOTENCY_CONFLICT
    assert (first.approval, first.call_id) == (None, outcome.call_id)
    assert second.approval is not None
    assert (second.approval.approved_by, second.call_id) == (("lea",), outcome.call_id)
    assert second.idempotency_key == first.idempotency_key
    assert isinstance(answer, Succeeded)
    assert answer.replayed
    assert desk.paid == [(1, 900)]
    assert [one for one in said if one != "replayed"] == [
        "intended",
        "held",
        "approval_approved",
        "intended",
        "settled",
    ]


@pytest.mark.req("M3.4")
async def test_the_approver_sees_the_services_reason_and_risk(stage: Stage, desk: Desk) -> None:
    desk.ends = [WISH]
    async with stage.gateway(desk.tool(None)) as gateway:
        outcome = await held(gateway, cents=900)
        row = await approval_of(gateway, outcome)
        event = (await trail_of(gateway, outcome))[-1]

    wanted = json.loads(row.requirement)
    assert (wanted["reason"], wanted["risk"], wanted["approvers"]) == (
        "a second look at this customer",
        "high",
        [["lead"]],
    )
    assert json.loads(row.shown)["arguments"]["cents"] == 900
    assert event["toolgate.decision"] == "hold"
    assert event["toolgate.settled"] == "not_applied"


@pytest.mark.req("M3.4", "M5.4")
async def test_a_wish_and_the_contract_merge_to_the_strictest(stage: Stage, desk: Desk) -> None:
    desk.ends = [NeedsApproval("the boss has to know", approvers={"boss"})]
    async with stage.gateway(desk.tool(BIG_ONES)) as gateway:
        outcome = await held(gateway, cents=10)
        await approve(gateway, outcome.approval_id, LEA)
        await sweep(gateway)
        ran_on_one = list(desk.paid)
        await approve(gateway, outcome.approval_id, BOSS)
        await sweep(gateway)

    assert ran_on_one == []
    assert desk.paid == [(1, 10)]


@pytest.mark.req("M3.4")
async def test_wishing_again_after_the_approval_is_a_failure_and_no_second_hold(
    stage: Stage, desk: Desk
) -> None:
    desk.ends = [WISH, WISH]
    async with stage.gateway(desk.tool(None)) as gateway:
        outcome = await held(gateway)
        await approve(gateway, outcome.approval_id, LEA)
        await sweep(gateway)
        answer = await gateway.get_call(outcome.call_id, caller=ANN)
        waiting = await gateway.store.approvals(ApprovalFilter(open_only=True))

    assert isinstance(answer, Failed)
    assert (answer.error_type, answer.code, answer.effect) == (
        ErrorType.TOOL_ERROR,
        "needs_approval",
        WorldEffect.NONE,
    )
    assert list(waiting) == []
    assert desk.paid == []


@pytest.mark.req("M3.4", "M9.10")
async def test_a_wish_that_is_denied_is_final_for_the_key(stage: Stage, desk: Desk) -> None:
    desk.ends = [WISH]
    async with stage.gateway(desk.tool(None)) as gateway:
        outcome = await held(gateway)
        await deny(gateway, outcome.approval_id, LEA)
        again = await ask(gateway)

    assert isinstance(again, Refused)
    assert again.error_type is ErrorType.APPROVAL_DENIED
    assert len(desk.contexts) == 1


@pytest.mark.req("M3.4")
async def test_a_wish_that_nobody_answers_frees_the_key(stage: Stage, desk: Desk) -> None:
    desk.ends = [WISH]
    async with stage.gateway(desk.tool(BIG_ONES)) as gateway:
        first = await held(gateway, cents=10)
        stage.clock.advance(3600)
        await sweep(gateway)
        second = await ask(gateway, cents=10)

    assert isinstance(second, Succeeded)
    assert second.call_id != first.call_id


@pytest.mark.req("M3.4", "X2.12")
async def test_a_wish_of_a_tool_without_a_key_is_attached_to_and_not_repeated(
    stage: Stage, desk: Desk
) -> None:
    desk.ends = [WISH, WISH]
    async with stage.gateway(desk.tool(None, idempotency=None)) as gateway:
        first = await held(gateway)
        again = await held(gateway)
        waiting = await gateway.store.approvals(ApprovalFilter(open_only=True))

    assert again.call_id == first.call_id
    assert len(waiting) == 1
    assert len(desk.contexts) == 1


@pytest.mark.req("M3.4", "X2.8")
async def test_a_wish_without_roles_is_for_the_tools_own_but_not_for_who_asked(
    stage: Stage, desk: Desk
) -> None:
    desk.ends = [NeedsApproval("a second pair of eyes")]
    async with stage.gateway(desk.tool(None)) as gateway:
        outcome = await held(gateway)
        by_self = await decide_approval(gateway, outcome.approval_id, "approve", voter=ANN, reason="me")
        by_stranger = await decide_approval(gateway, outcome.approval_id, "approve", voter=MAX, reason="me")
        await approve(gateway, outcome.approval_id, Caller("bob", {"clerk"}, "acme"))
        await sweep(gateway)

    assert by_self == "whoever asked for a call may not approve it"
    assert by_stranger == "deciding needs the role clerk"
    assert desk.paid == [(1, 5000)]


@pytest.mark.req("M3.4")
async def test_a_wish_that_nobody_could_ever_grant_is_a_failure_and_no_hold(stage: Stage, desk: Desk) -> None:
    desk.ends = [NeedsApproval("a second pair of eyes")]
    async with stage.gateway(desk.tool(None, roles="anyone")) as gateway:
        outcome = await ask(gateway)
        waiting = await gateway.store.approvals(ApprovalFilter(open_only=True))

    assert isinstance(outcome, Failed)
    assert (outcome.error_type, outcome.effect) == (ErrorType.TOOL_ERROR, WorldEffect.NONE)
    assert list(waiting) == []


@pytest.mark.req("M3.4")
async def test_a_wish_after_an_attempt_in_doubt_is_no_hold(stage: Stage, desk: Desk) -> None:
    desk.ends = [ConnectionResetError(), WISH]
    async with stage.gateway(desk.tool(None, honours_key=True, retries=2)) as gateway:
        asked = asyncio.create_task(ask(gateway))
        await asyncio.to_thread(stage.clock.wait_for_alarm, within=1)
        stage.clock.advance(1)
        outcome = await asked
        waiting = await gateway.store.approvals(ApprovalFilter(open_only=True))

    assert outcome.effect is WorldEffect.UNKNOWN
    assert list(waiting) == []


@pytest.mark.req("M3.4")
async def test_a_wish_after_an_attempt_that_did_nothing_is_a_hold(stage: Stage, desk: Desk) -> None:
    desk.ends = [TransientError("busy"), WISH]
    async with stage.gateway(desk.tool(None, retries=2)) as gateway:
        asked = asyncio.create_task(held(gateway))
        await asyncio.to_thread(stage.clock.wait_for_alarm, within=1)
        stage.clock.advance(1)
        outcome = await asked
        row = await approval_of(gateway, outcome)

    assert row.state is ApprovalState.PENDING


@pytest.mark.req("M3.4", "X2.8")
async def test_a_requester_with_the_approvers_role_cannot_grant_their_own_wish(
    stage: Stage, desk: Desk
) -> None:
    desk.ends = [WISH]
    async with stage.gateway(desk.tool(None)) as gateway:
        outcome = await held(gateway, caller=ANN_AS_LEAD)
        refused = await decide_approval(
            gateway, outcome.approval_id, "approve", voter=ANN_AS_LEAD, reason="me"
        )

    assert refused == "whoever asked for a call may not approve it"
