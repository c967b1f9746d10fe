"""A ledger opened to be looked at: nothing is migrated, no writer is started, no chain is begun.

What it reads is what every other process has committed, live. Not here: writing (``store``, ``writer``).
"""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolgate.adapters.stores.sqlite.connection import connect, refuse_unfit
from toolgate.adapters.stores.sqlite.store import SqliteStore
from toolgate.domain.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from toolgate.adapters.stores.sqlite.pruning import Upkeep
    from toolgate.domain.commands import Command

_BUSY_SECONDS = 5.0


class ReadingStore(SqliteStore):
    """As ``SqliteStore``, and every command is refused."""

    async def open(self) -> None:
        """Check that the file is a ledger with its schema.

        Raises:
            ConfigurationError: if it is missing, no ledger, or waits for ``toolgate migrate``.
            StoreUnavailable: if it is locked or cannot be read.
        """
        await asyncio.to_thread(refuse_unfit, self.path, busy_seconds=_BUSY_SECONDS)
        if not await asyncio.to_thread(applied_migrations, self.path):
            raise ConfigurationError(
                f"store=: {self.path.name} is no ledger yet; `toolgate migrate` makes it one"
            )
        self._opened = True

    async def close(self) -> None:
        """Close every connection."""
        self._opened = False
        for reader in self._open_readers:
            reader.close()
        self._open_readers.clear()

    async def _written(self, work: Command | Upkeep) -> Any:  # noqa: ARG002 - as it is elsewhere
        raise StoreUnavailable("the store was opened for reading alone")


def applied_migrations(path: Path) -> list[str]:
    """The migrations that the database at ``path`` has, oldest first; none where there is no ledger.

    Raises:
        StoreUnavailable: if it cannot be read.
    """
    if not path.exists():
        return []
    try:
        with closing(connect(path, busy_seconds=_BUSY_SECONDS, writing=False)) as connection:
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'migrations'").fetchone():
                return []
            rows = connection.execute("SELECT version, name FROM migrations ORDER BY version").fetchall()
    except sqlite3.Error as broken:
        raise StoreUnavailable(f"the store cannot be read: {broken}") from broken
    return [f"{version:04d}_{name}" for version, name in rows]
