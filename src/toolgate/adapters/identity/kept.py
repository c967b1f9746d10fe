"""A document of the issuer that is kept for a while, and asked for within bounds.

However many want it, and whatever they send, the issuer is asked at most once in ten seconds, and all who come
meanwhile share the one answer. What was read goes on being good for a day while the issuer cannot be reached.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from toolgate.adapters.identity.fetch import Unreachable

if TYPE_CHECKING:
    from toolgate.ports import Clock

T = TypeVar("T")
_log = logging.getLogger("toolgate")

FRESH: Final = 600.0
"""Seconds for which it is taken as it is."""
KEPT: Final = 86_400.0
"""Seconds for which it is believed while the issuer cannot be reached."""
PAUSE: Final = 10.0
"""Seconds between the beginnings of two requests, at least."""


class Kept(Generic[T]):
    """One document. To be used in one event loop at a time.

    Args:
        what: its name, for the log.
        ask: reads it from the issuer; raises ``Unreachable``.
    """

    def __init__(self, what: str, ask: Callable[[], Awaitable[T]], clock: Clock) -> None:
        self._what = what
        self._ask = ask
        self._clock = clock
        self._value: T | None = None
        self._read_at = 0.0
        self._asked_at: float | None = None
        self._asking: asyncio.Task[None] | None = None

    @property
    def value(self) -> T | None:
        """What was read last; None if nothing was, or too long ago."""
        return self._value if self._age() < KEPT else None

    @property
    def is_fresh(self) -> bool:
        """Whether it need not be asked for."""
        return self._value is not None and self._age() < FRESH

    @property
    def is_asked_for(self) -> bool:
        """Whether an answer is on its way. A request of a loop that was closed never comes back."""
        task = self._asking
        return task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop()

    async def refresh(self) -> None:
        """Ask, or wait for the answer that is on its way, or do nothing if it was asked a moment ago."""
        if not self.is_asked_for:
            now = self._clock.monotonic()
            if self._asked_at is not None and now - self._asked_at < PAUSE:
                return
            self._asked_at = now
            # A task of its own: whoever asked first may go away, and the others still wait for the answer.
            self._asking = asyncio.create_task(self._read())
        assert self._asking is not None
        await asyncio.shield(self._asking)

    async def _read(self) -> None:
        try:
            self._value = await self._ask()
        except Unreachable as fault:
            _log.warning("%s of the issuer cannot be read: %s", self._what, fault)
        else:
            self._read_at = self._clock.monotonic()

    def _age(self) -> float:
        return self._clock.monotonic() - self._read_at
