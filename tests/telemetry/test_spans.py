"""A call is a span, with what took time beneath it, in the trace of whoever asked."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import pytest
from opentelemetry import trace as otel
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import Field

from tests.people import decide_approval
from tests.small_gate import ANA, opened, trail
from tests.telemetry.traced import traced
from toolgate import Approval, Caller, PendingApproval, Retry, ToolContext, TransientError, tool
from toolgate.adapters.telemetry.spans import read_traceparent
from toolgate.testing import FakeClock

LEO = Caller("u-leo", roles={"lead"}, tenant="acme")
ASKED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SEEN: dict[str, Any] = {}


@tool(effect="read", roles={"support"}, timeout=5.0, retries=Retry(attempts=3))
async def look(context: ToolContext[Any], times: Annotated[int, Field(ge=0, le=3)] = 0) -> str:
    """Look, and fail as often as asked first."""
    SEEN["trace"], SEEN["current"] = context.trace, otel.get_current_span().get_span_context()
    if context.attempt <= times:
        raise TransientError("not yet")
    return "seen"


@tool(
    effect="write",
    roles={"support"},
    timeout=5.0,
    idempotency="send:{workflow_id}",
    approval=Approval(approvers={"lead"}),
)
async def send(context: ToolContext[Any]) -> str:
    """Send, once a lead agreed."""
    SEEN["trace"] = context.trace
    return "sent"


@tool(effect="write", roles={"support"}, timeout=5.0, idempotency="lose:{workflow_id}")
async def lose() -> None:
    """Fail in a way that nobody declared."""
    raise LookupError("the words of an exception")


@pytest.mark.req("M11.16")
async def test_a_call_is_a_span_under_the_names_of_the_genai_conventions(tmp_path: Path) -> None:
    async with traced([look], tmp_path) as gate:
        outcome = await gate.gateway.call("look", {}, caller=ANA, agent="helper", model="m-1")

        (span,) = gate.calls()
        assert (span.name, span.kind) == ("execute_tool look", SpanKind.INTERNAL)
        assert dict(span.attributes or {}) == {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": "look",
            "gen_ai.tool.type": "function",
            "gen_ai.agent.name": "helper",
            "gen_ai.request.model": "m-1",
            "toolgate.call.id": outcome.call_id,
            "toolgate.surface": "python",
            "toolgate.status": "succeeded",
            "toolgate.effect": "none",
            "toolgate.attempts": 1,
        }
        assert span.status.status_code is StatusCode.UNSET


@pytest.mark.req("M11.16")
async def test_each_attempt_is_a_span_beneath_its_call_and_what_took_time_too(tmp_path: Path) -> None:
    clock = FakeClock()
    async with traced([look, lose], tmp_path, clock=clock) as gate:
        running = asyncio.ensure_future(gate.gateway.call("look", {"times": 1}, caller=ANA))
        await asyncio.to_thread(clock.wait_for_alarm, within=2.0)
        clock.advance(2.0)
        await running
        await gate.gateway.call("lose", {}, caller=ANA, workflow="w1")

        reading, writing = gate.calls()
        attempts = gate.of("attempt")
        assert [(span.attributes or {})["toolgate.attempt"] for span in attempts] == [1, 2, 1]
        assert [span.status.status_code for span in attempts] == [
            StatusCode.ERROR,
            StatusCode.UNSET,
            StatusCode.ERROR,
        ]
        assert (attempts[2].attributes or {})["error.type"] == "LookupError"
        assert attempts[2].status.description is None
        assert attempts[2].events == ()
        parents = [span.parent.span_id for span in attempts if span.parent]
        assert reading.context is not None
        assert writing.context is not None
        assert parents == [reading.context.span_id] * 2 + [writing.context.span_id]
        # Steps that took less than a millisecond are left out; those that are there lie beneath their call.
        steps = [span for span in gate.spans if span.name in {"prepare", "gates", "permit", "settle"}]
        for step in steps:
            assert step.parent is not None
            assert step.parent.span_id in {reading.context.span_id, writing.context.span_id}
            assert (step.end_time or 0) - (step.start_time or 0) >= 1_000_000


@pytest.mark.req("M11.16")
async def test_a_call_that_failed_is_an_error_with_its_type_and_without_words(tmp_path: Path) -> None:
    async with traced([lose], tmp_path) as gate:
        await gate.gateway.call("lose", {}, caller=ANA, workflow="w1")

        (span,) = gate.calls()
        assert span.status.status_code is StatusCode.ERROR
        assert (span.attributes or {})["error.type"] == "outcome_unknown"
        assert "the words" not in str([each.to_json() for each in gate.spans])


@pytest.mark.req("M11.16")
async def test_a_refused_call_is_a_span_and_a_made_up_name_is_none(tmp_path: Path) -> None:
    async with traced([look], tmp_path) as gate:
        await gate.gateway.call("made up by a model", {}, caller=ANA)

        (span,) = gate.calls()
        assert span.name == "execute_tool unknown"
        assert (span.attributes or {})["toolgate.status"] == "refused"
        assert span.status.status_code is StatusCode.UNSET


@pytest.mark.req("M11.26")
async def test_a_call_joins_the_trace_that_came_with_it_and_hands_it_on(tmp_path: Path) -> None:
    async with traced([look], tmp_path) as gate:
        gateway = gate.gateway
        outcome = await gateway.request(
            "look", {}, caller=ANA, workflow=gateway.make_workflow("w1"), trace=ASKED, surface="rest"
        )

        (span,), (attempt,) = gate.calls(), gate.of("attempt")
        asked = read_traceparent(ASKED)
        assert span.parent is not None
        assert asked is not None
        assert (span.parent.trace_id, span.parent.span_id) == (asked.trace_id, asked.span_id)
        assert attempt.context is not None
        told = read_traceparent(SEEN["trace"])
        assert told is not None
        assert (told.trace_id, told.span_id) == (asked.trace_id, attempt.context.span_id)
        # The tool's own spans lie beneath its attempt, and the trail names the call's.
        assert SEEN["current"].span_id == attempt.context.span_id
        (record,) = await trail(gateway, outcome.call_id)
        assert span.context is not None
        assert record["toolgate.trace"] == f"00-{asked.trace_id:032x}-{span.context.span_id:016x}-01"


@pytest.mark.req("M11.26")
async def test_in_the_same_process_a_call_lies_beneath_the_span_that_asked(tmp_path: Path) -> None:
    async with traced([look], tmp_path) as gate:
        with gate.tracer.start_as_current_span("request") as request:
            await gate.gateway.call("look", {}, caller=ANA)
            assert otel.get_current_span() is request

        (span,) = gate.calls()
        assert span.parent is not None
        assert span.parent.span_id == request.get_span_context().span_id


@pytest.mark.req("M11.26")
async def test_an_approved_call_runs_in_a_trace_of_its_own_that_links_to_the_request(tmp_path: Path) -> None:
    async with traced([send], tmp_path) as gate:
        gateway = gate.gateway
        held = await gateway.call("send", {}, caller=ANA, workflow="w1")
        assert isinstance(held, PendingApproval)
        await decide_approval(gateway, held.approval_id, "approve", voter=LEO, reason="it is due")
        await gateway.sweep()
        await gateway.wait_for(held, caller=ANA, timeout="20s")

        asked, ran = gate.calls()
        assert asked.context is not None
        assert ran.context is not None
        assert (asked.attributes or {})["toolgate.status"] == "pending_approval"
        assert (ran.attributes or {})["toolgate.status"] == "succeeded"
        assert ran.parent is None
        assert ran.context.trace_id != asked.context.trace_id
        assert [link.context.span_id for link in ran.links] == [asked.context.span_id]
        assert SEEN["trace"].split("-")[1] == f"{ran.context.trace_id:032x}"


@pytest.mark.req("M11.26")
async def test_a_malformed_trace_context_is_none(tmp_path: Path) -> None:
    async with traced([look], tmp_path) as gate:
        gateway = gate.gateway
        for said in ("", "nonsense", "00-" + "0" * 32 + "-b7ad6b7169203331-01", ASKED + "-more"):
            await gateway.request("look", {}, caller=ANA, workflow=gateway.make_workflow("w1"), trace=said)

        assert [span.parent for span in gate.calls()] == [None] * 4


@pytest.mark.req("M11.16")
async def test_the_numbers_are_exported_under_the_names_of_the_definitions(tmp_path: Path) -> None:
    async with traced([look, send], tmp_path) as gate:
        for _ in range(3):
            await gate.gateway.call("look", {}, caller=ANA)
        await gate.gateway.call("send", {}, caller=ANA, workflow="w1")

        numbers = gate.numbers()
        calls = {
            (point.attributes["gen_ai.tool.name"], point.attributes["toolgate.status"]): point.value
            for point in numbers["toolgate.calls"]
        }
        assert calls == {("look", "succeeded"): 3, ("send", "pending_approval"): 1}
        (took,) = numbers["gen_ai.execute_tool.duration"]
        assert (took.count, dict(took.attributes)) == (3, {"gen_ai.tool.name": "look"})
        assert [point.value for point in numbers["toolgate.approvals.open"]] == [1]
        assert sum(point.count for point in numbers["toolgate.store.commit.duration"]) >= 4
        assert "acme" not in json.dumps([str(points) for points in numbers.values()])


@pytest.mark.req("M11.16")
async def test_a_store_that_cannot_be_read_does_not_end_the_exports(tmp_path: Path) -> None:
    async with traced([look], tmp_path) as gate:
        await gate.gateway.call("look", {}, caller=ANA)
        await gate.gateway.store.close()

        numbers = gate.numbers()
        assert [point.value for point in numbers["toolgate.calls"]] == [1]
        assert "toolgate.approvals.open" not in numbers
        await gate.gateway.store.open()


@pytest.mark.req("M11.26")
async def test_global_telemetry_that_nobody_set_up_changes_nothing(tmp_path: Path) -> None:
    async with opened([look], tmp_path, telemetry="global") as gateway:
        await gateway.request("look", {}, caller=ANA, workflow=gateway.make_workflow("w1"), trace=ASKED)
        assert SEEN["trace"] == ASKED
        outcome = await gateway.call("look", {}, caller=ANA)
        assert SEEN["trace"] is None
        (record,) = await trail(gateway, outcome.call_id)
        assert "toolgate.trace" not in record


@pytest.mark.req("M11.26")
async def test_without_telemetry_a_trace_context_is_handed_on_as_it_came(tmp_path: Path) -> None:
    async with opened([look], tmp_path) as gateway:
        await gateway.request("look", {}, caller=ANA, workflow=gateway.make_workflow("w1"), trace=ASKED)

    assert SEEN["trace"] == ASKED
