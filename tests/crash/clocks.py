"""Time for processes that are stopped and killed: one that never waits, and one that two processes share."""

from __future__ import annotations

import asyncio
import mmap
import struct
from collections.abc import Callable
from pathlib import Path

from toolgate.domain.duration import MICRO
from toolgate.testing import FakeClock
from toolgate.testing.clock import EPOCH

HOUR = 3600.0
LATER = EPOCH + round(HOUR * MICRO)
"""Past every lease and every horizon of the tools here."""
LATEST = LATER + round(HOUR * MICRO)
"""Past those of a process that recovered at ``LATER``, too."""
_LOOK_EVERY = 0.002
"""Real seconds between two looks at a clock that another process moves."""


class BriskClock(FakeClock):
    """Whoever sleeps finds the time passed: nobody else is there to move the clock."""

    async def sleep(self, delay: float) -> None:
        self.advance(delay)


class SharedClock:
    """A clock in a file: whoever moves it moves it for every process that opened it.

    The file holds two numbers in microseconds: what has passed, and by how much the wall clock was set.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            path.write_bytes(bytes(16))
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 16)

    def now(self) -> int:
        """Microseconds since the epoch, UTC."""
        passed, skew = self._read()
        return EPOCH + passed + skew

    def monotonic(self) -> float:
        """Seconds since the file was made."""
        return self._read()[0] / MICRO

    def call_later(self, delay: float, callback: Callable[[], object]) -> Alarm:
        """Run ``callback`` in the running loop soon after the clock was moved by ``delay`` seconds."""
        return Alarm(self, self.monotonic() + delay, callback)

    async def sleep(self, delay: float) -> None:
        """Wait until the clock was moved by ``delay`` seconds."""
        passed = asyncio.Event()
        alarm = self.call_later(delay, passed.set)
        try:
            await passed.wait()
        finally:
            alarm.cancel()

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass, for everybody."""
        passed, skew = self._read()
        self._memory[:] = struct.pack("qq", passed + round(seconds * MICRO), skew)

    def set_wall(self, seconds: float) -> None:
        """Step the wall clock by ``seconds``, as an operator may; monotonic time stands."""
        passed, skew = self._read()
        self._memory[:] = struct.pack("qq", passed, skew + round(seconds * MICRO))

    def _read(self) -> tuple[int, int]:
        passed, skew = struct.unpack("qq", self._memory[:])
        return passed, skew


class Alarm:
    """Looks at a shared clock until it is time."""

    def __init__(self, clock: SharedClock, due: float, callback: Callable[[], object]) -> None:
        self._clock = clock
        self._due = due
        self._callback = callback
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_soon(self._look)

    def cancel(self) -> None:
        """Forget it, if it has not run."""
        self._timer.cancel()

    def _look(self) -> None:
        if self._clock.monotonic() >= self._due:
            self._callback()
        else:
            self._timer = self._loop.call_later(_LOOK_EVERY, self._look)
