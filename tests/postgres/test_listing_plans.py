"""How Postgres answers what is listed, looked up and picked from: by an index, over a ledger with a history.

Plans of an empty table say nothing, so there are some ten thousand calls, most of them long over, and the statistics
that autovacuum would have. What counts is how many rows each statement touches; no time is taken.
"""

from __future__ import annotations

import itertools
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.ledger import rows as make
from toolgate.adapters.stores.postgres.store import PostgresStore
from toolgate.domain.rows import ByApproval, ByCall, ByGrant, ByJob, ByKey, ByNotice, ByToken
from toolgate.ports import ApprovalFilter, CallFilter, JobFilter

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

pytestmark = pytest.mark.req("X1.52")

HISTORY = 12_000
TOUCHED = 700
"""Rows that a statement may touch: some pages of fifty and what is open, and no history."""
_OLD = f"""
INSERT INTO calls SELECT 'call_old' || lpad(n::text, 6, '0'), CASE n % 3 WHEN 0 THEN 'other' ELSE 'acme' END,
    'tool_' || n % 40, '1', 'd', 'write', 'u-' || n % 300, 'desk', 'm', 'flow_' || n % 2000, true, NULL, NULL, 'python',
    {make.NOW} - n * 1000::bigint, 'x'::bytea, 'x'::bytea, NULL, {make.NOW},
    CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'succeeded' END, 'applied',
    CASE WHEN n % 50 = 0 THEN 'timeout' END, 'boot', 0, NULL, 1, NULL FROM generate_series(1, {HISTORY}) n;
INSERT INTO claims SELECT decode(lpad(to_hex(n), 8, '0'), 'hex'), 'call_old' || lpad(n::text, 6, '0'), 'u', 'x'::bytea,
    false FROM generate_series(1, {HISTORY}) n;
INSERT INTO approvals
    SELECT 'appr_old' || lpad(n::text, 6, '0'), 'call_old' || lpad(n::text, 6, '0'),
    CASE n % 3 WHEN 0 THEN 'other' ELSE 'acme' END, 'tool_' || n % 40, 'u-' || n % 300, 1, 'consumed', '{{}}'::bytea,
    'x', '{{}}'::bytea, 0, {make.NOW} - 1, 0, NULL, '[]', false, NULL FROM generate_series(1, {HISTORY}) n;
INSERT INTO grants SELECT 'grant_old' || lpad(n::text, 6, '0'), CASE n % 3 WHEN 0 THEN 'other' ELSE 'acme' END,
    'tool_' || n % 40, 'd', '{{}}'::bytea, NULL, NULL, 1, 5, 5, 'lea', '[]', 'r', 1, NULL, 1, 'lea'
    FROM generate_series(1, {HISTORY}) n;
INSERT INTO tokens
    (token_id, token_hash, caller_id, tenant, roles, created_at, expires_at, revoked_at, kind, scopes, label)
    SELECT 'tok_old' || lpad(n::text, 6, '0'), 'hash' || n, 'u', CASE n % 3 WHEN 0 THEN 'other' ELSE 'acme' END, '[]',
    1, 2, NULL, CASE WHEN n % 100 = 0 THEN 'api' ELSE 'session' END, '[]', '' FROM generate_series(1, {HISTORY}) n;
INSERT INTO notices SELECT 'note_old' || lpad(n::text, 6, '0'), 'acme', 'held', NULL, n, '{{}}'::bytea, true
    FROM generate_series(1, {HISTORY}) n;
INSERT INTO deliveries SELECT 'note_old' || lpad(n::text, 6, '0'), 'inbox', 'delivered', 1, n, n, NULL
    FROM generate_series(1, {HISTORY}) n;
INSERT INTO sealed
    SELECT 'call_old' || lpad(n::text, 6, '0'), 'request', 'x'::bytea FROM generate_series(1, {HISTORY}) n;
INSERT INTO jobs SELECT 'job_old' || lpad(n::text, 6, '0'), 'call_old' || lpad(n::text, 6, '0'),
    CASE n % 3 WHEN 0 THEN 'other' ELSE 'acme' END, 'tool_' || n % 40, 'u-' || n % 300, 'q', 0, 0, n, 1, true, 1, 1
    FROM generate_series(1, {HISTORY}) n;
INSERT INTO audit SELECT n, 99, n, 'call_old' || lpad((n / 3)::text, 6, '0'), {make.NOW}, '{{}}'::bytea, 'x'::bytea,
    'x'::bytea FROM generate_series(1, {HISTORY}) n;
ANALYZE;
"""


