"""A ledger on a disk that fails for real: full, locked, read-only, overwritten, replaced. No effect runs, no result
is told, every later call is refused, and when the disk is well again all goes on.
"""

from __future__ import annotations

import queue
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.fail_closed.conftest import MAYA
from tests.fail_closed.telling import assert_in_doubt, assert_unavailable
from tests.ledger import rows as make
from toolgate import Succeeded
from toolgate.adapters.stores.sqlite import SqliteStore
from toolgate.adapters.stores.sqlite.writer import Job
from toolgate.domain.audit import verify_chains
from toolgate.domain.commands import Append, Done
from toolgate.operations.verify_audit import verify_audit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from tests.fail_closed.conftest import Counter, Shop
    from toolgate.ports import Store
    from toolgate.testing import FakeClock

    CounterOn = Callable[[Store], AbstractAsyncContextManager[Counter]]

pytestmark = pytest.mark.req("X5.4", "M5.7")


class Locked:
    """Another process holds the database until it lets go."""

    def __init__(self, store: SqliteStore) -> None:
        self._path = store.path
        self._held: sqlite3.Connection | None = None

    def break_it(self) -> None:
        self._held = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        self._held.execute("BEGIN EXCLUSIVE")

    def mend(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None


class ReadOnly:
    """The writer's connection may not write: root passes over the rights of a file, but not over this."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def break_it(self) -> None:
        self._store._writer._db.execute("PRAGMA query_only = ON")

    def mend(self) -> None:
        self._store._writer._db.execute("PRAGMA query_only = OFF")


class Full:
    """The database may not grow any more, and what was free in it is used up: by a table of no use, and by notes
    in the trail until its last page takes none.
    """

    def __init__(self, store: SqliteStore) -> None:
        self._store = store

    def break_it(self) -> None:
        writing = self._store._writer._db
        writing.execute("CREATE TABLE filler (x)")
        (pages,) = writing.execute("PRAGMA page_count").fetchone()
        writing.execute(f"PRAGMA max_page_count = {pages + 40}")
        size = 4096
        while size:
            try:
                writing.execute("INSERT INTO filler VALUES (zeroblob(?))", (size,))
            except sqlite3.OperationalError:
                size //= 2
        size = 2048
        while size:
            size -= 0 if self._noted("x" * size) else (size + 1) // 2

    def _noted(self, text: str) -> bool:
        answers: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._store._writer.submit(Job(Append((make.note(text),)), answers.put))
        return isinstance(answers.get(timeout=10), Done)

    def mend(self) -> None:
        with closing(sqlite3.connect(self._store.path, isolation_level=None)) as other:
            other.execute("DROP TABLE IF EXISTS filler")


class Gone:
    """Somebody moved the file away."""

    def __init__(self, store: SqliteStore) -> None:
        self._path = store.path
        self._away = store.path.with_name("away.db")

    def break_it(self) -> None:
        self._path.rename(self._away)

    def mend(self) -> None:
        if self._away.exists():
            self._away.rename(self._path)


class Overwritten:
    """Something wrote over the pages of the file while it was open; a backup of them is put back."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._kept = b""

    def break_it(self) -> None:
        with closing(sqlite3.connect(self._store.path)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        # A connection that remembers no page has to believe what it reads.
        self._store._writer._db.execute("PRAGMA cache_size = 0")
        self._store._writer._db.execute("PRAGMA shrink_memory")
        with self._store.path.open("r+b") as file:
            self._kept = file.read()
            file.seek(4096)
            file.write(b"\xa5" * (len(self._kept) - 4096))

    def mend(self) -> None:
        if self._kept:
            with self._store.path.open("r+b") as file:
                file.write(self._kept)
            self._kept = b""


Disk = Locked | ReadOnly | Full | Gone | Overwritten

DISKS: dict[str, Callable[[SqliteStore], Disk]] = {
    "locked": Locked,
    "read-only": ReadOnly,
    "full": Full,
    "gone": Gone,
    "overwritten": Overwritten,
}


@pytest.fixture(params=list(DISKS))
def disk(request: pytest.FixtureRequest, sqlite_store: SqliteStore) -> Iterator[Disk]:
    disk = DISKS[request.param](sqlite_store)
    yield disk
    if not isinstance(disk, ReadOnly | Full):
        disk.mend()


@pytest.mark.req("X1.1", "X1.3")
async def test_no_effect_runs_where_its_intent_cannot_be_recorded(counter: Counter, disk: Disk) -> None:
    (await counter.ship(1)).unwrap()
    disk.break_it()

    assert_unavailable(await counter.ship(2))

    assert counter.shop.shipped == [1]


@pytest.mark.req("X5.5")
async def test_a_reads_result_is_withheld_where_its_trail_cannot_be_written(
    counter: Counter, disk: Disk
) -> None:
    counter.shop.while_looking = disk.break_it

    outcome = await counter.look_up(1)

    assert counter.shop.looked_up == [1]
    assert_unavailable(outcome)


@pytest.mark.req("X5.6")
async def test_every_call_is_refused_until_a_probe_commits_and_then_all_goes_on(
    counter: Counter, disk: Disk, sqlite_store: SqliteStore
) -> None:
    (await counter.look_up(1)).unwrap()
    disk.break_it()
    assert_unavailable(await counter.ship(2))

    assert_unavailable(await counter.look_up(3))
    assert_unavailable(await counter.ship(4))
    assert_unavailable(await counter.gateway.call("no_such_tool", {}, caller=MAYA))
    assert counter.shop.looked_up == [1]
    disk.mend()

    assert (await counter.look_up(5)).unwrap() == "secret of 5"
    assert (await counter.ship(2)).unwrap() == "shipped 2"
    assert counter.shop.shipped == [2]
    report = await verify_audit(sqlite_store)
    assert report.problems == ()


@pytest.mark.req("M10.14", "X5.4")
async def test_a_write_whose_outcome_cannot_be_recorded_is_unknown_and_known_once_the_disk_is_well(
    counter: Counter, disk: Disk
) -> None:
    counter.shop.while_shipping = disk.break_it

    outcome = await counter.ship(1)

    assert counter.shop.shipped == [1]
    assert_in_doubt(outcome)
    disk.mend()
    await counter.gateway.sweep()
    later = await counter.again(outcome)
    assert isinstance(later, Succeeded)
    assert (later.result, later.effect.value) == ("shipped 1", "applied")


@pytest.mark.req("M10.14", "M9.2")
async def test_what_was_in_doubt_is_replayed_and_not_repeated(counter: Counter, disk: Disk) -> None:
    counter.shop.while_shipping = disk.break_it
    await counter.ship(1)
    disk.mend()
    counter.shop.while_shipping = lambda: None
    await counter.gateway.sweep()

    again = await counter.ship(1)

    assert again.unwrap() == "shipped 1"
    assert again.replayed
    assert counter.shop.shipped == [1]


@pytest.fixture
async def small(
    tmp_path: Path, clock: FakeClock, counter_on: CounterOn
) -> AsyncIterator[tuple[Counter, SqliteStore]]:
    """A ledger that may never have more pages than an empty one and a few."""
    first = SqliteStore(tmp_path / "toolgate.db", boot_id="boot_0", now=clock.now)
    await first.open()
    (pages,) = first._writer._db.execute("PRAGMA page_count").fetchone()
    await first.close()
    store = SqliteStore(tmp_path / "toolgate.db", boot_id="boot_a", now=clock.now, max_page_count=pages + 10)
    async with counter_on(store) as counter:
        yield counter, store


@pytest.mark.req("X1.3", "X5.6", "X5.7")
async def test_a_ledger_that_fills_up_by_itself_stops_everything_at_one_point(
    small: tuple[Counter, SqliteStore], shop: Shop
) -> None:
    counter, store = small
    done = []
    for order in range(200):
        outcome = await counter.ship(order)
        if not isinstance(outcome, Succeeded):
            break
        done.append(order)

    assert 0 < len(done) < 200
    assert shop.shipped in (done, [*done, len(done)])
    assert_unavailable(await counter.ship(500))
    assert_unavailable(await counter.look_up(500))
    assert len(shop.shipped) <= len(done) + 1
    records = [record async for record in store.records()]
    assert verify_chains(records, known_heads=await store.heads()).problems == ()
