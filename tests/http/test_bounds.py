"""How much of a request is taken: head, body, depth, time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.http.desk import Desk, open_desk
from toolgate.surfaces.http.middleware.flat_json import MOST_LEVELS, is_deeper
from toolgate.surfaces.http.settings import BODY_LIMIT

pytestmark = pytest.mark.req("M6.14")

JSON = {"content-type": "application/json"}


async def in_parts(parts: list[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_a_body_beyond_the_limit_is_refused_before_it_is_read(desk: Desk) -> None:
    answer = await desk.client.post("/echo", content=b"x" * (BODY_LIMIT + 1))

    assert (answer.status_code, answer.json()["type"]) == (413, "/problems/too_large")
    assert answer.headers["connection"] == "close"
    assert not desk.seen


async def test_a_body_that_does_not_say_how_long_it_is_is_counted() -> None:
    async with open_desk(body_limit=10) as desk:
        fits = await desk.client.post("/echo", content=in_parts([b"12345", b"67890"]))
        too_large = await desk.client.post("/echo", content=in_parts([b"12345", b"678901"]))

    assert (fits.status_code, fits.json()) == (200, {"bytes": 10})
    assert too_large.status_code == 413


@pytest.mark.parametrize("said", ["9" * 5000, "1048577"])
async def test_a_length_that_is_a_boast_is_refused(desk: Desk, said: str) -> None:
    answer = await desk.client.post("/echo", headers={"content-length": said}, content=in_parts([b"x"]))

    assert answer.status_code == 413


async def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    async def never() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with open_desk(body_seconds=0.01) as desk:
        answer = await desk.client.post("/echo", content=never())

    assert (answer.status_code, answer.json()["type"]) == (408, "/problems/request_timeout")
    assert not desk.seen


@pytest.mark.parametrize(
    "media_type", ["application/json", "application/json; charset=utf-8", "application/x+json"]
)
async def test_json_that_is_nested_too_deep_meets_no_parser(desk: Desk, media_type: str) -> None:
    deep = b"[" * (MOST_LEVELS + 1) + b"]" * (MOST_LEVELS + 1)

    answer = await desk.client.post("/echo", content=deep, headers={"content-type": media_type})

    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/bad_request")
    assert not desk.seen


async def test_json_of_any_width_passes_with_its_bytes_as_they_are(desk: Desk) -> None:
    raw = b'{"a":[{"b":"[[[[[{{{{ \\" ["}]}' + b" " * 1000

    assert (await desk.client.post("/echo", content=raw, headers=JSON)).status_code == 200
    assert desk.seen == [raw]


@pytest.mark.parametrize(
    ("raw", "deeper"),
    [
        (b"[[1]]", False),
        (b"[[[1]]]", True),
        (b'["[[["]', False),
        (b'["\\"[[["]', False),
        (b'{"a":{"b":{}}}', True),
        (b'"[[[', False),
        (b"[][][][]", False),
        (b"", False),
    ],
)
def test_depth_is_what_lies_within_what(raw: bytes, deeper: bool) -> None:
    assert is_deeper(raw, 2) is deeper


async def test_too_many_headers_are_refused(desk: Desk) -> None:
    answer = await desk.client.get("/echo", headers={f"x-{number}": "1" for number in range(101)})

    assert (answer.status_code, answer.json()["type"]) == (431, "/problems/too_many_headers")


async def test_a_handler_that_does_not_answer_is_not_waited_for() -> None:
    async with open_desk(request_seconds=0.01) as desk:
        answer = await desk.client.get("/slow")

    assert (answer.status_code, answer.json()["type"]) == (504, "/problems/timed_out")
    assert desk.seen == ["began"]


@pytest.mark.parametrize("target", ["/echo?" + "x" * 33_000, "/" + "x" * 33_000])
async def test_an_address_beyond_the_limit_is_refused_though_it_arrives_at_once(
    desk: Desk, target: str
) -> None:
    assert (await desk.client.get(target)).status_code == 431


async def test_headers_beyond_the_limit_are_refused_however_few(desk: Desk) -> None:
    assert (await desk.client.get("/echo", headers={"x-large": "x" * 33_000})).status_code == 431


async def test_a_body_whose_length_is_said_in_two_ways_is_not_read(desk: Desk) -> None:
    two = {"content-length": "3", "transfer-encoding": "chunked"}

    answer = await desk.client.post("/echo", headers=two, content=in_parts([b"x"]))

    assert (answer.status_code, answer.headers["connection"]) == (400, "close")
    assert not desk.seen