class Explaining:
    """A reader's connection that asks how each statement is answered before it has it answered."""

    def __init__(self, db: Any, plans: list[Any]) -> None:
        self._db = db
        self._plans = plans

    def __getattr__(self, name: str) -> Any:
        return getattr(self._db, name)

    async def _explain(self, statement: str, values: tuple[Any, ...]) -> None:
        asked = f"EXPLAIN (ANALYZE, TIMING OFF, BUFFERS OFF, FORMAT JSON) {statement}"
        self._plans.append((statement, json.loads(await self._db.fetchval(asked, *values))[0]["Plan"]))

    async def fetch(self, statement: str, *values: Any) -> Any:
        await self._explain(statement, values)
        return await self._db.fetch(statement, *values)

    async def fetchrow(self, statement: str, *values: Any) -> Any:
        await self._explain(statement, values)
        return await self._db.fetchrow(statement, *values)

    async def fetchval(self, statement: str, *values: Any) -> Any:
        await self._explain(statement, values)
        return await self._db.fetchval(statement, *values)


def touched(plan: dict[str, Any]) -> int:
    """Rows that the scans of a plan read, whether or not they were wanted."""
    mine = 0
    if "Scan" in plan["Node Type"]:
        seen = (
            plan["Actual Rows"]
            + plan.get("Rows Removed by Filter", 0)
            + plan.get("Rows Removed by Index Recheck", 0)
        )
        mine = round(seen * plan["Actual Loops"])
    return mine + sum(touched(inner) for inner in plan.get("Plans", ()))


class Watched:
    """A store, and how each of its statements was answered."""

    def __init__(self, store: PostgresStore) -> None:
        self.store = store
        self.plans: list[Any] = []
        read = store.link.read

        async def explained(query: Callable[[Any], Awaitable[Any]]) -> Any:
            return await read(lambda db: query(Explaining(db, self.plans)))

        store.link.read = explained  # type: ignore[method-assign]

    async def wide(self, ask: Callable[[], Awaitable[Any]], most: int = TOUCHED) -> dict[str, int]:
        """The statements of ``ask`` that touched more than so many rows."""
        self.plans.clear()
        await ask()
        assert self.plans
        return {text: rows for text, plan in self.plans if (rows := touched(plan)) > most}


