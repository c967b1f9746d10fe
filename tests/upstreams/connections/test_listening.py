"""What an upstream over HTTP says without being asked: that its list changed, in either era."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.upstreams.connections.conftest import Opened, call, text, until
from tests.upstreams.servers.raw_http import RawServer, Request, event, reply, result, stream
from toolgate.adapters.upstreams.listening import LONGEST_PAUSE
from toolgate.domain.upstream.settings import HttpSettings
from toolgate.testing import FakeClock

Writer = asyncio.StreamWriter
CHANGED = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
TELLS = {"tools": {"listChanged": True}}
MODERN = "subscriptions/listen"
LEGACY = "GET"


class Telling:
    """A server of one era that says that it tells of changes, and whose streams a test writes to."""

    def __init__(self, *, modern: bool) -> None:
        self.what = MODERN if modern else LEGACY
        self.streams: list[Writer] = []
        self.server = RawServer(modern=modern, session=None if modern else "s1")
        self.server.acts = {
            "server/discover" if modern else "initialize": self._hello,
            self.what: self._listened_to,
        }
        self._modern = modern

    async def _hello(self, request: Request, writer: Writer) -> None:
        if self._modern:
            info: dict[str, Any] = {"resultType": "complete", "supportedVersions": ["2026-07-28"]}
            writer.write(reply(200, result(request, {**info, "capabilities": TELLS})))
        else:
            info = {"protocolVersion": "2025-11-25", "capabilities": TELLS}
            writer.write(reply(200, result(request, info), mcp_session_id="s1"))

    async def _listened_to(self, request: Request, writer: Writer) -> None:
        writer.write(stream(end=False) + event(None, id="e1", retry=1))
        self.streams.append(writer)

    def tell(self) -> None:
        """Say on the newest stream that the list changed."""
        self.streams[-1].write(event(CHANGED))


@pytest.mark.req("X3.23")
@pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])
async def test_a_change_of_the_list_is_heard_beside_no_call(opened: Opened, modern: bool) -> None:
    telling = Telling(modern=modern)
    async with telling.server as server:
        connection = await opened.ready(HttpSettings(url=server.url, pool=1))
        await until(lambda: telling.streams)
        before = opened.changes

        telling.tell()

        await until(lambda: opened.changes > before)
        # The stream keeps none of the connections that calls have.
        assert text(await call(connection, "ok")) == "ok"
        await connection.close()


@pytest.mark.req("X3.23")
@pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])
async def test_a_stream_that_broke_off_is_opened_again_and_the_list_looked_at(
    opened: Opened, modern: bool
) -> None:
    telling = Telling(modern=modern)
    async with telling.server as server:
        connection = await opened.ready(HttpSettings(url=server.url))
        await until(lambda: telling.streams)
        before = opened.changes

        telling.streams[0].close()

        await until(lambda: len(telling.streams) > 1)
        await until(lambda: opened.changes > before)
        again = server.asked(telling.what)[1]
        assert again.headers.get("last-event-id") == (None if modern else "e1")
        await connection.close()


@pytest.mark.req("X3.23")
@pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])
async def test_a_server_that_offers_no_stream_is_not_asked_twice_and_serves(
    opened: Opened, modern: bool
) -> None:
    telling = Telling(modern=modern)
    del telling.server.acts[telling.what]
    async with telling.server as server:
        connection = await opened.ready(HttpSettings(url=server.url))
        await until(lambda: server.asked(telling.what))

        assert text(await call(connection, "ok")) == "ok"
        assert len(server.asked(telling.what)) == 1
        await connection.close()


@pytest.mark.req("X3.23")
async def test_a_server_that_tells_of_no_changes_is_not_listened_to(opened: Opened) -> None:
    async with RawServer(modern=False, session="s1") as server:
        connection = await opened.ready(HttpSettings(url=server.url))

        await call(connection, "ok")

        assert server.asked(LEGACY) == []
        await connection.close()


@pytest.mark.req("M6.23")
@pytest.mark.parametrize("modern", [True, False], ids=["modern", "handshake"])
async def test_a_server_that_wants_no_pause_between_its_streams_gets_one(
    opened: Opened, modern: bool
) -> None:
    telling, clock = Telling(modern=modern), FakeClock()

    async def hurried(request: Request, writer: Writer) -> None:
        writer.write(stream(end=False) + event(None, id="e1", retry=0))
        telling.streams.append(writer)
        writer.close()

    telling.server.acts[telling.what] = hurried
    async with telling.server as server:
        connection = await opened.ready(HttpSettings(url=server.url), clock=clock)
        await until(lambda: telling.streams)

        assert [text(await call(connection, "ok")) for _ in range(50)] == ["ok"] * 50
        assert len(server.asked(telling.what)) == 1
        clock.advance(LONGEST_PAUSE)
        await until(lambda: len(telling.streams) == 2)
        await connection.close()
