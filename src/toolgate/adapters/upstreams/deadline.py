"""A bound on how long something may be awaited, by the clock that was handed in.

As ``asyncio.timeout``, which knows no other clock than the loop's.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from toolgate.ports import Clock, Timer


class Deadline:
    """Cancels the body after ``seconds`` and raises ``TimeoutError`` in its place.

    A cancellation from outside stays one, also where both come at the same time.
    """

    __slots__ = ("_clock", "_expired", "_left", "_seconds", "_task", "_timer")

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._expired = False
        self._left = False
        self._timer: Timer | None = None
        self._task: asyncio.Task[object] | None = None

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        self._timer = self._clock.call_later(max(self._seconds, 0.0), self._expire)
        return self

    def _expire(self) -> None:
        if not self._left and self._task is not None:
            self._expired = True
            self._task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left = True
        assert self._timer is not None
        assert self._task is not None
        self._timer.cancel()
        if self._expired and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise TimeoutError from error
