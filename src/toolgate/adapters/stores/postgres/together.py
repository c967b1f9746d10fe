"""Look-ups by key that go together: whatever is asked while a statement is on its way is one statement behind it.

A burst of governed calls looks up a burst of keys, and a round trip each would cost more than all the rest. Not here:
what is looked up (``reading``).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from toolgate.adapters.stores.answers import Answers
from toolgate.domain.errors import StoreUnavailable

if TYPE_CHECKING:
    from toolgate.adapters.stores.postgres.link import Link

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
MOST = 256
"""Keys of one statement."""
AT_ONCE = 2
"""Statements of one kind on their way."""

Answer = Callable[[Any], object]


class Together(Generic[K, V]):
    """``await together(key)`` from any loop.

    Args:
        load: what there is for many keys, in the link's loop; raises ``StoreUnavailable`` if it cannot be told.
        at_once: how many loads may be on their way.
    """

    def __init__(
        self, link: Link, load: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]], *, at_once: int = AT_ONCE
    ) -> None:
        self._link = link
        self._load = load
        self._free = at_once
        self._waiting: deque[tuple[K, Answer]] = deque()
        self._working: set[asyncio.Task[None]] = set()
        self._answers = Answers()

    async def __call__(self, key: K) -> V:
        """What there is for ``key``. Raises ``StoreUnavailable``."""
        future, mailbox = self._answers.future()
        if not self._link.post(lambda: self._take(key, lambda answer: mailbox.post((future, answer)))):
            raise StoreUnavailable("the store is closed")
        found: V = await future
        return found

    def _take(self, key: K, answer: Answer) -> None:
        self._waiting.append((key, answer))
        if self._free:
            self._free -= 1
            # A task begins after this turn of the loop, so that it finds all of what arrived with it.
            task = asyncio.get_running_loop().create_task(self._work())
            self._working.add(task)
            task.add_done_callback(self._working.discard)

    async def _work(self) -> None:
        try:
            while self._waiting:
                some = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
                await self._answer(some)
        finally:
            self._free += 1

    async def _answer(self, some: list[tuple[K, Answer]]) -> None:
        try:
            found = await self._load(list(dict.fromkeys(key for key, _ in some)))
        except StoreUnavailable as fault:
            _refuse(some, str(fault))
        except asyncio.CancelledError:
            _refuse([*some, *self._waiting], "the store is closed")
            self._waiting.clear()
            raise
        except Exception as fault:  # noqa: BLE001 - whatever it is, each caller must be answered
            _refuse(some, f"the store cannot be read: {type(fault).__name__}")
        else:
            for key, answer in some:
                answer(found[key])


def _refuse(some: Sequence[tuple[Any, Answer]], why: str) -> None:
    """Each its own exception: one that is raised in several tasks collects all their tracebacks."""
    for _, answer in some:
        answer(StoreUnavailable(why))
