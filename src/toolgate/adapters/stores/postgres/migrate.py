"""Makes the schema and brings it up to date. Forward only; whoever comes first does it, all others wait.

What is no ledger of this program is refused before anything of it is changed. Not here: the partitions of the trail
(``partitions``), which are made as time goes on.
"""

from __future__ import annotations

import hashlib
import re
from importlib import resources
from typing import TYPE_CHECKING, NamedTuple

import asyncpg

from toolgate.adapters.stores.postgres.faults import FAULTS, told_at_start
from toolgate.adapters.stores.postgres.rows import SEQ_STEP
from toolgate.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from toolgate.adapters.stores.postgres.address import Address

OLDEST_SERVER = 14
_LOCK = 0x54474154
"""``TGAT``: the advisory lock that migrations are made under, one for all schemas of a database."""
_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


class Migration(NamedTuple):
    """A numbered file; ``sha256`` tells whether it was edited since it was applied."""

    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        """Of the file, as it is kept beside the version."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> Iterator[Migration]:
    """All that this version knows, in order."""
    folder = resources.files(__package__) / "migrations"
    for entry in sorted(folder.iterdir(), key=lambda item: item.name):
        if match := _NAME.fullmatch(entry.name):
            yield Migration(int(match[1]), match[2], entry.read_text(encoding="utf-8"))


async def migrate(
    connection: asyncpg.Connection, address: Address, *, now: int | None, ring_id: str = ""
) -> None:
    """Apply what is missing, in one transaction, under one lock; any number of processes may start at once.

    ``now``: microseconds for ``applied_at``, None for the server's. ``ring_id`` names the keys that belong to the
    database: the first ones are remembered, others refused.

    Raises:
        ConfigurationError: if the server or the database cannot be used, the schema is another application's, an
            applied migration was edited, the database is newer than the program, or it belongs to other keys.
            Nothing was changed then.
        StoreUnavailable: if the server cannot be asked.
    """
    try:
        await _refuse_unfit(connection, address)
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            at = now if now is not None else await connection.fetchval(_CLOCK)
            await _apply_missing(connection, address, at)
            if ring_id:
                await _check_ring(connection, address, ring_id)
            await raise_base(connection)
    except FAULTS as fault:
        raise told_at_start(fault, address.shown) from None


_CLOCK = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"


async def _refuse_unfit(connection: asyncpg.Connection, address: Address) -> None:
    server = connection.get_server_version()
    if server.major < OLDEST_SERVER:
        raise ConfigurationError(
            f"store=: {address.shown} is served by PostgreSQL {server.major}; toolgate needs {OLDEST_SERVER} or newer"
        )
    encoding = await connection.fetchval("SHOW server_encoding")
    if encoding != "UTF8":
        raise ConfigurationError(
            f"store=: {address.shown} has the encoding {encoding}; create one with ENCODING 'UTF8'"
        )
    standby = await connection.fetchval(
        "SELECT pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean"
    )
    if standby:
        raise ConfigurationError(
            f"store=: {address.shown} takes no writes: it is a standby or read-only; name the primary"
        )


_RELATIONS = """
SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = $1 AND relkind IN ('r', 'p', 'v', 'm', 'f') LIMIT 100
"""
_MADE_BY_HAND = """
CREATE TABLE IF NOT EXISTS meta (key text COLLATE "C" PRIMARY KEY, value text NOT NULL);
CREATE TABLE IF NOT EXISTS migrations
    (version bigint PRIMARY KEY, name text NOT NULL, sha256 text NOT NULL, applied_at bigint NOT NULL);
"""


async def _apply_missing(connection: asyncpg.Connection, address: Address, now: int) -> None:
    there = {row[0] for row in await connection.fetch(_RELATIONS, address.schema)}
    if there and not {"meta", "migrations"} <= there:
        raise ConfigurationError(
            f"store=: the schema {address.schema} of {address.shown} is another application's and was left as it is; "
            "name one of toolgate's own with ?schema="
        )
    if not there:
        if not await connection.fetchval("SELECT to_regnamespace($1) IS NOT NULL", address.schema):
            await connection.execute(f'CREATE SCHEMA "{address.schema}"')
        await connection.execute(_MADE_BY_HAND)
    applied = {row[0]: row[1] for row in await connection.fetch("SELECT version, sha256 FROM migrations")}
    known = list(migrations())
    if newer := set(applied) - {migration.version for migration in known}:
        raise ConfigurationError(
            f"store=: the database has migration {max(newer)}, which this version of toolgate does not know; "
            "upgrade toolgate, or name another database"
        )
    for migration in known:
        if migration.version not in applied:
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO migrations VALUES ($1, $2, $3, $4)",
                migration.version,
                migration.name,
                migration.sha256,
                now,
            )
        elif applied[migration.version] != migration.sha256:
            raise ConfigurationError(
                f"store=: migration {migration.version:04d}_{migration.name} is not what was applied to the database: "
                "one of the two was edited. Install an unchanged toolgate, or restore the database from a backup"
            )


async def _check_ring(connection: asyncpg.Connection, address: Address, ring_id: str) -> None:
    await connection.execute("INSERT INTO meta VALUES ('ring_id', $1) ON CONFLICT DO NOTHING", ring_id)
    known = await connection.fetchval("SELECT value FROM meta WHERE key = 'ring_id'")
    if known != ring_id:
        raise ConfigurationError(
            f"the keys belong to another database than {address.shown}; put the right key file in place"
        )


async def raise_base(connection: asyncpg.Connection) -> None:
    """Make every ``seq`` to come greater than those that are there.

    Transactions are numbered by the server. A database that was restored into a new server has events with the numbers
    of the old one, which may be far ahead: ``seq_base`` in ``meta`` makes up for it. Inside a transaction, under the
    lock of migrations.
    """
    newest = await connection.fetchval("SELECT max(seq) FROM audit")
    here = int(await connection.fetchval("SELECT pg_current_xact_id()::text")) * SEQ_STEP
    base = int(await connection.fetchval("SELECT value FROM meta WHERE key = 'seq_base'") or 0)
    needed = 0 if newest is None else newest + 1 - here
    if newest is None or base < needed:
        await connection.execute(
            "INSERT INTO meta VALUES ('seq_base', $1) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            str(max(base, needed)),
        )


async def base_is_low(connection: asyncpg.Connection) -> bool:
    """Whether the server counts its transactions from lower numbers than when this database was last written."""
    low: bool = await connection.fetchval(
        "SELECT coalesce((SELECT max(seq) FROM audit) >= (SELECT value::bigint FROM meta WHERE key = 'seq_base') "
        f"+ pg_snapshot_xmax(pg_current_snapshot())::text::bigint * {SEQ_STEP}, false)"
    )
    return low


async def lift_base(connection: asyncpg.Connection) -> None:
    """``raise_base`` where it is needed, in a transaction of its own."""
    if await base_is_low(connection):
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            await raise_base(connection)
