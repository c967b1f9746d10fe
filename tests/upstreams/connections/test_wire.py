"""Bytes and events, without an upstream: pure parts of a connection."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolgate.adapters.upstreams.deadline import Deadline
from toolgate.adapters.upstreams.failures import Lost
from toolgate.adapters.upstreams.header_names import safe_value
from toolgate.adapters.upstreams.messages import MAX_BATCH, Answer, Notice, Question, Stray, heard
from toolgate.adapters.upstreams.questions import NEWS_INTERVAL, News
from toolgate.adapters.upstreams.sse import Event, EventReader
from toolgate.testing import FakeClock

STREAM = b': hi\r\nid: 7\r\nretry: 250\r\ndata: {"a":\r\ndata: 1}\r\n\r\nevent: other\ndata:x\n\n\ndata: \xc3\xa9\r\r'
EVENTS = [
    Event(kind="message", data=b'{"a":\n1}'),
    Event(kind="other", data=b"x"),
    Event(kind="message", data="é".encode()),
]


@pytest.mark.req("M6.21")
@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_events_are_the_same_however_a_stream_is_cut(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    reader = EventReader(limit=100)

    events = [event for start, end in pairwise(places) for event in reader.feed(STREAM[start:end])]
    events += reader.feed(b"\n")

    assert events == EVENTS
    assert (reader.last_id, reader.retry) == ("7", 0.25)


@pytest.mark.req("M6.28")
@pytest.mark.parametrize("piece", [b"data: " + b"x" * 200, b"data: x\n" * 60, b"x" * 200])
def test_an_event_over_the_limit_is_not_kept(piece: bytes) -> None:
    with pytest.raises(Lost):
        EventReader(limit=100).feed(piece)


@pytest.mark.req("M6.23", "M6.28")
def test_a_long_event_that_drips_is_not_read_again_for_each_drop() -> None:
    reader = EventReader(limit=1 << 20)
    reader.feed(b"data: " + b"x" * 1_000_000)
    kept = reader._partial

    assert [event for _ in range(100) for event in reader.feed(b"y")] == []
    assert reader._partial is kept
    assert reader.feed(b"\n\n") == [Event(kind="message", data=b"x" * 1_000_000 + b"y" * 100)]
    with pytest.raises(Lost):
        [reader.feed(b"z" * 1_000) for _ in range(2_000)]


@pytest.mark.req("M6.23")
def test_a_batch_of_very_many_messages_is_one_that_nobody_reads() -> None:
    (only,) = heard(b"[" + b"1," * MAX_BATCH + b"1]")

    assert isinstance(only, Stray)
    assert len(heard(b"[1,1]")) == 2


@pytest.mark.req("M6.21")
@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(
        lambda value: json.dumps(value).encode()
    )
)
def test_whatever_comes_is_read_as_something(data: bytes) -> None:
    assert heard(data)


@pytest.mark.req("M6.21")
@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"jsonrpc": "2.0", "id": 1, "result": None}, Answer),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": -1, "message": "m"}}, Answer),
        ({"jsonrpc": "2.0", "id": 1, "error": {"code": True, "message": "m"}}, Stray),
        ({"jsonrpc": "2.0", "id": 1, "error": "m"}, Stray),
        ({"jsonrpc": "2.0", "id": 1}, Stray),
        ({"jsonrpc": "2.0", "result": 1}, Stray),
        ({"jsonrpc": "1.0", "id": 1, "result": 1}, Stray),
        ({"jsonrpc": "2.0", "method": "m"}, Notice),
        ({"jsonrpc": "2.0", "method": "m", "params": []}, Stray),
        ({"jsonrpc": "2.0", "method": "m", "id": "x"}, Question),
        ({"jsonrpc": "2.0", "method": "m", "id": None}, Stray),
        ([], Stray),
    ],
)
def test_a_message_is_what_json_rpc_says_it_is(message: Any, kind: type) -> None:
    assert [type(each) for each in heard(json.dumps(message).encode())] == [kind]


@pytest.mark.req("M6.20")
@pytest.mark.parametrize(
    ("value", "header"),
    [
        ("get_weather", "get_weather"),
        ("two words", "two words"),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
    ],
)
def test_a_name_goes_into_a_header_as_the_specification_shows(value: str, header: str) -> None:
    assert safe_value(value) == header


@pytest.mark.req("M6.23")
async def test_a_list_that_keeps_changing_is_told_of_once_a_while() -> None:
    clock = FakeClock()
    told: list[float] = []
    news = News(lambda: told.append(clock.monotonic()), clock)
    for _ in range(100):
        news.tools_changed()
    assert told == [0.0]

    clock.advance(NEWS_INTERVAL)
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    assert told == [0.0, NEWS_INTERVAL]
    news.close()


@pytest.mark.req("M6.23")
async def test_a_deadline_ends_what_it_bounds_and_leaves_a_cancellation_alone() -> None:
    clock = FakeClock()

    async def wait() -> None:
        with Deadline(clock, 5.0):
            await asyncio.Event().wait()

    late, cancelled = asyncio.ensure_future(wait()), asyncio.ensure_future(wait())
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    clock.advance(5.0)
    with pytest.raises(TimeoutError):
        await late
