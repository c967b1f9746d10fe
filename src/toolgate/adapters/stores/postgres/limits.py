"""What replicas count together: rates exactly, and which breakers are open.

A rate is GCRA (generic cell rate algorithm) in one row a key: the moment at which its allowance would be whole again.
All that is asked for while a statement is on its way goes in the next one, a row a key, so that a burst costs one round
trip. Rates are spent with ``synchronous_commit=off``: a crash of the database server may forget what was spent in its
last moment (three times ``wal_writer_delay``, by default 0.6 seconds). Nothing else lets anybody over a rate.

Breakers are counted by each process for itself; that one opened or closed is told to the others, who hear of it within
``LATEST`` seconds. Not here: what a breaker does (``adapters.reservations``).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from toolgate.adapters.stores.postgres.faults import FAULTS, is_gone, unavailable
from toolgate.adapters.stores.postgres.rows import can_be_asked
from toolgate.adapters.stores.postgres.together import Together
from toolgate.domain.errors import StoreUnavailable

if TYPE_CHECKING:
    import asyncpg

    from toolgate.adapters.stores.postgres.link import Link
    from toolgate.adapters.stores.watchers import Watchers
    from toolgate.domain.limits import Rate

LATEST = 0.8
"""Seconds until a breaker that opened elsewhere is known here, however little word comes."""
_SOONEST = 0.1
_FORGET_EVERY = 10_000
"""Statements after which keys are forgotten whose allowance is whole again."""
_NANO = 1_000_000_000
Heard = Callable[[str, float | None], object]
_log = logging.getLogger("toolgate")

_NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_GRANTED = """
greatest(0, least(excluded.asked,
    (excluded.burst * excluded.every - (greatest(l.arrival, excluded.at) - excluded.at)) / excluded.every))
"""
# The time is read once, before any row is waited for: later than it is, it would allow too much. Rows are taken in the
# order of their keys, so that two replicas meet and do not cross.
_SPEND = f"""
WITH moment AS MATERIALIZED (SELECT {_NOW} * 1000 AS at)
INSERT INTO limits AS l (key, every, burst, asked, granted, at, arrival)
SELECT key, every, burst, asked, least(asked, burst), moment.at, moment.at + least(asked, burst) * every
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) AS wanted (key, every, burst, asked), moment
ORDER BY key
ON CONFLICT (key) DO UPDATE SET every = excluded.every, burst = excluded.burst, asked = excluded.asked,
    granted = {_GRANTED}, at = excluded.at, arrival = greatest(l.arrival, excluded.at) + {_GRANTED} * excluded.every
RETURNING key, granted, arrival - at - (burst - 1) * every
"""
_FORGET = f"""
DELETE FROM limits WHERE key IN
    (SELECT key FROM limits WHERE arrival < {_NOW} * 1000 ORDER BY key LIMIT 5000 FOR UPDATE SKIP LOCKED)
"""
_TELL = f"""
INSERT INTO breakers (tool, open_until, updated_at, told_by)
VALUES ($1, {_NOW} + $2::bigint, {_NOW}, $3)
ON CONFLICT (tool) DO UPDATE SET open_until = excluded.open_until, updated_at = excluded.updated_at,
    told_by = excluded.told_by
