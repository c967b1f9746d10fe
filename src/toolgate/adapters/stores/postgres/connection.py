"""The writer's connection: made anew when it was lost, and when the server is done with a COMMIT that was not answered.

Not here: what is asked over it (``session``).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import asyncpg

from toolgate.adapters.stores.postgres.faults import FAULTS, unavailable, words
from toolgate.adapters.stores.postgres.migrate import lift_base
from toolgate.domain.errors import StoreInDoubt, StoreUnavailable

if TYPE_CHECKING:
    from toolgate.adapters.stores.postgres.link import Link

_PURPOSE = "writer"
_PAUSE = 0.05
"""Seconds between two looks at a transaction that the server has not ended yet."""
_LONE = 0.5
"""Seconds that a session of ours may outlive its connection before it is ended; till then it may end by itself."""
_BY_KEYS = {
    # A writer finds every row by its key. A plan that was made while a table was empty must not read all of it later.
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
}
_END = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE pid = $1 AND application_name = $2 AND usename = current_user"
)


class WritingConnection:
    """One connection at a time, inside the link's loop."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._db: asyncpg.Connection | None = None
        self._pid = 0
        self._ghost: int | None = None

    async def made(self, until: float) -> asyncpg.Connection:
        """The connection, made anew if it was lost; tried until ``until`` (the loop's time).

        Raises:
            StoreUnavailable: if there is none by then.
        """
        if self._db is not None and self._db.is_closed():
            self.let_go()
        if self._db is not None:
            return self._db
        db = await self._connect(until)
        try:
            await self._end_ghost(db)
            await lift_base(db)
        except FAULTS as fault:
            self.let_go()
            raise unavailable(fault) from None
        return db

    async def _connect(self, until: float) -> asyncpg.Connection:
        self._db = db = await self._link.reconnect(_PURPOSE, until=until, settings=_BY_KEYS)
        self._pid = db.get_server_pid()
        return db

    def let_go(self) -> None:
        """Forget the connection. What it had begun is rolled back by the server, at the latest when that notices."""
        if self._db is not None:
            self._ghost = self._pid
            self._db.terminate()
            self._db = None

    async def _end_ghost(self, db: asyncpg.Connection) -> None:
        """A session of ours whose connection was cut may still hold locks: nobody will ever use it again."""
        if self._ghost is not None:
            await db.execute(_END, self._ghost, self._link.application(_PURPOSE))
            self._ghost = None

    async def close(self) -> None:
        """End the session in good order."""
        db, self._db = self._db, None
        if db is not None:
            try:
                await db.close(timeout=self._link.patience.connect)
            except FAULTS:
                db.terminate()

    async def ended(self, number: int) -> asyncpg.Connection:
        """A connection to ask over, once the server is done with the transaction ``number``, whose COMMIT it was sent.

        Raises:
            StoreInDoubt: if the server cannot be asked in time, or has not ended the transaction by then.
        """
        self.let_go()
        loop, began = self._link.loop, self._link.loop.time()
        until = began + self._link.patience.outage
        said = "the server has neither ended nor undone it"
        while True:
            try:
                db = self._db or await self._connect(until)
                if not await _is_in_progress(db, number):
                    return db
                if loop.time() - began > _LONE:
                    await self._end_ghost(db)
            except StoreUnavailable as gone:
                raise StoreInDoubt(f"a commit was sent and cannot be confirmed: {gone}") from None
            except FAULTS as fault:
                said = words(fault)
                self.let_go()
            if loop.time() >= until:
                raise StoreInDoubt(f"a commit was sent and cannot be confirmed: {said}")
            await asyncio.sleep(_PAUSE)


async def _is_in_progress(db: asyncpg.Connection, number: int) -> bool:
    try:
        status = await db.fetchval("SELECT pg_xact_status($1::text::xid8)", str(number))
    except asyncpg.InvalidParameterValueError:
        # A number that this server has not given out: it crashed before it remembered, or another one took over.
        return False
    return bool(status == "in progress")
