"""Hands work to an event loop from any thread, waking it once for a burst and not once for each item."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable


class Mailbox:
    """Calls ``deliver(item)`` in ``loop``, in the order of ``post``. Safe from any thread.

    A wake-up costs a system call and a lock; under load most posts find one already on its way.
    """

    __slots__ = ("_armed", "_deliver", "_items", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, deliver: Callable[[Any], object]) -> None:
        self._loop = loop
        self._deliver = deliver
        self._items: deque[Any] = deque()
        self._armed = False

    def post(self, item: Any) -> bool:
        """Queue ``item``. False if the loop is closed, so that nobody waits there any more."""
        self._items.append(item)
        if self._armed:
            return True
        self._armed = True
        try:
            self._loop.call_soon_threadsafe(self._drain)
        except RuntimeError:
            return False
        return True

    def take_back(self) -> list[Any]:
        """What was not delivered yet, for somebody else to deliver; each item goes to one of the two."""
        taken = []
        while self._items:
            try:
                taken.append(self._items.popleft())
            except IndexError:
                break
        return taken

    def _drain(self) -> None:
        # Disarm first: a post that comes after this line schedules a drain of its own.
        self._armed = False
        items = self._items
        while items:
            try:
                item = items.popleft()
            except IndexError:
                return
            self._deliver(item)
