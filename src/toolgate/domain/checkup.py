"""What a checkup says: one finding a line, how bad it is, and what mends it. Pure judgements over numbers.

Not here: looking (``operations.examine``, ``bootstrap.doctor``), and how findings are printed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, NamedTuple

from toolgate.domain.duration import MICRO

if TYPE_CHECKING:
    from collections.abc import Iterable

MIB: Final = 1024 * 1024
GIB: Final = 1024 * MIB
SKEW_SEEN: Final = 1.0
"""Seconds between two clocks below which nobody needs to care."""
SKEW_BAD: Final = 300.0
STANDS_STILL: Final = 60.0
"""Seconds for which a store's time may stand still before leases and expiries are late enough to count as broken."""
LITTLE_DISK: Final = GIB
NO_DISK: Final = 64 * MIB
BIG_WAL: Final = 256 * MIB
BUSY_SERVER: Final = 0.8
LONG_WAIT: Final = 24 * 3_600.0
"""Seconds that a person may let something wait before somebody should ask."""
SHORT_WAIT: Final = 600.0
"""Seconds within which a program should have taken what is its to take."""


class State(StrEnum):
    """How a thing stands."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(NamedTuple):
    """One line: what was looked at, how it stands, in words, and what mends it where it does not."""

    area: str
    state: State
    words: str
    mend: str | None = None


def ok(area: str, words: str) -> Finding:
    """It is well."""
    return Finding(area, State.OK, words)


def warn(area: str, words: str, mend: str) -> Finding:
    """It works, and somebody should look."""
    return Finding(area, State.WARN, words, mend)


def fail(area: str, words: str, mend: str) -> Finding:
    """It does not work."""
    return Finding(area, State.FAIL, words, mend)


def worst(findings: Iterable[Finding]) -> State:
    """The worst of them; ok where there are none."""
    order = list(State)
    return max((finding.state for finding in findings), key=order.index, default=State.OK)


def judge_offset(offset_us: int) -> Finding:
    """A database server's clock against this machine's (µs ahead)."""
    apart, side = abs(offset_us) / MICRO, "ahead of" if offset_us > 0 else "behind"
    words = f"the database's clock is {apart:.1f} s {side} this machine's"
    mend = "let NTP set both clocks: leases and expiries are counted by the one, signed tokens by the other"
    if apart < SKEW_SEEN:
        return ok("clock", f"the database's clock and this machine's are {apart * 1000:.0f} ms apart")
    return fail("clock", words, mend) if apart >= SKEW_BAD else warn("clock", words, mend)


def judge_high_water(behind_us: int) -> Finding:
    """This machine's clock against the newest record (µs that the clock is behind it)."""
    behind = behind_us / MICRO
    if behind < SKEW_SEEN:
        return ok("clock", "not behind the newest record")
    words = f"{behind:.0f} s behind the newest record: the store's time stands still until it gets there"
    mend = "set this machine's clock right; until then no lease lapses and no approval expires"
    return fail("clock", words, mend) if behind >= STANDS_STILL else warn("clock", words, mend)


def judge_disk(free: int, *, where: str) -> Finding:
    """Bytes that are left where the database lies."""
    words = f"{size_words(free)} free {where}"
    mend = "make room; when the disk is full the trail cannot be written, and nothing runs"
    if free < NO_DISK:
        return fail("disk", words, mend)
    return warn("disk", words, mend) if free < LITTLE_DISK else ok("disk", words)


def judge_wal(size: int) -> Finding:
    """Bytes of SQLite's write-ahead log."""
    if size < BIG_WAL:
        return ok("write-ahead log", size_words(size) if size else "empty")
    return warn(
        "write-ahead log",
        f"{size_words(size)}: it is not written back into the database",
        "end whatever reads the database for long (an export, a backup, a shell), or restart the gateways",
    )


def judge_connections(used: int, most: int) -> Finding:
    """A database server's connections."""
    words = f"{used} of {most} in use"
    if used < most * BUSY_SERVER:
        return ok("connections", words)
    mend = "raise max_connections of the server, or run fewer processes: each of ours takes about six"
    return warn("connections", words, mend)


def size_words(size: int) -> str:
    """Bytes, short."""
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (1024, "KiB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size} B"


def span_words(seconds: float) -> str:
    """A time that passed, in its largest unit."""
    for unit, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= unit:
            many = int(seconds // unit)
            return f"{many} {name}" if many == 1 else f"{many} {name}s"
    return f"{int(seconds)} s"
