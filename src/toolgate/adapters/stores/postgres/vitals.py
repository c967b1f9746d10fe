"""How a Postgres ledger stands, for a checkup: its schema, its keys, its room, whether a transaction can be written.

Nothing of it is changed: no migration is applied, and what is tried is rolled back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from toolgate.adapters.stores.postgres.migrate import migrations
from toolgate.domain.errors import StoreUnavailable

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    from toolgate.adapters.stores.postgres.store import PostgresStore

_LOOK = """
SELECT pg_database_size(current_database()) AS size,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
       current_setting('max_connections')::int AS most,
       current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on' AS durable,
       (SELECT value FROM meta WHERE key = 'ring_id') AS ring
"""


class ServerVitals(NamedTuple):
    """``durable``: the server writes to its disk what it says it wrote. ``ring`` names the keys that belong to it."""

    size: int
    used: int
    most: int
    durable: bool
    ring: str | None
    applied: tuple[str, ...]
    known: tuple[str, ...]


async def server_vitals(store: PostgresStore) -> ServerVitals:
    """Look at the database of an open store.

    Raises:
        StoreUnavailable: if it cannot be read.
    """
    applied = await store.migrations()
    row = await store.link.read(lambda db: db.fetchrow(_LOOK))
    if row is None:
        raise StoreUnavailable("the server did not answer")
    known = tuple(f"{one.version:04d}_{one.name}" for one in migrations())
    return ServerVitals(
        row["size"], row["used"], row["most"], row["durable"], row["ring"], tuple(applied), known
    )


async def try_to_write(store: PostgresStore) -> None:
    """Begin a transaction, write in it, and roll it back.

    Raises:
        StoreUnavailable: if that fails.
    """
    await store.link.read(_tried)


async def _tried(db: PoolConnectionProxy) -> None:
    tried = db.transaction()
    await tried.start()
    try:
        await db.execute("INSERT INTO meta VALUES ('checkup', '') ON CONFLICT DO NOTHING")
    finally:
        await tried.rollback()
