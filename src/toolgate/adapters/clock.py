"""The machine's clock."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class SystemClock:
    """Wall time for rows, the loop's monotonic time for deadlines."""

    def now(self) -> int:
        """Microseconds since the epoch, UTC."""
        return time.time_ns() // 1000

    def monotonic(self) -> float:
        """Seconds, never going back."""
        return time.monotonic()

    def call_later(self, delay: float, callback: Callable[[], object]) -> asyncio.TimerHandle:
        """Run ``callback`` in the running event loop after ``delay`` seconds."""
        return asyncio.get_running_loop().call_later(delay, callback)

    async def sleep(self, delay: float) -> None:
        """Wait ``delay`` seconds."""
        await asyncio.sleep(delay)


class DatabaseClock(SystemClock):
    """The time of the database that several machines share, reckoned by this machine's clock.

    Leases and expiries that one replica writes are judged by another; so all of them count in the database's time,
    and how wrong a machine's own clock is does not matter.

    Args:
        offset: how far the database's clock is ahead of this machine's (µs), as last seen.
    """

    def __init__(self, offset: Callable[[], int]) -> None:
        self._offset = offset

    def now(self) -> int:
        """Microseconds since the epoch, UTC, as the database would say."""
        return super().now() + self._offset()
