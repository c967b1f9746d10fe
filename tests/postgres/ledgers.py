"""Stores over one database as tests of commits open them: as many replicas as they like, and what must hold of all.

Not here: databases (``fixtures``) and ways to them that fail (``proxy``).
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from tests.ledger import rows as make
from toolgate.adapters.stores.postgres.link import Patience
from toolgate.adapters.stores.postgres.store import PostgresStore
from toolgate.adapters.stores.postgres.writer import Job
from toolgate.domain.audit import verify_chains
from toolgate.domain.commands import Append

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from toolgate.domain.commands import Answer, Command
    from toolgate.ports import Store

PATIENT = Patience(connect=10, outage=30, statement=30, lock=30, idle=30)
"""For tests in which everything comes to a good end, however busy the machine is."""


async def settled(store: Store) -> None:
    """Wait until whatever is being written on the server by now is over.

    Until then ``changes`` holds back what came later, and other tests write to the same server.
    """
    if not isinstance(store, PostgresStore):
        return
    begun = await _number(store, "xmax")
    async with asyncio.timeout(60):
        while await _number(store, "xmin") < begun:  # noqa: ASYNC110 - it is the server that has to come so far
            await asyncio.sleep(0)


async def _number(store: PostgresStore, which: str) -> int:
    query = f"SELECT pg_snapshot_{which}(pg_current_snapshot())::text::bigint"
    number: int = await store.link.read(lambda db: db.fetchval(query))
    return number


@asynccontextmanager
async def opened(
    dsn: str,
    boot_id: str = "boot_a",
    *,
    now: Callable[[], int] | None = lambda: make.NOW,
    patience: Patience = PATIENT,
) -> AsyncIterator[PostgresStore]:
    """A store as a replica of its own."""
    store = PostgresStore(dsn, boot_id=boot_id, now=now, patience=patience)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


class Held:
    """Keeps a store's writer busy, so that what is asked meanwhile goes into one group."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self._gate, self._entered = threading.Event(), threading.Event()

    async def __aenter__(self) -> None:
        self._store._writer.submit(Job(Append((make.note("held"),)), self._hold))
        await asyncio.to_thread(self._entered.wait, 60)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.sleep(0)
        self._gate.set()

    def _hold(self, _: object) -> None:
        self._entered.set()
        self._gate.wait(60)


async def all_at_once(store: PostgresStore, *commands: Command) -> list[Answer | BaseException]:
    """Execute ``commands`` in one group."""
    async with Held(store):
        waiting = [asyncio.ensure_future(store.execute(command)) for command in commands]
        await asyncio.sleep(0)
    return await asyncio.gather(*waiting, return_exceptions=True)


async def verified(store: Store) -> int:
    """The number of records, all of which verify against the heads that the store keeps."""
    records = [record async for record in store.records()]
    report = verify_chains(records, known_heads=await store.heads())
    assert report.problems == ()
    return report.records


async def until(condition: Callable[[], object]) -> None:
    """Wait for what another thread or process does, as long as the test may take."""
    while not await asyncio.to_thread(condition):
        pass
