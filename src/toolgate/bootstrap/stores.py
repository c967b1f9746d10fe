"""Which store, which keys, which clock: from what a program or a configuration says to ports that are filled.

The driver of Postgres is an extra, and is imported only where an address asks for it. Not here: what a store does.
"""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from toolgate.adapters.clock import DatabaseClock, SystemClock
from toolgate.adapters.keys import KeyFileUnfit, Keyring
from toolgate.adapters.stores.memory import MemoryStore
from toolgate.adapters.stores.sqlite import SqliteStore
from toolgate.adapters.stores.sqlite.reading import ReadingStore
from toolgate.domain.errors import ConfigurationError
from toolgate.domain.tool import Tool

if TYPE_CHECKING:
    from toolgate.adapters.stores.postgres.store import PostgresStore
    from toolgate.ports import Clock, Keys, Store

SQLITE: Final = "sqlite:///"
POSTGRES: Final = ("postgresql://", "postgres://")
KEYS_VARIABLE: Final = "TOOLGATE_KEYS_FILE"
DEFAULT_KEYS: Final = "toolgate.keys"
_FILE: Final = "file:"


class Opened(NamedTuple):
    """A store that is not open yet, its keys, and the clock whose time it shares."""

    store: Store
    keys: Keys
    clock: Clock


def open_store(
    store: str | Store | None, keys: Keys | str | None, *, boot_id: str, clock: Clock | None = None
) -> Opened:
    """The store that ``store`` names, its keys, and the clock: ``clock`` if it is given, else the store's own.

    Raises:
        ConfigurationError: if it names none, or the keys of an existing database are missing.
        StoreUnavailable: if a Postgres database without a key file cannot be asked whether it has keys.
    """
    own = clock or SystemClock()
    given = None if isinstance(keys, str) else keys
    if store is not None and not isinstance(store, str):
        return Opened(store, given or _ring(keys) or Keyring.ephemeral(), own)
    if store is None or store in {"memory", "memory://"}:
        ring = given or _ring(keys) or Keyring.ephemeral()
        return Opened(MemoryStore(boot_id=boot_id, now=own.now), ring, own)
    ring = given or keys_of(store, _keys_file(keys))
    ring_id = ring.ring_id if isinstance(ring, Keyring) else ""
    if not is_postgres(store):
        return Opened(
            SqliteStore(sqlite_file(store), boot_id=boot_id, now=own.now, ring_id=ring_id), ring, own
        )
    driver = _postgres()
    kept = driver(store, boot_id=boot_id, now=None if clock is None else clock.now, ring_id=ring_id)
    return Opened(kept, ring, clock or DatabaseClock(lambda: kept.offset))


def open_ledger(
    store: str, ring: Keyring, *, boot_id: str, reading: bool = False
) -> SqliteStore | PostgresStore:
    """The store of a command, to look at it (``reading``) or to write to it.

    Raises:
        ConfigurationError: if ``store`` names none that is kept.
    """
    if is_postgres(store):
        driver = _postgres(reading=reading)
        return driver(store, boot_id=boot_id, ring_id=ring.ring_id)
    made = ReadingStore if reading else SqliteStore
    return made(sqlite_file(store), boot_id=boot_id, now=SystemClock().now, ring_id=ring.ring_id)


def clock_of(store: Store) -> Clock:
    """The clock whose time ``store`` shares."""
    offset = getattr(store, "offset", None)
    return SystemClock() if offset is None else DatabaseClock(lambda: getattr(store, "offset", 0))


def is_postgres(store: str) -> bool:
    """Whether ``store`` is an address of Postgres."""
    return store.startswith(POSTGRES)


def sqlite_file(store: str) -> Path:
    """The file that ``store`` names.

    Raises:
        ConfigurationError: if it names none.
    """
    if not store.startswith(SQLITE):
        raise ConfigurationError(
            f"store=: {store.partition(':')[0]!r} is no store; write 'sqlite:///toolgate.db', or "
            "'postgresql://user@host/database'"
        )
    return Path(store.removeprefix(SQLITE))


