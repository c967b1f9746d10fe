"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from toolgate.domain.duration import MICRO

EPOCH = 1_767_225_600 * MICRO
"""2026-01-01T00:00:00Z, so that what a test prints is the same each time."""


@dataclass(order=True, slots=True)
class _Alarm:
    due: float
    number: int
    loop: asyncio.AbstractEventLoop = field(compare=False)
    callback: Callable[[], object] = field(compare=False)
    cancelled: bool = field(default=False, compare=False)

    def cancel(self) -> None:
        """Forget it, if it has not run."""
        self.cancelled = True


class FakeClock:
    """Time for tests: ``advance`` moves it and rings what is due, in the loops that asked.

    Thread-safe, because a gateway's loops run in threads of their own. Nothing here waits: after
    ``advance`` a test awaits the outcome it expects.
    """

    def __init__(self, *, now: int = EPOCH) -> None:
        self._lock = threading.Lock()
        self._start = now
        self._elapsed = 0.0
        self._skew = 0
        self._alarms: list[_Alarm] = []
        self._numbers = itertools.count()
        self._asked = threading.Condition(self._lock)

    def now(self) -> int:
        """Microseconds since the epoch, UTC."""
        return self._start + round(self._elapsed * MICRO) + self._skew

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._elapsed

    def call_later(self, delay: float, callback: Callable[[], object]) -> _Alarm:
        """Ring ``callback`` in the running loop once the clock was advanced by ``delay`` seconds."""
        with self._lock:
            alarm = _Alarm(self._elapsed + delay, next(self._numbers), asyncio.get_running_loop(), callback)
            heapq.heappush(self._alarms, alarm)
            self._asked.notify_all()
            return alarm

    async def sleep(self, delay: float) -> None:
        """Wait until the clock was advanced by ``delay`` seconds."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        alarm = self.call_later(delay, lambda: None if future.done() else future.set_result(None))
        try:
            await future
        finally:
            alarm.cancel()

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass and ring every alarm that is due, in order."""
        with self._lock:
            self._elapsed += seconds
            due = []
            while self._alarms and self._alarms[0].due <= self._elapsed:
                due.append(heapq.heappop(self._alarms))
        for alarm in due:
            if not alarm.cancelled:
                # A gateway that was closed or killed meanwhile left its loop, and nobody there waits any more.
                with suppress(RuntimeError):
                    alarm.loop.call_soon_threadsafe(_ring, alarm)

    def set_back(self, seconds: float) -> None:
        """Step the wall clock back, as an operator or NTP may; monotonic time goes on."""
        with self._lock:
            self._skew -= round(seconds * MICRO)

    def wait_for_alarm(self, *, within: float, patience: float = 10.0) -> None:
        """Block until somebody asked to be woken within ``within`` seconds of now; for a test's own thread.

        ``patience`` is real seconds, after which the test has failed.

        Raises:
            TimeoutError: if nobody asked.
        """

        def asked() -> bool:
            return any(not a.cancelled and a.due <= self._elapsed + within for a in self._alarms)

        with self._asked:
            if not self._asked.wait_for(asked, patience):
                raise TimeoutError(f"nobody asked to be woken within {within} seconds")


def _ring(alarm: _Alarm) -> None:
    if not alarm.cancelled:
        alarm.callback()
