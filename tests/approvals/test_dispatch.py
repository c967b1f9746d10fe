"""What happens to what people approved: run once, as the requester, with everything checked again."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.approvals.desk import (
    ANN,
    BIG_ONES,
    BOB,
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
from tests.approvals.test_decisions import BY_POLICY, asking
from tests.machines.stage import Guillotine, Stage, approve, deny, end_of, landed, sweep
from tests.people import resolve_call
from toolgate import (
    Advice,
    Approval,
    Breaker,
    Caller,
    ErrorType,
    Failed,
    NotApplied,
    PendingApproval,
    Refused,
    Succeeded,
    Unknown,
    WorldEffect,
)
from toolgate.domain.commands import Dispatch
from toolgate.domain.lifecycle import ApprovalState, EffectState
from toolgate.domain.principal import Declined, in_person
from toolgate.domain.rows import ByApproval
from toolgate.gateway import spine
from toolgate.operations.edit_approval import edit_approval
from toolgate.operations.review import Review
from toolgate.operations.review_approval import review_approval
from toolgate.ports import ApprovalFilter

if TYPE_CHECKING:
    from tests.approvals.desk import Desk
    from toolgate import Gateway


async def approved(gateway: Gateway, order: int = 1, **given: Any) -> PendingApproval:
    """A refund that Lea approved and nobody ran yet."""
    outcome = await held(gateway, order, **given)
    await approve(gateway, outcome.approval_id, LEA)
    return outcome


# ------------------------------------------------------------------------------------------ it runs, once


@pytest.mark.req("X2.14")
async def test_an_approved_call_runs_as_its_requester_and_the_waiting_agent_gets_the_result(
    stage: Stage, desk: Desk
) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        flow = gateway.workflow("wf", caller=ANN, agent="helper", model="m-1")
        outcome = await flow.call("refund", {"order": 1, "cents": 900}, request_id="req-1")
        assert isinstance(outcome, PendingApproval)
        await approve(gateway, outcome.approval_id, LEA)
        await sweep(gateway)
        answer = await gateway.get_call(outcome.call_id, caller=ANN)
        again = await flow.call("refund", {"order": 1, "cents": 900})

    (context,) = desk.contexts
    assert (context.caller, context.workflow_id, context.agent, context.model) == (ANN, "wf", "helper", "m-1")
    assert (context.call_id, context.request_id) == (outcome.call_id, "req-1")
    assert isinstance(answer, Succeeded)
    assert isinstance(again, Succeeded)
    assert (answer.result, answer.effect, again.result, again.replayed) == (
        900,
        WorldEffect.APPLIED,
        900,
        True,
    )
    assert desk.paid == [(1, 900)]


@pytest.mark.req("X2.14")
async def test_the_tool_learns_who_approved_and_why(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await held(gateway)
        await approve(gateway, outcome.approval_id, LEA, reason="saw the parcel")
        await sweep(gateway)

    fact = desk.contexts[0].approval
    assert fact is not None
    assert (fact.approval_id, fact.approved_by, fact.reason) == (
        outcome.approval_id,
        ("lea",),
        "saw the parcel",
    )


@pytest.mark.req("X2.6")
async def test_the_approval_is_consumed_and_the_intent_written_before_the_tool_is_entered(
    stage: Stage, desk: Desk
) -> None:
    desk.hold = threading.Event()
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await approved(gateway)
        await gateway.sweep()
        await asyncio.to_thread(desk.entered.wait, 10)
        during = (await approval_of(gateway, outcome)).state, (await call_of(gateway, outcome)).effect_state
        desk.hold.set()
        await landed(gateway)
        said = await transitions(gateway, outcome)

    assert during == (ApprovalState.CONSUMED, EffectState.INTENDED)
    assert said == ["held", "approval_approved", "intended", "settled"]


@pytest.mark.req("X2.6")
async def test_sweeping_again_and_again_runs_it_once(stage: Stage, desk: Desk) -> None:
    desk.hold = threading.Event()
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await approved(gateway)
        await gateway.sweep()
        await asyncio.to_thread(desk.entered.wait, 10)
        await gateway.sweep()
        meanwhile = await gateway.get_call(outcome.call_id, caller=ANN)
        desk.hold.set()
        await landed(gateway)
        await sweep(gateway)

    assert not isinstance(meanwhile, Succeeded)
    assert meanwhile.effect is WorldEffect.UNKNOWN
    assert desk.paid == [(1, 5000)]


@pytest.mark.req("X2.6")
async def test_two_gateways_on_one_ledger_run_an_approved_call_once(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as one, stage.gateway(desk.tool()) as other:
        outcomes = [await approved(one, order) for order in range(1, 9)]
        await asyncio.gather(sweep(one), sweep(other), sweep(one), sweep(other))
        said = [await transitions(one, outcome) for outcome in outcomes]

    assert sorted(desk.paid) == [(order, 5000) for order in range(1, 9)]
    assert all(events.count("intended") == events.count("settled") == 1 for events in said)


@pytest.mark.req("X2.14")
async def test_it_runs_after_a_restart(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await approved(gateway)
    async with stage.gateway(desk.tool()) as gateway:
        await sweep(gateway)
        answer = await gateway.get_call(outcome.call_id, caller=ANN)

    assert isinstance(answer, Succeeded)
    assert desk.paid == [(1, 5000)]


@pytest.mark.req("X2.14")
async def test_only_a_gateway_that_has_the_tool_runs_it(stage: Stage, desk: Desk) -> None:
    other_tool = desk.tool()
    other_tool = other_tool.with_contract(replace(other_tool.contract, name="another"))
    async with stage.gateway(desk.tool()) as owner, stage.gateway(other_tool) as stranger:
        outcome = await approved(owner)
        await sweep(stranger)
        untouched = (await approval_of(owner, outcome)).state
        await sweep(owner)

    assert untouched is ApprovalState.APPROVED
    assert desk.paid == [(1, 5000)]


@pytest.mark.req("X2.14")
async def test_dependencies_are_built_anew_for_the_caller_when_it_runs(stage: Stage, desk: Desk) -> None:
    entered: list[Caller] = []

    @asynccontextmanager
    async def deps(caller: Caller) -> AsyncIterator[int]:
        entered.append(caller)
        yield len(entered)

    async with stage.gateway(desk.tool(), deps=deps) as gateway:
        await approved(gateway)
        await sweep(gateway)

    assert entered == [ANN, ANN]
    assert desk.contexts[0].deps == 2


# -------------------------------------------------------------------------------- everything checked again


@pytest.mark.req("X2.5")
async def test_object_level_permission_is_asked_again(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await approved(gateway)
        desk.forbidden = {"ann"}
        await sweep(gateway)
        await sweep(gateway)
        row = await approval_of(gateway, outcome)
        answer = await gateway.get_call(outcome.call_id, caller=ANN)

    assert row.state is ApprovalState.CANCELLED
    assert isinstance(answer, Refused)
    assert (answer.error_type, answer.effect) == (ErrorType.PERMISSION_DENIED, WorldEffect.NONE)
    assert desk.contexts == []


def knowing(*callers: Caller) -> Any:
    """The application's directory, as the ``callers`` hook."""

    async def callers_of(id: str, tenant: str) -> Caller | None:
        return next((one for one in callers if (one.id, one.tenant) == (id, tenant)), None)

    return callers_of


