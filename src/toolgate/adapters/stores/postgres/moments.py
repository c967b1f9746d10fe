"""The store's time and the numbers that order its trail, as the server gives them out.

Not here: the machine's clock, but for how far it is from the server's.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import asyncpg

from toolgate.adapters.stores.postgres.rows import SEQ_BASE, SEQ_STEP

_MOMENT = f"""
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
       (SELECT max(head_at) FROM chains WHERE recent),
       pg_current_xact_id()::text::bigint,
       {SEQ_BASE}
"""
_EVER = "SELECT max(head_at) FROM chains"


class Moment(NamedTuple):
    """A transaction's place in time and order.

    ``clock`` is the server's (µs), ``newest`` the newest time in any chain, ``number`` the transaction's own, and
    ``base`` what ``seq`` begins from.
    """

    clock: int
    newest: int | None
    number: int
    base: int

    def first_seq(self, number: int) -> int:
        """The ``seq`` of the first event of the transaction ``number``."""
        return self.base + number * SEQ_STEP


class Times:
    """The store's time, which never goes back.

    Args:
        now: the time in microseconds in place of the server's own; None for the server's.

    Attributes:
        at: of the last group, whether or not it was written; some caller was told it.
        told: a time that callers were told besides; no decision comes before it.
        offset: how far the server's clock is ahead of this machine's, as last seen.
    """

    def __init__(self, now: Callable[[], int] | None) -> None:
        self._now = now
        self.at = 0
        self.told = 0
        self.offset = 0

    def about(self) -> int:
        """Roughly the time, without asking."""
        return max(self.at, time.time_ns() // 1000 + self.offset if self._now is None else self._now())

    async def ask(self, db: asyncpg.Connection, *, ever: bool = False) -> Moment:
        """Asked after the locks are held: whoever held them before has committed, and his time is seen.

        ``ever``: look at every chain for the newest time, and not only at those that are marked as recent.
        """
        asked = time.time_ns()
        row = await db.fetchrow(_MOMENT)
        assert row is not None
        moment = Moment(*row)
        self.offset = moment.clock - (asked + time.time_ns()) // 2000
        return moment._replace(newest=await db.fetchval(_EVER)) if ever else moment

    def of(self, moment: Moment) -> int:
        """The clock, but never before what was recorded or told: no expiry is revived by a clock set back."""
        clock = moment.clock if self._now is None else self._now()
        self.at = max(clock, moment.newest or 0, self.at, self.told)
        return self.at
