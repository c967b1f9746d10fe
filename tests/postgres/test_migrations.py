"""Opening a Postgres database: made ready by whoever comes first, refused in words where it is not fit."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.ledger import rows as make
from tests.postgres.ledgers import opened, settled, verified
from toolgate.adapters.stores.postgres.link import Patience
from toolgate.adapters.stores.postgres.migrate import migrations
from toolgate.adapters.stores.postgres.partitions import month_of
from toolgate.adapters.stores.postgres.store import PostgresStore
from toolgate.domain.commands import Done
from toolgate.domain.errors import ConfigurationError, StoreUnavailable
from toolgate.domain.rows import ByCall

if TYPE_CHECKING:
    from tests.postgres.server import PostgresServer

ROOT = Path(__file__).parents[2]
HASTY = Patience(connect=30, outage=0.2)
DAY = 86_400_000_000

STARTER = """
import asyncio, sys
from tests.ledger import rows as make
from toolgate.adapters.stores.postgres.store import PostgresStore

async def main(dsn, boot, count):
    store = PostgresStore(dsn, boot_id=boot)
    print("ready", flush=True)
    sys.stdin.readline()
    await store.open()
    for number in range(int(count)):
        await store.execute(make.record(f"call_{boot}_{number:03}"))
    await store.close()
    print("done", flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def run_together(dsn: str, boots: list[str], *, count: int) -> None:
    """Start one process a boot, let all of them go at the same moment, and expect each to end well."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", STARTER, dsn, boot, str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for boot in boots
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        said, complaint = process.communicate(timeout=100)
        assert (process.returncode, said, complaint) == (0, "done\n", "")


async def ask(dsn: str, sql: str, *values: object, schema: str = "toolgate") -> list[Any]:
    connection = await asyncpg.connect(dsn, server_settings={"search_path": schema})
    try:
        return list(await connection.fetch(sql, *values))
    finally:
        await connection.close()


async def refused(
    dsn: str, kind: type[Exception] = ConfigurationError, *, secret: str = "hunter2", **given: str
) -> str:
    store = PostgresStore(dsn, boot_id="boot_a", patience=HASTY, **given)  # type: ignore[arg-type]
    with pytest.raises(kind) as refusal:
        await store.open()
    told = "".join(map(str, (refusal.value, refusal.value.__cause__, refusal.value.args)))
    assert secret not in told
    return str(refusal.value)


# --- together -------------------------------------------------------------------------------------------------


@pytest.mark.req("X1.19", "X5.10")
async def test_four_processes_start_at_once_on_an_empty_database(empty_postgres_dsn: str) -> None:
    run_together(empty_postgres_dsn, ["boot_1", "boot_2", "boot_3", "boot_4"], count=5)

    async with opened(empty_postgres_dsn, "boot_5", now=None) as store:
        await store.execute(make.record("call_last"))
        heads = await store.heads()
        assert heads.keys() == {f"boot_{number}" for number in "12345"}
        assert {seq for chain, (seq, _) in heads.items() if chain != "boot_5"} == {6}
        assert await verified(store) == 26
    applied = await ask(empty_postgres_dsn, "SELECT version, sha256 FROM migrations ORDER BY version")
    assert [tuple(row) for row in applied] == [(known.version, known.sha256) for known in migrations()]


@pytest.mark.req("X1.19")
async def test_two_ledgers_lie_side_by_side_in_two_schemas(empty_postgres_dsn: str) -> None:
    other = (
        f"{empty_postgres_dsn}&schema=desk_2"
        if "?" in empty_postgres_dsn
        else f"{empty_postgres_dsn}?schema=desk_2"
    )
    async with opened(empty_postgres_dsn) as first, opened(other) as second:
        await first.execute(make.record("call_1"))
        assert (await second.find(ByCall("call_1"))).call is None
        assert isinstance(await second.execute(make.record("call_1")), Done)


@pytest.mark.req("X1.25")
async def test_what_a_migration_made_is_what_a_new_database_has(postgres_dsn: str) -> None:
    async with opened(postgres_dsn):
        pass
    tables = {
        row[0]
        for row in await ask(postgres_dsn, "SELECT tablename FROM pg_tables WHERE schemaname = 'toolgate'")
    }
    assert {"calls", "claims", "approvals", "audit", "chains", "jobs", "limits", "breakers", "meta"} <= tables


# --- refused --------------------------------------------------------------------------------------------------


@pytest.mark.req("X1.24")
async def test_a_schema_of_another_application_is_refused_and_left_as_it_is(empty_postgres_dsn: str) -> None:
    await ask(empty_postgres_dsn, "CREATE SCHEMA toolgate")
    await ask(empty_postgres_dsn, "CREATE TABLE migrations (id bigint)")

    assert "another application's" in await refused(empty_postgres_dsn)

    assert [
        row[0]
        for row in await ask(
            empty_postgres_dsn, "SELECT tablename FROM pg_tables WHERE schemaname = 'toolgate'"
        )
    ] == ["migrations"]


@pytest.mark.req("X1.24")
async def test_an_empty_schema_that_somebody_made_becomes_a_ledger(empty_postgres_dsn: str) -> None:
    await ask(empty_postgres_dsn, "CREATE SCHEMA toolgate")

    async with opened(empty_postgres_dsn) as store:
        assert isinstance(await store.execute(make.record()), Done)


@pytest.mark.req("X1.24")
async def test_a_newer_database_is_refused(postgres_dsn: str) -> None:
    await ask(postgres_dsn, "INSERT INTO migrations VALUES (999, 'later', 'x', 0)")

    said = await refused(postgres_dsn)

    assert "has migration 999" in said
    assert "upgrade toolgate" in said


@pytest.mark.req("X1.19", "X1.24")
async def test_an_edited_migration_is_refused(postgres_dsn: str) -> None:
    await ask(postgres_dsn, "UPDATE migrations SET sha256 = 'another' WHERE version = 1")

    assert "0001_ledger is not what was applied" in await refused(postgres_dsn)


@pytest.mark.req("X1.24")
async def test_the_keys_of_another_database_are_refused(postgres_dsn: str) -> None:
    store = PostgresStore(postgres_dsn, boot_id="boot_a", ring_id="ring_1")
    await store.open()
    await store.close()

    assert "the keys belong to another database" in await refused(postgres_dsn, ring_id="ring_2")


@pytest.mark.req("X1.24")
async def test_a_database_of_another_encoding_is_refused(private_postgres: PostgresServer) -> None:
    private_postgres.execute(
        "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
    )

    assert "ENCODING 'UTF8'" in await refused(private_postgres.dsn("latin"))


@pytest.mark.req("X1.24", "X1.46")
async def test_a_user_or_a_server_that_cannot_be_used_is_told_without_the_password(
    private_postgres: PostgresServer,
) -> None:
    private_postgres.create("ledger")
    hba = private_postgres.data / "pg_hba.conf"
    hba.write_text("local all guarded scram-sha-256\nlocal all barred reject\n" + hba.read_text())
    private_postgres.execute("SELECT pg_reload_conf()")
    for name in ("guarded", "barred", "guest", "reader"):
        private_postgres.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'right'")
    private_postgres.execute("ALTER ROLE reader SET default_transaction_read_only = on")

    def way(user: str, database: str = "ledger") -> str:
        return private_postgres.dsn(database).replace("toolgate@", f"{user}:hunter2@")

    assert "the password is not the one of this user" in await refused(way("guarded"))
    assert "this user may not connect" in await refused(way("barred"))
    assert "there is no such database" in await refused(way("toolgate", "nowhere"))
    assert "lacks a right" in await refused(way("guest"))
    assert "takes no writes" in await refused(way("reader"))
    private_postgres.stop("immediate")
    assert "cannot be used" in await refused(way("toolgate"), StoreUnavailable)
    assert "cannot be used" in await refused("postgresql://toolgate:hunter2@127.0.0.1:9/x", StoreUnavailable)


@pytest.mark.req("X1.46")
@pytest.mark.parametrize(
    "store",
    [
        "postgresql://toolgate:hunter2@host:port/x",
        "postgresql://toolgate:hunter2@host:5432,other:port/x",
        "postgresql://toolgate:x@hunter2:1@host:5432/x",
        "postgresql://toolgate:x@hunter2@host/x",
        "postgresql://toolgate:hunter2#@host/x",
        "postgresql://toolgate:hun/ter2hunter2@host/x",
        "postgresql://toolgate:hunter2@host/x?schema=Upper",
        "postgresql://toolgate:hunter2@host/x?schema=pg_mine",
        "postgresql://toolgate:hunter2@host/x?sslmode=sometimes",
    ],
)
async def test_an_address_that_cannot_be_read_is_told_without_repeating_it(store: str) -> None:
    assert "hunter2" not in await told_of(store)


async def told_of(address: str) -> str:
    with pytest.raises((ConfigurationError, StoreUnavailable)) as refusal:
        await PostgresStore(address, boot_id="boot_a", patience=HASTY).open()
    return repr(refusal.value)


# --- as time goes on ------------------------------------------------------------------------------------------


@pytest.mark.req("X1.25")
async def test_the_trail_gets_a_partition_a_month_before_it_is_needed_and_when_it_is(
    postgres_dsn: str,
) -> None:
    at = make.NOW

    async with opened(postgres_dsn, now=lambda: at) as store:
        for days in (0, 33, 200, 10_000):
            at = make.NOW + days * DAY
            assert isinstance(await store.execute(make.record(f"call_{days}")), Done)
        # Two days before a month ends the next one is there already.
        at = month_of(at).ends - 2 * DAY
        await store.execute(make.record("call_late"))
        coming = month_of(month_of(at).ends)
        assert await verified(store) == 6

    there = {
        row[0]
        for row in await ask(
            postgres_dsn,
            "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'audit'::regclass",
        )
    }
    wanted = {month_of(make.NOW + days * DAY).name for days in (0, 33, 200, 10_000)}
    assert wanted | {coming.name} <= there


@pytest.mark.req("X1.25")
async def test_processes_that_need_the_same_new_month_at_once_all_write(postgres_dsn: str) -> None:
    at = make.NOW
    async with (
        opened(postgres_dsn, "boot_a", now=lambda: at) as first,
        opened(postgres_dsn, "boot_b", now=lambda: at) as second,
    ):
        for number in range(6):
            at = make.NOW + number * 40 * DAY
            answers = await asyncio.gather(
                first.execute(make.record(f"call_a{number}")), second.execute(make.record(f"call_b{number}"))
            )
            assert list(answers) == [Done(), Done()]
        assert await verified(first) == 14


@pytest.mark.req("X5.2", "X1.44")
async def test_a_database_from_a_server_that_counted_further_goes_on_behind_its_last_event(
    postgres_dsn: str,
) -> None:
    async with opened(postgres_dsn, "boot_a") as store:
        await store.execute(make.record("call_1"))
    await ask(postgres_dsn, "UPDATE audit SET seq = seq + 1000000000000")

    async with opened(postgres_dsn, "boot_b") as store:
        await store.execute(make.record("call_2"))

        await settled(store)
        told = [change.call_id for change in await store.newest_changes()]
        assert told == ["call_2", None, "call_1", None]
        assert await verified(store) == 4


@pytest.mark.req("X1.23")
async def test_the_time_of_a_server_that_was_set_back_does_not_go_back(postgres_dsn: str) -> None:
    at = make.NOW
    async with opened(postgres_dsn, "boot_a", now=lambda: at) as first:
        await first.execute(make.intend("call_1"))
        async with opened(postgres_dsn, "boot_b", now=lambda: make.NOW - 3600 * 1_000_000) as second:
            assert await second.now() >= make.NOW
            await second.execute(make.record("call_2"))
            await second.execute(make.record("call_3"))
    rows = await ask(postgres_dsn, "SELECT at FROM audit ORDER BY seq")
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
