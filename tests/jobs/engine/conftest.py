"""Places for job engines: memory, a SQLite file, a Postgres database of the test's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.jobs.engine.site import Runs, Site, migrate, schema_version
from tests.postgres.fixtures import the_server

DURABLE = ("sqlite", "postgres")


@contextmanager
def place(kind: str, folder: Path) -> Iterator[Path | str | None]:
    if kind == "memory":
        yield None
    elif kind == "sqlite":
        yield folder / "toolgate.db.jobs"
    else:
        server = the_server()
        with server.database(template=server.template(schema_version(), migrate)) as dsn:
            yield dsn


@pytest.fixture(params=("memory", *DURABLE))
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str | None]:
    with place(request.param, tmp_path) as where:
        yield where


@pytest.fixture(params=DURABLE)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | str | None]:
    with place(request.param, tmp_path) as where:
        yield where


@pytest.fixture
async def site(anywhere: Path | str | None) -> AsyncIterator[Site]:
    """Of every kind."""
    made = Site(anywhere)
    yield made
    await made.close()


@pytest.fixture
async def durable(database: Path | str | None) -> AsyncIterator[Site]:
    """On a database."""
    made = Site(database)
    yield made
    await made.close()


@pytest.fixture
def runs() -> Runs:
    return Runs()
