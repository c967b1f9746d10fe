"""The one writer of a process: takes commands from any thread, decides and writes them in groups.

A group is one transaction (``BEGIN IMMEDIATE`` … ``COMMIT``): many callers share one wait for the disk.
If any command of a group fails, the group is rolled back and each command is tried by itself, so that
only the broken one is refused. The chain's head advances in memory and is put back with the rollback.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from toolgate.adapters.stores.chain import ChainHead
from toolgate.adapters.stores.sqlite import rows as sql
from toolgate.adapters.stores.sqlite.connection import connect, migrate
from toolgate.domain.approval import Vote
from toolgate.domain.commands import Answer, Command
from toolgate.domain.errors import StoreInDoubt, StoreUnavailable
from toolgate.domain.ledger import chain_opened_event, decide
from toolgate.domain.rows import (
    ApprovalRow,
    CallChanged,
    CallRow,
    ClaimRow,
    Event,
    NewCall,
    Row,
    SealedRow,
    TokenRow,
)

if TYPE_CHECKING:
    from pathlib import Path

MAX_GROUP = 256

Reply = Callable[[Any], object]
"""Called in the writer's thread with the answer, or with the exception."""


class Job(NamedTuple):
    command: Command
    reply: Reply


class Writer:
    """Owns the writing connection, in a thread of its own.

    Args:
        boot_id: names this process's chain.
        max_page_count: refuse to grow beyond so many pages (SQLite, PRAGMA max_page_count); None for no limit.
    """

    def __init__(
        self,
        path: Path,
        *,
        boot_id: str,
        now: Callable[[], int],
        busy_seconds: float,
        max_page_count: int | None = None,
    ) -> None:
        self._path = path
        self._now = now
        self._busy = busy_seconds
        self._max_pages = max_page_count
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._head = ChainHead(boot_id)
        self._chain_no: int | None = None
        self._high_water = 0
        self._fresh: dict[str, CallRow] = {}
        self._audit: list[tuple[Any, ...]] = []

    def start(self) -> None:
        """Open and migrate the database here, so that a fault shows at once, then run in the background."""
        self._db = self._connect()
        migrate(self._db, now=self._now())
        self._thread = threading.Thread(target=self._run, name="toolgate-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a command; any thread."""
        self._jobs.put(job)

    def stop(self) -> None:
        """Write what waits, then end the thread and close the connection."""
        if self._thread is not None and self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join()
        self._db.close()

    def _connect(self) -> sqlite3.Connection:
        connection = connect(self._path, busy_seconds=self._busy, writing=True)
        if self._max_pages is not None:
            connection.execute(f"PRAGMA max_page_count = {self._max_pages}")
        return connection

    def _run(self) -> None:
        while (first := self._jobs.get()) is not None:
            group = [first]
            last = False
            while len(group) < MAX_GROUP:
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if job is None:
                    last = True
                    break
                group.append(job)
            self._write(group)
            if last:
                break
        self._refuse_rest()

    def _refuse_rest(self) -> None:
        while True:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                return
            if job is not None:
                job.reply(StoreUnavailable("the store is closed"))

    def _write(self, group: list[Job]) -> None:
        try:
            answers = self._transaction([job.command for job in group])
        except StoreInDoubt as doubt:
            for job in group:
                job.reply(doubt)
            return
        except Exception as broken:  # noqa: BLE001 - whatever it is, each caller must be answered
            if len(group) > 1:
                for job in group:
                    self._write([job])
                return
            group[0].reply(_unavailable(broken))
            return
        for job, answer in zip(group, answers, strict=True):
            job.reply(answer)

    def _transaction(self, commands: list[Command]) -> list[Answer]:
        mark, chain_no = self._head.mark(), self._chain_no
        self._fresh.clear()
        self._audit.clear()
        try:
            self._db.execute("BEGIN IMMEDIATE")
            now = self._time()
            self._open_chain(now)
            answers = [self._decide(command, now) for command in commands]
            self._flush()
        except BaseException:
            self._head.back_to(mark)
            self._chain_no = chain_no
            self._roll_back()
            raise
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as broken:
            if not self._committed_after_all(broken):
                self._head.back_to(mark)
                self._chain_no = chain_no
                raise
        return answers

    def _time(self) -> int:
        """The clock, but never before what was recorded: a clock set back must not revive an expiry."""
        row = self._db.execute("SELECT at FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
        self._high_water = max(self._now(), self._high_water, row[0] if row else 0)
        return self._high_water

    def _decide(self, command: Command, now: int) -> Answer:
        decision = decide(command, sql.load(self._db, command.subject, self._fresh), now)
        for row in decision.rows:
            self._apply(row)
        return decision.answer

    def _apply(self, row: Row) -> None:  # noqa: C901 - one line a kind of row is the point
        db = self._db
        match row:
            case Event(call_id, at, record):
                seq, leaf, link = self._head.extend(record)
                self._audit.append((self._chain_no, seq, call_id, at, record, leaf, link))
            case NewCall(call):
                self._fresh[call.call_id] = call
            case CallChanged(call):
                if call.call_id in self._fresh:
                    self._fresh[call.call_id] = call
                else:
                    db.execute(sql.MOVE_CALL, sql.move_values(call))
            case ClaimRow():
                db.execute(sql.PUT_CLAIM, row)
            case SealedRow():
                db.execute(sql.PUT_SEALED, row)
            case ApprovalRow():
                db.execute(sql.PUT_APPROVAL, row)
            case Vote():
                db.execute(sql.ADD_VOTE, sql.vote_values(row))
            case TokenRow():
                db.execute(sql.PUT_TOKEN, sql.token_values(row))

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
        self._apply(chain_opened_event(at=now, known_heads=heads, boot={"toolgate.boot": self._head.chain_id}))

    def _roll_back(self) -> None:
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except sqlite3.Error:
            self._reconnect()

    def _reconnect(self) -> None:
        """A connection that cannot roll back is useless; closing it rolls back."""
        self._db.close()
        self._db = self._connect()

    def _committed_after_all(self, broken: sqlite3.Error) -> bool:
        """Read the head again on a new connection: a COMMIT that answers an error may still have happened."""
        try:
            self._reconnect()
            row = self._db.execute(
                "SELECT head_seq, head_link FROM chains WHERE chain_id = ?", (self._head.chain_id,)
            ).fetchone()
        except (sqlite3.Error, StoreUnavailable) as unread:
            raise StoreInDoubt("a commit failed and cannot be read again") from unread
        committed: bool = row is not None and tuple(row) == self._head.mark()
        return committed


def _unavailable(broken: BaseException) -> StoreUnavailable:
    if isinstance(broken, StoreUnavailable):
        return broken
    unavailable = StoreUnavailable(f"the store refused to write: {broken}")
    unavailable.__cause__ = broken
    return unavailable
