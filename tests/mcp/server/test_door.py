"""What does not get past the door of `/mcp`, and what a stream there is bound to."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.mcp.server.desk import ENVELOPE, MODERN, MODES, PATIENCE, Desk, by_hand
from tests.rest.desk import ANN
from toolgate.operations.tokens import revoke_token
from toolgate.surfaces.http.middleware.security_headers import ALWAYS

pytestmark = pytest.mark.req("X3.18")

HEADER_MISMATCH = -32020
MODERN_LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"_meta": ENVELOPE}}
MODERN_HEADERS = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/list"}
STREAM = {"Accept": "text/event-stream"}


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_name_that_was_made_to_lead_here_gets_no_further(desk: Desk, method: str) -> None:
    async with desk.raw(await desk.token()) as http:
        answer = await http.request(method, "/mcp", headers={"Host": "evil.example.com"})

    assert answer.status_code == 421


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_another_site_s_page_is_told_no(desk: Desk, method: str) -> None:
    async with desk.raw(await desk.token()) as http:
        answer = await http.request(method, "/mcp", headers={"Origin": "http://evil.example.com"})

    assert answer.status_code == 403


async def test_a_page_of_ours_is_served(desk: Desk) -> None:
    async with desk.raw(await desk.token()) as http:
        answer = await http.post("/mcp", json=MODERN_LIST, headers={**MODERN_HEADERS, "Origin": desk.url})

    assert answer.status_code == 200
    assert answer.json()["result"]["tools"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Mcp-Method": "tools/list"},
        {"Mcp-Name": "notes"},
        {"Mcp-Name": ""},
        {"MCP-Protocol-Version": "2099-01-01"},
    ],
)
async def test_a_head_that_says_something_else_than_the_body_is_refused(
    desk: Desk, headers: dict[str, str]
) -> None:
    async with by_hand(desk, MODERN, await desk.token()) as hand:
        answer = await hand.post(hand.call("refund", '{"order": 1}'), name="refund", headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, HEADER_MISMATCH)
    assert not desk.business.paid
    assert not await desk.trail()


async def test_space_around_a_header_s_value_is_no_part_of_it(desk: Desk) -> None:
    body = json.dumps(MODERN_LIST).encode()
    where = urlsplit(desk.url)
    head = (
        f"POST /mcp HTTP/1.1\r\nHost: {where.netloc}\r\nAuthorization: Bearer {await desk.token()} \t\r\n"
        "Accept: application/json, text/event-stream \r\nContent-Type: application/json \r\n"
        f"MCP-Protocol-Version: \t {MODERN} \t\r\nMcp-Method:   tools/list  \r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(head.encode() + body)
    answer = await asyncio.wait_for(reader.read(), PATIENCE)
    writer.close()
    await writer.wait_closed()

    assert answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("body", [b"", b"{", b"nonsense", b"\xff", b"[1", b'{"a": 1} {}'])
async def test_what_is_no_json_is_a_parse_error(desk: Desk, mode: str, body: bytes) -> None:
    async with by_hand(desk, mode, await desk.token()) as hand:
        answer = await hand.post(body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32700)


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"7", b'{"jsonrpc": "2.0", "id": 1}', b'{"id": 1}'])
async def test_what_is_no_message_is_refused(desk: Desk, body: bytes) -> None:
    async with by_hand(desk, MODERN, await desk.token()) as hand:
        answer = await hand.post(body)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32600)


@pytest.mark.parametrize("mode", MODES)
async def test_a_body_beyond_the_limit_is_not_read(desk: Desk, mode: str) -> None:
    async with by_hand(desk, mode, await desk.token()) as hand:
        answer = await hand.post(b" " * (desk.office.settings.body_limit + 1))

    assert answer.status_code == 413


async def test_other_methods_and_other_forms_are_not_served(desk: Desk) -> None:
    async with desk.raw(await desk.token()) as http:
        put = await http.put("/mcp", json={})
        page = await http.post("/mcp", json=MODERN_LIST, headers={**MODERN_HEADERS, "Accept": "text/html"})
        modern_get = await http.get("/mcp", headers=MODERN_HEADERS)

    assert (put.status_code, page.status_code, modern_get.status_code) == (405, 406, 405)


@pytest.mark.parametrize("mode", MODES)
async def test_every_answer_carries_what_browsers_are_told(desk: Desk, mode: str) -> None:
    async with by_hand(desk, mode, await desk.token()) as hand:
        answer = await hand.post(hand.call("notes", '{"customer": "c"}'), name="notes")

    assert {name: answer.headers[name] for name in ALWAYS} == ALWAYS
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"].startswith("req_")


async def open_stream(http: httpx.AsyncClient, headers: dict[str, str]) -> Any:
    """The stream for what belongs to no request."""
    request = http.build_request("GET", "/mcp", headers={**headers, **STREAM})
    answer = await http.send(request, stream=True)
    assert answer.status_code == 200, answer.status_code
    return answer


async def test_a_stream_ends_with_the_server(desk: Desk) -> None:
    async with by_hand(desk, "legacy", await desk.token()) as hand:
        stream = await open_stream(hand.http, hand.headers())
        desk.office.closing.begin()
        async with asyncio.timeout(PATIENCE):
            await stream.aread()

    assert len(desk.office.streams) == 0


async def test_a_stream_ends_with_its_credential(desk: Desk) -> None:
    desk.office.streams.heartbeat = 0.01
    async with by_hand(desk, "legacy", await desk.token()) as hand:
        stream = await open_stream(hand.http, hand.headers())
        assert len(desk.office.streams) == 1

        async def revoke(world: Any) -> None:
            for row in await world.store.tokens(tenant=ANN.tenant, live_at=None):
                await revoke_token(world.store, row.token_id, by="test")

        await desk.gateway.operate(revoke)
        async with asyncio.timeout(PATIENCE):
            await stream.aread()


async def test_a_credential_has_so_many_streams(desk: Desk) -> None:
    desk.office.streams._most_of_one = 1
    async with by_hand(desk, "legacy", await desk.token()) as hand:
        await open_stream(hand.http, hand.headers())
        another = await hand.http.get("/mcp", headers={**hand.headers(), **STREAM})

    assert another.status_code == 429
    assert another.headers["retry-after"]


async def test_a_parameter_s_header_without_a_declaration_means_nothing(desk: Desk) -> None:
    async with by_hand(desk, MODERN, await desk.token()) as hand:
        answer = await hand.ask("notes", '{"customer": "c"}', headers={"Mcp-Param-Customer": "d"})

    assert answer["result"]["structuredContent"]["result"] == "c is kind"
