"""Whether the server is on its way out: what streams and long waits listen to beside their own events."""

from __future__ import annotations

import asyncio


class Closing:
    """An event that is set once and never again cleared. Inside the server's loop."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def begin(self) -> None:
        """From now on nothing waits any more."""
        self._event.set()

    @property
    def begun(self) -> bool:
        """Whether the server is ending."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Return once the server is ending."""
        await self._event.wait()
