"""Retention beside writers and readers of Postgres: it waits for nobody's rows, and what is half done goes on later."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from tests.ledger import rows as make
from toolgate.adapters.stores.postgres.link import Patience
from toolgate.adapters.stores.postgres.store import PostgresStore
from toolgate.domain.commands import Append, Done
from toolgate.domain.retention import DAY, Retention
from toolgate.domain.rows import ByCall, ByKey
from toolgate.operations.retention import keep_within
from toolgate.operations.verify_audit import verify_audit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.req("M11.51")

MICRO = 1_000_000


class Hands:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.at = make.NOW

    def __call__(self) -> int:
        return self.at


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
async def store(postgres_dsn: str, hands: Hands) -> AsyncIterator[PostgresStore]:
    made = PostgresStore(postgres_dsn, boot_id="boot_a", now=hands, patience=Patience(lock=0.2))
    await made.open()
    yield made
    await made.close()


@asynccontextmanager
async def another(dsn: str, *statements: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody else's transaction, open as long as the block."""
    other: Any = await asyncpg.connect(dsn, server_settings={"search_path": "toolgate"})
    doing = other.transaction()
    await doing.start()
    try:
        for statement in statements:
            await other.execute(statement)
        yield other
    finally:
        await doing.rollback()
        await other.close()


async def applied(store: PostgresStore, call_id: str, key: bytes) -> None:
    assert isinstance(await store.execute(make.intend(call_id, key=key)), Done)
    assert isinstance(await store.execute(make.settle(call_id, key_mac=key)), Done)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1 FROM calls WHERE call_id = 'call_1' FOR UPDATE",
        "SELECT 1 FROM claims WHERE call_id = 'call_1' FOR UPDATE",
    ],
    ids=["the call", "its key"],
)
async def test_what_a_writer_is_deciding_about_stays_for_the_next_round(
    store: PostgresStore, hands: Hands, postgres_dsn: str, statement: str
) -> None:
    await applied(store, "call_1", b"k")
    await applied(store, "call_2", b"l")
    hands.at += round(10 * DAY * MICRO)
    kept = Retention(calls=DAY, idempotency=DAY)

    async with another(postgres_dsn, statement):
        assert dict(await keep_within(store, kept)) == {"calls": 1, "arguments": 1, "keys": 1}
        assert (await store.find(ByCall("call_1"))).call is not None
        assert (await store.find(ByKey(b"k"))).claim is not None

    assert dict(await keep_within(store, kept)) == {"calls": 1, "arguments": 1, "keys": 1}


async def written(store: PostgresStore, hands: Hands, *, days: int) -> None:
    for _ in range(days):
        hands.at += round(DAY * MICRO)
        assert isinstance(await store.execute(Append((make.note(),))), Done)


async def partitions(dsn: str) -> list[str]:
    async with another(dsn) as other:
        rows = await other.fetch(
            "SELECT relname FROM pg_class WHERE relname ~ '^audit_\\d{4}_\\d{2}$' AND relkind = 'r' ORDER BY 1"
        )
    return [row[0] for row in rows]


@pytest.mark.req("X5.30")
async def test_a_partition_that_a_long_read_holds_goes_once_the_read_is_over(
    store: PostgresStore, hands: Hands, postgres_dsn: str
) -> None:
    await written(store, hands, days=60)
    before = await partitions(postgres_dsn)
    kept = Retention(audit=10 * DAY)

    async with another(postgres_dsn, "SELECT count(*) FROM audit"):
        assert "audit" not in await keep_within(store, kept)
        assert (await verify_audit(store)).intact
        await written(store, hands, days=1)

    assert (await keep_within(store, kept))["audit"] > 15
    report = await verify_audit(store)
    assert report.intact, report
    left = await partitions(postgres_dsn)
    assert len(left) < len(before)
    assert set(left) < set(before)


@pytest.mark.req("X5.30")
async def test_a_partition_that_was_left_detached_is_dropped_later(
    store: PostgresStore, hands: Hands, postgres_dsn: str
) -> None:
    await written(store, hands, days=60)
    kept = Retention(audit=10 * DAY)
    cut = await store.oldest(hands.at - round(10 * DAY * MICRO))
    assert cut is not None
    # The process died after it had said what goes and before the table was dropped.
    assert (await keep_within(store, kept))["audit"] > 15
    other: Any = await asyncpg.connect(postgres_dsn, server_settings={"search_path": "toolgate"})
    await other.execute("CREATE TABLE audit_2026_12 (LIKE audit INCLUDING ALL)")
    await other.close()
    await written(store, hands, days=40)

    await keep_within(store, kept)

    assert "audit_2026_12" not in await partitions(postgres_dsn)
    assert (await verify_audit(store)).intact
