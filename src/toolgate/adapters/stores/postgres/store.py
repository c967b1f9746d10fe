"""The Postgres store: the port's methods over one link, one writer and a few readers.

Not here: how commands are written (``writer``), and what is read how (``reading``, ``search``).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from toolgate.adapters.stores.answers import Answers
from toolgate.adapters.stores.postgres import pruning
from toolgate.adapters.stores.postgres.address import Address
from toolgate.adapters.stores.postgres.limits import Limits
from toolgate.adapters.stores.postgres.link import Link, Patience
from toolgate.adapters.stores.postgres.reading import Reading
from toolgate.adapters.stores.postgres.wake import IS_SERVED, Wake
from toolgate.adapters.stores.postgres.writer import Job, Writer
from toolgate.adapters.stores.watchers import Watchers
from toolgate.domain.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from toolgate.domain.commands import Answer, Command
    from toolgate.domain.retention import Prune, Pruned, TrailCut
    from toolgate.ports import StoreNotes

_TIME_KEEPS = 1.0
"""Seconds for which the server's clock, once read, is reckoned by this machine's."""
_TIME = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_NEWEST = "(SELECT max(head_at) FROM chains WHERE recent)"
_RING = "SELECT value FROM meta WHERE key = 'ring_id'"
_MIGRATIONS = "SELECT version, name FROM migrations ORDER BY version"


class PostgresStore(Reading):
    """A ledger in one schema of a Postgres database, which any number of processes share.

    Args:
        address: ``postgresql://user:password@host:port/database``, with ``?schema=`` where it is not ``toolgate``.
        boot_id: unique per process start; names the audit chain, and the process to the server.
        now: microseconds since the epoch, in place of the server's own clock; for tests.
        ring_id: of the keys that belong to this database; a database refuses any other.
        readers: connections that reads may use at once. The writer and the listener have one each besides.

    Raises:
        ConfigurationError: if ``address`` cannot be read. The message repeats nothing of it.
    """

    def __init__(
        self,
        address: str,
        *,
        boot_id: str,
        now: Callable[[], int] | None = None,
        ring_id: str = "",
        readers: int = 4,
        patience: Patience | None = None,
    ) -> None:
        self.link = Link(Address.parse(address), boot_id=boot_id, readers=readers, patience=patience)
        super().__init__(self.link)
        self._now = now
        self._watchers = Watchers()
        self._wake = Wake(self.link, self._watchers)
        self._writer = Writer(
            self.link, boot_id=boot_id, now=now, ring_id=ring_id, committed=self._wake.committed
        )
        self._limits = Limits(
            self.link, told_by=boot_id, watchers=self._watchers, stirred=self._wake.committed
        )
        self._answers = Answers()
        self._opened = False
        self._lock = threading.Lock()
        self._latest = 0
        self._offset = 0
        self._read_at: float | None = None

    @property
    def notes(self) -> StoreNotes | None:
        """Who hears how the writer's work goes."""
        return self._writer.notes

    @notes.setter
    def notes(self, notes: StoreNotes | None) -> None:
        self._writer.notes = notes

    async def open(self) -> None:
        """Create or migrate the schema and start the writer.

        Raises:
            ConfigurationError: if the database is not fit, newer, edited or of other keys, or refuses this user.
            StoreUnavailable: if the server cannot be reached.
        """
        await self.link.open()
        try:
            await self._prepare()
            self._opened = True
            if self._now is None:
                # The gateway reckons in the server's time from now on.
                await self.now()
            self.link.post(self._limits.begin)
        except BaseException:
            await self.close()
            raise

    async def _prepare(self) -> None:
        await self._writer.start()

    async def close(self) -> None:
        """Write what waits, tell the others, then close every connection."""
        self._opened = False
        await self._writer.stop()
        try:
            await self.link.run(self._limits.close())
            await self.link.run(self._wake.close())
        except StoreUnavailable:
            return  # it was closed before
        await self.link.close()

    async def execute(self, command: Command) -> Answer:
        """Decide and write one command; durable when this returns."""
        if not self._opened:
            raise StoreUnavailable("the store is closed")
        future, mailbox = self._answers.future()
        self._writer.submit(Job(command, lambda answer: mailbox.post((future, answer))))
        answer: Answer = await future
        return answer

    def watch(self, wake: Callable[[], object], *, elsewhere: bool = False) -> Callable[[], None]:
        """Call ``wake`` when any process committed something, until the result is called."""
        remove = self._watchers.add(wake, elsewhere=elsewhere)
        self.link.post(self._wake.begin)
        return remove

    @property
    def limits(self) -> Limits:
        """What the processes on this database count together."""
        return self._limits

    async def announce(self) -> None:
        """Hold up the sign that a gateway keeps house on this database, as long as the store is open."""
        await self.link.run(self._wake.announce())

    async def withdraw(self) -> None:
        """Take the sign down."""
        await self.link.run(self._wake.withdraw())

    async def is_served(self) -> bool:
        """Whether a gateway that keeps house is open on this database, wherever it runs."""
        schema = self.link.address.schema
        served: bool = await self.link.read(lambda db: db.fetchval(IS_SERVED, schema))
        return served

    @property
    def offset(self) -> int:
        """How far the server's clock is ahead of this machine's (µs), as last seen."""
        return self._offset

    async def now(self) -> int:
        """The server's clock, but never before what was recorded or told.

        It is read once a second and reckoned in between. Where it was set back, what another process recorded may be
        ahead of it for that second; whatever is decided then is decided in the writer's own time.
        """
        newest = 0
        if self._now is not None:
            newest = await self.link.read(lambda db: db.fetchval(f"SELECT {_NEWEST}")) or 0
        elif self._read_at is None or time.monotonic() - self._read_at > _TIME_KEEPS:
            newest = await self._read_clock()
        with self._lock:
            clock = time.time_ns() // 1000 + self._offset if self._now is None else self._now()
            self._latest = max(clock, newest, self._latest, self._writer.decided_at)
            self._writer.tell(self._latest)
            return self._latest

    async def _read_clock(self) -> int:
        asked = time.time_ns()
        [(clock, newest)] = await self.link.read(lambda db: db.fetch(f"SELECT {_TIME}, {_NEWEST}"))
        # Halfway between question and answer, as far as anybody can tell.
        self._offset = clock - (asked + time.time_ns()) // 2000
        self._read_at = time.monotonic()
        return newest or 0

    async def prune(self, batch: Prune, *, dry: bool = False) -> Pruned:
        """Remove one bounded batch beside the writers, waiting for nobody's rows; ``dry`` only reads."""
        if not dry:
            self._refuse_to_write()
        now = await self.now()
        return await self.link.read(lambda db: pruning.prune(db, batch, now, dry=dry))

    async def oldest(self, before: int, *, limit: int = 10_000) -> TrailCut | None:  # noqa: ARG002 - partitions go whole
        """The oldest partition of the trail, if all of it was written before ``before``."""
        return await self.link.read(lambda db: pruning.oldest(db, before))

    async def turn(self, name: str, *, every: float) -> bool:
        """Whether the work of this name is the caller's to do now."""
        self._refuse_to_write()
        now = await self.now()
        return await self.link.read(lambda db: pruning.turn(db, name, every, now))

    async def turn_taken(self, name: str) -> int | None:
        """When the last turn of this name was taken."""
        return await self.link.read(lambda db: pruning.turn_taken(db, name))

    def _refuse_to_write(self) -> None:
        if not self._opened:
            raise StoreUnavailable("the store is closed")

    @property
    def jobs_dsn(self) -> str:
        """Where the engine of jobs keeps its rows: the same database. It may hold a password."""
        return self.link.address.dsn

    @property
    def jobs_schema(self) -> str:
        """The schema of that engine."""
        return f"{self.link.address.schema}_jobs"

    async def ring(self) -> str | None:
        """The id of the keys that the database belongs to, asked of a store that need not be open; None for none."""
        await self.link.open()
        try:
            if not await self.migrations():
                return None
            ring_id: str | None = await self.link.read(lambda db: db.fetchval(_RING))
            return ring_id
        finally:
            await self.link.close()

    async def migrations(self) -> list[str]:
        """The migrations that the database has, oldest first; none where there is no ledger."""
        there = "SELECT to_regclass('migrations') IS NOT NULL"
        if not await self.link.read(lambda db: db.fetchval(there)):
            return []
        rows = await self.link.read(lambda db: db.fetch(_MIGRATIONS))
        return [f"{row['version']:04d}_{row['name']}" for row in rows]


class ReadingPostgresStore(PostgresStore):
    """A ledger opened to be looked at: nothing is migrated, no writer is started, every command is refused.

    It waits less for a server that is gone: somebody sits before it.
    """

    def __init__(
        self,
        address: str,
        *,
        boot_id: str,
        now: Callable[[], int] | None = None,
        ring_id: str = "",
        readers: int = 2,
        patience: Patience | None = None,
    ) -> None:
        super().__init__(
            address,
            boot_id=boot_id,
            now=now,
            ring_id=ring_id,
            readers=readers,
            patience=patience or Patience(outage=2.0),
        )

    async def _prepare(self) -> None:
        if not await self.migrations():
            raise ConfigurationError(
                f"store=: {self.link.address.shown} holds no ledger yet; `toolgate migrate` makes one"
            )

    async def execute(self, command: Command) -> Answer:  # noqa: ARG002 - the port's signature
        """Refuse. Raises ``StoreUnavailable``."""
        self._refuse_to_write()

    def _refuse_to_write(self) -> NoReturn:
        raise StoreUnavailable("the store was opened for reading alone")