@pytest.mark.req("X2.5")
@pytest.mark.parametrize(
    "now",
    [(), (Caller("ann", {"guest"}, "acme"),), (Caller("ann", {"clerk"}, "globex"),)],
    ids=["gone", "lost_the_role", "moved_to_another_tenant"],
)
async def test_whoever_may_not_any_more_gets_nothing_run(
    stage: Stage, desk: Desk, now: tuple[Caller, ...]
) -> None:
    async with stage.gateway(desk.tool(), callers=knowing(*now)) as gateway:
        outcome = await approved(gateway)
        await sweep(gateway)
        await sweep(gateway)
        row = await approval_of(gateway, outcome)
        answer = await gateway.get_call(outcome.call_id, caller=ANN)

    assert row.state is ApprovalState.CANCELLED
    assert isinstance(answer, Refused)
    assert answer.effect is WorldEffect.NONE
    assert desk.contexts == []


@pytest.mark.req("X2.5")
async def test_it_runs_with_the_rights_of_now_and_not_of_then(stage: Stage, desk: Desk) -> None:
    promoted = Caller("ann", {"clerk", "lead"}, "acme")
    async with stage.gateway(desk.tool(), callers=knowing(promoted)) as gateway:
        await approved(gateway)
        await sweep(gateway)

    assert desk.contexts[0].caller == promoted


