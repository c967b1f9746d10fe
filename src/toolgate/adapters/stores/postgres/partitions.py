"""The partitions of the trail: one a month of the store's time (UTC), made before they are needed, or when they are.

A partition is made beside the trail and then attached, so that nobody who writes or reads has to stand still for it.
Not here: taking old ones away (retention).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import asyncpg

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOCK = 0x54474155
"""The advisory lock that partitions are made under."""
# Not to_regclass: it answers from a cache, which a session that waited for a lock may not have refreshed.
_IS_THERE = """
SELECT EXISTS (
    SELECT FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
    WHERE inhparent = 'audit'::regclass AND relname = $1
)
"""
AHEAD = timedelta(days=3)
_IS_THERE = "SELECT EXISTS (SELECT FROM pg_class WHERE relname = $1 AND relnamespace = current_schema()::regnamespace)"


class Month(NamedTuple):
    """A month of UTC: from ``begins`` (µs) on, before ``ends``."""

    begins: int
    ends: int
    name: str


def month_of(at: int) -> Month:
    """The month that ``at`` (µs since the epoch) lies in."""
    day = (_EPOCH + timedelta(microseconds=at)).date()
    first = datetime(day.year, day.month, 1, tzinfo=UTC)
    after = datetime(day.year + day.month // 12, day.month % 12 + 1, 1, tzinfo=UTC)
    return Month(_micros(first), _micros(after), f"audit_{first:%Y_%m}")


def _micros(when: datetime) -> int:
    return (when - _EPOCH) // timedelta(microseconds=1)


async def make_partitions(connection: asyncpg.Connection, at: int) -> int:
    """Make the partition that ``at`` falls into, and the next where that is near. Several processes may try at once.

    Returns:
        The time (µs) from which on the next partition has to be made.
    """
    month = month_of(at)
    ahead = AHEAD // timedelta(microseconds=1)
    await _make(connection, month)
    if at >= month.ends - ahead:
        month = month_of(month.ends)
        await _make(connection, month)
    return month.ends - ahead


async def _make(connection: asyncpg.Connection, month: Month) -> None:
    if await connection.fetchval(_IS_THERE, month.name):
        return
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        # Read from the catalogue itself: to_regclass may answer from what this session remembers, which is not told of
        # another's table by the lock that it waited for.
        if await connection.fetchval(_IS_THERE, month.name):
            return
        await connection.execute(f"CREATE TABLE {month.name} (LIKE audit INCLUDING ALL)")
        await connection.execute(
            f"ALTER TABLE audit ATTACH PARTITION {month.name} FOR VALUES FROM ({month.begins}) TO ({month.ends})"
        )
