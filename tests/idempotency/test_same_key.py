"""What a key that was used before answers, through the whole gate, on every ledger."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tests.idempotency.ledger_shop import ANN, BOB, OTHER_TENANTS_ANN, Declined, Till
from tests.machines.stage import Stage, landed, sweep
from tests.people import resolve_call
from toolgate import (
    Advice,
    Caller,
    ErrorType,
    Failed,
    Refused,
    Succeeded,
    ToolError,
    Unknown,
    WorldEffect,
    tool,
)
from toolgate.domain.idempotency import key_scope
from toolgate.domain.rows import ByCall


@pytest.fixture
def till() -> Till:
    """A till on which nothing was paid."""
    return Till()


@pytest.mark.req("M9.2")
async def test_the_same_request_again_answers_the_recorded_result_and_says_so(
    stage: Stage, till: Till
) -> None:
    async with stage.gateway(till.tool()) as gateway:
        first = await gateway.call("pay", {"order": 1, "cents": 700}, caller=ANN, workflow="wf")
        again = await gateway.call("pay", {"order": 1, "cents": 700}, caller=ANN, workflow="wf")

    assert isinstance(first, Succeeded)
    assert isinstance(again, Succeeded)
    assert (again.result, again.call_id, again.effect) == (700, first.call_id, WorldEffect.APPLIED)
    assert (first.replayed, again.replayed) == (False, True)
    assert again.to_model()["replayed"] is True
    assert till.paid[1] == 1


@pytest.mark.req("M9.2")
async def test_a_replay_outlives_the_gateway_that_did_it(stage: Stage, till: Till) -> None:
    async with stage.gateway(till.tool()) as gateway:
        await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")
    async with stage.gateway(till.tool()) as gateway:
        again = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")

    assert isinstance(again, Succeeded)
    assert again.replayed
    assert again.result == 500
    assert till.paid[1] == 1


@pytest.mark.req("M9.2")
async def test_a_declared_failure_that_did_something_is_replayed_in_its_own_words(
    stage: Stage, till: Till
) -> None:
    class HalfDone(ToolError):
        """Paid, but no receipt."""

        code = "no_receipt"
        effect = "applied"

    till.ends = [HalfDone()]
    async with stage.gateway(till.tool()) as gateway:
        first = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")
        again = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")

    assert isinstance(first, Failed)
    assert isinstance(again, Failed)
    assert (again.code, again.message, again.effect) == (first.code, first.message, WorldEffect.APPLIED)
    assert again.replayed
    assert len(till.keys) == 1


@pytest.mark.req("M9.3")
async def test_the_same_key_with_other_arguments_is_a_conflict_and_tells_no_result(
    stage: Stage, till: Till
) -> None:
    async with stage.gateway(till.tool()) as gateway:
        await gateway.call("pay", {"order": 1, "cents": 700}, caller=ANN, workflow="wf")
        other = await gateway.call("pay", {"order": 1, "cents": 900}, caller=ANN, workflow="wf")

    assert isinstance(other, Refused)
    assert other.error_type is ErrorType.IDEMPOTENCY_CONFLICT
    assert (other.effect, other.advice, other.replayed) == (WorldEffect.NONE, Advice.STOP, False)
    assert till.paid[1] == 1


@pytest.mark.req("M9.4")
async def test_another_caller_with_the_same_key_meets_a_conflict_and_learns_nothing(
    stage: Stage, till: Till
) -> None:
    async with stage.gateway(till.tool()) as gateway:
        done = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")
        same = await gateway.call("pay", {"order": 1}, caller=BOB, workflow="wf")
        other = await gateway.call("pay", {"order": 1, "cents": 1}, caller=BOB, workflow="wf")

    assert isinstance(same, Refused)
    assert isinstance(other, Refused)
    told = [
        {key: value for key, value in answer.to_model().items() if key != "call_id"}
        for answer in (same, other)
    ]
    assert told[0] == told[1]
    assert same.error_type is ErrorType.IDEMPOTENCY_CONFLICT
    assert same.call_id != done.call_id
    assert till.paid[1] == 1


@pytest.mark.req("M9.5")
async def test_the_same_key_in_flight_starts_nothing_and_says_when_to_come_back(
    stage: Stage, till: Till
) -> None:
    till.hold = threading.Event()
    async with stage.gateway(till.tool()) as gateway:
        running = asyncio.create_task(gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf"))
        await asyncio.to_thread(till.entered.wait, 10)
        meanwhile = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")
        till.hold.set()
        first = await running

    assert isinstance(meanwhile, Refused)
    assert meanwhile.error_type is ErrorType.IDEMPOTENCY_IN_FLIGHT
    assert meanwhile.advice is Advice.RETRY_LATER
    assert meanwhile.retry_after
    assert isinstance(first, Succeeded)
    assert till.paid[1] == 1


@pytest.mark.req("M9.5")
async def test_a_call_in_flight_is_seen_from_another_gateway_on_the_same_ledger(
    stage: Stage, till: Till
) -> None:
    till.hold = threading.Event()
    async with stage.gateway(till.tool()) as gateway, stage.gateway(till.tool()) as beside:
        running = asyncio.create_task(gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf"))
        await asyncio.to_thread(till.entered.wait, 10)
        meanwhile = await beside.call("pay", {"order": 1}, caller=ANN, workflow="wf")
        till.hold.set()
        await running
        after = await beside.call("pay", {"order": 1}, caller=ANN, workflow="wf")

    assert isinstance(meanwhile, Refused)
    assert meanwhile.error_type is ErrorType.IDEMPOTENCY_IN_FLIGHT
    assert isinstance(after, Succeeded)
    assert after.replayed
    assert till.paid[1] == 1


@pytest.mark.req("M9.17")
async def test_of_many_racing_requests_exactly_one_runs(stage: Stage, till: Till) -> None:
    async with stage.gateway(till.tool()) as one, stage.gateway(till.tool()) as other:
        answers = await asyncio.gather(
            *(
                gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")
                for _ in range(25)
                for gateway in (one, other)
            )
        )

    won = [answer for answer in answers if isinstance(answer, Succeeded) and not answer.replayed]
    lost = [answer for answer in answers if isinstance(answer, Refused)]
    assert till.paid[1] == 1
    assert len(won) == 1
    assert {answer.error_type for answer in lost} <= {ErrorType.IDEMPOTENCY_IN_FLIGHT}
    assert all(answer.call_id == won[0].call_id for answer in answers if isinstance(answer, Succeeded))


@pytest.mark.req("M9.6")
async def test_a_template_with_the_workflow_demands_one_that_the_application_chose(
    stage: Stage, till: Till
) -> None:
    async with stage.gateway(till.tool()) as gateway:
        refused = await gateway.call("pay", {"order": 1}, caller=ANN)

    assert isinstance(refused, Refused)
    assert refused.error_type is ErrorType.INVALID_ARGUMENTS
    assert refused.advice is Advice.ASK_HUMAN
    assert "workflow='...'" in refused.message
    assert not till.keys


@pytest.mark.req("M9.6")
async def test_a_template_without_the_workflow_demands_none(stage: Stage, till: Till) -> None:
    async with stage.gateway(till.tool("pay:{order}")) as gateway:
        first = await gateway.call("pay", {"order": 1}, caller=ANN)
        again = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="another")

    assert isinstance(first, Succeeded)
    assert again.replayed
    assert till.paid[1] == 1


@pytest.mark.req("M9.7")
@pytest.mark.parametrize("name", ["idempotency_key", "workflow_id", "call_id", "key", "Idempotency-Key"])
async def test_a_field_called_like_the_key_is_an_invalid_argument(
    stage: Stage, till: Till, name: str
) -> None:
    async with stage.gateway(till.tool()) as gateway:
        refused = await gateway.call("pay", {"order": 1, name: "mine"}, caller=ANN, workflow="wf")

    assert isinstance(refused, Refused)
    assert refused.error_type is ErrorType.INVALID_ARGUMENTS
    assert not till.keys


@pytest.mark.req("M9.9")
async def test_a_key_whose_call_did_nothing_may_be_tried_again(stage: Stage, till: Till) -> None:
    till.ends = [Declined()]
    async with stage.gateway(till.tool()) as gateway:
        first = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")
        second = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")
        third = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")

    assert isinstance(first, Failed)
    assert first.effect is WorldEffect.NONE
    assert isinstance(second, Succeeded)
    assert (second.replayed, third.replayed) == (False, True)
    assert second.call_id != first.call_id
    assert third.call_id == second.call_id
    assert till.paid[1] == 1


@pytest.mark.req("M9.9")
async def test_a_refusal_claims_no_key(stage: Stage, till: Till) -> None:
    till.forbidden = {"ann"}
    async with stage.gateway(till.tool()) as gateway:
        refused = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")
        by_bob = await gateway.call("pay", {"order": 1}, caller=BOB, workflow="wf")

    assert isinstance(refused, Refused)
    assert isinstance(by_bob, Succeeded)


@pytest.mark.req("M9.11")
async def test_a_key_in_doubt_never_runs_again_until_somebody_knows(stage: Stage, till: Till) -> None:
    till.ends = [ConnectionResetError()]
    async with stage.gateway(till.tool()) as gateway:
        first = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")
        again = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")
        stage.clock.advance(86_400)
        await sweep(gateway)
        next_day = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")

    assert [type(answer) for answer in (first, again, next_day)] == [Unknown] * 3
    assert [answer.replayed for answer in (first, again, next_day)] == [False, True, True]
    assert again.call_id == next_day.call_id == first.call_id
    assert len(till.keys) == 1


@pytest.mark.req("M9.11")
async def test_a_key_in_doubt_runs_again_once_a_person_says_that_nothing_happened(
    stage: Stage, till: Till
) -> None:
    till.ends = [ConnectionResetError()]
    async with stage.gateway(till.tool()) as gateway:
        first = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")
        stage.clock.advance(60)
        settled = await resolve_call(
            gateway.world, first.call_id, applied=False, by=BOB, reason="the bank has no such payment"
        )
        again = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")

    assert not isinstance(settled, str), settled
    assert isinstance(again, Succeeded)
    assert not again.replayed
    assert till.paid[1] == 1


@pytest.mark.req("M9.19")
async def test_what_a_person_settled_as_applied_replays_a_null_result_and_says_so(
    stage: Stage, till: Till
) -> None:
    till.ends = [ConnectionResetError()]
    async with stage.gateway(till.tool()) as gateway:
        first = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")
        settled = await resolve_call(
            gateway.world, first.call_id, applied=True, by=BOB, reason="the bank shows the payment"
        )
        again = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")

    assert not isinstance(settled, str), settled
    assert isinstance(again, Succeeded)
    assert (again.result, again.replayed, again.effect) == (None, True, WorldEffect.APPLIED)
    assert again.to_model()["result"] is None
    assert len(till.keys) == 1


@pytest.mark.req("M9.12")
async def test_a_default_said_aloud_is_the_same_call_as_one_left_out(stage: Stage, till: Till) -> None:
    async with stage.gateway(till.tool()) as gateway:
        first = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")
        aloud = await gateway.call(
            "pay", b'{"note": "", "cents": 500, "order": 1}', caller=ANN, workflow="wf"
        )
        other = await gateway.call("pay", {"order": 1, "note": "gift"}, caller=ANN, workflow="wf")

    assert aloud.call_id == first.call_id
    assert aloud.replayed
    assert isinstance(other, Refused)
    assert other.error_type is ErrorType.IDEMPOTENCY_CONFLICT


@pytest.mark.req("M9.18")
async def test_the_same_words_in_two_tenants_are_two_keys(stage: Stage, till: Till) -> None:
    async with stage.gateway(till.tool()) as gateway:
        here = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")
        there = await gateway.call("pay", {"order": 1}, caller=OTHER_TENANTS_ANN, workflow="wf")

    assert isinstance(here, Succeeded)
    assert isinstance(there, Succeeded)
    assert not there.replayed
    assert till.paid[1] == 2


@pytest.mark.req("M9.18")
async def test_the_same_words_in_two_tools_are_two_keys(stage: Stage, till: Till) -> None:
    twin = till.tool()
    twin = twin.with_contract(replace(twin.contract, name="pay_again"))
    async with stage.gateway(till.tool(), twin) as gateway:
        await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")
        there = await gateway.call("pay_again", {"order": 1}, caller=ANN, workflow="wf")

    assert isinstance(there, Succeeded)
    assert not there.replayed
    assert till.paid[1] == 2


@pytest.mark.req("M5.11")
async def test_a_recorded_result_is_replayed_only_to_one_who_may_ask_now(stage: Stage, till: Till) -> None:
    async with stage.gateway(till.tool()) as gateway:
        done = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")
        till.forbidden = {"ann"}
        barred = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")
        without_role = await gateway.call(
            "pay", {"order": 1}, caller=Caller("ann", {"guest"}, "acme"), workflow="wf"
        )

    assert isinstance(done, Succeeded)
    assert isinstance(barred, Refused)
    assert isinstance(without_role, Refused)
    assert barred.error_type is ErrorType.PERMISSION_DENIED
    assert without_role.error_type is ErrorType.UNKNOWN_TOOL
    assert done.call_id not in {barred.call_id, without_role.call_id}


@pytest.mark.req("M9.2", "M5.4")
async def test_a_replay_costs_no_rate(stage: Stage, till: Till) -> None:
    async with stage.gateway(till.tool(rate_limit="1/hour")) as gateway:
        await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")
        again = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")
        another = await gateway.call("pay", {"order": 2}, caller=ANN, workflow="wf")

    assert again.replayed
    assert isinstance(another, Refused)
    assert another.error_type is ErrorType.RATE_LIMITED


@pytest.mark.req("M9.8")
async def test_the_store_holds_a_keyed_mac_and_no_word_of_the_key(stage: Stage, till: Till) -> None:
    workflow = "workflow-of-mrs-agatha-9c1f"
    async with stage.gateway(till.tool("pay-by-agatha:{order}:{note}:{workflow_id}")) as gateway:
        done = await gateway.call("pay", {"order": 77_123_456, "note": "x"}, caller=ANN, workflow=workflow)
        await landed(gateway)
        row = (await gateway.store.find(ByCall(done.call_id))).call

    key = till.keys[0]
    assert key == f"pay-by-agatha:77123456:x:{workflow}"
    assert row is not None
    assert row.key_mac is not None
    assert len(row.key_mac) == 32
    if stage.kind == "sqlite":
        kept = b"".join(path.read_bytes() for path in stage.folder.iterdir() if path.is_file())
        assert key.encode() not in kept
        assert b"pay-by-agatha" not in kept
    # Whoever reads the store and guesses the key cannot confirm the guess without the key file.
    assert row.key_mac != hashlib.sha256(key_scope("acme", "pay", key)).digest()


@pytest.mark.req("M9.8")
async def test_another_key_file_gives_another_mac(tmp_path: Path) -> None:
    macs = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        stage = Stage(kind="memory", folder=tmp_path / name)
        async with stage.gateway(Till().tool()) as gateway:
            done = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")
            row = (await gateway.store.find(ByCall(done.call_id))).call
            assert row is not None
            macs.append(row.key_mac)

    assert macs[0] != macs[1]


class NoReceipt(ToolError):
    """Paid, but no receipt."""

    code = "no_receipt"
    effect = "applied"


@pytest.mark.req("M9.2", "X1.9")
@pytest.mark.parametrize(
    ("late", "error_type"),
    [(NoReceipt(), ErrorType.TOOL_ERROR), ("nonsense", ErrorType.INVALID_RESULT)],
    ids=["declared", "bad_result"],
)
async def test_what_came_late_and_failed_is_never_replayed_as_a_success(
    stage: Stage, late: object, error_type: ErrorType
) -> None:
    entered, let_go = threading.Event(), threading.Event()

    @tool(effect="write", roles={"clerk"}, idempotency="pay:{order}:{workflow_id}", timeout=5)
    def pay(order: int) -> int:
        """Take a payment in a thread that nobody can stop."""
        entered.set()
        let_go.wait(10)
        if isinstance(late, BaseException):
            raise late
        return late  # type: ignore[return-value]

    async with stage.gateway(pay) as gateway:
        asked = asyncio.create_task(gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf"))
        await asyncio.to_thread(entered.wait, 10)
        stage.clock.advance(5)
        first = await asked
        let_go.set()
        await landed(gateway)
        again = await gateway.call("pay", {"order": 1}, caller=ANN, workflow="wf")

    assert isinstance(first, Unknown)
    assert isinstance(again, Failed)
    assert (again.error_type, again.effect, again.replayed) == (error_type, WorldEffect.APPLIED, True)
    assert "may or may not" not in again.message