@pytest.mark.req("X2.5")
@pytest.mark.parametrize("answer", [BOB, "ann", 7], ids=["another_person", "a_name", "a_number"])
async def test_a_directory_that_answers_with_somebody_else_runs_nothing(
    stage: Stage, desk: Desk, answer: Any
) -> None:
    async def callers(id: str, tenant: str) -> Any:
        return answer

    async with stage.gateway(desk.tool(), callers=callers) as gateway:
        await approved(gateway)
        await sweep(gateway)
        await sweep(gateway)

    assert desk.contexts == []


@pytest.mark.req("X2.5")
async def test_a_directory_that_fails_runs_nothing_now_and_holds_up_nobody_else(
    stage: Stage, desk: Desk
) -> None:
    down = {"ann"}

    async def callers(id: str, tenant: str) -> Caller | None:
        if id in down:
            raise ConnectionError("the directory is down")
        return Caller(id, {"clerk"}, tenant)

    async with stage.gateway(desk.tool(), callers=callers) as gateway:
        first = await approved(gateway, 1)
        second = await approved(gateway, 2, caller=BOB)
        await sweep(gateway)
        state_then, paid_then = (await approval_of(gateway, first)).state, list(desk.paid)
        down.clear()
        await sweep(gateway)
        answer = await gateway.get_call(second.call_id, caller=BOB)

    assert state_then is ApprovalState.APPROVED
    assert paid_then == [(2, 5000)]
    assert isinstance(answer, Succeeded)
    assert desk.paid == [(2, 5000), (1, 5000)]


@pytest.mark.req("X2.11")
@pytest.mark.parametrize(
    "change",
    [{"version": "2"}, {"roles": {"clerk", "guest"}}, {"timeout": 6}],
    ids=["version", "roles", "timeout"],
)
async def test_a_changed_contract_cancels_what_was_approved_for_the_old_one(
    stage: Stage, desk: Desk, change: dict[str, Any]
) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await approved(gateway)
    async with stage.gateway(desk.tool(**change)) as gateway:
        await sweep(gateway)
        row = await approval_of(gateway, outcome)
        answer = await gateway.get_call(outcome.call_id, caller=ANN)
        said = await transitions(gateway, outcome)

    assert row.state is ApprovalState.CANCELLED
    assert isinstance(answer, Refused)
    assert (answer.error_type, answer.advice) == (ErrorType.CONTRACT_CHANGED, Advice.RETRY)
    assert said == ["held", "approval_approved", "approval_cancelled"]
    assert desk.contexts == []


@pytest.mark.req("X2.11")
async def test_a_contract_that_demands_more_people_does_not_run_on_the_old_votes(
    stage: Stage, desk: Desk
) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await approved(gateway)
    async with stage.gateway(desk.tool(Approval(approvers={"lead"}, expires_in="1h", quorum=2))) as gateway:
        await sweep(gateway)
        anew = await held(gateway)
        await approve(gateway, anew.approval_id, LEA)
        await sweep(gateway)
        after_one = list(desk.paid)
        await approve(gateway, anew.approval_id, MAX)
        await sweep(gateway)

    assert anew.call_id != outcome.call_id
    assert after_one == []
    assert desk.paid == [(1, 5000)]


