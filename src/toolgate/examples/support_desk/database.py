"""The desk's SQLite database: creating it, connecting to it, and one kind of transaction.

Belongs here: connections and nothing else. The statements stand with the noun they are about.
"""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from importlib import resources
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_SECONDS = 5.0


class DeskMissingError(RuntimeError):
    """There is no desk at the given path. The application's fault: create one first."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the desk at `path`.

    The connection may be handed from the event loop to a worker thread and back (a synchronous tool runs in
    one), but it belongs to one call and is never used by two threads at the same time.

    Raises:
        DeskMissingError: no database was created at `path`.
    """
    if not path.is_file():
        raise DeskMissingError(
            f"no support desk at {path.name!r}; make one: World.create(path), or `toolgate demo --keep DIR`"
        )
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def create(path: Path) -> sqlite3.Connection:
    """Create an empty desk at `path` and open it.

    Raises:
        FileExistsError: something is at `path` already; it is left alone.
    """
    path.touch(mode=0o600, exist_ok=False)
    connection = connect(path)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(resources.files(__package__).joinpath("schema.sql").read_text(encoding="utf-8"))
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Do several statements or none of them.

    `BEGIN IMMEDIATE` takes the write lock first, so what a rule reads is still true when its row is written.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
