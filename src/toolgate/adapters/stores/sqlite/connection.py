"""Opening the database file, and bringing its schema up to date. The only place that sets a PRAGMA.

What is no ledger of this program is refused before anything of it is changed. Not here: the statements of
the ledger itself (``rows``), and who may write (``writer``).
"""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import time
from contextlib import closing
from importlib import resources
from typing import TYPE_CHECKING

from toolgate.domain.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APPLICATION_ID = 0x54474154
"""``TGAT``, in the file's header (SQLite, PRAGMA application_id): how a ledger is told from any other database."""

_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
_WAL_RETRY = 0.005
"""Seconds between two attempts to switch a new file to WAL."""


def connect(path: Path, *, busy_seconds: float, writing: bool, create: bool = False) -> sqlite3.Connection:
    """A connection in autocommit mode, WAL, ``synchronous=FULL``.

    FULL, because NORMAL may lose the last commits on power loss (SQLite, PRAGMA synchronous), and a lost
    intent is an effect that nobody remembers. Only ``create`` makes a file: a ledger that vanished while it
    was in use must not come back empty.

    Raises:
        StoreUnavailable: if the file cannot be opened as a database.
    """
    uri = f"{path.absolute().as_uri()}?mode=rw"
    try:
        if create:
            _make_private(path)
        connection = sqlite3.connect(
            uri,
            uri=True,
            timeout=busy_seconds,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            _set_up(connection, busy_seconds=busy_seconds, writing=writing)
        except BaseException:
            connection.close()
            raise
    except sqlite3.Error as broken:
        raise StoreUnavailable(f"the database cannot be opened: {broken}") from broken
    return connection


def _make_private(path: Path) -> None:
    """An empty file for its owner alone, unless there is one: the trail is redacted, and still nobody else's.

    SQLite gives its -wal and -shm files the same mode.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    except OSError as refused:
        raise sqlite3.OperationalError(
            f"unable to create the database file ({refused.strerror})"
        ) from refused


def _set_up(connection: sqlite3.Connection, *, busy_seconds: float, writing: bool) -> None:
    connection.execute(f"PRAGMA busy_timeout = {int(busy_seconds * 1000)}")
    if writing:
        _use_wal(connection, busy_seconds)
        connection.execute("PRAGMA synchronous = FULL")
        # On macOS fsync leaves the data in the drive's cache; elsewhere this changes nothing.
        connection.execute("PRAGMA fullfsync = ON")
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
    else:
        connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA cache_size = -65536")


def _use_wal(connection: sqlite3.Connection, busy_seconds: float) -> None:
    """SQLite does not wait for this lock by itself, so processes that start together on a new file wait here."""
    until = time.monotonic() + busy_seconds
    while True:
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        except sqlite3.OperationalError as broken:
            if primary_code(broken) != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
            time.sleep(_WAL_RETRY)
            continue
        if mode != "wal":
            raise StoreUnavailable(
                f"the database cannot use a write-ahead log here (its journal is {mode!r}); put it on a local disk"
            )
        return


def refuse_unfit(path: Path, *, busy_seconds: float) -> None:
    """Look at what lies at ``path`` and change nothing of it. A missing or empty file is fit: it becomes a ledger.

    Raises:
        ConfigurationError: if it is no database, another application's, or damaged.
        StoreUnavailable: if it is locked.
    """
    if path.is_dir():
        raise ConfigurationError(f"store=: {path.name!r} is a folder; name a file in it, such as toolgate.db")
    if not path.parent.is_dir():
        raise ConfigurationError(f"store=: the folder of {path.name!r} does not exist; create it first")
    if not path.exists():
        return
    try:
        with closing(connect(path, busy_seconds=busy_seconds, writing=False)) as connection:
            _refuse_foreign(connection, path.name)
    except StoreUnavailable as unopened:
        raise _told_at_start(unopened.__cause__, path.name) or unopened from unopened
    except sqlite3.Error as broken:
        raise _told_at_start(broken, path.name) or _unmigrated(broken) from broken


def _refuse_foreign(connection: sqlite3.Connection, name: str) -> bool:
    """Whether the database is new, so that it still has to be marked as ours."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application == APPLICATION_ID or (application == 0 and tables == 0):
        return bool(application == 0)
    raise ConfigurationError(
        f"store=: {name} is a database of another application and was left as it is; name a file of toolgate's own"
    )


def _told_at_start(broken: BaseException | None, name: str) -> ConfigurationError | None:
    """What an operator can do about a file that SQLite refuses; None where waiting may help."""
    if not isinstance(broken, sqlite3.Error):
        return None
    match primary_code(broken):
        case sqlite3.SQLITE_NOTADB:
            return ConfigurationError(
                f"store=: {name} is no SQLite database, or its beginning is damaged; name another file, or restore it"
            )
        case sqlite3.SQLITE_CORRUPT:
            return ConfigurationError(f"store=: {name} is damaged ({broken}); restore it from a backup")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return ConfigurationError(
                f"store=: {name} cannot be written ({broken}); give this user the right to write it and its folder"
            )
        case _:
            return None


def primary_code(broken: sqlite3.Error) -> int:
    """SQLite's primary result code: the low byte of the extended one; 0 for an error of the Python module."""
    return getattr(broken, "sqlite_errorcode", 0) & 0xFF


_OF_THE_FILE = frozenset(
    {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
)


def is_of_the_file(broken: BaseException) -> bool:
    """Whether the file or the disk failed: the pages that the connection remembers are worth nothing any more."""
    return isinstance(broken, sqlite3.Error) and primary_code(broken) in _OF_THE_FILE


def migrate(connection: sqlite3.Connection, path: Path, *, now: int, ring_id: str = "") -> None:
    """Apply what is missing, in order, under the writer's lock; several processes may start at once.

    ``ring_id`` names the keys that belong to the database: the first ones are remembered, others refused.

    Raises:
        ConfigurationError: if an applied migration was edited, the database is newer than the program, damaged or
            belongs to other keys. Nothing was changed then.
        StoreUnavailable: if the database cannot be written.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _refuse_foreign(connection, path.name):
                connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            _apply_missing(connection, now)
            _touch_every_table(connection)
            if ring_id:
                _check_ring(connection, path.name, ring_id)
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    except sqlite3.Error as broken:
        raise _told_at_start(broken, path.name) or _unmigrated(broken) from broken


def _unmigrated(broken: sqlite3.Error) -> StoreUnavailable:
    return StoreUnavailable(f"the database cannot be made ready: {broken}")


def _apply_missing(connection: sqlite3.Connection, now: int) -> None:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations "
        "(version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, applied_at INTEGER NOT NULL)"
    )
    applied: dict[int, str] = dict(connection.execute("SELECT version, sha256 FROM migrations"))
    known = list(_migrations())
    if newer := set(applied) - {version for version, _, _ in known}:
        raise ConfigurationError(
            f"store=: the database has migration {max(newer)}, which this version of toolgate does not know; "
            "upgrade toolgate, or name another file"
        )
    for version, name, sql in known:
        sha = hashlib.sha256(sql.encode()).hexdigest()
        if version in applied:
            if applied[version] != sha:
                raise ConfigurationError(
                    f"store=: migration {version:04d}_{name} is not what was applied to the database: one of the two "
                    "was edited. Install an unchanged toolgate, or restore the database from a backup"
                )
            continue
        for statement in _statements(sql):
            connection.execute(statement)
        connection.execute("INSERT INTO migrations VALUES (?, ?, ?, ?)", (version, name, sha, now))


def _touch_every_table(connection: sqlite3.Connection) -> None:
    """Read a row of each table: damage near the roots shows now. What lies deeper closes the gate when it is read."""
    names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for name in names:
        connection.execute(f'SELECT * FROM "{name}" LIMIT 1').fetchone()
    connection.execute("SELECT at FROM audit ORDER BY seq DESC LIMIT 1").fetchone()


def _check_ring(connection: sqlite3.Connection, name: str, ring_id: str) -> None:
    connection.execute("INSERT OR IGNORE INTO meta VALUES ('ring_id', ?)", (ring_id,))
    (known,) = connection.execute("SELECT value FROM meta WHERE key = 'ring_id'").fetchone()
    if known != ring_id:
        raise ConfigurationError(
            f"the keys beside {name} belong to another database; put the right key file back"
        )


def known_migrations() -> list[str]:
    """What this version of the program knows, oldest first."""
    return [f"{version:04d}_{name}" for version, name, _ in _migrations()]


def _migrations() -> Iterator[tuple[int, str, str]]:
    folder = resources.files(__package__) / "migrations"
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if match := _NAME.fullmatch(entry.name):
            yield int(match[1]), match[2], entry.read_text(encoding="utf-8")


def _statements(sql: str) -> Iterator[str]:
    """The statements of a script; ``executescript`` would commit the transaction that they belong to."""
    pending = ""
    for line in sql.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
