"""Prefixed ULIDs (the ULID specification's 48-bit time and 80 bits of randomness, Crockford base 32).

Our own rather than a package: ids of one process must sort in the order they were made even inside a
millisecond, across threads, because rows are clustered by them and a cursor pages along them.
"""

from __future__ import annotations

import random
import secrets
import threading
import time

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(a + b for a in _DIGITS for b in _DIGITS)
_RANDOM_BITS = 80
_TIME_SHIFTS = range(40, -1, -10)
_RANDOM_SHIFTS = range(70, -1, -10)


class UlidIds:
    """Monotonic: the random part is counted up within a millisecond, or when the clock steps back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_ms = 0
        self._counter = 0
        self._time = ""
        # Seeded by the system; ids have to be unique, not secret, and a system call for each would cost more than
        # all the rest of it.
        self._random = random.Random(secrets.randbits(256))  # noqa: S311

    def new(self, prefix: str) -> str:
        """``call_01J…``: 26 digits after the prefix, sorting after every earlier id of this process."""
        now = time.time_ns() // 1_000_000
        with self._lock:
            if now > self._last_ms:
                self._last_ms = now
                self._time = _digits(now, _TIME_SHIFTS)
                # The top bit stays free, so that counting up cannot overflow.
                self._counter = self._random.getrandbits(_RANDOM_BITS - 1)
            else:
                self._counter += 1 + (self._counter & 0xFF)
            return f"{prefix}_{self._time}{_digits(self._counter, _RANDOM_SHIFTS)}"


def _digits(value: int, shifts: range) -> str:
    """Two digits at a time: a look-up is cheaper than a shift."""
    pairs = _PAIRS
    return "".join([pairs[(value >> shift) & 0x3FF] for shift in shifts])
