"""Databases for tests: fixtures that the root conftest offers to every folder, and the same without pytest.

Not here: how a server is found and started (``server``).
"""

from __future__ import annotations

import asyncio
import atexit
import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import pytest

from tests.postgres.server import PostgresServer, SharedServer, shared_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

RUN = (os.environ.get("PYTEST_XDIST_TESTRUNUID") or uuid.uuid4().hex)[:12]
"""The same in every worker of a run."""


@cache
def the_server() -> SharedServer:
    """The server of this run, from the first use in this process to its end."""
    held = ExitStack()
    server = held.enter_context(shared_server(RUN))
    atexit.register(_let_go, held, os.getpid())
    return server


def _let_go(held: ExitStack, owner: int) -> None:
    # A fork of this process holds neither the lock nor the session.
    if os.getpid() == owner:
        held.close()


@cache
def migrated() -> str:
    """The name of a database with the ledger's schema and nothing else, to be copied."""
    return the_server().template(_schema_version(), _migrate)


@contextmanager
def ledger() -> Iterator[str]:
    """The address of a migrated database of its own, for tests that need one an example."""
    with the_server().database(template=migrated()) as dsn:
        yield dsn


@pytest.fixture
def shared_postgres() -> SharedServer:
    """The server of this run; ``database()`` makes an empty one, ``database(template=migrated())`` a ledger."""
    return the_server()


@pytest.fixture
def postgres_dsn() -> Iterator[str]:
    """The address of a migrated database of the test's own."""
    with ledger() as dsn:
        yield dsn


@pytest.fixture
def empty_postgres_dsn() -> Iterator[str]:
    """The address of an empty database of the test's own."""
    with the_server().database() as dsn:
        yield dsn


@pytest.fixture
def private_postgres(tmp_path: Path) -> Iterator[PostgresServer]:
    """A server of the test's own with fsync on, to be stopped, killed and started again."""
    with PostgresServer(tmp_path / "postgres", fsync=True) as server:
        yield server


def _schema_version() -> str:
    folder = resources.files("toolgate.adapters.stores.postgres") / "migrations"
    files = sorted((entry.name, entry.read_text("utf-8")) for entry in folder.iterdir())
    return repr([found for found in files if found[0].endswith(".sql")])


def _migrate(dsn: str) -> None:
    from toolgate.adapters.stores.postgres.store import PostgresStore  # after the root conftest, for coverage

    async def open_and_close() -> None:
        store = PostgresStore(dsn, boot_id="template")
        await store.open()
        await store.close()

    # In a thread: whoever asks for a database may have a loop running.
    with ThreadPoolExecutor(max_workers=1) as apart:
        apart.submit(lambda: asyncio.run(open_and_close())).result()
