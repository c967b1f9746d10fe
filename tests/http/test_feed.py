"""The one look at the trail for everybody who watches, and the streams that tell of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, ExitStack
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import StreamingResponse

from tests.http.desk import ANA, Desk, until
from toolgate.domain.principal import Principal, in_person
from toolgate.surfaces.http.credentials import NotSignedIn
from toolgate.surfaces.http.feed import WAITING, Feed, FeedEvent, Resync, Watch
from toolgate.surfaces.http.streams import Message, OpenStreams, Telling, event_stream, last_event_id

pytestmark = pytest.mark.req("M12.15")

AN_HOUR = 3600.0
"""A look happens only when a test nudges."""


def everything(_: FeedEvent) -> bool:
    return True


def event_of(seq: int, **said: Any) -> FeedEvent:
    blank: dict[str, Any] = dict.fromkeys(
        ("tenant", "call_id", "approval_id", "tool", "caller_id", "agent", "status")
    )
    return FeedEvent(**(blank | {"seq": seq, "transition": "settled"} | said))


@pytest.fixture
def feed(desk: Desk) -> Feed:
    return Feed(desk.gateway, interval=AN_HOUR)


async def test_fifty_who_watch_cost_one_look(desk: Desk, feed: Feed) -> None:
    async with AsyncExitStack() as stack:
        watches = [await stack.enter_async_context(feed.watch(everything)) for _ in range(50)]
        await desk.call()
        feed.nudge()

        events = [await watch.next() for watch in watches]

        # One when the first began to watch, one for the nudge.
        assert feed.looks <= 2
        assert len({id(event) for event in events}) == 1


async def test_an_event_says_what_happened_and_whose_it_is(desk: Desk, feed: Feed) -> None:
    async with feed.watch(everything) as watch:
        outcome = await desk.call("open_file")
        feed.nudge()
        event = await watch.next()

    assert isinstance(event, FeedEvent)
    assert (event.tenant, event.caller_id, event.tool) == ("acme", ANA.id, "open_file")
    assert (event.call_id, event.approval_id) == (outcome.call_id, outcome.approval_id)
    assert (event.transition, event.status) == ("held", "pending_approval")


async def test_nobody_looks_while_nobody_watches(desk: Desk, feed: Feed) -> None:
    async with feed.watch(everything) as watch:
        await desk.call()
        feed.nudge()
        await watch.next()
    looks = feed.looks

    await desk.call()
    feed.nudge()
    await asyncio.sleep(0)

    assert feed.looks == looks
    assert len(feed) == 0


async def test_whoever_begins_to_watch_sees_what_comes_and_nothing_of_before(desk: Desk, feed: Feed) -> None:
    await desk.call()
    async with feed.watch(everything) as watch:
        second = await desk.call()
        feed.nudge()
        event = await watch.next()

    assert isinstance(event, FeedEvent)
    assert event.call_id == second.call_id


async def test_whoever_comes_back_is_told_what_they_missed_each_once(desk: Desk, feed: Feed) -> None:
    async with feed.watch(everything) as watch:
        await desk.call()
        feed.nudge()
        seen = await watch.next()
        missed = [(await desk.call()).call_id for _ in range(3)]
        feed.nudge()
        async with feed.watch(everything, after=seen.seq) as again:
            later = (await desk.call()).call_id
            feed.nudge()
            told = [await again.next() for _ in range(4)]

    assert [event.call_id for event in told if isinstance(event, FeedEvent)] == [*missed, later]


async def test_whoever_was_away_for_too_long_is_told_to_read_anew(desk: Desk, feed: Feed) -> None:
    for _ in range(WAITING):
        await desk.call()
    async with feed.watch(everything, after=0) as watch:
        lost = await watch.next()
        last = await desk.call()
        feed.nudge()
        event = await watch.next()
        while isinstance(event, Resync) or event.call_id != last.call_id:
            event = await watch.next()

    assert isinstance(lost, Resync)


async def test_a_slow_one_is_told_to_read_anew_and_holds_up_nobody() -> None:
    slow, quick = Watch(everything, most=3), Watch(everything, most=3)
    told: list[int] = []
    for seq in range(1, 11):
        for watch in (slow, quick):
            watch.offer(event_of(seq))
        told.append((await quick.next()).seq)

    assert told == list(range(1, 11))
    assert await slow.next() == Resync(10)
    slow.offer(event_of(11))
    assert (await slow.next()).seq == 11


async def test_what_is_not_wanted_takes_no_room() -> None:
    watch = Watch(lambda event: event.tenant == "acme", most=1)
    for seq in range(1, 100):
        watch.offer(event_of(seq, tenant="globex"))
    watch.offer(event_of(100, tenant="acme"))

    assert (await watch.next()).seq == 100


async def test_a_store_that_fails_for_a_while_costs_no_event(desk: Desk, feed: Feed) -> None:
    async with feed.watch(everything) as watch:
        called = await desk.call()
        desk.store.fail_reads()
        looks = feed.looks
        feed.nudge()
        await until(lambda: feed.looks > looks)
        desk.store.mend()
        feed.nudge()
        event = await watch.next()

    assert isinstance(event, FeedEvent)
    assert event.call_id == called.call_id


# --- streams ----------------------------------------------------------------------------------------------------


def request_of(desk: Desk, **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/events", "headers": raw, "query_string": b""})


def streamed(
    desk: Desk,
    *,
    who: list[Principal | NotSignedIn] | None = None,
    heartbeat: float = AN_HOUR,
    **headers: str,
) -> AsyncIterator[str]:
    """The stream's own pieces; `who` is what each check of the credential answers, the last one for ever."""
    answers = who or [in_person(ANA)]

    async def identify(_: Request) -> Principal | NotSignedIn:
        return answers.pop(0) if len(answers) > 1 else answers[0]

    async def render(event: FeedEvent | Resync) -> Message:
        return Message("changed", f"first\nsecond {type(event).__name__}")

    desk.office.streams.heartbeat = heartbeat
    answer = event_stream(
        desk.office,
        request_of(desk, **headers),
        Telling(wanted=everything, render=render),
        principal=in_person(ANA),
        identify=identify,
    )
    assert isinstance(answer, StreamingResponse)
    assert answer.media_type == "text/event-stream"
    return answer.body_iterator  # type: ignore[return-value]


