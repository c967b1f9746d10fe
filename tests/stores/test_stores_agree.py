"""Random commands on two stores at once: every answer and every row has to be the same."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ledger import rows as make
from tests.ledger.drawing import COMMANDS, IDS, KEYS
from tests.postgres.fixtures import ledger
from toolgate.adapters.stores.memory import MemoryStore
from toolgate.adapters.stores.postgres.store import PostgresStore
from toolgate.adapters.stores.sqlite import SqliteStore
from toolgate.domain.audit import verify_chains
from toolgate.domain.errors import StoreUnavailable
from toolgate.domain.rows import ByApproval, ByCall, ByKey
from toolgate.ports import ApprovalFilter, CallFilter

if TYPE_CHECKING:
    from toolgate.domain.commands import Command
    from toolgate.ports import Store


@dataclass(frozen=True)
class Pass:
    """The clock moves, forwards or back, by so many seconds."""

    seconds: int


STEPS = st.lists(COMMANDS | st.builds(Pass, st.sampled_from([-3600, 10, 60, 3600])), min_size=4, max_size=40)


async def answered(store: Store, command: Command) -> Any:
    try:
        return await store.execute(command)
    except StoreUnavailable:
        return "refused to write"


async def everything(store: Store) -> dict[str, Any]:
    """All that the port shows of a store, but for the names of its chain."""
    records = [record async for record in store.records()]
    assert verify_chains(records, known_heads=await store.heads()).problems == ()
    every_id = [*IDS, "call_4"]
    return {
        "calls": (await store.calls(CallFilter())).rows,
        "unresolved": (await store.calls(CallFilter(unresolved=True))).rows,
        "approvals": await store.approvals(ApprovalFilter(open_only=False)),
        "open": await store.approvals(ApprovalFilter(open_only=True)),
        "lapsed": await store.lapsed(),
        "unknown": await store.unknown(),
        "dispatchable": await store.dispatchable(),
        "tokens": await store.tokens(),
        "now": await store.now(),
        "sealed": [await store.sealed(call, kind) for call in every_id for kind in ("request", "result")],
        "keys": [await store.find(ByKey(key)) for key in KEYS],
        "by call": [await store.find(ByCall(call)) for call in every_id],
        "by approval": [await store.find(ByApproval(f"appr_{call}")) for call in every_id],
        "trail": [record.record for record in records],
    }


Clock = Callable[[], int]


async def compare(steps: list[Command | Pass], other_on: Callable[[Clock], Store]) -> None:
    now = make.NOW

    def clock() -> int:
        return now

    memory, other = MemoryStore(boot_id="boot_a", now=clock), other_on(clock)
    await memory.open()
    await other.open()
    try:
        for step in steps:
            if isinstance(step, Pass):
                now += step.seconds * make.SECOND
            else:
                assert await answered(memory, step) == await answered(other, step)
        assert await everything(memory) == await everything(other)
    finally:
        await other.close()


@pytest.mark.req("M14.8", "X1.23")
@given(steps=STEPS)
@settings(max_examples=60)
def test_sqlite_gives_every_answer_and_keeps_every_row_as_memory_does(steps: list[Command | Pass]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "toolgate.db"
        asyncio.run(compare(steps, lambda clock: SqliteStore(path, boot_id="boot_a", now=clock)))


@pytest.mark.req("M14.8", "X1.23", "X1.51")
@given(steps=STEPS)
@settings(max_examples=15)
def test_postgres_gives_every_answer_and_keeps_every_row_as_memory_does(steps: list[Command | Pass]) -> None:
    with ledger() as dsn:
        asyncio.run(compare(steps, lambda clock: PostgresStore(dsn, boot_id="boot_a", now=clock)))
