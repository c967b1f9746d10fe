"""Every row of a ledger, held still while it is read, for a copy elsewhere. Nothing of it is changed.

Not here: where the rows go, and whether they may (``bootstrap.copy_store``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from toolgate.adapters.stores.sqlite.connection import connect, known_migrations
from toolgate.domain.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from pathlib import Path

_BUSY_SECONDS: Final = 5.0
_BOOLEANS: Final = {"workflow_explicit", "attach_only", "must_reveal", "planned", "rerun"}
TABLES: Final = (
    "chains",
    "calls",
    "claims",
    "approvals",
    "votes",
    "revisions",
    "reveals",
    "sealed",
    "grants",
    "tokens",
    "notices",
    "deliveries",
    "jobs",
    "tombstones",
    "cuts",
    "audit",
)
"""What a ledger is made of; the trail comes last. Turns begin anew, and ``meta`` is each database's own."""


class TableDump(NamedTuple):
    """A table: ``rows`` can be read once, in the order of ``columns``."""

    name: str
    columns: tuple[str, ...]
    total: int
    rows: Iterator[tuple[Any, ...]]


class Dump(NamedTuple):
    """A ledger that stands still. ``months``: a time (µs) in each month that the trail has records of."""

    ring: str | None
    open_jobs: int
    months: tuple[int, ...]
    tables: tuple[TableDump, ...]


@contextmanager
def held_still(path: Path) -> Iterator[Dump]:
    """The ledger at ``path``; nobody else writes to it until the block ends.

    Raises:
        ConfigurationError: if its schema is not this version's.
        StoreUnavailable: if it cannot be read, or somebody writes to it.
    """
    try:
        with closing(connect(path, busy_seconds=_BUSY_SECONDS, writing=True)) as db:
            db.execute("BEGIN IMMEDIATE")
            applied = [
                f"{number:04d}_{name}" for number, name in db.execute("SELECT version, name FROM migrations")
            ]
            if sorted(applied) != known_migrations():
                raise ConfigurationError(
                    f"{path.name} has another schema than this version; toolgate migrate first"
                )
            yield _dump(db)
            db.execute("ROLLBACK")
    except sqlite3.Error as broken:
        raise StoreUnavailable(f"the store cannot be read: {broken}") from broken


def _dump(db: sqlite3.Connection) -> Dump:
    ring = db.execute("SELECT value FROM meta WHERE key = 'ring_id'").fetchone()
    waiting = (
        "SELECT count(*) FROM jobs j JOIN calls c USING (call_id) WHERE c.status IN ('started', 'running')"
    )
    months = "SELECT min(at) FROM audit GROUP BY strftime('%Y-%m', at / 1000000, 'unixepoch')"
    return Dump(
        None if ring is None else str(ring[0]),
        int(db.execute(waiting).fetchone()[0]),
        tuple(at for (at,) in db.execute(months)),
        tuple(_table(db, name) for name in TABLES),
    )


def _table(db: sqlite3.Connection, name: str) -> TableDump:
    columns = tuple(row[1] for row in db.execute(f"PRAGMA table_info({name})"))
    (count,) = db.execute(f"SELECT count(*) FROM {name}").fetchone()
    return TableDump(name, columns, count, _rows(db, name, columns))


def _rows(db: sqlite3.Connection, name: str, columns: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    flags = [place for place, column in enumerate(columns) if column in _BOOLEANS]
    for row in db.execute(f"SELECT {', '.join(columns)} FROM {name}"):
        if not flags:
            yield row
            continue
        values = list(row)
        for place in flags:
            values[place] = bool(values[place])
        yield tuple(values)
