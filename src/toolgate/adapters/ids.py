"""Prefixed ULIDs (the ULID specification's 48-bit time and 80 bits of randomness, Crockford base 32).

Our own rather than a package: ids of one process must sort in the order they were made even inside a
millisecond, across threads, because rows are clustered by them and a cursor pages along them.
"""

from __future__ import annotations

import secrets
import threading
import time

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(a + b for a in _DIGITS for b in _DIGITS)
_RANDOM_BITS = 80


class UlidIds:
    """Monotonic: the random part is counted up within a millisecond, or when the clock steps back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_ms = 0
        self._random = 0

    def new(self, prefix: str) -> str:
        """``call_01J…``: 26 digits after the prefix, sorting after every earlier id of this process."""
        now = time.time_ns() // 1_000_000
        with self._lock:
            if now > self._last_ms:
                self._last_ms = now
                # The top bit stays free, so that counting up cannot overflow.
                self._random = secrets.randbits(_RANDOM_BITS - 1)
            else:
                self._random += 1 + (self._random & 0xFF)
            value = (self._last_ms << _RANDOM_BITS) | self._random
        return f"{prefix}_{_encode(value)}"


def _encode(value: int) -> str:
    """26 digits, two at a time: a look-up is cheaper than a shift."""
    pairs = _PAIRS
    return "".join([pairs[(value >> shift) & 0x3FF] for shift in range(120, -1, -10)])
