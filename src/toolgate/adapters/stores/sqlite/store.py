"""The SQLite store: the port's methods over one writer thread and a reading connection a thread."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from toolgate.adapters.stores.answers import Answers
from toolgate.adapters.stores.sqlite import pruning, search
from toolgate.adapters.stores.sqlite import rows as sql
from toolgate.adapters.stores.sqlite.connection import connect, is_of_the_file
from toolgate.adapters.stores.sqlite.presence import Presence, is_served
from toolgate.adapters.stores.sqlite.pruning import Upkeep
from toolgate.adapters.stores.sqlite.writer import Job, Writer
from toolgate.adapters.stores.watchers import Watchers
from toolgate.domain.audit import StoredRecord
from toolgate.domain.errors import StoreUnavailable
from toolgate.domain.rows import (
    ApprovalRow,
    ByApproval,
    ByJob,
    CallRow,
    DeliveryRow,
    Found,
    GrantRow,
    JobRow,
    NoticeRow,
    RevisionRow,
    SealedRow,
    Subject,
    TokenRow,
)
from toolgate.ports import Change

if TYPE_CHECKING:
    from toolgate.domain.commands import Answer, Command
    from toolgate.domain.retention import Prune, Pruned, TrailCut
    from toolgate.ports import ApprovalFilter, CallFilter, CallPage, JobFilter, JobPage, StoreNotes

T = TypeVar("T")
_PAGE = 2000


class SqliteStore:
    """A ledger in one SQLite file. Several processes may share it; limits are per process.

    Args:
        path: the database; created with its schema if missing.
        boot_id: unique per process start; names the audit chain.
        now: microseconds since the epoch.
        busy_seconds: how long to wait for another process's transaction.
        ring_id: of the keys that belong to this database; a database refuses any other.
        max_page_count: refuse to grow beyond so many pages; ``None`` for no limit but the disk's.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        boot_id: str,
        now: Callable[[], int],
        ring_id: str = "",
        busy_seconds: float = 5.0,
        max_page_count: int | None = None,
    ) -> None:
        self.path = Path(path)
        self._now = now
        self._busy = busy_seconds
        self._watchers = Watchers()
        self._presence = Presence(self.path)
        self._writer = Writer(
            self.path,
            told=self._watchers.tell,
            boot_id=boot_id,
            now=now,
            busy_seconds=busy_seconds,
            ring_id=ring_id,
            max_page_count=max_page_count,
        )
        self._answers = Answers()
        self._readers = threading.local()
        self._open_readers: list[sqlite3.Connection] = []
        self._opened = False
        self._latest = 0

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
            StoreUnavailable: if the file is locked, or the disk does not take it.
            ConfigurationError: if the file is no ledger, newer, damaged or of other keys, or a migration was edited.
        """
        await asyncio.to_thread(self._writer.start)
        self._opened = True

    async def close(self) -> None:
        """Write what waits, then close every connection."""
        if not self._opened:
            return
        self._opened = False
        await asyncio.to_thread(self._writer.stop)
        for reader in self._open_readers:
            reader.close()
        self._open_readers.clear()
        self._readers = threading.local()

    async def execute(self, command: Command) -> Answer:
        """Decide and write one command; durable when this returns."""
        answer: Answer = await self._written(command)
        return answer

    async def _written(self, work: Command | Upkeep) -> Any:
        if not self._opened:
            raise StoreUnavailable("the store is closed")
        future, mailbox = self._answers.future()
        self._writer.submit(Job(work, lambda answer: mailbox.post((future, answer))))
        return await future

    async def find(self, subject: Subject) -> Found:
        """A point look-up by primary keys, done in place: a hop to a thread would cost more than the read."""
        return self._read(lambda db: _at_one_moment(db, subject))

    async def sealed(self, call_id: str, kind: str) -> SealedRow | None:
        """Encrypted bytes of a call."""
        query = "SELECT call_id, kind, sealed FROM sealed WHERE call_id = ? AND kind = ?"
        row = self._read(lambda db: db.execute(query, (call_id, kind)).fetchone())
        return None if row is None else SealedRow(*row)

    async def calls(self, wanted: CallFilter) -> CallPage:
        """Calls, newest first."""
        return await asyncio.to_thread(self._read, lambda db: search.calls(db, wanted))

    async def job(self, job_id: str) -> JobRow | None:
        """The job of this id, in place as ``find``."""
        return self._read(lambda db: sql.load_job(db, job_id))

    async def jobs(self, wanted: JobFilter) -> JobPage:
        """Jobs, newest first."""
        return await asyncio.to_thread(self._read, lambda db: search.jobs(db, wanted))

    async def approvals(self, wanted: ApprovalFilter) -> Sequence[ApprovalRow]:
        """Approvals, oldest first where only open ones are asked for, else newest first."""
        query, values = search.approvals(wanted)
        return await self._list(query, values, sql.approval_row)

    async def revisions(self, approval_id: str) -> Sequence[RevisionRow]:
        """What edits of an approval replaced, oldest first."""
        query = f"SELECT {sql.REVISION_COLUMNS} FROM revisions WHERE approval_id = ? ORDER BY revision"
        return await self._list(query, (approval_id,), lambda row: RevisionRow(*row))

    async def grants(
        self,
        *,
        tenant: str,
        tool: str | None = None,
        active_at: int | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> Sequence[GrantRow]:
        """Grants, newest first; ``active_at`` (µs) only those that could be used then."""
        query, values = search.grants(tenant=tenant, tool=tool, active_at=active_at, before=before)
        return await self._list(query, (*values, limit), sql.grant_row)

    async def lapsed(self, limit: int = 100) -> Sequence[CallRow]:
        """Intents whose lease ran out."""
        query = (
            f"SELECT {sql.CALL_COLUMNS} FROM calls WHERE {search.IN_DOUBT} "
            "AND effect_state = 'intended' AND lease_until <= ? ORDER BY lease_until, call_id LIMIT ?"
        )
        return await self._list(query, (await self.now(), limit), sql.call_row)

    async def unknown(self, limit: int = 100) -> Sequence[CallRow]:
        """Effects in doubt."""
        query = (
            f"SELECT {sql.CALL_COLUMNS} FROM calls WHERE {search.IN_DOUBT} "
            "AND effect_state = 'unknown' ORDER BY lease_until, call_id LIMIT ?"
        )
        return await self._list(query, (limit,), sql.call_row)

    async def dispatchable(self, limit: int = 100, after: str | None = None) -> Sequence[ApprovalRow]:
        """Approvals that are approved and not consumed, in the order of their ids, those behind ``after``."""
        query = (
            f"SELECT {sql.APPROVAL_COLUMNS} FROM approvals WHERE {search.OPEN} "
            "AND state = 'approved' AND approval_id > ? ORDER BY approval_id LIMIT ?"
        )
        return await self._list(query, (after or "", limit), sql.approval_row)

    async def lapsed_grants(self, limit: int = 100) -> Sequence[GrantRow]:
        """Grants whose time ran out and that nobody has ended, the first to run out first."""
        query = (
            f"SELECT {sql.GRANT_COLUMNS} FROM grants WHERE revoked_at IS NULL AND until <= ? "
            "ORDER BY until, grant_id LIMIT ?"
        )
        return await self._list(query, (await self.now(), limit), sql.grant_row)

    async def unplanned(self, limit: int = 100) -> Sequence[NoticeRow]:
        """Notices that nobody has planned deliveries of, oldest first."""
        query = f"SELECT {sql.NOTICE_COLUMNS} FROM notices WHERE planned = 0 ORDER BY at, notice_id LIMIT ?"
        return await self._list(query, (limit,), sql.notice_row)

    async def deliveries(
        self,
        *,
        state: str,
        due: int | None = None,
        tenant: str | None = None,
        sink: str | None = None,
        limit: int = 100,
    ) -> Sequence[tuple[DeliveryRow, NoticeRow]]:
        """Deliveries in ``state`` with what they carry: those due first, or what ended, newest first."""
        query, values = search.deliveries(state=state, due=due, tenant=tenant, sink=sink)
        return await self._list(query, (*values, limit), search.delivery)

    async def changes(self, after: int | None, limit: int = 500) -> Sequence[Change]:
        """What the trail says behind ``after``, in order; None: only the newest one, to begin from."""
        columns = "SELECT seq, call_id, record FROM audit"
        if after is None:
            return await self._list(f"{columns} ORDER BY seq DESC LIMIT 1", (), _change)
        return await self._list(f"{columns} WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit), _change)

    async def newest_changes(self, *, before: int | None = None, limit: int = 50) -> Sequence[Change]:
        """The trail backwards, from before ``before`` (a ``seq``) on."""
        where, values = ("WHERE seq < ?", [before]) if before is not None else ("", [])
        query = f"SELECT seq, call_id, record FROM audit {where} ORDER BY seq DESC LIMIT ?"
        return await self._list(query, (*values, limit), _change)

    async def token(self, token_hash: str) -> TokenRow | None:
        """The token of this hash."""
        query = f"SELECT {sql.TOKEN_COLUMNS} FROM tokens WHERE token_hash = ?"
        row = self._read(lambda db: db.execute(query, (token_hash,)).fetchone())
        return None if row is None else sql.token_row(row)

    async def tokens(
        self, *, tenant: str | None = None, live_at: int | None = None, limit: int = 1000
    ) -> Sequence[TokenRow]:
        """Tokens, newest first; with ``live_at`` (µs) what came by itself only where it had not ended by then."""
        query, values = search.tokens(tenant=tenant, live_at=live_at, limit=limit)
        return await self._list(query, values, sql.token_row)

    async def records(
        self, *, call_id: str | None = None, newest: int | None = None
    ) -> AsyncIterator[StoredRecord]:
        """The trail in the order it was written, read in pages, so that a long one needs little memory."""
        where, values = ("AND a.call_id = ?", [call_id]) if call_id is not None else ("", [])
        after = await asyncio.to_thread(self._start_of, newest) if newest is not None else 0
        query = (
            "SELECT a.seq, c.chain_id, a.chain_seq, a.record, a.leaf, a.link FROM audit a "
            f"LEFT JOIN chains c USING (chain_no) WHERE a.seq > ? {where} ORDER BY a.seq LIMIT ?"
        )
        while True:
            page = await self._list(query, (after, *values, _PAGE), tuple)
            for _, chain_id, seq, record, leaf, link in page:
                yield StoredRecord(
                    chain_id=str(chain_id or ""),
                    seq=seq if isinstance(seq, int) else 0,
                    record=_as_found(record),
                    leaf_hash=_as_found(leaf),
                    link_hash=_as_found(link),
                )
            if len(page) < _PAGE:
                return
            after = page[-1][0]

    async def heads(self) -> dict[str, tuple[int, bytes]]:
        """Where each chain ends, as the writers last committed it."""
        query = "SELECT chain_id, head_seq, head_link FROM chains WHERE head_seq > 0"
        return {chain: (seq, link) for chain, seq, link in await self._list(query, (), tuple)}

    async def now(self) -> int:
        """The clock, but never before what was recorded or told."""
        row = self._read(lambda db: db.execute("SELECT at FROM audit ORDER BY seq DESC LIMIT 1").fetchone())
        self._latest = max(self._now(), self._latest, self._writer.decided_at, row[0] if row else 0)
        return self._latest

    async def announce(self) -> None:
        """Hold up the sign that a gateway keeps house on this file."""
        self._presence.announce()

    async def withdraw(self) -> None:
        """Take the sign down."""
        self._presence.withdraw()

    async def is_served(self) -> bool:
        """Whether a gateway that keeps house is open on this file, in this process or another."""
        return is_served(self.path)

    async def migrations(self) -> list[str]:
        """The migrations that the file has, oldest first."""
        rows = await self._list("SELECT version, name FROM migrations ORDER BY version", (), tuple)
        return [f"{version:04d}_{name}" for version, name in rows]

    def watch(self, wake: Callable[[], object], *, elsewhere: bool = False) -> Callable[[], None]:
        """Call ``wake`` after each commit of this process; what others write to the file is not heard of."""
        return self._watchers.add(wake, elsewhere=elsewhere)

    async def prune(self, batch: Prune, *, dry: bool = False) -> Pruned:
        """Remove one bounded batch in the writer's next group; ``dry`` only reads."""
        if dry:
            now = await self.now()
            return await asyncio.to_thread(self._read, lambda db: pruning.prune(db, batch, now, dry=True))
        pruned: Pruned = await self._written(Upkeep(lambda db, now: pruning.prune(db, batch, now, dry=False)))
        return pruned

    async def oldest(self, before: int, *, limit: int = 10_000) -> TrailCut | None:
        """The oldest records of the trail, in one bounded step."""
        return await asyncio.to_thread(self._read, lambda db: pruning.oldest(db, before, limit))

    async def turn(self, name: str, *, every: float) -> bool:
        """Whether the work of this name is the caller's to do now."""
        taken: bool = await self._written(Upkeep(lambda db, now: pruning.turn(db, name, every, now)))
        return taken

    async def turn_taken(self, name: str) -> int | None:
        """When the last turn of this name was taken."""
        return await asyncio.to_thread(self._read, lambda db: pruning.turn_taken(db, name))

    def _start_of(self, newest: int) -> int:
        query = "SELECT seq FROM audit ORDER BY seq DESC LIMIT 1 OFFSET ?"
        row = self._read(lambda db: db.execute(query, (newest,)).fetchone())
        return row[0] if row else 0

    async def _list(self, query: str, values: tuple[Any, ...], build: Callable[[Any], T]) -> list[T]:
        return await asyncio.to_thread(
            self._read, lambda db: [build(row) for row in db.execute(query, values).fetchall()]
        )

    def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return query(self._reader())
        except sqlite3.Error as broken:
            if is_of_the_file(broken):
                self._readers.connection = None
            raise StoreUnavailable(f"the store cannot be read: {broken}") from broken

    def _reader(self) -> sqlite3.Connection:
        reader: sqlite3.Connection | None = getattr(self._readers, "connection", None)
        if reader is None:
            if not self._opened:
                raise StoreUnavailable("the store is closed")
            reader = connect(self.path, busy_seconds=self._busy, writing=False)
            self._readers.connection = reader
            self._open_readers.append(reader)
        return reader


def _change(row: tuple[Any, ...]) -> Change:
    return Change(row[0], row[1], _as_found(row[2]))


def _as_found(value: object) -> bytes:
    """A column of the trail as it lies there. Edited by hand it may be anything, and verification has to say so."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def _at_one_moment(db: sqlite3.Connection, subject: Subject) -> Found:
    """All rows around ``subject``, of one moment.

    A call as it was before a commit and its approval as it is after would together say what never was true. A new
    key is one statement, which needs no transaction.
    """
    if not isinstance(subject, ByApproval | ByJob):
        found = sql.load(db, subject, {})
        if found.call is None or found.call.approval_id is None:
            return found
    db.execute("BEGIN")
    try:
        return sql.load(db, subject, {})
    finally:
        # An error of the file ends the transaction by itself, and must not be hidden behind another.
        if db.in_transaction:
            db.execute("COMMIT")
