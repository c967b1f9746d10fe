"""What people look for, as SQL: calls, jobs, approvals, grants, tokens, deliveries. Reading alone.

Each listing walks an index in the order in which it is shown, and looks at a bounded number of rows. Statements are
put together from our own constants; each value is bound, but for limits, which the planner has to see to walk an index
rather than to sort. Not here: where a statement is run (``reading``).
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from toolgate.adapters.stores.postgres import rows as sql
from toolgate.domain.rows import GIVEN_OUT, CallRow, DeliveryRow, JobRow, NoticeRow
from toolgate.ports import CallPage, JobPage

if TYPE_CHECKING:
    from collections.abc import Sequence

    import asyncpg

    from toolgate.ports import ApprovalFilter, CallFilter, JobFilter

    Connection: TypeAlias = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

LOOKED_AT = 20_000
"""Calls that one page looks at. What is rarer than that continues on the next page."""
IN_DOUBT = "(effect_state IN ('intended', 'unknown') OR incident IS NOT NULL)"
"""As the index ``calls_in_doubt`` has it: a partial index serves where the query's condition implies its own."""
OPEN = "state IN ('pending', 'approved')"
_STATUSES = ("refused", "failed", "unknown", "pending_approval")
_ENDED_OTHERWISE = f"status IN ({', '.join(map(repr, _STATUSES))})"
_PASSING = f"kind <> '{GIVEN_OUT}' AND revoked_at IS NULL"
_NEWEST_FIRST = "ORDER BY received_at DESC, call_id DESC"
_LONGEST = 2**63 - 1
PASSED_OVER = "FOR KEY SHARE SKIP LOCKED"
"""Rows that another replica holds ``FOR UPDATE``, because it decides about them now, are left out. The lock that this
takes is the weakest there is: two who only list do not hide rows from each other."""


class Query(NamedTuple):
    """A statement and what is bound in it."""

    text: str
    values: tuple[Any, ...] = ()

    @classmethod
    def of(cls, text: str, *values: Any) -> Query:
        """``text`` with a ``?`` for each value, as the server numbers them."""
        numbers = count(1)
        return cls("".join(f"${next(numbers)}" if sign == "?" else sign for sign in text), values)

    @property
    def can_be_asked(self) -> bool:
        """False where a value is in no row, because Postgres could not keep it."""
        return all(map(sql.can_be_asked, self.values))


class Where(NamedTuple):
    """Conditions that must all hold, and the values that are bound in them."""

    conditions: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()

    def narrowed(self, condition: str, *values: Any) -> Where:
        """With ``condition`` too."""
        return Where((*self.conditions, condition), (*self.values, *values))

    def bounded(self, condition: str, value: Any) -> Where:
        """With ``condition`` on ``value``, where one was asked for."""
        if value is None:
            return self
        return self.narrowed(condition, min(value, _LONGEST) if isinstance(value, int) else value)

    def equal(self, **columns: Any) -> Where:
        """Each column as it was asked for; None for any."""
        where = self
        for column, value in columns.items():
            where = where.bounded(f"{column} = ?", value)
        return where

    def __str__(self) -> str:
        return f"WHERE {' AND '.join(self.conditions)}" if self.conditions else ""


async def calls(db: Connection, wanted: CallFilter) -> CallPage:
    """Calls as ``CallFilter`` says, newest first."""
    if wanted.unresolved:
        return await _unresolved(db, wanted)
    where, left = _walk(wanted)
    if wanted.before is not None:
        moment = await _moment(db, wanted.before)
        if moment is None:
            return CallPage(())
        where = where.narrowed("(received_at, call_id) < (?, ?)", *moment)
    floor = await _last_looked_at(db, where) if left else None
    if floor is not None:
        where = where.narrowed("(received_at, call_id) >= (?, ?)", *floor)
    where = where.equal(**left)
    return await _page(db, where, wanted.limit, floor)


def _walk(wanted: CallFilter) -> tuple[Where, dict[str, Any]]:
    """What an index answers, and what is left to be looked at call by call."""
    asked = {
        "workflow_id": wanted.workflow_id,
        "caller_id": wanted.caller_id,
        "status": wanted.status,
        "tool": wanted.tool,
        "agent": wanted.agent,
        "error_type": wanted.error_type,
    }
    left = {column: value for column, value in asked.items() if value is not None}
    where = Where().equal(tenant=wanted.tenant)
    if wanted.tenant is not None:
        # The narrower first. Whoever looks at all tenants owns the database; that is rare, and may take its time.
        for column in ("workflow_id", "caller_id", "status", "tool"):
            if column in left and (column != "status" or left[column] in _STATUSES):
                where = where.equal(**{column: left.pop(column)})
                where = where.narrowed(_ENDED_OTHERWISE) if column == "status" else where
                break
    where = where.bounded("received_at >= ?", wanted.since)
    return where.bounded("received_at < ?", wanted.until), left


