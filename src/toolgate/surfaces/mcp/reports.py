"""A tool's word of how far it has come, on its way to the client that asked for it.

The newest word counts: where a client takes them slower than a tool says them, what lies between is left out, and so is
what goes back (MCP, progress: the value must increase). Not here: who asks for it (``calls``).
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from math import inf, isfinite

Report = tuple[float, float | None, str | None]
Send = Callable[[float, float | None, str | None], Awaitable[None]]


class Reports:
    """Takes reports in any thread, and sends them in the loop that it was made in."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._newest: Report | None = None
        self._arrived = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()
        self._sent = -inf

    def tell(self, done: float, total: float | None, note: str | None) -> None:
        """Take a report. Never waits; what nobody can be told any more is dropped."""
        if not isfinite(done) or (total is not None and not isfinite(total)):
            return
        with self._lock:
            waits, self._newest = self._newest is not None, (done, total, note)
        if not waits:
            with contextlib.suppress(RuntimeError):  # its loop has ended, and whoever asked with it
                self._loop.call_soon_threadsafe(self._arrived.set)

    @contextlib.asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """Send during the block; what was said last is sent before it ends well."""
        sender = asyncio.create_task(self._keep_sending())
        try:
            yield
            await self._send_newest()
        finally:
            # Not awaited: whoever is cancelled here must not swallow that.
            sender.cancel()

    async def _keep_sending(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            await self._send_newest()

    async def _send_newest(self) -> None:
        # Whoever ends the block waits for a report that is on its way already, and does not cut it off.
        async with self._one_at_a_time:
            with self._lock:
                report, self._newest = self._newest, None
            if report is not None and report[0] > self._sent:
                self._sent = report[0]
                await self._send(*report)
