"""How a database file stands, for a checkup: its schema, its keys, its room, whether a transaction can be written.

Nothing of it is changed: no migration is applied, and what is tried is rolled back.
"""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

from toolgate.adapters.stores.sqlite.connection import connect, known_migrations
from toolgate.domain.errors import StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

_BUSY_SECONDS = 5.0


class FileVitals(NamedTuple):
    """Sizes in bytes; ``ring`` names the keys that belong to it, ``newest`` is the time (µs) of its last record."""

    size: int
    wal: int
    reusable: int
    disk_free: int
    ring: str | None
    newest: int | None
    applied: tuple[str, ...]
    known: tuple[str, ...]


def file_vitals(path: Path) -> FileVitals:
    """Look at the file.

    Raises:
        StoreUnavailable: if it cannot be read.
    """
    try:
        with closing(connect(path, busy_seconds=_BUSY_SECONDS, writing=False)) as db:
            (page,), (free,) = (
                db.execute(f"PRAGMA {name}").fetchone() for name in ("page_size", "freelist_count")
            )
            applied = db.execute("SELECT version, name FROM migrations ORDER BY version").fetchall()
            ring = db.execute("SELECT value FROM meta WHERE key = 'ring_id'").fetchone()
            newest = db.execute("SELECT at FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
    except sqlite3.Error as broken:
        raise StoreUnavailable(f"the store cannot be read: {broken}") from broken
    log = path.with_name(path.name + "-wal")
    return FileVitals(
        size=path.stat().st_size,
        wal=log.stat().st_size if log.exists() else 0,
        reusable=page * free,
        disk_free=shutil.disk_usage(path.parent).free,
        ring=None if ring is None else str(ring[0]),
        newest=None if newest is None else int(newest[0]),
        applied=tuple(f"{version:04d}_{name}" for version, name in applied),
        known=tuple(known_migrations()),
    )


def try_to_write(path: Path) -> None:
    """Begin a transaction, write in it, and roll it back.

    Raises:
        StoreUnavailable: if that fails: locked, read-only, or full.
    """
    try:
        with closing(connect(path, busy_seconds=_BUSY_SECONDS, writing=True)) as db:
            db.execute("BEGIN IMMEDIATE")
            db.execute("INSERT OR REPLACE INTO meta VALUES ('checkup', '')")
            db.execute("ROLLBACK")
    except sqlite3.Error as broken:
        raise StoreUnavailable(f"the store refused to write: {broken}") from broken
