"""All stores, opened and closed for a test; SQLite in a temporary directory, Postgres in a database of its own."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from tests.ledger.rows import NOW
from toolgate.adapters.stores.memory import MemoryStore
from toolgate.adapters.stores.postgres.store import PostgresStore
from toolgate.adapters.stores.sqlite import SqliteStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from toolgate.ports import Store


class Hands:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> int:
        return self.at


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, hands: Hands) -> AsyncIterator[Store]:
    """Each store in turn: what a test says here is true of all."""
    made: Store
    if request.param == "memory":
        made = MemoryStore(boot_id="boot_a", now=hands)
    elif request.param == "sqlite":
        made = SqliteStore(tmp_path / "toolgate.db", boot_id="boot_a", now=hands, busy_seconds=0.2)
    else:
        made = PostgresStore(request.getfixturevalue("postgres_dsn"), boot_id="boot_a", now=hands)
    await made.open()
    yield made
    await made.close()


Opened = "Callable[..., AbstractAsyncContextManager[SqliteStore]]"


@pytest.fixture
def opened(tmp_path: Path, hands: Hands) -> Callable[..., AbstractAsyncContextManager[SqliteStore]]:
    """Opens the SQLite store of this test under another boot, as another process would."""

    @asynccontextmanager
    async def open_as(boot_id: str = "boot_a", *, busy_seconds: float = 0.2) -> AsyncIterator[SqliteStore]:
        made = SqliteStore(tmp_path / "toolgate.db", boot_id=boot_id, now=hands, busy_seconds=busy_seconds)
        await made.open()
        try:
            yield made
        finally:
            await made.close()

    return open_as
