"""Word from process to process that something was committed: LISTEN and NOTIFY on a connection of their own.

A notification is sent after the commit and never inside a group's transaction: NOTIFY takes a lock of the whole server
while it commits. It says nothing, is sent at most every ``PAUSE`` seconds, and may be lost with its connection; whoever
waits looks slowly besides. The same connection holds the sign that a gateway keeps house here (``announce``).

Inside the link's loop, but for ``Watchers``. Not here: who waits for what (``bootstrap``), and any decision.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from toolgate.adapters.stores.postgres.faults import FAULTS

if TYPE_CHECKING:
    import asyncpg

    from toolgate.adapters.stores.postgres.link import Link
    from toolgate.adapters.stores.watchers import Watchers

PAUSE = 0.05
"""Seconds between two notifications of a process: more of them would only wake the same people again."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
_LAST_WORD = 1.0
"""Seconds that closing may take to tell what was committed last."""
_CLASS = 0x54474154
"""``TGAT``: the first half of the advisory lock that is a gateway's sign; the second is the schema's."""
ANNOUNCE = f"SELECT pg_advisory_lock_shared({_CLASS}, hashtext($1))"
WITHDRAW = "SELECT pg_advisory_unlock_all()"
"""Nothing else is locked on that connection."""
IS_SERVED = f"""
SELECT EXISTS (
    SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid = {_CLASS}
    AND objid = (hashtext($1)::bigint & 4294967295)::oid
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
"""
_log = logging.getLogger("toolgate")


class Wake:
    """Tells the other processes, and hears them. It connects when somebody first watches, or something is committed."""

    def __init__(self, link: Link, watchers: Watchers) -> None:
        self._link = link
        self._watchers = watchers
        self._schema = link.address.schema
        # A channel's name has 63 bytes at most, as the schema's may have by itself.
        self._channel = f"toolgate_{hashlib.sha256(self._schema.encode()).hexdigest()[:16]}"
        self._task: asyncio.Task[None] | None = None
        self._db: asyncpg.Connection | None = None
        self._stirred: asyncio.Event | None = None
        self._untold = False
        self._announced = False
        self._leaving = False
        self._listening = asyncio.Event()
        self._turn = asyncio.Lock()

    def committed(self) -> None:
        """This process committed something."""
        self._watchers.tell()
        self._untold = True
        self.begin()
        if self._stirred is not None:
            self._stirred.set()

    def begin(self) -> None:
        """Hear from now on."""
        if self._task is None and not self._leaving:
            self._stirred = asyncio.Event()
            self._task = asyncio.get_running_loop().create_task(self._keep(), name="toolgate-wake")

    async def announce(self) -> None:
        """Hold up the sign that a gateway keeps house here, now and after each reconnect."""
        self._announced = True
        if self._db is not None:
            await self._say(self._db, ANNOUNCE, self._schema)
            return
        self.begin()
        with suppress(TimeoutError):
            # Else it is held up as soon as the server lets us in.
            async with asyncio.timeout(self._link.patience.connect):
                await self._listening.wait()

    async def withdraw(self) -> None:
        """Take one sign down."""
        self._announced = False
        if self._db is not None:
            # A connection that is lost took the sign with it.
            with suppress(*FAULTS):
                await self._say(self._db, WITHDRAW)

    async def close(self) -> None:
        """Tell what was committed last, and hang up."""
        self._leaving = True
        task, self._task = self._task, None
        if task is None:
            return
        if self._stirred is not None:
            self._stirred.set()
        await asyncio.wait([task], timeout=_LAST_WORD)
        task.cancel()
        await asyncio.wait([task])
        self._leaving = False

    async def _keep(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._listen()
                pause = _FIRST_PAUSE
            except FAULTS as fault:
                _log.debug("the listener lost its connection: %s", type(fault).__name__)
            if self._leaving:
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _listen(self) -> None:
        """Until the connection is lost, or the last word is told."""
        # What is lost with a notification is a moment's patience.
        db = await self._link.connect("listen", settings={"synchronous_commit": "off"})
        try:
            db.add_termination_listener(self._lost)
            await db.add_listener(self._channel, self._heard)
            if self._announced:
                await db.execute(ANNOUNCE, self._schema)
            self._db = db
            self._listening.set()
            await self._tell_on(db)
        finally:
            self._db = None
            self._listening.clear()
            db.terminate()

    async def _tell_on(self, db: asyncpg.Connection) -> None:
        assert self._stirred is not None
        # Whatever was told while nobody listened.
        self._watchers.tell(elsewhere=True)
        while not db.is_closed():
            if self._untold:
                self._untold = False
                await self._say(db, "SELECT pg_notify($1, '')", self._channel)
                if not self._leaving:
                    await asyncio.sleep(PAUSE)
            elif self._leaving:
                return
            else:
                self._stirred.clear()
                await self._stirred.wait()

    async def _say(self, db: asyncpg.Connection, statement: str, *values: str) -> None:
        async with self._turn:
            await db.execute(statement, *values)

    def _heard(self, connection: Any, pid: int, channel: str, payload: object) -> None:  # noqa: ARG002 - the driver's
        if self._db is None or pid != self._db.get_server_pid():
            self._watchers.tell(elsewhere=True)

    def _lost(self, connection: Any) -> None:  # noqa: ARG002 - the driver's
        if self._stirred is not None:
            self._stirred.set()
