"""Opening the database file, and bringing its schema up to date. The only place that sets a PRAGMA."""

from __future__ import annotations

import hashlib
import re
import sqlite3
from importlib import resources
from typing import TYPE_CHECKING

from toolgate.domain.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


def connect(path: Path, *, busy_seconds: float, writing: bool) -> sqlite3.Connection:
    """A connection in autocommit mode, WAL, ``synchronous=FULL``.

    FULL, because NORMAL may lose the last commits on power loss (SQLite, PRAGMA synchronous), and a lost
    intent is an effect that nobody remembers.

    Raises:
        StoreUnavailable: if the file cannot be opened as a database.
    """
    try:
        connection = sqlite3.connect(
            path, timeout=busy_seconds, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        connection.execute(f"PRAGMA busy_timeout = {int(busy_seconds * 1000)}")
        if writing:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA wal_autocheckpoint = 4000")
        else:
            connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA cache_size = -65536")
    except sqlite3.Error as broken:
        raise StoreUnavailable(f"the database cannot be opened: {broken}") from broken
    return connection


def migrate(connection: sqlite3.Connection, *, now: int) -> None:
    """Apply what is missing, in order, under the writer's lock; several processes may start at once.

    Raises:
        ConfigurationError: if an applied migration was edited, or the database is newer than the program.
        StoreUnavailable: if the database cannot be written.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            _apply_missing(connection, now)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    except sqlite3.Error as broken:
        raise StoreUnavailable(f"the database cannot be migrated: {broken}") from broken


def _apply_missing(connection: sqlite3.Connection, now: int) -> None:
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations "
        "(version INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL, applied_at INTEGER NOT NULL)"
    )
    applied = {version: sha for version, sha in connection.execute("SELECT version, sha256 FROM migrations")}
    known = list(_migrations())
    if newer := set(applied) - {version for version, _, _ in known}:
        raise ConfigurationError(
            f"the database has migration {max(newer)}, which this version of toolgate does not know; upgrade toolgate"
        )
    for version, name, sql in known:
        sha = hashlib.sha256(sql.encode()).hexdigest()
        if version in applied:
            if applied[version] != sha:
                raise ConfigurationError(f"migration {version:04d}_{name} was edited after it was applied")
            continue
        for statement in _statements(sql):
            connection.execute(statement)
        connection.execute("INSERT INTO migrations VALUES (?, ?, ?, ?)", (version, name, sha, now))


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