def keys_file(store: str, said: Path | None = None) -> Path:
    """Where the keys of ``store`` lie: where it is said, else beside a SQLite file, else as the environment says."""
    if said is not None:
        return said
    if not is_postgres(store):
        database = sqlite_file(store)
        return database.with_name(database.name + ".keys")
    return Path(os.environ.get(KEYS_VARIABLE) or DEFAULT_KEYS)


def open_keys(database: Path) -> Keyring:
    """The keys beside a SQLite file; see ``keys_of``."""
    return keys_of(f"{SQLITE}{database}")


def keys_of(store: str, said: Path | None = None) -> Keyring:
    """The keys of ``store``; made with the database, never made for one that was used with keys.

    Raises:
        ConfigurationError: if the database is there and its keys are not.
        StoreUnavailable: if a Postgres database cannot be asked whether it has any.
    """
    path = keys_file(store, said)
    if path.exists():
        return Keyring.open(path)
    # Asked before the file is looked for again: another process that starts at this moment makes the keys first.
    in_use = _was_used(store)
    if path.exists():
        return Keyring.open(path)
    if in_use:
        where = "put them back there" if is_postgres(store) else "put them back beside it"
        name = "the database" if is_postgres(store) else sqlite_file(store).name
        raise ConfigurationError(
            f"{name} is there but its keys, {path.name}, are not; {where}. Without them nothing that was kept "
            "encrypted can be read, and keys that were used cannot be recognised"
        )
    if not path.parent.is_dir():
        raise ConfigurationError(f"store=: the folder {path.parent} does not exist; create it first")
    try:
        return Keyring.create(path)
    except KeyFileUnfit:
        if not path.exists():
            raise
        return Keyring.open(path)


def warn_of_memory(store: Store, tools: Iterable[object]) -> None:
    """Say once that a store in memory forgets effects. What is no tool is refused elsewhere."""
    writers = [tool.contract.name for tool in tools if isinstance(tool, Tool) and tool.contract.has_effects]
    if isinstance(store, MemoryStore) and writers:
        warnings.warn(
            f"{writers[0]} has effects, and the memory store forgets them when this process ends; "
            "write store='sqlite:///toolgate.db' to keep them",
            UserWarning,
            stacklevel=4,
        )


def _keys_file(keys: Keys | str | None) -> Path | None:
    """The file that ``keys="file:PATH"`` names."""
    if not isinstance(keys, str):
        return None
    if not keys.startswith(_FILE) or keys == _FILE:
        raise ConfigurationError(f"keys=: name the file, as in '{_FILE}{DEFAULT_KEYS}'")
    return Path(keys.removeprefix(_FILE))


def _ring(keys: Keys | str | None) -> Keyring | None:
    path = _keys_file(keys)
    return None if path is None else Keyring.open(path)


def _was_used(store: str) -> bool:
    if not is_postgres(store):
        database = sqlite_file(store)
        return database.exists() and database.stat().st_size > 0
    looker = _postgres(reading=True)(store, boot_id="keys")
    # In a thread: whoever makes a gateway may have a loop running. It happens once in the life of a database.
    with ThreadPoolExecutor(max_workers=1) as apart:
        return apart.submit(lambda: asyncio.run(looker.ring())).result() is not None


def _postgres(*, reading: bool = False) -> type[PostgresStore]:
    try:
        from toolgate.adapters.stores.postgres.store import (  # noqa: PLC0415 - only with the extra, and an address
            PostgresStore,
            ReadingPostgresStore,
        )
    except ModuleNotFoundError as missing:
        if missing.name != "asyncpg":
            raise
        raise ConfigurationError(
            "store=: a Postgres database needs asyncpg, which is not installed; install toolgate[postgres]"
        ) from None
    return ReadingPostgresStore if reading else PostgresStore
