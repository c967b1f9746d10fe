"""Hears over HTTP what a server says without being asked: that its list of tools changed, or a question of its own.

Of the handshake era: a GET of the session (2025-11-25, basic/transports, "Listening for Messages from the Server").
Since 2026-07-28: a request that is answered by a stream (``subscriptions/listen``). A server that offers neither is
heard beside its answers alone, and its list is read again with each connection. Not here: what a change leads to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import aiohttp

from toolgate.adapters.upstreams.exchange import EVENTS, OK, Get, Post, kind_of
from toolgate.adapters.upstreams.failures import ConnectionFailure
from toolgate.adapters.upstreams.messages import Answer, Notice, Question, heard, request
from toolgate.adapters.upstreams.sse import EventReader

if TYPE_CHECKING:
    from toolgate.adapters.upstreams.http import HttpLink

METHOD: Final = "subscriptions/listen"
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
"""Seconds between two streams, unless the server asks for more: growing while they break off without a word."""
MAX_HEARD: Final = 64 << 20
"""Bytes of one stream. A server that says more without being asked is not listened to any longer."""


class Listening:
    """Listens to one server for as long as ``link`` lives. ``begun`` is set with the first stream, or with none."""

    def __init__(self, link: HttpLink) -> None:
        self._link = link
        self._reader = EventReader(limit=link.settings.message_limit)
        self.begun = asyncio.Event()

    async def run(self) -> None:
        """Listen until the server says that there is nothing to be heard. Meant to be cancelled."""
        pause, first = FIRST_PAUSE, True
        try:
            while True:
                spoken = await self._once(first)
                if spoken is None:
                    return
                pause = FIRST_PAUSE if spoken else min(pause * 2, LONGEST_PAUSE)
                first = False
                # It may ask for more patience than ours, and not for less: each stream costs both ends.
                await self._link.clock.sleep(max(pause, self._reader.retry or 0.0))
        finally:
            self.begun.set()

    async def _once(self, first: bool) -> bool | None:  # noqa: FBT001 - said once, in place
        """One stream: whether anything came; None where the server offers none."""
        spoken = False
        try:
            async with self._stream() as response:
                if response.status != OK or kind_of(response) != EVENTS:
                    return None if response.status < 500 else False  # noqa: PLR2004 - a trouble of its own passes
                self.begun.set()
                if not first:
                    # What changed while nobody listened was told to nobody.
                    self._link.news.tools_changed()
                left = MAX_HEARD
                async for piece in response.content.iter_any():
                    left -= len(piece)
                    if left < 0:
                        self._link.stray("more than anybody can listen to", b"")
                        return None
                    spoken = self._hear(piece) or spoken
        except (ConnectionFailure, aiohttp.ClientError, OSError):
            return spoken
        return spoken

    @asynccontextmanager
    async def _stream(self) -> AsyncIterator[aiohttp.ClientResponse]:
        link = self._link
        self._reader.begin_anew()
        if link.manner.modern:
            asked = link.manner.worded({"notifications": {"toolsListChanged": True}})
            body = request(link.next_id(), METHOD, asked)
            async with Post(
                link.http, link.settings, body, await link.headers(METHOD, link.manner)
            ) as response:
                yield response
            return
        headers = {**await link.headers("", link.manner), "accept": EVENTS}
        if self._reader.last_id is not None:
            headers["last-event-id"] = self._reader.last_id
        async with Get(link.http, link.settings, headers) as response:
            yield response

    def _hear(self, piece: bytes) -> bool:
        events = [event for event in self._reader.feed(piece) if event.kind == "message"]
        for event in events:
            for message in heard(event.data):
                match message:
                    case Notice():
                        self._link.noticed(message, {})
                    case Question() if not self._link.manner.modern:
                        self._link.aside(self._link.answered(message))
                    case Answer() if self._link.manner.modern:
                        # The server ends the subscription by answering it.
                        pass
                    case _:
                        self._link.stray("something that nobody asked for", event.data)
        return bool(events)
