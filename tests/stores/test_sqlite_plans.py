"""How SQLite answers what is asked every second or on every call: by an index, whatever the history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.ledger import rows as make
from toolgate.domain.rows import ByApproval, ByCall, ByKey
from toolgate.ports import ApprovalFilter, CallFilter

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from toolgate.adapters.stores.sqlite import SqliteStore

    Open = Callable[..., AbstractAsyncContextManager[SqliteStore]]

pytestmark = pytest.mark.req("X1.25")


class Explained:
    """A reading connection that notes the plan of each query before it answers."""

    def __init__(self, real: sqlite3.Connection, plans: list[str]) -> None:
        self._real = real
        self._plans = plans

    def execute(self, query: str, values: Any = ()) -> Any:
        self._plans += [row[3] for row in self._real.execute(f"EXPLAIN QUERY PLAN {query}", values)]
        return self._real.execute(query, values)

    @property
    def in_transaction(self) -> bool:
        return self._real.in_transaction


@pytest.fixture
async def store(opened: Open) -> AsyncIterator[SqliteStore]:
    async with opened() as store:
        for number in range(30):
            await store.execute(make.intend(f"call_{number:02}", key=bytes([number])))
        await store.execute(make.draft("call_x"))
        yield store


async def plans_of(store: SqliteStore, ask: Callable[[], Awaitable[Any]]) -> list[str]:
    plans: list[str] = []
    real = store._reader
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(store, "_reader", lambda: Explained(real(), plans))
        await ask()
    return plans


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        ("lapsed", "SEARCH calls USING INDEX calls_in_doubt (lease_until<?)"),
        ("unknown", "SCAN calls USING INDEX calls_in_doubt"),
        ("dispatchable", "SEARCH approvals USING INDEX approvals_open (state=? AND approval_id>?)"),
    ],
)
async def test_what_recovery_looks_for_lies_in_a_small_index(
    store: SqliteStore, asked: str, index: str
) -> None:
    plans = await plans_of(store, getattr(store, asked))

    assert index in plans
    assert not [plan for plan in plans if plan in {"SCAN calls", "SCAN approvals"} or "TEMP B-TREE" in plan]


async def test_open_approvals_and_unresolved_calls_lie_in_a_small_index(store: SqliteStore) -> None:
    approvals = await plans_of(store, lambda: store.approvals(ApprovalFilter(open_only=True, tenant="acme")))
    calls = await plans_of(store, lambda: store.calls(CallFilter(unresolved=True)))

    assert "SEARCH approvals USING INDEX approvals_waiting (tenant=?)" in approvals
    assert "SCAN calls USING INDEX calls_in_doubt" in calls


@pytest.mark.parametrize("subject", [ByKey(b"\x01"), ByCall("call_x"), ByApproval("appr_call_x")])
async def test_what_a_decision_needs_is_found_by_keys(store: SqliteStore, subject: Any) -> None:
    plans = await plans_of(store, lambda: store.find(subject))

    assert plans
    assert not [plan for plan in plans if plan.startswith("SCAN")]


async def test_the_trail_of_one_call_and_a_token_are_found_by_index(store: SqliteStore) -> None:
    async def ask() -> None:
        assert [record async for record in store.records(call_id="call_x")]
        await store.token("nothing")

    plans = await plans_of(store, ask)

    assert "SEARCH a USING INDEX audit_call (call_id=? AND rowid>?)" in plans
    assert not [plan for plan in plans if plan.startswith("SCAN")]