async def _moment(db: Connection, call_id: str) -> tuple[int, str] | None:
    if not sql.can_be_asked(call_id):
        return None
    found = await db.fetchrow("SELECT received_at FROM calls WHERE call_id = $1", call_id)
    return None if found is None else (found[0], call_id)


async def _last_looked_at(db: Connection, where: Where) -> tuple[int, str] | None:
    """The last call that this page looks at; None where there are not that many."""
    query = Query.of(
        f"SELECT received_at, call_id FROM calls {where} {_NEWEST_FIRST} OFFSET {LOOKED_AT - 1} LIMIT 1",
        *where.values,
    )
    found = await db.fetchrow(query.text, *query.values) if query.can_be_asked else None
    return None if found is None else (found[0], found[1])


async def _page(db: Connection, where: Where, limit: int, floor: tuple[int, str] | None) -> CallPage:
    query = Query.of(
        f"SELECT {sql.CALLS.listed} FROM calls {where} {_NEWEST_FIRST} LIMIT {limit:d}", *where.values
    )
    rows = await db.fetch(query.text, *query.values) if query.can_be_asked else []
    found = [sql.call_row(tuple(row)) for row in rows]
    if len(found) == limit:
        return CallPage(found, found[-1].call_id)
    return CallPage(found, None if floor is None else floor[1])


async def _unresolved(db: Connection, wanted: CallFilter) -> CallPage:
    """Few whatever the history."""
    columns = ("tenant", "tool", "caller_id", "agent", "status", "error_type", "workflow_id")
    where = Where((IN_DOUBT, "(effect_state = 'unknown' OR incident IS NOT NULL)"))
    where = where.equal(**{column: getattr(wanted, column) for column in columns})
    where = where.bounded("received_at >= ?", wanted.since).bounded("received_at < ?", wanted.until)
    if wanted.before is not None:
        where = where.narrowed(
            "(received_at, call_id) < (?, ?)", *(await _moment(db, wanted.before) or (0, ""))
        )
    return await _page(db, where, wanted.limit, None)


async def jobs(db: Connection, wanted: JobFilter) -> JobPage:
    """Jobs with their calls as ``JobFilter`` says, newest first."""
    own = Where().equal(tenant=wanted.tenant, tool=wanted.tool, caller_id=wanted.caller_id)
    own = own.bounded("job_id < ?", wanted.before)
    own = own.bounded("created_at >= ?", wanted.since).bounded("created_at < ?", wanted.until)
    of_call = Where().bounded("c.agent = ?", wanted.agent)
    if wanted.state is not None:
        of_call = of_call.narrowed(_JOB_STATES.get(wanted.state, "false"))
    queued = wanted.state == "queued"
    looked = f"SELECT * FROM jobs {own} ORDER BY job_id DESC LIMIT {LOOKED_AT}"
    if queued:
        looked = f"SELECT * FROM jobs {own.narrowed(_WAITING_FOR_A_WORKER)}"
    columns = f"{_prefixed('j', JobRow._fields)}, {_prefixed('c', CallRow._fields)}"
    query = Query.of(
        f"SELECT {columns} FROM ({looked}) j JOIN calls c ON c.call_id = j.call_id {of_call} "
        f"ORDER BY j.job_id DESC LIMIT {wanted.limit:d}",
        *own.values,
        *of_call.values,
    )
    rows = await db.fetch(query.text, *query.values) if query.can_be_asked else []
    found = [_job(tuple(row)) for row in rows]
    if len(found) == wanted.limit:
        return JobPage(found, found[-1][0].job_id)
    if queued or not of_call.conditions or not query.can_be_asked:
        return JobPage(found)
    last = Query.of(
        f"SELECT job_id FROM jobs {own} ORDER BY job_id DESC OFFSET {LOOKED_AT - 1} LIMIT 1", *own.values
    )
    return JobPage(found, await db.fetchval(last.text, *last.values))


