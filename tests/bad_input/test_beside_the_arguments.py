"""Odd names and words beside the arguments: clean what explains, refuse what identifies, and always leave a record."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.bad_input.conftest import RAN
from tests.small_gate import ANA, trail
from toolgate import Caller, Gateway, Refused, UsageError
from toolgate.domain.outcome import ErrorType

pytestmark = pytest.mark.req("M3.9")

GOOD: dict[str, Any] = {"customer": "ana", "items": []}
ODD = {
    "empty": "",
    "NUL": "a\x00b",
    "control": "\x1b[31mred",
    "line breaks": "a\nb",
    "a surrogate": "half \ud800",
    "text that runs backwards": "a\u202eb",
    "invisible": "a\u200bb",
    "huge": "x" * 2_000_000,
}


@pytest.mark.req("M4.8", "M10.11")
@pytest.mark.parametrize("name", [*ODD.values(), "look_up ", "LOOK_UP", "look-up", "../look_up", "__class__"])
async def test_an_odd_tool_name_is_an_unknown_tool_with_a_record(gate: Gateway, name: str) -> None:
    outcome = await gate.call(name, GOOD, caller=ANA)
    assert isinstance(outcome, Refused)
    assert outcome.error_type is ErrorType.UNKNOWN_TOOL
    assert len(json.dumps(outcome.to_model())) < 1_000
    (record,) = await trail(gate, outcome.call_id)
    assert record["gen_ai.tool.name"].isprintable()
    assert len(record["gen_ai.tool.name"]) < 150
    assert RAN == []


@pytest.mark.parametrize("tool", [None, 7, b"look_up", ["look_up"], object()])
async def test_what_is_neither_a_name_nor_a_tool_is_an_error_of_the_program(gate: Gateway, tool: Any) -> None:
    with pytest.raises(UsageError, match="call takes a tool's name, or what @tool returned"):
        await gate.call(tool, GOOD, caller=ANA)


@pytest.mark.req("M4.1")
@pytest.mark.parametrize("odd", [*ODD.values(), None, 7, b"x"])
def test_a_caller_that_could_not_be_told_from_another_cannot_be_made(odd: Any) -> None:
    for given in ({"id": odd}, {"id": "u-1", "tenant": odd}, {"id": "u-1", "roles": [odd]}):
        with pytest.raises(ValueError, match=r"a caller's (id|tenant|role) "):
            Caller(**given)


@pytest.mark.req("M5.9")
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("named", ["workflow", "agent", "model"])
async def test_an_odd_workflow_agent_or_model_is_refused_before_anything(
    gate: Gateway, named: str, odd: str
) -> None:
    words: dict[str, Any] = {named: odd}
    with pytest.raises(UsageError, match="character"):
        await gate.call("look_up", GOOD, caller=ANA, **words)
    assert await trail(gate) == []


@pytest.mark.req("M4.1")
@pytest.mark.parametrize("caller", [None, "u-ana", {"id": "u-ana"}])
async def test_who_is_no_caller_cannot_call(gate: Gateway, caller: Any) -> None:
    with pytest.raises(UsageError, match="caller= is a Caller that the application made"):
        await gate.call("look_up", GOOD, caller=caller)
    assert await trail(gate) == []


@pytest.mark.req("M11.10")
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
async def test_an_odd_request_id_or_rationale_is_made_clean_and_stops_nothing(
    gate: Gateway, odd: str
) -> None:
    for name in ("look_up", "place_order"):
        outcome = await gate.call(name, GOOD, caller=ANA, workflow="w-1", request_id=odd, rationale=odd)
        assert outcome.ok
        for record in await trail(gate, outcome.call_id):
            assert record["toolgate.request.id"].isprintable()
            assert len(record["toolgate.request.id"]) < 400
    assert len(RAN) == 2


async def test_odd_words_of_the_user_stop_nothing(gate: Gateway) -> None:
    for odd in ODD.values():
        flow = gate.workflow("w-1", caller=ANA, user_input=odd)
        assert (await flow.call("look_up", GOOD)).ok


@pytest.mark.parametrize("odd", [*ODD.values(), "call_", "call_01", None, 7])
async def test_an_odd_call_id_is_no_call(gate: Gateway, odd: Any) -> None:
    outcome = await gate.get_call(odd, caller=ANA)
    assert isinstance(outcome, Refused)
    assert outcome.message == "There is no such call."


async def test_a_duration_that_makes_no_sense_is_refused_when_waiting(gate: Gateway) -> None:
    outcome = await gate.call("look_up", GOOD, caller=ANA)
    assert await gate.wait_for(outcome, caller=ANA) is outcome
