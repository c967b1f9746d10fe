"""Which store and which keys: from what a program or a configuration says to ports that are filled."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from toolgate.adapters.keys import KeyFileUnfit, Keyring
from toolgate.adapters.stores.memory import MemoryStore
from toolgate.adapters.stores.sqlite import SqliteStore
from toolgate.domain.errors import ConfigurationError, NotBuiltYet

if TYPE_CHECKING:
    from toolgate.gateway.world import Registered
    from toolgate.ports import Clock, Keys, Store


def open_store(
    store: str | Store | None, keys: Keys | None, *, boot_id: str, clock: Clock
) -> tuple[Store, Keys]:
    """The store that ``store`` names, and its keys.

    Raises:
        ConfigurationError: if it names none, or the keys of an existing database are missing.
        NotBuiltYet: for Postgres.
    """
    if store is None:
        return MemoryStore(boot_id=boot_id, now=clock.now), keys or Keyring.ephemeral()
    if not isinstance(store, str):
        return store, keys or Keyring.ephemeral()
    if store.startswith(("postgresql://", "postgres://")):
        raise NotBuiltYet("store=: Postgres is not built yet; use sqlite:///toolgate.db")
    if store in {"memory", "memory://"}:
        return MemoryStore(boot_id=boot_id, now=clock.now), keys or Keyring.ephemeral()
    if not store.startswith("sqlite:///"):
        raise ConfigurationError(
            f"store=: {store.split(':')[0]!r} is no store; write 'sqlite:///toolgate.db'"
        )
    path = Path(store.removeprefix("sqlite:///"))
    ring = keys or open_keys(path)
    ring_id = ring.ring_id if isinstance(ring, Keyring) else ""
    return SqliteStore(path, boot_id=boot_id, now=clock.now, ring_id=ring_id), ring


def open_keys(database: Path) -> Keyring:
    """The keys beside ``database``; made with it, never made for a database that exists.

    Raises:
        ConfigurationError: if the database is there and its keys are not.
    """
    path = database.with_name(database.name + ".keys")
    # Asked first: another process that starts at this moment makes the keys before the database.
    in_use = database.exists() and database.stat().st_size > 0
    if path.exists():
        return Keyring.open(path)
    if in_use:
        raise ConfigurationError(
            f"{database.name} is there but its keys, {path.name}, are not; put them back beside it. Without them "
            "nothing that was kept encrypted can be read, and keys that were used cannot be recognised"
        )
    if not database.parent.is_dir():
        raise ConfigurationError(f"store=: the folder {database.parent} does not exist; create it first")
    try:
        return Keyring.create(path)
    except KeyFileUnfit:
        if not path.exists():
            raise
        return Keyring.open(path)


def warn_of_memory(store: Store, entries: Iterable[Registered]) -> None:
    """Say once that a store in memory forgets effects."""
    writers = [entry.contract.name for entry in entries if entry.contract.has_effects]
    if isinstance(store, MemoryStore) and writers:
        warnings.warn(
            f"{writers[0]} has effects, and the memory store forgets them when this process ends; "
            "write store='sqlite:///toolgate.db' to keep them",
            UserWarning,
            stacklevel=4,
        )