@pytest.fixture(scope="module")
def history() -> Any:
    """The name of a ledger with a history, to be copied."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    from tests.postgres.fixtures import migrated, the_server

    async def fill(dsn: str) -> None:
        store = PostgresStore(dsn, boot_id="boot_old", now=lambda: make.NOW)
        await store.open()
        for number in range(5):
            await store.execute(make.intend(f"call_{number}", key=bytes([number])))
            await store.execute(make.draft(f"call_h{number}"))
        await store.execute(make.put_token())
        await store.link.read(lambda db: db.execute(_OLD))
        await store.close()

    with the_server().database(template=migrated()) as dsn, ThreadPoolExecutor(max_workers=1) as apart:
        apart.submit(lambda: asyncio.run(fill(dsn))).result()
        yield dsn


@pytest.fixture
async def watched(history: str) -> AsyncIterator[Watched]:
    store = PostgresStore(history, boot_id="boot_a", now=lambda: make.NOW)
    await store.open()
    yield Watched(store)
    await store.close()


INDEXED: dict[str, Any] = {
    "tool": "tool_7",
    "caller_id": "u-7",
    "status": "failed",
    "workflow_id": "flow_7",
    "since": make.NOW - HISTORY * 500,
    "until": make.NOW - HISTORY * 300,
    "before": "call_old000100",
}


async def test_every_search_for_calls_that_an_index_answers_touches_what_it_shows(watched: Watched) -> None:
    narrow = ("tool", "caller_id", "status", "workflow_id")
    asked = [
        {**({name: INDEXED[name]} if name else {}), **{more: INDEXED[more] for more in extra}}
        for name in (None, *narrow)
        for size in range(3)
        for extra in itertools.combinations(("since", "until", "before"), size)
    ]
    found = {
        str(wanted): wide
        for wanted in asked
        if (wide := await watched.wide(partial(watched.store.calls, CallFilter(tenant="acme", **wanted))))
    }
    assert not found


async def test_what_is_unresolved_is_found_without_looking_at_the_history(watched: Watched) -> None:
    filters: tuple[dict[str, Any], ...] = ({}, {"tenant": "acme"}, {"tool": "tool_7", "before": "call_1"})
    for asked in filters:
        ask = partial(watched.store.calls, CallFilter(unresolved=True, **asked))
        assert not await watched.wide(ask)


async def test_approvals_grants_tokens_jobs_and_deliveries_are_listed_without_looking_at_the_history(
    watched: Watched,
) -> None:
    store = watched.store
    asks: dict[str, Callable[[], Awaitable[Any]]] = {
        "open": lambda: store.approvals(ApprovalFilter(tenant="acme")),
        "all": lambda: store.approvals(ApprovalFilter(tenant="acme", open_only=False)),
        "lapsing": lambda: store.approvals(ApprovalFilter(lapsed_at=make.NOW)),
        "grants": lambda: store.grants(tenant="acme"),
        "usable grants": lambda: store.grants(tenant="acme", tool="tool_7", active_at=make.NOW),
        "tokens": lambda: store.tokens(tenant="acme", live_at=make.NOW, limit=50),
        "jobs": lambda: store.jobs(JobFilter(tenant="acme")),
        "jobs of a tool": lambda: store.jobs(JobFilter(tenant="acme", tool="tool_7")),
        "queued": lambda: store.jobs(JobFilter(state="queued")),
        "delivered": lambda: store.deliveries(state="delivered", limit=50),
        "due": lambda: store.deliveries(state="pending", due=make.NOW),
    }
    found = {name: wide for name, ask in asks.items() if (wide := await watched.wide(ask))}
    assert not found


async def test_what_recovery_picks_from_is_found_without_looking_at_the_history(watched: Watched) -> None:
    store = watched.store
    asks = (store.lapsed, store.unknown, store.dispatchable, store.lapsed_grants, store.unplanned)
    assert not [wide for ask in asks if (wide := await watched.wide(ask))]


async def test_what_every_call_looks_up_is_one_row_by_its_key(watched: Watched) -> None:
    store = watched.store
    subjects = (
        ByKey(bytes([3])),
        ByKey(b"new"),
        ByCall("call_old000007"),
        ByApproval("appr_old000007"),
        ByJob("call_old000007"),
        ByGrant("grant_old000007", b"new"),
        ByToken("tok_old000007"),
        ByNotice("note_old000007", "inbox"),
    )
    asks: dict[str, Callable[[], Awaitable[Any]]] = {
        str(subject): partial(store.find, subject) for subject in subjects
    }
    asks |= {
        "token": lambda: store.token("hash7"),
        "sealed": lambda: store.sealed("call_old000007", "request"),
        "job": lambda: store.job("job_old000007"),
        "now": store.now,
    }
    found = {name: wide for name, ask in asks.items() if (wide := await watched.wide(ask, most=12))}
    assert not found


async def test_the_trail_is_read_on_and_looked_up_without_looking_at_the_history(watched: Watched) -> None:
    store = watched.store

    async def of_a_call() -> list[Any]:
        return [record async for record in store.records(call_id="call_old000007")]

    async def last() -> list[Any]:
        return [record async for record in store.records(newest=10)]

    assert not await watched.wide(of_a_call)
    assert not await watched.wide(last)
    assert not await watched.wide(lambda: store.changes(None))
    assert not await watched.wide(lambda: store.changes(HISTORY - 100))
    assert not await watched.wide(lambda: store.newest_changes(limit=50))