"""
_HEAR = f"SELECT tool, open_until - {_NOW}, updated_at, told_by FROM breakers WHERE updated_at >= $1"


class _Wish(NamedTuple):
    """One of a rate. ``number`` tells two of the same key apart. ``every`` is in nanoseconds."""

    key: str
    every: int
    burst: int
    number: int


class Limits:
    """One a store. Any thread, but for ``begin`` and ``close``, which are the link's.

    Args:
        told_by: names this process to the others.
        stirred: called in the link's loop when the others should look.
    """

    def __init__(
        self, link: Link, *, told_by: str, watchers: Watchers, stirred: Callable[[], object]
    ) -> None:
        self._link = link
        self._told_by = told_by
        self._stirred = stirred
        self._spent: Together[_Wish, float] = Together(link, self._spend, at_once=1)
        self._numbers = itertools.count()
        self._statements = 0
        self._db: asyncpg.Connection | None = None
        self._heard: list[Heard] = []
        self._unknown = asyncio.Event()
        self._seen: dict[str, int] = {}
        self._since = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._watchers = watchers
        self._remove: Callable[[], None] | None = None

    # ------------------------------------------------------------------------------------------ how often, over all

    async def spend(self, key: tuple[str, ...], rate: Rate) -> float:
        """Take one from ``rate``, over all replicas: 0 if there was one, else the seconds until there is.

        Raises:
            StoreUnavailable: if the server cannot be asked; then nothing is allowed.
        """
        # Rounded up: a rate is never exceeded, and late by less than a microsecond a call.
        every = -(-round(rate.per * _NANO) // rate.count)
        return await self._spent(_Wish(json.dumps(key), every, rate.count, next(self._numbers)))

    async def _spend(self, wishes: Sequence[_Wish]) -> Mapping[_Wish, float]:
        first = {wish.key: wish for wish in reversed(wishes)}
        asked = Counter(wish.key for wish in wishes)
        keys = list(first)
        values = (
            keys,
            [first[key].every for key in keys],
            [first[key].burst for key in keys],
            [asked[key] for key in keys],
        )
        left: dict[str, int] = {}
        waits: dict[str, float] = {}
        for key, granted, wait in await self._ask(_SPEND, *values):
            left[key], waits[key] = granted, wait / _NANO
        told: dict[_Wish, float] = {}
        for wish in wishes:
            left[wish.key] -= 1
            told[wish] = 0.0 if left[wish.key] >= 0 else waits[wish.key]
        self._statements += 1
        if self._statements % _FORGET_EVERY == 0:
            await self._ask(_FORGET)
        return told

    async def _ask(self, statement: str, *values: Any) -> Sequence[Any]:
        """Once more on a new connection where the first was lost: what was spent twice is on the safe side."""
        until = self._link.loop.time() + self._link.patience.outage
        while True:
            if self._db is None or self._db.is_closed():
                self._db = await self._link.reconnect(
                    "limits", until=until, settings={"synchronous_commit": "off"}
                )
            try:
                return await self._db.fetch(statement, *values)
            except FAULTS as fault:
                gone = is_gone(fault, self._db)
                if gone:
                    self._db.terminate()
                if not gone or self._link.loop.time() >= until:
                    raise unavailable(fault) from None

    # ------------------------------------------------------------------------------------ which breakers are open

    def tell(self, tool: str, wait: float | None) -> None:
        """The breaker of ``tool`` opened here for ``wait`` seconds, or closed (None)."""
        self._link.post(lambda: self._start(self._tell(tool, wait)))

    def follow(self, heard: Heard) -> None:
        """Call ``heard(tool, wait)`` when another replica told so."""
        self._heard.append(heard)

    def begin(self) -> None:
        """Listen to the others. In the link's loop, once the schema is there."""
        if self._heard and self._remove is None:
            loop = asyncio.get_running_loop()
            # Told in the link's own loop, by the wake's connection.
            self._remove = self._watchers.add(lambda: loop.call_soon(self._unknown.set), elsewhere=True)
            self._start(self._hear_on())

    async def close(self) -> None:
        """Hang up."""
        if self._remove is not None:
            self._remove()
            self._remove = None
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if self._db is not None:
            self._db.terminate()
            self._db = None

    def _start(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self, tool: str, wait: float | None) -> None:
        if not can_be_asked(tool):
            return
        length = 0 if wait is None else round(wait * 1_000_000)
        try:
            await self._link.read(lambda db: db.execute(_TELL, tool, length, self._told_by))
        except StoreUnavailable as fault:
            _log.debug("a breaker could not be told: %s", fault)
        else:
            self._stirred()

    async def _hear_on(self) -> None:
        while True:
            self._unknown.clear()
            try:
                rows = await self._link.read(lambda db: db.fetch(_HEAR, self._since))
            except StoreUnavailable as fault:
                _log.debug("breakers cannot be read: %s", fault)
            else:
                for tool, left, updated_at, told_by in rows:
                    self._hear(tool, left, updated_at, told_by)
            await asyncio.sleep(_SOONEST)
            try:
                async with asyncio.timeout(LATEST - _SOONEST):
                    await self._unknown.wait()
            except TimeoutError:
                continue

    def _hear(self, tool: str, left: int, updated_at: int, told_by: str) -> None:
        # Rows of one microsecond are read again, and told once.
        self._since = max(self._since, updated_at)
        if told_by == self._told_by or self._seen.get(tool) == updated_at:
            return
        self._seen[tool] = updated_at
        for heard in self._heard:
            heard(tool, left / 1_000_000 if left > 0 else None)
