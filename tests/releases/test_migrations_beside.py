"""A newer release migrates the database while an older one works on it."""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.releases.desk import ANA, note
from toolgate import Gateway
from toolgate.adapters.keys import Keyring
from toolgate.adapters.stores.postgres.store import PostgresStore
from toolgate.domain.errors import ConfigurationError

pytestmark = pytest.mark.req("X1.29")
FUTURE = "9999_future"
STEPS = (
    # What a migration may do, for it leaves a running older release unharmed: more tables, columns that need not be
    # said, indexes.
    "CREATE TABLE futures (future_id {text} PRIMARY KEY, said {text})",
    "ALTER TABLE calls ADD COLUMN future {text}",
    "ALTER TABLE audit ADD COLUMN future {number} NOT NULL DEFAULT 0",
    "CREATE INDEX calls_future ON calls (future)",
)


async def called(gateway: Gateway, number: int) -> Any:
    return await gateway.call("note", {"order_id": number}, caller=ANA, workflow=f"w{number}")


def migrated_sqlite(path: Path) -> None:
    """What a newer release does at its start, in a process of its own."""
    sha = hashlib.sha256(b"future").hexdigest()
    script = "\n".join(
        [
            "import sqlite3, sys",
            "db = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)",
            "db.execute('BEGIN IMMEDIATE')",
            *(f"db.execute({step.format(text='TEXT', number='INTEGER')!r})" for step in STEPS),
            f"db.execute('INSERT INTO migrations VALUES (9999, ?, ?, 0)', ({FUTURE!r}, {sha!r}))",
            "db.execute('COMMIT')",
        ]
    )
    subprocess.run([sys.executable, "-I", "-c", script, str(path)], check=True, timeout=60)


async def test_on_sqlite_an_older_release_goes_on_and_does_not_start_again(tmp_path: Path) -> None:
    path = tmp_path / "gate.db"
    async with Gateway([note], store=f"sqlite:///{path}", housekeeping=None) as gateway:
        assert (await called(gateway, 1)).ok
        working = asyncio.ensure_future(asyncio.gather(*(called(gateway, number) for number in range(2, 30))))
        await asyncio.to_thread(migrated_sqlite, path)
        assert all(outcome.ok for outcome in await working)
        assert (await called(gateway, 30)).ok
        assert (await called(gateway, 1)).replayed
        await gateway.sweep()

    with pytest.raises(
        ConfigurationError, match="migration 9999, which this version of toolgate does not know"
    ):
        async with Gateway([note], store=f"sqlite:///{path}", housekeeping=None):
            pass
    with sqlite3.connect(path) as connection:
        (kept,) = connection.execute("SELECT count(*) FROM calls WHERE status = 'succeeded'").fetchone()
    connection.close()
    assert kept == 30


async def migrated_postgres(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL search_path = toolgate")
            for step in STEPS:
                await connection.execute(step.format(text="text", number="bigint"))
            sha = hashlib.sha256(b"future").hexdigest()
            await connection.execute("INSERT INTO migrations VALUES (9999, $1, $2, 0)", FUTURE, sha)
    finally:
        await connection.close()


async def test_on_postgres_an_older_release_goes_on_and_does_not_start_again(postgres_dsn: str) -> None:
    keys = Keyring.ephemeral()
    store = PostgresStore(postgres_dsn, boot_id="boot_older")
    async with Gateway([note], store=store, keys=keys, housekeeping=None) as gateway:
        assert (await called(gateway, 1)).ok
        working = asyncio.ensure_future(asyncio.gather(*(called(gateway, number) for number in range(2, 60))))
        await migrated_postgres(postgres_dsn)
        assert all(outcome.ok for outcome in await working)
        assert (await called(gateway, 60)).ok
        assert (await called(gateway, 1)).replayed
        await gateway.sweep()

    again = PostgresStore(postgres_dsn, boot_id="boot_again")
    with pytest.raises(ConfigurationError, match="migration 9999"):
        async with Gateway([note], store=again, keys=keys, housekeeping=None):
            pass


async def test_a_migration_that_takes_away_what_an_older_release_needs_closes_its_gate(
    postgres_dsn: str,
) -> None:
    """No migration does that; should one ever, the older release runs nothing that it cannot record."""
    ran: list[int] = []
    store = PostgresStore(postgres_dsn, boot_id="boot_older")
    async with Gateway([note], store=store, keys=Keyring.ephemeral(), housekeeping=None) as gateway:
        assert (await called(gateway, 1)).ok
        from tests.releases import desk

        desk.RAN.clear()
        connection = await asyncpg.connect(postgres_dsn)
        await connection.execute("ALTER TABLE toolgate.calls RENAME COLUMN owner TO holder")
        await connection.close()
        refused = await called(gateway, 2)
        ran += [number for _, number in desk.RAN]

    assert (refused.status, refused.error_type) == ("refused", "audit_unavailable")
    assert ran == []
