"""An answer that may take long: one JSON object if it comes soon, else the end of a stream that is kept open.

As the SDK does it, so that a client sees no difference. Nobody is watched for hanging up in the first moment: nearly
all calls are over by then, and watching costs. Not here: what is answered (``hot``).
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import Receive, Send

FIRST_LOOK: Final = 0.2
"""Seconds until somebody looks whether the client is still there."""
PING_EVERY: Final = 15.0
"""Seconds of silence after which a stream is opened, and kept open (the SDK's own interval)."""
_STREAM: Final = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"connection", b"keep-alive"),
    (b"x-accel-buffering", b"no"),
]
_OK: Final = 200


class Patience:
    """Carries one answer to one request."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._streams = False
        self._watch: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def waiting(self, hung_up: Callable[[], object]) -> Iterator[None]:
        """What is to be answered comes to be in this block; ``hung_up`` is called if nobody waits for it any more."""
        loop = asyncio.get_running_loop()

        def begin() -> None:
            self._watch = loop.create_task(self._keep(hung_up))

        timer = loop.call_later(FIRST_LOOK, begin)
        try:
            yield
        finally:
            timer.cancel()
            if self._watch is not None:
                self._watch.cancel()

    async def answer(self, message: str, status: int) -> None:
        """Send ``message``; ``status`` is said where nothing was sent before."""
        if self._streams:
            event = f"event: message\r\ndata: {message}\r\n\r\n".encode()
            await self._send({"type": "http.response.body", "body": event, "more_body": False})
            return
        body = message.encode()
        headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})

    async def _keep(self, hung_up: Callable[[], object]) -> None:
        while True:
            try:
                async with asyncio.timeout(PING_EVERY):
                    while (await self._receive())["type"] != "http.disconnect":
                        pass
            except TimeoutError:
                await self._ping()
            else:
                hung_up()
                return

    async def _ping(self) -> None:
        if not self._streams:
            await self._send({"type": "http.response.start", "status": _OK, "headers": _STREAM})
            self._streams = True
        await self._send({"type": "http.response.body", "body": b": ping\r\n\r\n", "more_body": True})
