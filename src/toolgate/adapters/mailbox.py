"""Hands work to an event loop from any thread, waking it once for a burst and not once for each item."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

    def post(self, *items: Any) -> bool:
        """Queue ``items``. False if the loop is closed, so that nobody waits there any more."""
        self._items.extend(items)
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


class Turns:
    """Gathers what one turn of a loop has for another thread; ``hand_over`` gets all of it, in order, as the turn ends.

    Woken for the first of many, the other thread contends for the interpreter until the last, which on two cores was
    seen to cost a server a third of its CPU. Only for loops that never block: what is gathered waits for them.
    """

    __slots__ = ("_hand_over", "_local")

    def __init__(self, hand_over: Callable[[list[Any]], object]) -> None:
        self._hand_over = hand_over
        self._local = threading.local()

    def add(self, item: Any) -> None:
        """Inside a running loop."""
        loop = asyncio.get_running_loop()
        turn: tuple[asyncio.AbstractEventLoop, list[Any]] | None = getattr(self._local, "turn", None)
        if turn is None or turn[0] is not loop:
            turn = self._local.turn = (loop, [])
            loop.call_soon(self._leave, turn[1])
        turn[1].append(item)

    def _leave(self, gathered: list[Any]) -> None:
        self._local.turn = None
        self._hand_over(gathered)
