"""A call that waits for a person: what the model is told, and how it finds out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from mcp import Client

from tests.mcp.server.desk import MODES, Desk, by_hand, meta
from tests.rest.desk import BOB, EVE, LEA

pytestmark = pytest.mark.req("X3.14")


async def body_of(client: Client, tool: str, arguments: dict[str, Any], **given: Any) -> dict[str, Any]:
    """The answer's JSON."""
    return dict((await client.call_tool(tool, arguments, **given)).structured_content or {})


async def held(client: Client) -> dict[str, Any]:
    """A refund that waits for a person."""
    return await body_of(client, "refund", {"order": 1, "cents": 5000}, meta=meta())


@pytest.mark.parametrize("mode", MODES)
async def test_held_is_no_failure_and_says_where_to_look(desk: Desk, mode: str) -> None:
    async with desk.client(mode=mode) as client:
        answer = await client.call_tool("refund", {"order": 1, "cents": 5000}, meta=meta())
        body = answer.structured_content or {}
        seen = await body_of(client, "get_call", {"call_id": body["call_id"]})

    assert not answer.is_error
    assert (body["status"], body["advice"], body["effect"]) == (
        "pending_approval",
        "wait_for_approval",
        "none",
    )
    assert seen == body
    assert not desk.business.paid


@pytest.mark.parametrize("mode", MODES)
async def test_once_approved_the_result_is_there_and_it_ran_once(desk: Desk, mode: str) -> None:
    async with desk.client(mode=mode) as client:
        body = await held(client)
        waiting = asyncio.create_task(
            body_of(client, "get_call", {"call_id": body["call_id"], "wait_seconds": 30})
        )
        while not len(desk.office.feed):  # noqa: ASYNC110 - the feed tells nobody who watches it
            await asyncio.sleep(0)
        await desk.gateway.approve(body["approval_id"], by=LEA, reason="fine")
        ended = await waiting
        again = await held(client)

    assert (ended["ok"], ended["status"], ended["result"], ended["effect"]) == (
        True,
        "succeeded",
        5000,
        "applied",
    )
    assert (again["replayed"], again["call_id"]) == (True, body["call_id"])
    assert desk.business.paid == [(1, 5000)]


@pytest.mark.parametrize("mode", MODES)
async def test_once_denied_the_answer_says_so(desk: Desk, mode: str) -> None:
    async with desk.client(mode=mode) as client:
        body = await held(client)
        await desk.gateway.deny(body["approval_id"], by=LEA, reason="no")
        answer = await client.call_tool("get_call", {"call_id": body["call_id"], "wait_seconds": 1})

    assert answer.is_error
    assert (answer.structured_content or {})["error_type"] == "approval_denied"
    assert not desk.business.paid


@pytest.mark.parametrize("caller", [BOB, EVE])
async def test_somebody_else_s_call_is_one_that_never_was(desk: Desk, caller: Any) -> None:
    async with desk.client() as client, desk.client(caller) as other:
        body = await held(client)
        theirs = await body_of(other, "get_call", {"call_id": body["call_id"]})
        never = await body_of(other, "get_call", {"call_id": "call_never"})

    assert {**theirs, "call_id": ""} == {**never, "call_id": ""}
    assert theirs["message"] == "call_id: there is no such call of yours."


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("{}", "call_id: a text"),
        ('{"call_id": 7}', "call_id: a text"),
        ('{"call_id": "' + "x" * 65 + '"}', "call_id: a text"),
        ('{"call_id": "c", "wait_seconds": 31}', "wait_seconds: an integer from 0 to 30"),
        ('{"call_id": "c", "wait_seconds": 1.0}', "wait_seconds: an integer from 0 to 30"),
        ('{"call_id": "c", "wait_seconds": true}', "wait_seconds: an integer from 0 to 30"),
        ('{"call_id": "c", "more": 1}', "more: there is no such argument"),
        ('{"call_id": "c", "call_id": "d"}', "one JSON object"),
        ("[]", "one JSON object"),
    ],
)
async def test_what_looking_cannot_use_is_refused_in_words(
    desk: Desk, mode: str, arguments: str, words: str
) -> None:
    async with by_hand(desk, mode, await desk.token()) as hand:
        answer = (await hand.ask("get_call", arguments))["result"]

    assert answer["isError"] is True
    assert answer["structuredContent"]["error_type"] == "invalid_arguments"
    assert words in answer["structuredContent"]["message"]


async def test_a_credential_has_so_many_waits(desk: Desk) -> None:
    token = await desk.token()
    async with desk.client(token) as client:
        body = await held(client)
        desk.office.waits._most_of_one = 0
        busy = await body_of(client, "get_call", {"call_id": body["call_id"], "wait_seconds": 1})
        seen = await body_of(client, "get_call", {"call_id": body["call_id"]})

    assert (busy["error_type"], busy["advice"], busy["retry_after_s"]) == ("overloaded", "retry_later", 5.0)
    assert seen["status"] == "pending_approval"


async def test_a_wait_ends_with_the_server(desk: Desk) -> None:
    async with desk.client() as client:
        body = await held(client)
        waiting = asyncio.create_task(
            body_of(client, "get_call", {"call_id": body["call_id"], "wait_seconds": 30})
        )
        while not len(desk.office.feed):  # noqa: ASYNC110 - the feed tells nobody who watches it
            await asyncio.sleep(0)
        desk.office.closing.begin()

        assert (await waiting)["status"] == "pending_approval"
