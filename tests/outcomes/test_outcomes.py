"""What a call answers: a closed union, one table of error types, and the same truth in every form."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, get_args

import pytest

from tests.small_gate import ANA, opened
from toolgate import (
    Advice,
    ErrorType,
    Failed,
    Outcome,
    OutcomeError,
    PendingApproval,
    Refused,
    Started,
    Status,
    Succeeded,
    ToolError,
    Unknown,
    WorldEffect,
    tool,
)
from toolgate.domain.outcome import ERRORS, unsuccessful

CALL = "call_1"
ALWAYS = {"ok", "status", "advice", "effect", "call_id"}
DOCUMENTED = ALWAYS | {
    "result",
    "error_type",
    "message",
    "code",
    "approval_id",
    "expires_at",
    "job_id",
    "retry_after_s",
    "replayed",
    "truncated",
}

EVERY: list[Outcome[Any]] = [
    Succeeded(call_id=CALL, result=[1], shown=b"[1]", effect=WorldEffect.APPLIED),
    Succeeded(call_id=CALL, result="x" * 9, shown=b'"x"', truncated=True, replayed=True),
    PendingApproval(
        call_id=CALL,
        approval_id="appr_1",
        message="Waiting.",
        expires_at="later",
        advice=Advice.WAIT_FOR_APPROVAL,
    ),
    Started(call_id=CALL, job_id="job_1", advice=Advice.CHECK_JOB),
    *(
        unsuccessful(error, call_id=CALL, reasons=("a true reason",), retry_after=1.23456)
        for error in ErrorType
    ),
    unsuccessful(ErrorType.TOOL_ERROR, call_id=CALL, code="declined", approval_id="appr_1", replayed=True),
    unsuccessful(ErrorType.AUDIT_UNAVAILABLE, call_id=CALL, ran=True),
]


@pytest.mark.req("M10.1")
def test_every_error_type_stands_in_the_table_with_words_and_a_true_effect() -> None:
    assert set(ERRORS) == set(ErrorType)
    for error, rule in ERRORS.items():
        assert rule.status in {Status.REFUSED, Status.FAILED, Status.UNKNOWN}
        assert (rule.effect is WorldEffect.UNKNOWN) == (rule.status is Status.UNKNOWN)
        assert rule.advice is not Advice.NONE
        assert rule.message.endswith(".")
        assert not (rule.advice is Advice.RETRY and rule.effect is not WorldEffect.NONE), error


@pytest.mark.req("M10.1")
def test_the_documented_error_types_are_these_and_no_other() -> None:
    assert {error.value for error in ErrorType} == {
        "unknown_tool",
        "invalid_arguments",
        "permission_denied",
        "rate_limited",
        "overloaded",
        "circuit_open",
        "contract_changed",
        "approval_denied",
        "approval_expired",
        "idempotency_in_flight",
        "idempotency_conflict",
        "timeout",
        "cancelled",
        "upstream_unavailable",
        "tool_error",
        "invalid_result",
        "tool_quarantined",
        "audit_unavailable",
        "outcome_unknown",
        "internal_error",
    }
    assert {status.value for status in Status} == {
        "succeeded",
        "refused",
        "pending_approval",
        "started",
        "failed",
        "unknown",
    }
    assert {advice.value for advice in Advice} == {
        "none",
        "fix_arguments",
        "retry",
        "retry_later",
        "wait_for_approval",
        "check_job",
        "ask_human",
        "stop",
    }
    assert {effect.value for effect in WorldEffect} == {"none", "applied", "unknown"}


@pytest.mark.req("M10.1")
@pytest.mark.parametrize("error", ErrorType)
def test_an_error_type_becomes_the_outcome_that_the_table_says(error: ErrorType) -> None:
    outcome = unsuccessful(error, call_id=CALL)
    rule = ERRORS[error]
    assert (outcome.status, outcome.effect, outcome.advice, outcome.message) == (
        rule.status,
        rule.effect,
        rule.advice,
        rule.message,
    )
    assert (
        type(outcome)
        is {Status.REFUSED: Refused, Status.FAILED: Failed, Status.UNKNOWN: Unknown}[rule.status]
    )


@pytest.mark.req("M10.2")
@pytest.mark.parametrize("outcome", EVERY, ids=range(len(EVERY)))
def test_the_model_gets_the_documented_shape_and_no_other_field(outcome: Outcome[Any]) -> None:
    body = outcome.to_model()
    assert set(body) >= ALWAYS
    assert set(body) <= DOCUMENTED
    assert body["ok"] is (outcome.status is Status.SUCCEEDED)
    assert ("result" in body) == outcome.ok
    assert ("error_type" in body) == isinstance(outcome, Refused | Failed | Unknown)
    assert body.get("retry_after_s", 1.235) == 1.235
    json.dumps(body)


@pytest.mark.req("M4.10", "M10.11")
@pytest.mark.parametrize("outcome", EVERY, ids=range(len(EVERY)))
def test_the_true_reasons_are_in_no_form_that_a_model_gets(outcome: Outcome[Any]) -> None:
    assert "a true reason" not in json.dumps(outcome.to_model())
    assert "a true reason" not in json.dumps(outcome.to_mcp())


@pytest.mark.req("M10.16")
@pytest.mark.parametrize("outcome", EVERY, ids=range(len(EVERY)))
def test_an_mcp_result_says_the_same_as_the_outcome(outcome: Outcome[Any]) -> None:
    result = outcome.to_mcp()
    assert set(result) == {"content", "structuredContent", "isError"}
    assert result["structuredContent"] == outcome.to_model()
    contents: Any = result["content"]
    (content,) = contents
    assert content["type"] == "text"
    assert json.loads(content["text"]) == outcome.to_model()
    assert result["isError"] is isinstance(outcome, Refused | Failed | Unknown)


@pytest.mark.req("M10.13")
def test_an_outcome_is_one_of_six() -> None:
    members = {getattr(member, "__origin__", member) for member in get_args(Outcome)}
    assert members == {Succeeded, Refused, PendingApproval, Started, Failed, Unknown}
    assert {type(outcome) for outcome in EVERY} == members


@pytest.mark.req("M10.13")
@pytest.mark.parametrize("outcome", EVERY, ids=range(len(EVERY)))
def test_only_a_success_can_be_unwrapped(outcome: Outcome[Any]) -> None:
    if isinstance(outcome, Succeeded):
        assert outcome.unwrap() == outcome.result
        return
    with pytest.raises(OutcomeError) as raised:
        outcome.unwrap()
    assert str(raised.value) == outcome.message
    assert raised.value.call_id == CALL
    expected = (
        outcome.error_type.value if isinstance(outcome, Refused | Failed | Unknown) else outcome.status.value
    )
    assert raised.value.error_type == expected


@pytest.mark.req("M10.13")
def test_an_outcome_cannot_be_changed() -> None:
    for outcome in EVERY:
        with pytest.raises((dataclasses.FrozenInstanceError, AttributeError, TypeError)):
            outcome.call_id = "call_2"  # type: ignore[misc]


class Weird(ToolError):
    code = "weird"
    effect = "none"


WEIRD: list[ToolError] = [
    Weird("half \ud800 a pair and \x00 more"),
    Weird("x" * 1_000_000),
    Weird(""),
    Weird("ok", code="c" * 1_000_000),
    Weird("ok", code="half \ud800"),
    Weird("ok", code="sk_live_0123456789abcdef0123"),
    Weird(5),  # type: ignore[arg-type]
]


@pytest.mark.req("M10.2", "M10.5", "M10.11")
@pytest.mark.parametrize("effect", ["read", "write"])
@pytest.mark.parametrize("error", WEIRD, ids=range(len(WEIRD)))
async def test_odd_words_of_a_tool_s_own_error_stay_bounded_and_writable(
    tmp_path: Path, effect: Any, error: ToolError
) -> None:
    @tool(
        effect=effect,
        roles={"support"},
        raises={Weird},
        idempotency="x:{number}" if effect == "write" else None,
    )
    async def act(number: int) -> None:
        """Do."""
        raise error

    async with opened([act], tmp_path) as gateway:
        outcome = await gateway.call(act, {"number": 1}, caller=ANA)
        again = await gateway.get_call(outcome.call_id, caller=ANA)
    assert isinstance(outcome, Failed)
    assert outcome.error_type is ErrorType.TOOL_ERROR
    said = json.dumps(outcome.to_model(), ensure_ascii=False).encode()
    assert len(said) < 4_000
    assert b"sk_live" not in said
    if effect == "write":
        assert again.to_model() == outcome.to_model()


RESULTS: list[Any] = [
    "half \ud800 a pair",
    float("nan"),
    {"a": float("inf")},
    2**60,
    object(),
    {1: 2},
    b"\xff",
]


@pytest.mark.req("M10.9", "M10.11")
@pytest.mark.parametrize("value", RESULTS, ids=range(len(RESULTS)))
async def test_a_result_that_is_no_json_is_withheld(tmp_path: Path, value: Any) -> None:
    @tool(effect="read", roles={"support"})
    async def act() -> Any:
        """Read."""
        return value

    async with opened([act], tmp_path) as gateway:
        outcome = await gateway.call(act, {}, caller=ANA)
    if outcome.ok:  # what pydantic can write as JSON, is JSON by then
        json.loads(json.dumps(outcome.to_model(), allow_nan=False))
        return
    assert isinstance(outcome, Failed)
    assert outcome.error_type is ErrorType.INVALID_RESULT
