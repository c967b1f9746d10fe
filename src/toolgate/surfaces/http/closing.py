"""Whether the server is on its way out: what streams and long waits listen to beside their own events.

It leaves in two steps: first it is announced to whoever spreads requests over several servers, while everything is
answered still; then it ends.
"""

from __future__ import annotations

import asyncio


class Closing:
    """Two events that are set once and never again cleared. Inside the server's loop."""

    def __init__(self) -> None:
        self._announced = False
        self._event = asyncio.Event()

    def announce(self) -> None:
        """From now on the server wants no new requests. It still answers those that come."""
        self._announced = True

    def begin(self) -> None:
        """From now on nothing waits any more."""
        self._announced = True
        self._event.set()

    @property
    def announced(self) -> bool:
        """Whether the server is about to end."""
        return self._announced

    @property
    def begun(self) -> bool:
        """Whether the server is ending."""
        return self._event.is_set()

    async def wait(self) -> None:
        """Return once the server is ending."""
        await self._event.wait()
