"""Streams over REST: who hears what, what was missed, and when a stream ends."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from tests.rest.desk import ALL, ANN, BOB, EVE, LEA, OLA, SECRET, Desk, ask, decide, held
from tests.rest.listening import Listening, listening
from toolgate.surfaces.http.streams import MOST_OF_ONE

pytestmark = pytest.mark.req("X3.8")


async def test_a_stream_of_a_call_tells_its_steps_and_ends_with_its_outcome(desk: Desk) -> None:
    token = await desk.token(ANN)
    async with desk.client(token) as ann, desk.person(LEA) as lea:
        call = await held(ann, card=SECRET)
        async with listening(desk, f"/v1/calls/{call['call_id']}/events", token) as stream:
            await desk.watched(1)
            await decide(lea, call["approval_id"])
            await desk.gateway.sweep()
            heard = []
            while (event := await stream.next()) is not None:
                heard.append(event)
        now = (await ann.get(f"/v1/calls/{call['call_id']}")).json()
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert heard[-1].event == "outcome"
    assert heard[-1].data == now
    assert heard[0].data["event"] == "approval_approved"
    assert SECRET not in str(heard)
    assert not len(desk.office.feed)


async def test_a_stream_of_a_call_that_ended_is_its_outcome(desk: Desk) -> None:
    token = await desk.token(ANN)
    async with desk.client(token) as ann:
        call = (await ask(ann, "refund", order=1)).json()
    async with listening(desk, f"/v1/calls/{call['call_id']}/events", token) as stream:
        only = await stream.next()
        assert only is not None
        assert only.data == call
        assert await stream.next() is None


async def heard_until(stream: Listening, call_id: str) -> list[str]:
    """The calls that a listener heard of, until ``call_id`` ended."""
    found: list[str] = []
    while True:
        event = await stream.next()
        assert event is not None
        found.append(event.data["call_id"])
        if event.data["call_id"] == call_id and event.data["status"] == "succeeded":
            return found


async def test_everybody_hears_what_they_may_see(desk: Desk) -> None:
    tokens = {who.id: await desk.token(who) for who in (ANN, BOB, LEA, OLA, EVE)}
    agent = await desk.token(ANN, agent="helper")
    async with (
        desk.client(tokens["ann"]) as ann,
        desk.client(tokens["bob"]) as bob,
        desk.client(agent) as helper,
        desk.client(tokens["eve"]) as eve,
        listening(desk, "/v1/events", tokens["ann"]) as of_ann,
        listening(desk, "/v1/events", tokens["bob"]) as of_bob,
        listening(desk, "/v1/events", tokens["lea"]) as of_lea,
        listening(desk, "/v1/events", tokens["ola"]) as of_ola,
        listening(desk, "/v1/events", tokens["eve"]) as of_eve,
        listening(desk, "/v1/events", agent) as of_helper,
    ):
        await desk.watched(6)
        anns = (await held(ann, order=1))["call_id"]
        its = (await ask(helper, "refund", order=2)).json()["call_id"]
        eves = (await ask(eve, "refund", order=3)).json()["call_id"]
        bobs = (await ask(bob, "refund", order=4)).json()["call_id"]
        last = (await ask(ann, "refund", order=5)).json()["call_id"]
        assert set(await heard_until(of_ann, last)) == {anns, its, last}
        assert set(await heard_until(of_bob, bobs)) == {bobs}
        assert set(await heard_until(of_helper, its)) == {its}
        assert set(await heard_until(of_eve, eves)) == {eves}
        assert set(await heard_until(of_ola, last)) == {anns, its, bobs, last}
        first = await of_lea.next()
        assert first is not None
        assert (first.data["call_id"], first.data["event"]) == (anns, "held")


async def test_whoever_comes_back_hears_what_was_missed(desk: Desk) -> None:
    token = await desk.token(ANN)
    async with desk.client(token) as ann:
        async with listening(desk, "/v1/events", token) as stream:
            await desk.watched(1)
            await ask(ann, "refund", order=1)
            event = await stream.next()
            assert event is not None
        missed = (await ask(ann, "refund", order=2)).json()["call_id"]
        async with listening(desk, "/v1/events", token, last=event.id) as stream:
            assert missed in await heard_until(stream, missed)


async def test_a_stream_ends_with_its_credential(desk: Desk) -> None:
    desk.office.streams.heartbeat = 0.05
    token_id, secret = await desk.made(ANN)
    async with desk.person(ALL) as somebody, listening(desk, "/v1/events", secret) as stream:
        await desk.watched(1)
        assert (await somebody.post(f"/v1/tokens/{token_id}/revoke")).status_code == 200
        while await stream.next() is not None:
            pass
    assert not len(desk.office.feed)


async def test_a_stream_ends_with_the_server(desk: Desk) -> None:
    async with listening(desk, "/v1/events", await desk.token(ANN)) as stream:
        await desk.watched(1)
        desk.office.closing.begin()
        assert await stream.next() is None


async def test_nobody_takes_the_streams_of_everybody(desk: Desk) -> None:
    token, agents = await desk.token(ANN), await desk.token(ANN, agent="helper")
    async with desk.client(token) as ann, AsyncExitStack() as stack:
        call = (await held(ann))["call_id"]
        for _ in range(MOST_OF_ONE):
            await stack.enter_async_context(listening(desk, "/v1/events", token))
        for path in ("/v1/events", f"/v1/calls/{call}/events"):
            refused = await ann.get(path)
            assert refused.status_code == 429
            assert refused.json()["type"] == "/problems/too_many_streams"
            assert int(refused.headers["retry-after"]) >= 1
        assert (await ann.get(f"/v1/calls/{call}?wait=1")).status_code == 200
        for other in (agents, await desk.token(BOB)):
            async with listening(desk, "/v1/events", other) as stream:
                assert stream.status == 200
        assert len(desk.office.streams) == MOST_OF_ONE
    assert len(desk.office.streams) == 0
    async with listening(desk, "/v1/events", token) as stream:
        assert stream.status == 200
