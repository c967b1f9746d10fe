"""Clusters as their example makes them, on a Postgres of their own, with people who have tokens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from examples.cluster.load import TENANTS, People, hire
from examples.cluster.processes import Cluster
from tests.cluster.provide import install
from tests.cluster.tally import pytest_terminal_summary
from tests.cluster.wire import Wire
from tests.postgres.server import PostgresServer
from toolgate import Caller
from toolgate.adapters.ids import UlidIds
from toolgate.adapters.keys import Keyring
from toolgate.bootstrap.stores import open_ledger
from toolgate.domain.principal import ADMIN, EVERY_SCOPE
from toolgate.operations.tokens import create_token

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["pytest_terminal_summary", "replicas"]

DATABASE: Final = "toolgate"
FAR: Final = ("gate2", "gate3", "worker2")
"""The members that reach the database over the wire."""
PAUSE_MS: Final = "5"
"""Before and after each effect, so that there is a time in which something can happen to it."""
DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A cluster that runs, its database, the wire between some members and that, and who works with it."""

    cluster: Cluster
    server: PostgresServer
    wire: Wire
    people: Mapping[str, People]


@contextmanager
def running(folder: Path, *, seed: int) -> Iterator[Running]:
    """Three gateways and two workers behind the proxy, until the block ends. ``seed``: of the wire."""
    install()
    made = folder / "cluster"
    made.mkdir(parents=True)
    with PostgresServer(folder / "postgres", fsync=True) as server:
        store = server.create(DATABASE)
        with Wire(store, seed=seed) as wire:
            stores = dict.fromkeys(FAR, wire.dsn)
            with Cluster(made, store, stores=stores, environment={"LEDGER_PAUSE_MS": PAUSE_MS}) as cluster:
                people = asyncio.run(_people(cluster, store))
                yield Running(cluster=cluster, server=server, wire=wire, people=people)


async def _people(cluster: Cluster, store: str) -> Mapping[str, People]:
    """As the owner of the key file, in this process: a command of its own for each token takes seconds."""
    ring = Keyring.open(cluster.folder / "toolgate.keys")
    ids = UlidIds()
    ledger = open_ledger(store, ring, boot_id=ids.new("cli"))
    await ledger.open()
    try:
        admins = {}
        for tenant in TENANTS:
            caller = Caller(f"admin-of-{tenant}", roles={ADMIN}, tenant=tenant)
            token = await create_token(
                ledger, ring, ids, caller=caller, lasting=DAY, by="keyholder:test", scopes=EVERY_SCOPE
            )
            admins[tenant] = token.secret
    finally:
        await ledger.close()
    return await hire(cluster.base, admins)


@pytest.fixture(scope="session")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The one cluster of a run: it takes seconds to start. Whoever does something to it mends it again."""
    with running(tmp_path_factory.mktemp("replicas"), seed=1) as made:
        yield made
