"""What a reader of Postgres sees beside writers: rows of one moment, in few statements, and nobody's half-done work."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.ledger import rows as make
from tests.postgres.ledgers import settled
from toolgate.adapters.stores.postgres.store import PostgresStore
from toolgate.domain.rows import ByApproval, ByCall, ByKey
from toolgate.ports import ApprovalFilter, CallFilter, JobFilter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


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
async def stores(postgres_dsn: str, hands: Hands) -> AsyncIterator[tuple[PostgresStore, PostgresStore]]:
    one, two = (PostgresStore(postgres_dsn, boot_id=f"boot_{name}", now=hands) for name in "ab")
    await one.open()
    await two.open()
    yield one, two
    await one.close()
    await two.close()


@pytest.mark.req("X1.55", "X1.11")
async def test_what_another_replica_is_deciding_is_passed_over_and_there_the_next_time(
    stores: tuple[PostgresStore, PostgresStore], hands: Hands
) -> None:
    one, two = stores
    for number in (1, 2):
        await one.execute(make.intend(f"call_{number}", key=bytes([number])))
    await one.execute(make.draft("call_h"))
    await one.execute(make.approve("call_h"))
    hands.at = make.LEASE + 1

    async def look() -> tuple[list[str], list[str]]:
        lapsed, ready = await two.lapsed(), await two.dispatchable()
        return [row.call_id for row in lapsed], [row.call_id for row in ready]

    async def decide() -> tuple[list[str], list[str]]:
        async with one.link.reader() as db, db.transaction():
            await db.execute("SELECT FROM calls WHERE call_id IN ('call_1', 'call_h') FOR UPDATE")
            # Listing waits for nobody, and two who list do not hide rows from each other.
            first, again = await asyncio.gather(two.link.run(look()), two.link.run(look()))
            assert first == again
            return first

    before = await look()
    assert await one.link.run(decide()) == (["call_2"], [])
    assert await look() == before == (["call_1", "call_2"], ["call_h"])


@pytest.mark.req("X1.51", "X1.52")
async def test_a_burst_of_look_ups_is_few_statements_and_each_gets_its_own_answer(
    stores: tuple[PostgresStore, PostgresStore],
) -> None:
    one, two = stores
    for number in range(20):
        await one.execute(make.intend(f"call_{number}", key=bytes([number])))
    reads = 0
    read = two.link.read

    async def counted(query: Callable[[Any], Awaitable[Any]]) -> Any:
        nonlocal reads
        reads += 1
        return await read(query)

    two.link.read = counted  # type: ignore[method-assign]
    found = await asyncio.gather(*(two.find(ByCall(f"call_{number}")) for number in range(30)))
    claimed = await asyncio.gather(*(two.find(ByKey(bytes([number]))) for number in range(30)))

    assert [around.call.call_id if around.call else None for around in found] == [
        f"call_{number}" if number < 20 else None for number in range(30)
    ]
    assert [around.claim is not None for around in claimed] == [number < 20 for number in range(30)]
    assert reads <= 8


@pytest.mark.req("X1.51")
@pytest.mark.parametrize("never", ["nul\0l", "half \ud800 pair"])
async def test_what_no_row_can_hold_is_not_found_and_breaks_nobody_elses_look_up(
    stores: tuple[PostgresStore, PostgresStore], never: str
) -> None:
    one, two = stores
    await one.execute(make.intend("call_1", key=b"key"))
    lost, call, approval = await asyncio.gather(
        two.find(ByCall(never)), two.find(ByCall("call_1")), two.find(ByApproval(never))
    )

    assert lost.call is None
    assert call.call is not None
    assert approval.approval is None
    assert await two.token(never) is None
    assert await two.job(never) is None
    assert await two.sealed(never, "request") is None
    assert not (await two.calls(CallFilter(tenant=never))).rows
    assert not (await two.calls(CallFilter(before=never))).rows
    assert not (await two.jobs(JobFilter(tool=never))).rows
    assert not await two.approvals(ApprovalFilter(tenant=never))
    assert [record async for record in two.records(call_id=never)] == []
    assert (await two.calls(CallFilter(until=2**80))).rows


@pytest.mark.req("X1.51")
async def test_the_trail_of_a_moment_is_whole_however_much_is_written_while_it_is_read(
    stores: tuple[PostgresStore, PostgresStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    from toolgate.adapters.stores.postgres import reading

    one, two = stores
    monkeypatch.setattr(reading, "_PAGE", 3)
    for number in range(5):
        await one.execute(make.intend(f"call_{number}", key=bytes([number])))
    seen = []
    async for record in two.records():
        seen.append((record.chain_id, record.seq))
        await one.execute(make.intend(f"call_late{len(seen)}", key=bytes([100 + len(seen)])))

    assert seen == [("boot_a", place) for place in range(1, len(seen) + 1)]
    assert len(seen) == 6


@pytest.mark.req("X1.53")
async def test_nothing_that_commits_late_is_passed_over_by_who_follows_the_trail(
    stores: tuple[PostgresStore, PostgresStore],
) -> None:
    one, two = stores
    await one.execute(make.intend("call_0", key=b"0"))
    await settled(two)
    (start,) = await two.changes(None)

    async def late() -> list[int]:
        async with one.link.reader() as db, db.transaction():
            await db.execute("SELECT pg_current_xact_id()")  # begun first, and still going on
            await two.link.run(two.execute(make.intend("call_1", key=b"1")))
            return [change.seq for change in await two.link.run(two.changes(start.seq))]

    assert await one.link.run(late()) == []
    await settled(two)
    assert "call_1" in [change.call_id for change in await two.changes(start.seq)]
