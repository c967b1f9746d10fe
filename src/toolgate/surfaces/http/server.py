"""The server process of one application: uvicorn over h11, with limits that it lacks, and an end that loses nothing.

Before a request reaches the application it has to arrive: here is how long that may take, how large its head may be,
and what whoever sends nonsense is told. Not here: anything that looks at a request (``app``).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import threading
from typing import TYPE_CHECKING, Any, Final

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from toolgate.surfaces.http.middleware.security_headers import ALWAYS
from toolgate.surfaces.http.middleware.small_head import HEAD_LIMIT
from toolgate.surfaces.http.problems import KINDS, MEDIA_TYPE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from starlette.types import ASGIApp

    from toolgate.surfaces.http.closing import Closing

HEAD_SECONDS: Final = 10.0
"""Seconds from the first byte of a connection, or of its next request, until the head has arrived."""
KEEP_ALIVE: Final = 30
"""Seconds that a connection without a request is kept."""
MOST_CONNECTIONS: Final = 1_000
END_WITHIN: Final = 30
"""Seconds that requests on their way have when the server ends; what they started in the gate has longer."""
_TICK: Final = 0.05
"""Seconds between two looks whether it was asked twice."""


class BoundedProtocol(H11Protocol):
    """HTTP/1.1 where a head has to arrive in time, and where nonsense is answered like everything else."""

    _head_timer: asyncio.TimerHandle | None = None
    head_seconds: float = HEAD_SECONDS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            # To answer each of them would be work for whoever opens too many.
            transport.abort()
            return
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Read on; a head that trickles in gets no more time with each byte."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._wait_for_head()
        else:
            self._head_arrived()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._head_arrived()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """The next head may take its time to begin, which is the keep-alive's business."""
        self._head_arrived()
        super().on_response_complete()

    def _wait_for_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(self.head_seconds, self._too_slow)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        if not self.transport.is_closing():
            self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Whoever asks for a WebSocket is answered without one; that is no trouble of ours."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature, and its words
        """Say that it cannot be read, in the form of every other problem, and hang up."""
        kind = KINDS["bad_request"]
        detail = "this is no HTTP/1.1, or its head is too large"
        body = json.dumps(
            {"type": "/problems/bad_request", "title": kind.title, "status": kind.status, "detail": detail}
        ).encode()
        headers = [
            *((name.encode(), value.encode()) for name, value in ALWAYS.items()),
            (b"Cache-Control", b"no-store"),
            (b"Content-Type", MEDIA_TYPE.encode()),
            (b"Content-Length", str(len(body)).encode()),
            (b"Connection", b"close"),
        ]
        with contextlib.suppress(h11.LocalProtocolError):  # an answer has begun already
            for event in (
                h11.Response(status_code=kind.status, headers=headers, reason=b"Bad Request"),
                h11.Data(data=body),
                h11.EndOfMessage(),
            ):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()


class Server(uvicorn.Server):
    """Ends on SIGINT or SIGTERM: accepts nothing more, ends streams, lets requests end, and then returns.

    Args:
        app: what answers.
        closing: told when it ends, and before that when it is about to.
        drain: seconds for which it still takes requests then, and says at ``/readyz`` that it wants none: as long as
            whatever spreads requests over several servers needs to notice. Asked twice, it waits no longer.
        when_open: called once requests are taken.
    """

    def __init__(
        self,
        app: ASGIApp,
        closing: Closing,
        *,
        drain: float = 0.0,
        when_open: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(configured(app))
        self._closing = closing
        self._drain = drain
        self._when_open = when_open

    async def startup(self, sockets: list[Any] | None = None) -> None:
        """Open the door, and say so."""
        await super().startup(sockets)
        self._when_open()

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        """End, streams first: they would last for ever."""
        await self._be_forgotten()
        self._closing.begin()
        await super().shutdown(sockets)

    async def _be_forgotten(self) -> None:
        """Answer on until nobody sends requests here any more, or the time for that is over."""
        self._closing.announce()
        loop = asyncio.get_running_loop()
        until = loop.time() + self._drain
        # A connection that a proxy keeps would be closed under its next request: each answer ends its connection.
        self.config.encoded_headers = [*self.config.encoded_headers, (b"connection", b"close")]
        while loop.time() < until and not self.force_exit:
            await self.on_tick(0)  # writes those headers, and the time of day
            await asyncio.sleep(_TICK)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take the signals and keep them: ending well on one is no failure, so none is raised again."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, self._asked_to_end) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _asked_to_end(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a handler's signature
        # Asked twice, it does not wait for those who do not hang up; the gate still settles what it runs.
        self.force_exit = self.should_exit
        self.should_exit = True


def configured(app: ASGIApp) -> uvicorn.Config:
    """How uvicorn runs it."""
    return uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        interface="asgi3",
        access_log=False,
        log_config=None,
        # Below that it tells of each stranger who sends nonsense.
        log_level="error",
        server_header=False,
        date_header=True,
        # Whose address counts is ours to say (ClientAddress).
        proxy_headers=False,
        headers=[],
        h11_max_incomplete_event_size=HEAD_LIMIT,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=END_WITHIN,
    )