async def test_a_stream_writes_events_with_their_place_and_each_line_of_their_data(desk: Desk) -> None:
    stream = streamed(desk)
    begins = await anext(stream)
    waiting = asyncio.ensure_future(anext(stream))
    await until(lambda: len(desk.office.feed))
    await desk.call()
    desk.office.decided()
    told = await waiting
    seq = (await desk.store.changes(None))[-1].seq

    assert begins == "retry: 2000\n\n"
    assert told == f"id: {seq}\nevent: changed\ndata: first\ndata: second FeedEvent\n\n"


async def test_a_stream_says_now_and_then_that_it_is_there(desk: Desk) -> None:
    stream = streamed(desk, heartbeat=0.001)
    await anext(stream)

    assert [await anext(stream) for _ in range(3)] == [": still here\n\n"] * 3


async def test_a_stream_ends_when_the_server_does(desk: Desk) -> None:
    stream = streamed(desk)
    await anext(stream)
    rest = asyncio.ensure_future(drained(stream))
    desk.office.closing.begin()

    assert await rest == []
    assert len(desk.office.feed) == 0


@pytest.mark.parametrize(
    "later",
    [NotSignedIn("it ended"), in_person(type(ANA)("u-ana", roles={"lead"}, tenant="acme"))],
    ids=["ended", "other roles"],
)
async def test_a_stream_ends_with_its_credential(desk: Desk, later: Principal | NotSignedIn) -> None:
    stream = streamed(desk, who=[in_person(ANA), later], heartbeat=0.001)

    assert (await drained(stream))[1:] == [": still here\n\n"]


async def test_a_stream_ends_when_nobody_can_tell_any_more_what_happens(desk: Desk) -> None:
    desk.store.fail_reads()

    assert await drained(streamed(desk)) == ["retry: 2000\n\n"]


async def test_a_client_that_comes_back_gets_what_it_missed(desk: Desk) -> None:
    await desk.call()
    newest = (await desk.store.changes(None))[-1].seq
    stream = streamed(desk, last_event_id=str(newest - 1))
    await anext(stream)

    assert (await anext(stream)).startswith(f"id: {newest}\n")


@pytest.mark.parametrize("said", ["", "nonsense", "-1", "1.5", "٣", "9" * 40])
def test_a_place_that_makes_no_sense_is_no_place(said: str) -> None:
    request = Request({"type": "http", "headers": [(b"last-event-id", said.encode())]})

    assert last_event_id(request) is None


async def test_no_more_streams_begin_once_the_server_ends(desk: Desk) -> None:
    desk.office.closing.begin()
    answer = event_stream(
        desk.office,
        request_of(desk),
        Telling(wanted=everything, render=silent),
        principal=in_person(ANA),
        identify=desk.office.credentials.bearer,
    )

    assert answer.status_code == 503


async def silent(_: FeedEvent | Resync) -> None:
    return None


def test_a_server_has_so_many_streams_and_nobody_all_of_them() -> None:
    ana, leo, mia = (in_person(type(ANA)(name, tenant="acme")) for name in ("ana", "leo", "mia"))
    helper = Principal(caller=ana.caller, agent="helper")
    streams = OpenStreams(most=4, most_of_one=2)
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(streams.held(ana))
        own = streams.why_not(ana)
        assert own is not None
        assert (own.status, own.code) == (429, "too_many_streams")
        assert streams.why_not(helper) is None
        for each in (leo, helper):
            stack.enter_context(streams.held(each))
        all_taken = streams.why_not(mia)
        assert all_taken is not None
        assert (all_taken.status, all_taken.retry_after) == (503, 5.0)
    assert len(streams) == 0
    assert streams.why_not(ana) is None


async def drained(stream: AsyncIterator[str]) -> list[str]:
    return [piece async for piece in stream]
