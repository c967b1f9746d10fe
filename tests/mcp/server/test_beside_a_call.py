"""What an integrator says beside a call: `_meta`, and the header of the host application."""

from __future__ import annotations

from typing import Any

import pytest

from tests.mcp.server.desk import MODERN, MODES, Desk, by_hand, meta

pytestmark = pytest.mark.req("X3.12")

HEADER = "Toolgate-Workflow-Id"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
INVALID_PARAMS = -32602


@pytest.mark.parametrize("mode", MODES)
async def test_it_is_in_the_trail(desk: Desk, mode: str) -> None:
    said: Any = {
        "dev.toolgate/workflow_id": "req_1",
        "dev.toolgate/model": "m-1",
        "dev.toolgate/rationale": "because",
        "dev.toolgate/user_input": "give me my money",
        "traceparent": TRACE,
    }
    async with desk.client(mode=mode, headers={"X-Request-ID": "request-12345"}) as client:
        await client.call_tool("refund", {"order": 1}, meta=said)

    *_, record = await desk.trail()
    assert record["toolgate.workflow.id"] == "req_1"
    assert record["gen_ai.request.model"] == "m-1"
    assert record["toolgate.trace"] == TRACE
    assert record["toolgate.request.id"] == "request-12345"


@pytest.mark.parametrize("mode", MODES)
async def test_the_host_application_may_name_the_work_in_a_header(desk: Desk, mode: str) -> None:
    async with desk.client(mode=mode, headers={HEADER: "from-the-host"}) as client:
        first = await client.call_tool("refund", {"order": 1}, meta=meta(None))
        again = await client.call_tool("refund", {"order": 1}, meta=meta("from-the-host"))

    assert (first.structured_content or {})["ok"] is True
    assert (again.structured_content or {})["replayed"] is True


@pytest.mark.parametrize("mode", MODES)
async def test_two_names_for_one_piece_of_work_are_refused(desk: Desk, mode: str) -> None:
    async with by_hand(desk, mode, await desk.token()) as hand:
        answer = await hand.ask("refund", '{"order": 1}', meta("one"), headers={HEADER: "other"})

    assert answer["error"]["code"] == INVALID_PARAMS
    assert "name two pieces of work" in answer["error"]["message"]
    assert not desk.business.paid


@pytest.mark.parametrize("mode", MODES)
async def test_without_a_name_nothing_runs_and_the_refusal_says_how_to_send_one(
    desk: Desk, mode: str
) -> None:
    async with desk.client(mode=mode) as client:
        answer = await client.call_tool("refund", {"order": 1})

    body = answer.structured_content or {}
    assert answer.is_error
    assert (body["error_type"], body["advice"]) == ("invalid_arguments", "ask_human")
    assert "_meta 'dev.toolgate/workflow_id' of tools/call" in body["message"]
    assert HEADER in body["message"]
    assert not desk.business.paid


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"dev.toolgate/workflow_id": 7}, "'dev.toolgate/workflow_id' is a text, not int"),
        ({"dev.toolgate/workflow_id": ""}, "a text of 1 to 256 characters"),
        ({"dev.toolgate/workflow_id": "a\u202eb"}, "control, invisible or unpaired"),
        ({"dev.toolgate/model": ["m"]}, "'dev.toolgate/model' is a text, not list"),
        ({"dev.toolgate/rationale": 1}, "'dev.toolgate/rationale' is a text of at most 8192 characters"),
        ({"dev.toolgate/rationale": "x" * 8193}, "at most 8192 characters"),
        ({"dev.toolgate/user_input": {}}, "'dev.toolgate/user_input' is a text of at most"),
    ],
)
async def test_what_cannot_be_used_is_refused_in_words(
    desk: Desk, mode: str, said: dict[str, Any], words: str
) -> None:
    async with by_hand(desk, mode, await desk.token()) as hand:
        answer = await hand.ask("refund", '{"order": 1}', {**meta("wf"), **said})

    assert answer["error"]["code"] == INVALID_PARAMS
    assert words in answer["error"]["message"]
    assert not desk.business.paid


@pytest.mark.parametrize("value", ["", "x" * 257])
async def test_a_header_that_is_no_name_is_refused(desk: Desk, value: str) -> None:
    async with by_hand(desk, MODERN, await desk.token()) as hand:
        answer = await hand.ask("refund", '{"order": 1}', {}, headers={HEADER: value})

    assert answer["error"]["code"] == INVALID_PARAMS
    assert HEADER in answer["error"]["message"]


async def test_a_header_that_stands_there_twice_is_refused(desk: Desk) -> None:
    async with by_hand(desk, MODERN, await desk.token()) as hand:
        headers = [*hand.headers(name="refund").items(), (HEADER, "a"), (HEADER, "a")]
        answer = await hand.http.post(
            "/mcp", content=hand.call("refund", '{"order": 1}', {}), headers=headers
        )

    assert answer.json()["error"]["code"] == INVALID_PARAMS
    assert "more than once" in answer.json()["error"]["message"]


async def test_a_trace_that_is_malformed_is_not_there(desk: Desk) -> None:
    async with desk.client() as client:
        await client.call_tool("notes", {"customer": "c"}, meta=meta(None, traceparent="00-0-0-0"))

    (record,) = await desk.trail()
    assert record.get("toolgate.trace") is None


@pytest.mark.req("M11.26")
@pytest.mark.parametrize("mode", MODES)
async def test_a_trace_comes_by_the_header_where_meta_says_none(desk: Desk, mode: str) -> None:
    other = TRACE.replace("b7ad", "c0de")
    async with desk.client(mode=mode, headers={"traceparent": other}) as client:
        await client.call_tool("notes", {"customer": "c"}, meta=meta(None))
        await client.call_tool("notes", {"customer": "c"}, meta=meta(None, traceparent=TRACE))

    assert [record.get("toolgate.trace") for record in await desk.trail()] == [other, TRACE]


@pytest.mark.parametrize("mode", MODES)
async def test_what_a_model_writes_into_its_arguments_names_no_work(desk: Desk, mode: str) -> None:
    async with desk.client(mode=mode) as client:
        answer = await client.call_tool("refund", {"order": 1, "workflow_id": "mine"}, meta=meta())

    assert (answer.structured_content or {})["error_type"] == "invalid_arguments"
    assert not desk.business.paid
