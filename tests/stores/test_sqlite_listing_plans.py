"""How SQLite answers what people list, page and search: along an index, in the order of the list, whatever they ask.

Plans are looked at, and no time is taken: a plan is the same on every machine. Not here: what recovery and every call
ask (``test_sqlite_plans``).
"""

from __future__ import annotations

import itertools
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.ledger import rows as make
from tests.stores.test_sqlite_plans import plans_of
from toolgate.ports import ApprovalFilter, CallFilter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from toolgate.adapters.stores.sqlite import SqliteStore

    Open = Callable[..., AbstractAsyncContextManager[SqliteStore]]

pytestmark = pytest.mark.req("X1.25")

ASKED: dict[str, Any] = {
    "tool": "refund",
    "caller_id": make.REQUESTER,
    "agent": "desk",
    "status": "failed",
    "error_type": "timeout",
    "workflow_id": "flow_1",
    "since": make.NOW,
    "until": make.NOW + 1,
    "before": "call_x",
}


def up_to(most: int, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Every choice of at most so many of ``asked``."""
    return [
        {name: asked[name] for name in names}
        for size in range(most + 1)
        for names in itertools.combinations(asked, size)
    ]


def walks_all(plan: str) -> bool:
    """Whether the plan reads a whole table, or sorts what it found before it can show the first row."""
    return (plan.startswith("SCAN") and "USING" not in plan) or "TEMP B-TREE" in plan


@pytest.fixture
async def store(opened: Open) -> AsyncIterator[SqliteStore]:
    async with opened() as store:
        for number in range(30):
            await store.execute(make.intend(f"call_{number:02}", key=bytes([number])))
        await store.execute(make.draft("call_x"))
        await store.execute(make.put_token())
        yield store


async def bad_plans(store: SqliteStore, ask: Callable[[], Awaitable[Any]]) -> list[str]:
    plans = await plans_of(store, ask)
    assert plans
    return [plan for plan in plans if walks_all(plan)]


async def test_every_search_for_calls_of_a_tenant_walks_an_index_in_the_order_of_the_list(
    store: SqliteStore,
) -> None:
    found = {
        str(wanted): bad
        for wanted in up_to(3, ASKED)
        if (bad := await bad_plans(store, partial(store.calls, CallFilter(tenant="acme", **wanted))))
    }

    assert found == {}


@pytest.mark.parametrize(
    "status", ["succeeded", "running", "refused", "failed", "unknown", "pending_approval"]
)
async def test_every_status_can_be_searched_for_along_an_index(store: SqliteStore, status: str) -> None:
    assert await bad_plans(store, lambda: store.calls(CallFilter(tenant="acme", status=status))) == []


async def test_unresolved_calls_are_few_and_only_those_are_sorted(store: SqliteStore) -> None:
    for wanted in up_to(2, ASKED):
        asked = CallFilter(tenant="acme", unresolved=True, **wanted)
        plans = await plans_of(store, partial(store.calls, asked))

        assert "SCAN calls USING INDEX calls_in_doubt" in plans
        assert not [plan for plan in plans if plan == "SCAN calls"]


async def test_every_list_of_approvals_of_a_tenant_walks_an_index_in_the_order_of_the_list(
    store: SqliteStore,
) -> None:
    asked = {"tool": "refund", "caller_id": make.REQUESTER, "state": "pending", "after": "appr_call_x"}
    filters = [
        ApprovalFilter(open_only=open_only, tenant="acme", **wanted)
        for open_only in (True, False)
        for wanted in up_to(4, asked)
    ]
    found = {
        str(wanted): bad
        for wanted in filters
        if (bad := await bad_plans(store, partial(store.approvals, wanted)))
    }

    assert found == {}


async def test_what_lapses_is_found_by_its_time(store: SqliteStore) -> None:
    plans = await plans_of(store, lambda: store.approvals(ApprovalFilter(lapsed_at=make.NOW)))

    assert [plan for plan in plans if "approvals_lapsing (expires_at<?)" in plan]


async def test_grants_of_a_tenant_lie_in_an_index(store: SqliteStore) -> None:
    asked = {"tool": "refund", "active_at": make.NOW, "before": "grnt_x"}
    for wanted in up_to(3, asked):
        bad = await bad_plans(store, partial(store.grants, tenant="acme", **wanted))

        # Those of one tool that are in force are few, and may be sorted.
        assert bad == [] or {"tool", "active_at"} <= wanted.keys(), wanted


async def test_what_is_asked_on_every_held_call_finds_the_grants_in_force_by_tool_and_time(
    store: SqliteStore,
) -> None:
    plans = await plans_of(store, lambda: store.grants(tenant="acme", tool="refund", active_at=make.NOW))

    assert "SEARCH grants USING INDEX grants_in_force (tenant=? AND tool=? AND until>?)" in plans


@pytest.mark.parametrize("state", ["pending", "dead", "delivered"])
async def test_deliveries_of_each_state_lie_in_an_index(store: SqliteStore, state: str) -> None:
    plans = await plans_of(store, lambda: store.deliveries(state=state, due=make.NOW))

    assert [plan for plan in plans if "USING INDEX deliveries_by_state" in plan]
    assert not [plan for plan in plans if plan.startswith("SCAN")]


async def test_notices_that_wait_lie_in_a_small_index(store: SqliteStore) -> None:
    assert "SCAN notices USING INDEX notices_unplanned" in await plans_of(store, store.unplanned)


async def test_the_trail_is_followed_and_paged_by_its_own_order(store: SqliteStore) -> None:
    async def ask() -> None:
        await store.changes(None)
        await store.changes(3)
        await store.newest_changes(before=20)

    plans = await plans_of(store, ask)

    assert plans.count("SEARCH audit USING INTEGER PRIMARY KEY (rowid>?)") == 1
    assert plans.count("SEARCH audit USING INTEGER PRIMARY KEY (rowid<?)") == 1
    # The newest first: the table itself, backwards, as far as the limit goes.
    assert plans.count("SCAN audit") == 1
    assert not [plan for plan in plans if "TEMP B-TREE" in plan]


async def test_the_revisions_of_an_approval_are_found_by_its_id(store: SqliteStore) -> None:
    assert await bad_plans(store, lambda: store.revisions("appr_call_x")) == []
