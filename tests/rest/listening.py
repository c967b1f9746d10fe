"""Somebody who listens to a stream of the application, piece by piece, and may leave at any time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from tests.rest.desk import Desk


class Heard(NamedTuple):
    """One event."""

    id: str | None
    event: str
    data: Any


class Listening:
    """An open response."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self._started = asyncio.Event()
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._left = asyncio.Event()
        self._asked = False

    async def receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            self._started.set()
            return
        for block in message.get("body", b"").decode().split("\n\n"):
            if block:
                self._lines.put_nowait(block)
        if not message.get("more_body", False):
            self._lines.put_nowait(None)

    async def begun(self) -> None:
        """Until the response began."""
        await asyncio.wait_for(self._started.wait(), 10)

    async def next(self) -> Heard | None:
        """The next event that is no comment; None at the end."""
        while True:
            block = await asyncio.wait_for(self._lines.get(), 10)
            if block is None:
                return None
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if "data" in fields:
                return Heard(fields.get("id"), fields["event"], json.loads(fields["data"]))

    def leave(self) -> None:
        """Close the connection."""
        self._left.set()


@asynccontextmanager
async def listening(
    desk: Desk, path: str, token: str | None, *, last: str | None = None, address: str = "127.0.0.1"
) -> AsyncIterator[Listening]:
    """Open the stream at ``path``, and leave it behind the block."""
    listener = Listening()
    host = desk.office.settings.public_url.removeprefix("http://")
    headers = [(b"host", host.encode())]
    headers += [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
    headers += [] if last is None else [(b"last-event-id", last.encode())]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
        "client": (address, 1),
        "server": ("127.0.0.1", 8460),
    }
    serving = asyncio.create_task(desk.app(scope, listener.receive, listener.send))  # type: ignore[arg-type]
    try:
        await listener.begun()
        yield listener
    finally:
        listener.leave()
        await asyncio.wait_for(serving, 10)
