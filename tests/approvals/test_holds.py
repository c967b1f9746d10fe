"""When a call has to wait for a person, what that person sees, and what asking again answers."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.approvals.desk import (
    ANN,
    BIG_ONES,
    BOB,
    LEA,
    LEAD,
    approval_of,
    ask,
    call_of,
    held,
    trail_of,
    transitions,
)
from tests.machines.stage import approve, landed, sweep
from toolgate import Approval, ErrorType, Failed, PendingApproval, Refused, Succeeded, WorldEffect
from toolgate.domain.approval import condition_reason
from toolgate.domain.lifecycle import ApprovalState
from toolgate.ports import ApprovalFilter

if TYPE_CHECKING:
    from tests.approvals.desk import Desk
    from tests.machines.stage import Stage


@pytest.mark.req("M12.2")
async def test_a_call_that_needs_approval_answers_pending_and_runs_nothing(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await held(gateway)
        row = await call_of(gateway, outcome)
        said = outcome.to_model()

    assert (row.status, row.effect_state) == ("pending_approval", None)
    assert (said["status"], said["advice"], said["effect"]) == (
        "pending_approval",
        "wait_for_approval",
        "none",
    )
    assert said["approval_id"] == outcome.approval_id
    assert desk.contexts == []


@pytest.mark.req("M12.2")
async def test_a_draft_survives_the_gateway_that_made_it(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        outcome = await held(gateway)
    async with stage.gateway(desk.tool()) as gateway:
        found = await gateway.get_call(outcome.call_id, caller=ANN)

    assert isinstance(found, PendingApproval)
    assert found.approval_id == outcome.approval_id


@pytest.mark.req("M12.2")
async def test_a_hold_is_in_the_trail_with_its_reason(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool(BIG_ONES)) as gateway:
        outcome = await held(gateway)
        events = await trail_of(gateway, outcome)

    assert [event["toolgate.transition"] for event in events] == ["held"]
    assert events[0]["toolgate.decision"] == "hold"
    assert events[0]["toolgate.reasons"] == ["cents > 1000"]
    assert events[0]["toolgate.approval.status"] == "pending"


@pytest.mark.req("X2.1")
async def test_what_is_not_valid_or_not_allowed_is_never_shown_to_a_person(stage: Stage, desk: Desk) -> None:
    desk.forbidden = {"bob"}
    async with stage.gateway(desk.tool()) as gateway:
        unfit = await ask(gateway, cents="much")
        barred = await ask(gateway, caller=BOB)
        unknown = await ask(gateway, caller=LEA)
        waiting = await gateway.store.approvals(ApprovalFilter(open_only=False))

    assert [type(outcome) for outcome in (unfit, barred, unknown)] == [Refused] * 3
    assert list(waiting) == []


@pytest.mark.req("X2.1")
async def test_a_call_over_its_rate_is_never_shown_to_a_person(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool(rate_limit="1/hour")) as gateway:
        await held(gateway, 1)
        over = await ask(gateway, 2)
        waiting = await gateway.store.approvals(ApprovalFilter(open_only=False))

    assert isinstance(over, Refused)
    assert over.error_type is ErrorType.RATE_LIMITED
    assert len(waiting) == 1


# --------------------------------------------------------------------------------------------- conditions


@pytest.mark.req("M12.3")
async def test_a_condition_given_as_data_holds_exactly_what_it_describes(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool(BIG_ONES)) as gateway:
        at_the_bound = await ask(gateway, 1, cents=1000)
        above = await ask(gateway, 2, cents=1001)

    assert isinstance(at_the_bound, Succeeded)
    assert isinstance(above, PendingApproval)
    assert desk.paid == [(1, 1000)]


@pytest.mark.req("M12.3")
@given(
    cents=st.integers(-3, 3),
    kind=st.sampled_from(["a", "b", "c"]),
    low=st.integers(-3, 3),
    high=st.integers(-3, 3),
    kinds=st.lists(st.sampled_from(["a", "b", "c"])),
)
def test_every_part_of_a_condition_has_to_hold(
    cents: int, kind: str, low: int, high: int, kinds: list[str]
) -> None:
    when = {"cents": {"gt": low, "le": high}, "order.kind": {"in": kinds, "ne": "c"}}

    asks = condition_reason(when, {"cents": cents, "order": {"kind": kind}}) is not None

    assert asks == (low < cents <= high and kind in kinds and kind != "c")


@pytest.mark.req("M12.3")
def test_a_condition_given_as_data_can_be_shown() -> None:
    assert BIG_ONES.described()["when"] == {"cents": {"gt": 1000}}


@pytest.mark.req("M12.4")
@pytest.mark.parametrize(
    ("when", "arguments"),
    [
        ({"cents": {"gt": 5}}, {}),
        ({"cents": {"gt": 5}}, {"cents": None}),
        ({"cents": {"gt": 5}}, {"cents": "7"}),
        ({"order.cents": {"gt": 5}}, {"order": 7}),
        ({"orders.7": {"eq": 5}}, {"orders": [5]}),
        ({"orders.x": {"eq": 5}}, {"orders": [5]}),
    ],
)
def test_a_condition_that_cannot_be_evaluated_asks(when: dict[str, Any], arguments: dict[str, Any]) -> None:
    assert condition_reason(when, arguments) is not None


def raising(error: BaseException) -> Any:
    def when(context: Any, args: Any) -> str | None:
        raise error

    return when


def saying(answer: object) -> Any:
    async def when(context: Any, args: Any) -> object:
        return answer

    return when


class Touchy:
    """Says neither yes nor no."""

    def __bool__(self) -> bool:
        raise ValueError("ask somebody else")


@pytest.mark.req("M12.4")
@pytest.mark.parametrize(
    "when",
    [
        raising(ValueError("secret-4711")),
        raising(SystemExit(0)),
        raising(KeyboardInterrupt()),
        raising(asyncio.CancelledError()),
        saying(True),
        saying(0),
        saying(""),
        saying([]),
        saying({}),
        saying(Touchy()),
        saying("it is a Sunday"),
    ],
    ids=[
        "error",
        "exit",
        "interrupt",
        "cancelled",
        "true",
        "zero",
        "empty",
        "list",
        "dict",
        "touchy",
        "reason",
    ],
)
async def test_a_condition_that_raises_or_answers_nonsense_holds(stage: Stage, desk: Desk, when: Any) -> None:
    async with stage.gateway(desk.tool(Approval(approvers={"lead"}, when=when))) as gateway:
        outcome = await asyncio.wait_for(ask(gateway), 20)
        again = await asyncio.wait_for(ask(gateway, 2), 20)

    assert isinstance(outcome, PendingApproval)
    assert isinstance(again, PendingApproval)
    assert "4711" not in json.dumps(outcome.to_model())
    assert desk.contexts == []


@pytest.mark.req("M12.4")
@pytest.mark.parametrize("answer", [None, False])
async def test_a_condition_that_says_no_lets_the_call_run(stage: Stage, desk: Desk, answer: object) -> None:
    async with stage.gateway(desk.tool(Approval(approvers={"lead"}, when=saying(answer)))) as gateway:
        outcome = await ask(gateway)

    assert isinstance(outcome, Succeeded)


@pytest.mark.req("M12.4")
async def test_a_condition_that_hangs_ends_at_the_deadline_and_runs_nothing(stage: Stage, desk: Desk) -> None:
    async def when(context: Any, args: Any) -> None:
        await asyncio.Event().wait()

    async with stage.gateway(desk.tool(Approval(approvers={"lead"}, when=when))) as gateway:
        asked = asyncio.create_task(ask(gateway))
        await asyncio.to_thread(stage.clock.wait_for_alarm, within=5)
        stage.clock.advance(5)
        outcome = await asked

    assert isinstance(outcome, Failed)
    assert outcome.effect is WorldEffect.NONE
    assert desk.contexts == []


# --------------------------------------------------------------------------------------- what is shown


@pytest.mark.req("M12.5")
async def test_an_approver_sees_what_will_run_who_asked_why_and_for_how_long(
    stage: Stage, desk: Desk
) -> None:
    approval = Approval(
        approvers={"lead", "boss"}, risk="high", expires_in="1h", quorum=2, reason="money leaves"
    )
    async with stage.gateway(desk.tool(approval)) as gateway:
        flow = gateway.workflow("wf", caller=ANN, agent="helper", model="m-1")
        outcome = await flow.call(
            "refund", {"order": 7, "cents": 900, "card": "4111111111111111"}, rationale="she insists"
        )
        assert isinstance(outcome, PendingApproval)
        row = await approval_of(gateway, outcome)

    shown, wanted = json.loads(row.shown), json.loads(row.requirement)
    assert (shown["tool"], shown["effect"], wanted["risk"]) == ("refund", "write", "high")
    assert (shown["caller"], shown["tenant"], shown["agent"], shown["model"]) == (
        "ann",
        "acme",
        "helper",
        "m-1",
    )
    assert (shown["arguments"]["order"], shown["arguments"]["cents"]) == (7, 900)
    assert shown["claimed_reason"] == "she insists"
    assert wanted["reason"].startswith("money leaves")
    assert (wanted["approvers"], wanted["quorum"]) == ([["boss", "lead"]], 2)
    assert row.expires_at - stage.clock.now() == 3600 * 1_000_000
    assert datetime.fromisoformat(outcome.expires_at) == datetime.fromtimestamp(row.expires_at / 1e6, UTC)


@pytest.mark.req("M12.5")
async def test_secrets_are_replaced_in_what_is_shown(stage: Stage, desk: Desk) -> None:
    def preview(context: Any, args: Any) -> str:
        return f"refund with token ghp_{'a' * 36}"

    async with stage.gateway(desk.tool(preview=preview)) as gateway:
        outcome = await gateway.call(
            "refund",
            {"order": 1, "card": "4111111111111111"},
            caller=ANN,
            workflow="wf",
            rationale=f"my key is ghp_{'b' * 36}",
        )
        assert isinstance(outcome, PendingApproval)
        row = await approval_of(gateway, outcome)

    kept = row.shown + row.requirement
    assert b"4111111111111111" not in kept
    assert b"a" * 36 not in kept
    assert b"b" * 36 not in kept


@pytest.mark.req("M12.8")
async def test_a_preview_is_rendered_from_the_sealed_arguments_with_defaults(
    stage: Stage, desk: Desk
) -> None:
    async def preview(context: Any, args: Any) -> str:
        return f"{args.cents / 100:.2f} back to the card for order {args.order}, asked by {context.caller.id}"

    async with stage.gateway(desk.tool(preview=preview)) as gateway:
        row = await approval_of(gateway, await held(gateway))

    assert json.loads(row.shown)["preview"] == "50.00 back to the card for order 1, asked by ann"


@pytest.mark.req("M12.8")
@pytest.mark.parametrize("error", [ValueError("4711"), SystemExit(1), asyncio.CancelledError()], ids=repr)
async def test_a_preview_that_raises_hides_nothing(stage: Stage, desk: Desk, error: BaseException) -> None:
    async with stage.gateway(desk.tool(preview=raising(error))) as gateway:
        row = await approval_of(gateway, await asyncio.wait_for(held(gateway, cents=777), 20))

    shown = json.loads(row.shown)
    assert shown["arguments"]["cents"] == 777
    assert "failed" in shown["preview"]
    assert "4711" not in shown["preview"]


@pytest.mark.req("M12.8", "X2.2")
async def test_a_preview_that_rewrites_its_arguments_changes_nothing_that_runs(
    stage: Stage, desk: Desk
) -> None:
    def preview(context: Any, args: Any) -> str:
        args.cents = 1
        return "a cent"

    async with stage.gateway(desk.tool(preview=preview)) as gateway:
        outcome = await held(gateway, cents=777)
        shown = json.loads((await approval_of(gateway, outcome)).shown)
        await approve(gateway, outcome.approval_id, LEA)
        await sweep(gateway)

    assert shown["arguments"]["cents"] == 777
    assert desk.paid == [(1, 777)]


# ---------------------------------------------------------------------------------------- asking again


@pytest.mark.req("X2.12")
async def test_asking_again_while_held_answers_the_same_call(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        first = await held(gateway)
        again = await held(gateway)
        await approve(gateway, first.approval_id, LEA)
        approved = await held(gateway)
        waiting = await gateway.store.approvals(ApprovalFilter(open_only=False))

    assert {answer.call_id for answer in (first, again, approved)} == {first.call_id}
    assert (first.replayed, again.replayed, approved.replayed) == (False, True, True)
    assert len(waiting) == 1


@pytest.mark.req("X2.12")
async def test_asking_again_for_something_else_under_the_key_is_a_conflict(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as gateway:
        await held(gateway, cents=700)
        other = await ask(gateway, cents=900)
        by_bob = await ask(gateway, cents=700, caller=BOB)

    assert [answer.error_type for answer in (other, by_bob)] == [ErrorType.IDEMPOTENCY_CONFLICT] * 2


@pytest.mark.req("X2.12")
@pytest.mark.parametrize("effect", ["write", "destructive", "read"])
async def test_a_hold_without_a_key_attaches_by_workflow_and_arguments(
    stage: Stage, desk: Desk, effect: str
) -> None:
    async with stage.gateway(desk.tool(idempotency=None, effect=effect)) as gateway:
        first = await held(gateway)
        again = await held(gateway)
        other_workflow = await held(gateway, workflow="another")
        other_arguments = await held(gateway, cents=1)
        other_caller = await held(gateway, caller=BOB)
        waiting = await gateway.store.approvals(ApprovalFilter(open_only=False))

    assert again.call_id == first.call_id
    assert again.replayed
    assert len({first.call_id, other_workflow.call_id, other_arguments.call_id, other_caller.call_id}) == 4
    assert len(waiting) == 4


@pytest.mark.req("X2.12")
async def test_a_call_without_a_key_asks_anew_once_its_hold_is_over(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool(idempotency=None)) as gateway:
        first = await held(gateway)
        await approve(gateway, first.approval_id, LEA)
        await sweep(gateway)
        second = await held(gateway)

    assert second.call_id != first.call_id
    assert desk.paid == [(1, 5000)]


@pytest.mark.req("X2.12")
async def test_many_racing_requests_draft_one_approval(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool()) as one, stage.gateway(desk.tool()) as other:
        answers = await asyncio.gather(*(held(gateway) for _ in range(10) for gateway in (one, other)))
        waiting = await one.store.approvals(ApprovalFilter(open_only=False))

    assert len({answer.call_id for answer in answers}) == 1
    assert len(waiting) == 1


@pytest.mark.req("M12.2")
async def test_a_read_can_wait_for_a_person_too(stage: Stage, desk: Desk) -> None:
    async with stage.gateway(desk.tool(LEAD, effect="read", idempotency=None)) as gateway:
        outcome = await held(gateway, cents=900)
        await approve(gateway, outcome.approval_id, LEA)
        await sweep(gateway)
        answer = await gateway.get_call(outcome.call_id, caller=ANN)
        said = await transitions(gateway, outcome)
        row = await approval_of(gateway, outcome)
        await landed(gateway)

    assert isinstance(answer, Succeeded)
    assert (answer.result, answer.effect) == (900, WorldEffect.NONE)
    assert said == ["held", "approval_approved", "intended", "settled"]
    assert row.state is ApprovalState.CONSUMED