@pytest.mark.req("X2.10")
async def test_what_is_demanded_while_it_waits_is_demanded_at_execution(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await approved(gateway)
        monkeypatch.setattr(spine, "GATES", (*spine.GATES, asking(BY_POLICY)))
        await sweep(gateway)
        raised = await approval_of(gateway, outcome)
        waiting = await gateway.get_call(outcome.call_id, caller=ANN)
        await sweep(gateway)
        await sweep(gateway)
        ran_meanwhile = list(desk.paid)
        await approve(gateway, outcome.approval_id, BOSS)
        await sweep(gateway)
        said = await transitions(gateway, outcome)

    wanted = json.loads(raised.requirement)
    assert (wanted["quorum"], wanted["risk"], sorted(wanted["approvers"])) == (
        2,
        "high",
        [["boss"], ["lead"]],
    )
    assert isinstance(waiting, PendingApproval)
    assert "will run" not in waiting.message
    assert ran_meanwhile == []
    assert said.count("requirement_raised") == 1
    assert desk.paid == [(1, 5000)]


@pytest.mark.req("X2.10")
async def test_a_later_policy_takes_nothing_away(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    gates = spine.GATES
    monkeypatch.setattr(spine, "GATES", (*gates, asking(BY_POLICY)))
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await approved(gateway)
        monkeypatch.setattr(spine, "GATES", gates)
        await sweep(gateway)
        after_one = await approval_of(gateway, outcome)
        await approve(gateway, outcome.approval_id, BOSS)
        await sweep(gateway)

    assert after_one.state is ApprovalState.PENDING
    assert desk.paid == [(1, 5000)]


@pytest.mark.req("X2.10", "X2.3")
async def test_what_people_agreed_to_is_voted_on_again_where_more_is_demanded_and_not_changed(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await approved(gateway)
        monkeypatch.setattr(spine, "GATES", (*spine.GATES, asking(BY_POLICY)))
        await sweep(gateway)
        boss = in_person(BOSS)
        review = await gateway.operate(review_approval, outcome.approval_id, by=boss)
        assert isinstance(review, Review)
        edited = await gateway.operate_near_tools(
            edit_approval,
            outcome.approval_id,
            {"cents": 1},
            by=boss,
            reason="less",
            digest=review.row.digest,
        )

    assert review.why_not(boss) is None
    assert review.why_not_edit(boss) == "it is approved already"
    assert isinstance(edited, Declined)
    assert desk.paid == []


@pytest.mark.req("X2.10")
async def test_a_reason_that_changes_each_time_does_not_fill_the_trail(stage: Stage, desk: Desk) -> None:
    seconds = iter(range(10_000))

    def when(context: Any, args: Any) -> str:
        return f"asked at second {next(seconds)}"

    monitored = Approval(approvers={"lead"}, when=when, expires_in="1h", quorum=2)
    async with stage.gateway(desk.tool(monitored)) as gateway:
        outcome = await held(gateway)
        await approve(gateway, outcome.approval_id, LEA, MAX)
        row = await approval_of(gateway, outcome)
        for _ in range(3):
            # More is demanded than was given, and the condition finds other words each time.
            await gateway.store.execute(
                Dispatch(
                    outcome.call_id,
                    outcome.approval_id,
                    "somebody",
                    0,
                    row.digest,
                    replace(BY_POLICY, reason=when(None, None)),
                )
            )
        said = await transitions(gateway, outcome)

    assert said.count("requirement_raised") == 1


# ------------------------------------------------------------------------------------- what waiting mends


@pytest.mark.req("X2.15")
async def test_a_rate_is_spent_once_at_the_request(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool(rate_limit="2/hour")) as gateway:
        await approved(gateway, 1)
        await approved(gateway, 2)
        await sweep(gateway)

    assert sorted(desk.paid) == [(1, 5000), (2, 5000)]


@pytest.mark.req("X2.15")
async def test_a_full_tool_at_dispatch_leaves_it_approved_and_a_later_sweep_runs_it(
    stage: Stage, desk: Desk
) -> None:
    desk.hold = threading.Event()
    async with stage.gateway(desk.tool(BIG_ONES, concurrency=1)) as gateway:
        outcome = await approved(gateway, 2, cents=5000)
        small = asyncio.create_task(ask(gateway, 1, cents=10))
        await asyncio.to_thread(desk.entered.wait, 10)
        busy = {flight.received.call_id for flight in gateway.world.flights.values()}
        await gateway.sweep()
        for flight in [one for one in gateway.world.flights.values() if one.received.call_id not in busy]:
            await asyncio.wrap_future(flight.lane.start(end_of(flight)))
        state_then = (await approval_of(gateway, outcome)).state
        answer_then = await gateway.get_call(outcome.call_id, caller=ANN)
        desk.hold.set()
        await small
        await landed(gateway)
        await sweep(gateway)

    assert state_then is ApprovalState.APPROVED
    assert isinstance(answer_then, PendingApproval)
    assert desk.paid == [(1, 10), (2, 5000)]


@pytest.mark.req("X2.15")
async def test_an_open_breaker_at_dispatch_leaves_it_approved(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool(BIG_ONES, breaker=Breaker(failures=1, cooldown=60))) as gateway:
        outcome = await approved(gateway, 2, cents=5000)
        desk.ends = [ConnectionResetError()]
        await ask(gateway, 1, cents=10)
        await sweep(gateway)
        state_then, ran_then = (await approval_of(gateway, outcome)).state, len(desk.contexts)
        stage.clock.advance(61)
        await sweep(gateway)

    assert state_then is ApprovalState.APPROVED
    assert ran_then == 1
    assert desk.paid == [(2, 5000)]


# ----------------------------------------------------------------------------------------------- tampering


CHANGES = {
    "flipped": (
        "UPDATE sealed SET sealed = CAST(substr(sealed, 1, length(sealed) - 1) || x'00' AS BLOB) WHERE call_id = :call"
    ),
    "swapped": "UPDATE sealed SET sealed = (SELECT sealed FROM sealed WHERE call_id = :other) WHERE call_id = :call",
    "removed": "DELETE FROM sealed WHERE call_id = :call",
    "caller": "UPDATE calls SET caller_id = 'bob' WHERE call_id = :call",
    "agent": "UPDATE calls SET agent = 'another' WHERE call_id = :call",
    "tenant": "UPDATE calls SET tenant = 'globex' WHERE call_id = :call",
    "workflow": "UPDATE calls SET workflow_id = 'another' WHERE call_id = :call",
}


def tamper(stage: Stage, change: str, call_id: str, other_id: str) -> None:
    """Change the ledger's file behind the gate's back."""
    connection = sqlite3.connect(stage.database)
    with connection:
        connection.execute(CHANGES[change], {"call": call_id, "other": other_id})
    connection.close()


@pytest.fixture
def on_disk(tmp_path: Path) -> Stage:
    """A ledger that somebody else could write to."""
    return Stage(kind="sqlite", folder=tmp_path)


@pytest.mark.req("X2.2", "M11.7")
@pytest.mark.parametrize("change", CHANGES)
async def test_what_was_changed_in_the_ledger_after_the_approval_never_runs(
    on_disk: Stage, desk: Desk, change: str
) -> None:
    async with on_disk.gateway(desk.tool()) as gateway:
        first = await approved(gateway, 1, cents=10)
        second = await approved(gateway, 2, cents=20)
        tamper(on_disk, change, first.call_id, second.call_id)
        await sweep(gateway)
        await sweep(gateway)
        state = (await approval_of(gateway, first)).state

    # What was not touched runs all the same: one broken row holds up nobody else.
    assert desk.paid == [(2, 20)]
    assert state is not ApprovalState.CONSUMED


@pytest.mark.req("X2.2")
async def test_a_request_that_cannot_be_opened_is_cancelled_and_says_so(on_disk: Stage, desk: Desk) -> None:
    async with on_disk.gateway(desk.tool()) as gateway:
        outcome = await approved(gateway)
        tamper(on_disk, "flipped", outcome.call_id, outcome.call_id)
        await sweep(gateway)
        answer = await gateway.get_call(outcome.call_id, caller=ANN)
        event = (await trail_of(gateway, outcome))[-1]

    assert isinstance(answer, Refused)
    assert answer.effect is WorldEffect.NONE
    assert event["toolgate.transition"] == "approval_cancelled"


# -------------------------------------------------------------------------------------- consumed, then died


async def died_while_running(stage: Stage, desk: Desk, **given: Any) -> PendingApproval:
    """An approved call whose process was killed inside the tool."""
    desk.hold = threading.Event()
    store = stage.store()
    async with stage.gateway(desk.tool(**given), store=store) as gateway:
        outcome = await approved(gateway, cents=700)
        await gateway.sweep()
        await asyncio.to_thread(desk.entered.wait, 10)
        store.fall()
        desk.ends = [ConnectionError("the process is gone")]
        desk.hold.set()
        await landed(gateway)
    desk.hold = None
    desk.contexts.clear()
    return outcome


@pytest.mark.req("X2.13")
async def test_consumed_and_then_died_is_unknown_and_is_never_run_again(stage: Stage, desk: Desk) -> None:
    outcome = await died_while_running(stage, desk)
    async with stage.gateway(desk.tool()) as gateway:
        await sweep(gateway)
        before_the_lease = (await call_of(gateway, outcome)).effect_state
        stage.clock.advance(60)
        await sweep(gateway)
        await sweep(gateway)
        answer = await gateway.get_call(outcome.call_id, caller=ANN)
        row = await approval_of(gateway, outcome)
        again = await ask(gateway, cents=700)

    assert before_the_lease is EffectState.INTENDED
    assert isinstance(answer, Unknown)
    assert isinstance(again, Unknown)
    assert again.call_id == outcome.call_id
    assert row.state is ApprovalState.CONSUMED
    assert desk.contexts == []


@pytest.mark.req("X2.13")
async def test_settled_as_not_applied_it_opens_a_new_approval_filled_in(stage: Stage, desk: Desk) -> None:
    outcome = await died_while_running(stage, desk)
    async with stage.gateway(desk.tool()) as gateway:
        stage.clock.advance(60)
        await sweep(gateway)
        old = await approval_of(gateway, outcome)
        settled = await resolve_call(
            gateway.world, outcome.call_id, applied=False, by=BOSS, reason="the bank says no"
        )
        (new,) = await gateway.store.approvals(ApprovalFilter(open_only=True))
        asked_again = await held(gateway, cents=700)
        await sweep(gateway)
        ran_by_itself = list(desk.paid)
        await approve(gateway, new.approval_id, LEA)
        await sweep(gateway)
        answer = await ask(gateway, cents=700)
        old_answer = await gateway.get_call(outcome.call_id, caller=ANN)

    assert not isinstance(settled, str), settled
    assert new.approval_id != old.approval_id
    assert json.loads(new.shown)["arguments"] == json.loads(old.shown)["arguments"]
    assert json.loads(new.requirement)["approvers"] == json.loads(old.requirement)["approvers"]
    assert asked_again.approval_id == new.approval_id
    assert ran_by_itself == []
    assert desk.paid == [(1, 700)]
    assert isinstance(answer, Succeeded)
    assert old_answer.effect is WorldEffect.NONE
    assert "may or may not" not in json.dumps(old_answer.to_model())


@pytest.mark.req("X2.13")
async def test_settled_as_applied_it_opens_nothing(stage: Stage, desk: Desk) -> None:
    outcome = await died_while_running(stage, desk)
    async with stage.gateway(desk.tool()) as gateway:
        stage.clock.advance(60)
        await sweep(gateway)
        await resolve_call(gateway.world, outcome.call_id, applied=True, by=BOSS, reason="the bank shows it")
        waiting = await gateway.store.approvals(ApprovalFilter(open_only=True))
        again = await ask(gateway, cents=700)

    assert list(waiting) == []
    assert isinstance(again, Succeeded)
    assert again.replayed
    assert desk.contexts == []


@pytest.mark.req("X2.13")
async def test_reconciled_as_not_applied_it_opens_a_new_approval_too(stage: Stage, desk: Desk) -> None:
    async def look(context: Any, args: Any) -> NotApplied:
        return NotApplied("no such refund at the bank")

    given: dict[str, Any] = {"reconcile": look, "horizon": 30}
    outcome = await died_while_running(stage, desk, **given)
    async with stage.gateway(desk.tool(**given)) as gateway:
        stage.clock.advance(60)
        await sweep(gateway)
        row = await call_of(gateway, outcome)
        answer = await gateway.get_call(outcome.call_id, caller=ANN)
        waiting = await gateway.store.approvals(ApprovalFilter(open_only=True))

    assert row.effect_state is EffectState.NOT_APPLIED
    assert isinstance(answer, Failed)
    assert answer.advice is Advice.RETRY
    assert len(waiting) == 1
    assert waiting[0].approval_id != outcome.approval_id
    assert desk.contexts == []


@pytest.mark.req("X2.13", "M11.7")
async def test_a_call_whose_request_cannot_be_opened_can_still_be_resolved(
    on_disk: Stage, desk: Desk
) -> None:
    outcome = await died_while_running(on_disk, desk)
    async with on_disk.gateway(desk.tool()) as gateway:
        on_disk.clock.advance(60)
        await sweep(gateway)
        tamper(on_disk, "flipped", outcome.call_id, outcome.call_id)
        settled = await resolve_call(
            gateway.world, outcome.call_id, applied=False, by=BOSS, reason="the bank says no"
        )
        again = await held(gateway, cents=700)

    assert not isinstance(settled, str), settled
    assert again.call_id != outcome.call_id


class SlowToConsume(Guillotine):
    """A store whose commit of a dispatch takes longer than the call has."""

    clock: Any = None

    async def execute(self, command: Any) -> Any:
        answer = await super().execute(command)
        if isinstance(command, Dispatch):
            self.clock.advance(5)
        return answer


@pytest.mark.req("X2.6", "X1.4")
async def test_consumed_but_too_late_to_run_is_known_not_to_have_happened(stage: Stage, desk: Desk) -> None:
    store = SlowToConsume(stage.store().inner)
    store.clock = stage.clock
    async with stage.gateway(desk.tool(), store=store) as gateway:
        outcome = await approved(gateway)
        await sweep(gateway)
        stage.clock.advance(60)
        await sweep(gateway)
        row = await call_of(gateway, outcome)

    assert desk.contexts == []
    assert row.effect_state is EffectState.NOT_APPLIED


# ------------------------------------------------------------------------------------------------- waiting


async def ticking(stage: Stage, task: asyncio.Task[Any]) -> Any:
    """The outcome of ``task``, time passing as long as it asks to be woken."""
    while not task.done():
        stage.clock.advance(0.1)
        await asyncio.wait([task], timeout=0.01)
    return task.result()


@pytest.mark.req("X2.16")
async def test_a_caller_who_waits_gets_the_outcome_once_it_is_decided_and_has_run(
    stage: Stage, desk: Desk
) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        flow = gateway.workflow("wf", caller=ANN)
        outcome = await flow.call("refund", {"order": 1, "cents": 900})
        assert isinstance(outcome, PendingApproval)
        waiting: asyncio.Task[Any] = asyncio.create_task(flow.wait(outcome, timeout="10m"))
        await approve(gateway, outcome.approval_id, LEA)
        await sweep(gateway)
        answer = await ticking(stage, waiting)

    assert isinstance(answer, Succeeded)
    assert answer.result == 900


@pytest.mark.req("X2.16")
async def test_a_caller_who_waits_learns_of_a_denial(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        flow = gateway.workflow("wf", caller=ANN)
        outcome = await flow.call("refund", {"order": 1})
        assert isinstance(outcome, PendingApproval)
        waiting: asyncio.Task[Any] = asyncio.create_task(flow.wait(outcome, timeout="10m"))
        await deny(gateway, outcome.approval_id, LEA)
        answer = await ticking(stage, waiting)

    assert isinstance(answer, Refused)
    assert answer.error_type is ErrorType.APPROVAL_DENIED


@pytest.mark.req("X2.16")
async def test_waiting_too_long_answers_still_pending(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        flow = gateway.workflow("wf", caller=ANN)
        outcome = await flow.call("refund", {"order": 1})
        before = stage.clock.monotonic()
        answer = await ticking(stage, asyncio.create_task(flow.wait(outcome, timeout=2)))

    assert isinstance(answer, PendingApproval)
    assert answer.call_id == outcome.call_id
    assert stage.clock.monotonic() - before >= 2


@pytest.mark.req("X2.16")
async def test_what_needs_no_waiting_is_answered_at_once(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool(BIG_ONES)) as gateway:
        flow = gateway.workflow("wf", caller=ANN)
        outcome = await flow.call("refund", {"order": 1, "cents": 10})

        assert await flow.wait(outcome) is outcome


@pytest.mark.req("X2.16", "M4.7")
async def test_nobody_else_learns_of_a_held_call(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await held(gateway)
        for_bob = await gateway.get_call(outcome.call_id, caller=BOB)
        for_namesake = await gateway.get_call(outcome.call_id, caller=Caller("ann", {"clerk"}, "globex"))
        for_nobody = await gateway.get_call("call_none", caller=ANN)

    told = [
        {key: value for key, value in answer.to_model().items() if key != "call_id"}
        for answer in (for_bob, for_namesake, for_nobody)
    ]
    assert told[0] == told[1] == told[2]


@pytest.mark.req("X2.17")
async def test_deciding_records_and_does_not_run(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await held(gateway)
        row = await approve(gateway, outcome.approval_id, LEA)
        found = await gateway.store.find(ByApproval(outcome.approval_id))
        await landed(gateway)
        ran = list(desk.contexts)

    assert row.state is ApprovalState.APPROVED
    assert found.call is not None
    assert found.call.effect_state is None
    assert ran == []
