"""The one writer of a process: takes commands from any thread, decides and writes them in groups.

A group is one transaction (``BEGIN IMMEDIATE`` … ``COMMIT``): many callers share one wait for the disk.
If a command of a group fails, the group is rolled back and each command is tried by itself, so that only
the broken one is refused; where the transaction itself fails (locked, full, gone), all are refused at once,
so that nobody waits for the time-outs of others. The chain's head advances in memory and is put back with the
rollback; a commit that answers an error is read again. Every command is answered, whatever happens here.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from toolgate.adapters.stores.chain import ChainHead
from toolgate.adapters.stores.sqlite import rows as sql
from toolgate.adapters.stores.sqlite.connection import connect, is_of_the_file, migrate, refuse_unfit
from toolgate.adapters.stores.sqlite.pruning import Upkeep
from toolgate.domain.approval import Vote
from toolgate.domain.audit import GENESIS
from toolgate.domain.commands import Command
from toolgate.domain.errors import StoreInDoubt, StoreUnavailable
from toolgate.domain.ledger import chain_opened_event, decide
from toolgate.domain.rows import (
    ApprovalRow,
    CallChanged,
    CallRow,
    ClaimRow,
    DeliveryRow,
    Event,
    GrantRow,
    JobMoved,
    NewCall,
    NewJob,
    NoticeRow,
    Resealed,
    Reveal,
    RevisionRow,
    Row,
    SealedRow,
    TokenRow,
    moved,
    resealed,
)

if TYPE_CHECKING:
    from pathlib import Path

    from toolgate.ports import StoreNotes

MAX_GROUP = 256
_log = logging.getLogger("toolgate")

Reply = Callable[[Any], object]
"""Called in the writer's thread with the answer, or with the exception."""


class Job(NamedTuple):
    """A command, or upkeep, and where its answer goes."""

    command: Command | Upkeep
    reply: Reply