_WAITING_FOR_A_WORKER = "job_id IN (SELECT 'job_' || substr(call_id, 6) FROM calls WHERE status = 'started')"
_JOB_STATES = {
    "queued": "c.status = 'started'",
    "running": "c.effect_state = 'intended'",
    "pending_approval": "c.status = 'pending_approval'",
    "succeeded": "c.status = 'succeeded'",
    "failed": "c.status = 'failed' AND c.error_type IS DISTINCT FROM 'cancelled'",
    "refused": "c.status = 'refused'",
    "unknown": "c.status = 'unknown'",
    "cancelled": "c.status = 'failed' AND c.error_type = 'cancelled'",
}
"""``jobs.told_state`` as SQL over the job's call."""


def _job(row: Sequence[Any]) -> tuple[JobRow, CallRow]:
    ways = len(JobRow._fields)
    return JobRow._make(row[:ways]), sql.call_row(row[ways:])


def approvals(wanted: ApprovalFilter) -> Query:
    """Open ones oldest first, all of them newest first."""
    columns = ("tenant", "tool", "caller_id", "state")
    where = Where().equal(**{column: getattr(wanted, column) for column in columns})
    where = where.bounded("expires_at <= ?", wanted.lapsed_at)
    where = where.bounded("approval_id > ?" if wanted.open_only else "approval_id < ?", wanted.after)
    where = where.narrowed(OPEN) if wanted.open_only else where
    order = "ASC" if wanted.open_only else "DESC"
    # Asked by time it is recovery that asks, which several replicas do at once.
    tail = PASSED_OVER if wanted.lapsed_at is not None else ""
    return Query.of(
        f"SELECT {sql.APPROVALS.listed} FROM approvals {where} ORDER BY approval_id {order} "
        f"LIMIT {wanted.limit:d} {tail}",
        *where.values,
    )


def grants(*, tenant: str, tool: str | None, active_at: int | None, before: str | None, limit: int) -> Query:
    """Newest first; ``active_at`` (µs) only those that could be used then."""
    where = Where().equal(tenant=tenant, tool=tool)
    where = where.bounded("revoked_at IS NULL AND until > ? AND uses < max_uses", active_at)
    where = where.bounded("grant_id < ?", before)
    return Query.of(
        f"SELECT {sql.GRANTS.listed} FROM grants {where} ORDER BY grant_id DESC LIMIT {limit:d}",
        *where.values,
    )


def tokens(*, tenant: str | None, live_at: int | None, limit: int) -> Query:
    """Newest first. Those that people make are few; of the others only what has not ended by ``live_at`` (µs)."""
    of_tenant, own = ("tenant = ?", [tenant]) if tenant is not None else ("true", [])
    one = f"SELECT {sql.TOKENS.listed} FROM tokens WHERE {of_tenant}"
    last = f"ORDER BY token_id DESC LIMIT {limit:d}"
    if live_at is None:
        return Query.of(f"{one} {last}", *own)
    given = f"(SELECT * FROM ({one} AND kind = '{GIVEN_OUT}' {last}) given)"
    live = f"(SELECT * FROM ({one} AND {_PASSING} AND expires_at > ? {last}) live)"
    return Query.of(f"{given} UNION ALL {live} {last}", *own, *own, live_at)


def deliveries(*, state: str, due: int | None, tenant: str | None, sink: str | None, limit: int) -> Query:
    """With what they carry: those due first, or what ended, newest first. Who asks for due ones will send them."""
    where = Where().equal(state=state).bounded("next_at <= ?", due).equal(tenant=tenant, sink=sink)
    columns = f"{_prefixed('d', DeliveryRow._fields)}, {_prefixed('n', NoticeRow._fields)}"
    order = ", ".join(
        f"{column} {'ASC' if state == 'pending' else 'DESC'}" for column in ("next_at", "d.notice_id", "sink")
    )
    tail = PASSED_OVER.replace("SHARE", "SHARE OF d") if due is not None else ""
    return Query.of(
        f"SELECT {columns} FROM deliveries d JOIN notices n USING (notice_id) "
        f"{where} ORDER BY {order} LIMIT {limit:d} {tail}",
        *where.values,
    )


def delivery(row: Sequence[Any]) -> tuple[DeliveryRow, NoticeRow]:
    """A row of ``deliveries``."""
    ways = len(DeliveryRow._fields)
    return DeliveryRow._make(row[:ways]), NoticeRow._make(row[ways:])


def _prefixed(table: str, fields: Sequence[str]) -> str:
    return ", ".join(f"{table}.{field}" for field in fields)
