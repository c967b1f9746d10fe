"""For whoever waits in a loop until the ledger says something else: woken by its growth, from any thread.

Word may come late, for nothing, or not at all, so whoever waits looks slowly besides. Not here: what is looked for.
"""

from __future__ import annotations

import asyncio


class News:
    """That a store's ledger grew, told to those who wait in one loop.

    Look between ``mark`` and ``wait``: what comes after the mark is not missed.
    """

    __slots__ = ("_loop", "_told", "_waiting", "mark")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: set[asyncio.Future[None]] = set()
        self._told = False
        self.mark = 0
        """How often word came."""

    def wake(self) -> None:
        """Word came. Any thread; it costs next to nothing while nobody waits."""
        self.mark += 1
        if not self._waiting or self._told:
            return
        self._told = True
        try:
            self._loop.call_soon_threadsafe(self._wake_all)
        except RuntimeError:
            # The loop is closed, and nobody waits there any more.
            self._told = False

    def _wake_all(self) -> None:
        self._told = False
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)

    async def wait(self, mark: int, *, within: float) -> bool:
        """Until word came after ``mark``, or ``within`` seconds passed. Whether word came. Inside the loop."""
        waiting: asyncio.Future[None] = self._loop.create_future()
        self._waiting.add(waiting)
        try:
            if self.mark != mark:
                return True
            async with asyncio.timeout(within):
                await waiting
        except TimeoutError:
            return False
        else:
            return True
        finally:
            self._waiting.discard(waiting)