class Writer:
    """Owns the writing connection, in a thread of its own.

    Args:
        boot_id: names this process's chain.
        ring_id: of the keys that belong to the database; empty for none.
        max_page_count: refuse to grow beyond so many pages (SQLite, PRAGMA max_page_count); None for no limit.
        told: called in the writer's thread after each commit; it raises nothing.
    """

    def __init__(
        self,
        path: Path,
        *,
        boot_id: str,
        now: Callable[[], int],
        busy_seconds: float,
        ring_id: str = "",
        max_page_count: int | None = None,
        told: Callable[[], object] = lambda: None,
    ) -> None:
        self._path = path
        self._told = told
        self._now = now
        self._busy = busy_seconds
        self._ring = ring_id
        self._max_pages = max_page_count
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._head = ChainHead(boot_id)
        self._chain_no: int | None = None
        self._at = 0
        self._fresh: dict[str, CallRow] = {}
        self._audit: list[tuple[Any, ...]] = []
        self._file: tuple[int, int] | None = None
        self._ended = False
        self._broken = False
        self._head_in_doubt = False
        self.notes: StoreNotes | None = None

    def start(self) -> None:
        """Open and migrate the database here, so that a fault shows at once, then run in the background.

        Raises:
            ConfigurationError: if the file is no ledger, newer, edited, damaged or of other keys.
            StoreUnavailable: if it cannot be written.
        """
        refuse_unfit(self._path, busy_seconds=self._busy)
        self._db = self._connect(create=True)
        try:
            migrate(self._db, self._path, now=self._now(), ring_id=self._ring)
            self._file = self._identity()
        except BaseException:
            self._db.close()
            raise
        self._ended = self._broken = False
        self._thread = threading.Thread(target=self._run, name="toolgate-writer", daemon=True)
        self._thread.start()

    @property
    def decided_at(self) -> int:
        """The store's time of the last group, whether or not it was written; it is what was told to some caller."""
        return self._at

    def submit(self, job: Job) -> None:
        """Queue a command; any thread. Answered even if the writer has ended or ends at this moment."""
        self._jobs.put(job)
        # The thread says that it ended before it clears the queue: whichever of the two comes last finds the job.
        if self._ended:
            self._refuse_rest()

    def stop(self) -> None:
        """Write what waits, then end the thread and close the connection."""
        if self._thread is not None and self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()
        self._db.close()

    def _connect(self, *, create: bool = False) -> sqlite3.Connection:
        connection = connect(self._path, busy_seconds=self._busy, writing=True, create=create)
        if self._max_pages is not None:
            connection.execute(f"PRAGMA max_page_count = {self._max_pages}")
        return connection

    def _run(self) -> None:
        try:
            while group := self._next_group():
                self._write(group)
        finally:
            self._ended = True
            self._refuse_rest()

    def _next_group(self) -> list[Job]:
        """Wait for a command and take what came with it. Empty: the writer shall end."""
        group: list[Job] = []
        job = self._jobs.get()
        while job is not None:
            group.append(job)
            if len(group) >= MAX_GROUP:
                return group
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return group
        if group:
            # The order to end came behind these: it is taken again after them.
            self._jobs.put(None)
        return group

    def _refuse_rest(self) -> None:
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            if job is not None:
                _reply(job, StoreUnavailable("the store is closed"))

    def _write(self, group: list[Job]) -> None:
        try:
            answers = self._transaction([job.command for job in group])
        except (StoreUnavailable, StoreInDoubt) as fault:
            if self.notes is not None and isinstance(fault, StoreInDoubt):
                self.notes.in_doubt()
            _refuse(group, fault)
        except Exception as broken:  # noqa: BLE001 - whatever it is, each caller must be answered
            if len(group) > 1:
                self._write_one_by_one(group)
            else:
                _refuse(group, _unavailable(broken))
        except BaseException:
            _refuse(group, StoreInDoubt("the writer was ended from outside"))
            raise
        else:
            for job, answer in zip(group, answers, strict=True):
                _reply(job, answer)
            self._told()

    def _write_one_by_one(self, group: list[Job]) -> None:
        for position, job in enumerate(group, start=1):
            try:
                self._write([job])
            except BaseException:
                _refuse(group[position:], StoreUnavailable("the writer was ended from outside"))
                raise

    def _transaction(self, commands: list[Command | Upkeep]) -> list[Any]:
        self._fresh.clear()
        self._audit.clear()
        began = time.perf_counter()
        self._begin()
        before = (*self._head.mark(), self._chain_no)
        try:
            self._at = self._time()
            if not all(isinstance(command, Upkeep) for command in commands):
                self._open_chain(self._at)
            answers = [self._decide(command, self._at) for command in commands]
            self._flush()
        except BaseException as broken:
            self._back_to(before)
            self._roll_back()
            if is_of_the_file(broken):
                self._let_go()
            raise
        self._commit(before)
        if self.notes is not None:
            self.notes.group(len(commands), time.perf_counter() - began)
        return answers

    def _begin(self) -> None:
        """Take the lock. Raises ``StoreUnavailable`` for all of the group: none of them is to blame."""
        try:
            self._check_file()
            if self._broken:
                self._reconnect()
            self._db.execute("BEGIN IMMEDIATE")
            if self._head_in_doubt:
                self._read_head()
        except sqlite3.Error as broken:
            self._roll_back()
            raise _unavailable(broken) from broken

    def _commit(self, before: tuple[int, bytes, int | None]) -> None:
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as broken:
            if not self._committed_after_all(before):
                raise _unavailable(broken) from broken

    def _back_to(self, before: tuple[int, bytes, int | None]) -> None:
        seq, link, self._chain_no = before
        self._head.back_to((seq, link))

    def _identity(self) -> tuple[int, int]:
        found = self._path.stat()
        return found.st_dev, found.st_ino

    def _check_file(self) -> None:
        """SQLite goes on writing to a file that was removed or replaced; what it keeps there nobody would find."""
        try:
            same = self._identity() == self._file
        except OSError:
            same = False
        if not same:
            raise StoreUnavailable(
                "the database file was moved or replaced while it was in use; put it back, or restart with the other"
            )

    def _time(self) -> int:
        """The clock, but never before what was recorded: a clock set back must not revive an expiry."""
        row = self._db.execute("SELECT at FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
        return max(self._now(), self._at, row[0] if row else 0)

    def _decide(self, command: Command | Upkeep, now: int) -> Any:
        if isinstance(command, Upkeep):
            return command.work(self._db, now)
        decision = decide(command, sql.load(self._db, command.subject, self._fresh), now)
        for row in decision.rows:
            self._apply(row)
        return decision.answer

    def _apply(self, row: Row) -> None:  # noqa: C901, PLR0912 - one line a kind of row is the point
        db = self._db
        match row:
            case Event(call_id, _, record):
                seq, leaf, link = self._head.extend(record)
                # The store's time, which never goes back, and not the record's own, which is its gateway's.
                self._audit.append((self._chain_no, seq, call_id, self._at, record, leaf, link))
            case NewCall(call):
                if call.call_id in self._fresh:
                    raise sqlite3.IntegrityError("two new calls of one id")
                self._fresh[call.call_id] = call
            case CallChanged(call):
                if call.call_id in self._fresh:
                    self._fresh[call.call_id] = moved(self._fresh[call.call_id], call)
                else:
                    db.execute(sql.MOVE_CALL, sql.move_values(call))
            case NewJob(job) | JobMoved(job):
                db.execute(sql.PUT_JOB, job)
            case ClaimRow():
                db.execute(sql.PUT_CLAIM, row)
            case SealedRow():
                db.execute(sql.PUT_SEALED, row)
            case ApprovalRow():
                db.execute(sql.PUT_APPROVAL, sql.approval_values(row))
            case Resealed(call_id):
                if call_id in self._fresh:
                    self._fresh[call_id] = resealed(self._fresh[call_id], row)
                else:
                    db.execute(sql.RESEAL_CALL, (*row[1:], call_id))
            case RevisionRow():
                db.execute(sql.PUT_REVISION, row)
            case Reveal():
                db.execute(sql.PUT_REVEAL, row)
            case GrantRow():
                db.execute(sql.PUT_GRANT, sql.grant_values(row))
            case NoticeRow():
                db.execute(sql.PUT_NOTICE, row)
            case DeliveryRow():
                db.execute(sql.PUT_DELIVERY, row)
            case Vote():
                db.execute(sql.ADD_VOTE, sql.vote_values(row))
            case TokenRow():
                db.execute(sql.PUT_CREDENTIAL, sql.token_values(row))

    def _flush(self) -> None:
        """Write what no decision of this group has to read back: new calls and the trail, many rows a statement."""
        if self._fresh:
            sql.insert_many(self._db, sql.INSERT_CALLS, list(self._fresh.values()))
        if self._audit:
            sql.insert_many(self._db, sql.INSERT_AUDIT, self._audit)
            self._db.execute(
                "UPDATE chains SET head_seq = ?, head_link = ? WHERE chain_no = ?",
                (self._head.seq, self._head.link, self._chain_no),
            )

    def _open_chain(self, now: int) -> None:
        if self._chain_no is not None:
            return
        heads = {
            chain: (seq, link.hex())
            for chain, seq, link in self._db.execute(
                "SELECT chain_id, head_seq, head_link FROM chains WHERE head_seq > named_seq"
            )
        }
        self._db.execute("UPDATE chains SET named_seq = head_seq WHERE head_seq > named_seq")
        cursor = self._db.execute(
            "INSERT INTO chains (chain_id, head_seq, head_link, named_seq) VALUES (?, 0, ?, 0)",
            (self._head.chain_id, self._head.link),
        )
        self._chain_no = cursor.lastrowid
        self._apply(
            chain_opened_event(at=now, known_heads=heads, boot={"toolgate.boot": self._head.chain_id})
        )

    def _roll_back(self) -> None:
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:
            self._let_go()

    def _let_go(self) -> None:
        """A connection that cannot roll back is useless; closing it rolls back and frees its lock."""
        self._broken = True
        with suppress(sqlite3.Error):
            self._db.close()

    def _reconnect(self) -> None:
        self._let_go()
        self._db = self._connect()
        self._broken = False
        if self.notes is not None:
            self.notes.reconnected()

    def _committed_after_all(self, before: tuple[int, bytes, int | None]) -> bool:
        """Read the head again on a new connection: a COMMIT that answers an error may still have happened."""
        linked = self._head.mark()
        self._head_in_doubt = True
        try:
            self._check_file()
            self._reconnect()
            self._read_head()
        except (sqlite3.Error, StoreUnavailable) as unread:
            raise StoreInDoubt("a commit failed and cannot be read again") from unread
        if linked == before[:2]:
            raise StoreInDoubt("a commit failed that left nothing in the trail to tell by")
        return self._head.mark() == linked

    def _read_head(self) -> None:
        """Where this boot's chain ends on disk, which memory did not know for certain."""
        query = "SELECT head_seq, head_link, chain_no FROM chains WHERE chain_id = ?"
        row = self._db.execute(query, (self._head.chain_id,)).fetchone()
        self._back_to((0, GENESIS, None) if row is None else row)
        self._head_in_doubt = False


def _reply(job: Job, answer: object) -> None:
    try:
        job.reply(answer)
    except Exception as error:  # noqa: BLE001 - one caller's fault must not leave the others unanswered
        _log.error("an answer of the store could not be delivered: %s", type(error).__name__)


def _refuse(group: Iterable[Job], fault: StoreUnavailable | StoreInDoubt) -> None:
    """Each its own exception: one that is raised in several tasks collects all their tracebacks."""
    for job in group:
        mine = type(fault)(*fault.args)
        mine.__cause__ = fault.__cause__
        _reply(job, mine)


def _unavailable(broken: Exception) -> StoreUnavailable:
    # The text of an error that is not the database's may hold anything.
    what = str(broken) if isinstance(broken, sqlite3.Error) else type(broken).__name__
    unavailable = StoreUnavailable(f"the store refused to write: {what}")
    unavailable.__cause__ = broken
    return unavailable
