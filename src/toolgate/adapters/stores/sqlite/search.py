"""What people look for, as SQL: calls, jobs, approvals, grants, deliveries. Reading alone.

Each listing walks an index in the order in which it is shown, and looks at a bounded number of rows. What SQLite
would choose by itself depends on statistics that nobody keeps up to date, so the index is named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from toolgate.adapters.stores.sqlite import rows as sql
from toolgate.domain.rows import GIVEN_OUT, CallRow, DeliveryRow, JobRow, NoticeRow
from toolgate.ports import CallPage, JobPage

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from toolgate.ports import ApprovalFilter, CallFilter, JobFilter

IN_DOUBT = "(effect_state IN ('intended', 'unknown') OR incident IS NOT NULL)"
"""Word for word what the index ``calls_in_doubt`` is limited to: SQLite uses a partial index only where the query
repeats its condition (SQLite, Partial Indexes, 3)."""
OPEN = "state IN ('pending', 'approved')"
"""Likewise for the indexes of open approvals."""
_ENDED_OTHERWISE = "status IN ('refused', 'failed', 'unknown', 'pending_approval')"
"""Likewise for ``calls_that_ended_otherwise``."""
_PASSING = f"kind <> '{GIVEN_OUT}' AND revoked_at IS NULL"
"""Likewise for ``tokens_passing``."""
LOOKED_AT = 20_000
"""Calls that one page looks at. What is rarer than that continues on the next page."""
_NEWEST_FIRST = "ORDER BY received_at DESC, call_id DESC"


def calls(db: sqlite3.Connection, wanted: CallFilter) -> CallPage:
    """Calls as ``CallFilter`` says, newest first."""
    if wanted.unresolved:
        return _unresolved(db, wanted)
    walk, left = _walk(wanted)
    if wanted.before is not None:
        moment = _moment(db, wanted.before)
        if moment is None:
            return CallPage(())
        walk = walk.narrowed("(received_at, call_id) < (?, ?)", *moment)
    floor = _floor(db, walk) if left else None
    if floor is not None:
        walk = walk.narrowed("(received_at, call_id) >= (?, ?)", *floor)
    for column, value in left.items():
        walk = walk.narrowed(f"{column} = ?", value)
    query = f"SELECT {sql.CALL_COLUMNS} {walk.rest} {_NEWEST_FIRST} LIMIT ?"
    found = [sql.call_row(row) for row in db.execute(query, (*walk.values, wanted.limit))]
    return CallPage(found, _next(found, wanted.limit, floor))


def jobs(db: sqlite3.Connection, wanted: JobFilter) -> JobPage:
    """Jobs with their calls as ``JobFilter`` says, newest first."""
    own = _Where().equal(tenant=wanted.tenant, tool=wanted.tool, caller_id=wanted.caller_id)
    own = own.bounded("job_id < ?", wanted.before)
    own = own.bounded("created_at >= ?", wanted.since).bounded("created_at < ?", wanted.until)
    of_call = _Where().bounded("c.agent = ?", wanted.agent)
    if wanted.state is not None:
        of_call = of_call.narrowed(_JOB_STATES.get(wanted.state, "0"))
    looked = f"SELECT * FROM jobs {own} ORDER BY job_id DESC LIMIT {LOOKED_AT}"
    if wanted.state == "queued":
        looked = f"SELECT * FROM jobs {own.narrowed(_WAITING_FOR_A_WORKER)} ORDER BY job_id DESC"
    columns = f"{_prefixed('j', JobRow._fields)}, {_prefixed('c', CallRow._fields)}"
    query = (
        f"SELECT {columns} FROM ({looked}) j JOIN calls c ON c.call_id = j.call_id {of_call} "
        "ORDER BY j.job_id DESC LIMIT ?"
    )
    found = [_job(row) for row in db.execute(query, (*own.values, *of_call.values, wanted.limit))]
    if len(found) == wanted.limit:
        return JobPage(found, found[-1][0].job_id)
    floor = None
    if wanted.state != "queued" and of_call.conditions:
        last = f"SELECT job_id FROM jobs {own} ORDER BY job_id DESC LIMIT 1 OFFSET {LOOKED_AT - 1}"
        floor = db.execute(last, own.values).fetchone()
    return JobPage(found, None if floor is None else floor[0])


_WAITING_FOR_A_WORKER = (
    "job_id IN (SELECT 'job_' || substr(call_id, 6) FROM calls "
    "INDEXED BY calls_started WHERE status = 'started')"
)
_CANCELLED = "c.status = 'failed' AND c.error_type = 'cancelled'"
_JOB_STATES = {
    "queued": "c.status = 'started'",
    "running": "c.effect_state = 'intended'",
    "pending_approval": "c.status = 'pending_approval'",
    "succeeded": "c.status = 'succeeded'",
    "failed": "c.status = 'failed' AND c.error_type IS NOT 'cancelled'",
    "refused": "c.status = 'refused'",
    "unknown": "c.status = 'unknown'",
    "cancelled": _CANCELLED,
}
"""``jobs.told_state`` as SQL over the job's call."""


def _job(row: Sequence[Any]) -> tuple[JobRow, CallRow]:
    ways = len(JobRow._fields)
    return sql.job_row(row[:ways]), sql.call_row(row[ways:])


class _Where(NamedTuple):
    """Conditions that must all hold, and the values that are bound in them."""

    conditions: tuple[str, ...] = ()
    values: tuple[Any, ...] = ()

    def narrowed(self, condition: str, *values: Any) -> _Where:
        return _Where((*self.conditions, condition), (*self.values, *values))

    def bounded(self, condition: str, value: Any) -> _Where:
        """``condition`` on ``value``, where one was asked for."""
        return self if value is None else self.narrowed(condition, value)

    def equal(self, **columns: Any) -> _Where:
        """Each column as it was asked for; None for any."""
        where = self
        for column, value in columns.items():
            where = where.bounded(f"{column} = ?", value)
        return where

    def __str__(self) -> str:
        return f"WHERE {' AND '.join(self.conditions)}" if self.conditions else ""


class _Walk(NamedTuple):
    """Which index is walked, and between what."""

    by: str | None
    where: _Where

    def narrowed(self, condition: str, *values: Any) -> _Walk:
        return self._replace(where=self.where.narrowed(condition, *values))

    @property
    def values(self) -> tuple[Any, ...]:
        return self.where.values

    @property
    def rest(self) -> str:
        hint = f" INDEXED BY {self.by}" if self.by else ""
        return f"FROM calls{hint} {self.where}"


def _walk(wanted: CallFilter) -> tuple[_Walk, dict[str, Any]]:
    """The walk, and what is left to be looked at call by call."""
    asked = {
        "workflow_id": wanted.workflow_id,
        "caller_id": wanted.caller_id,
        "status": wanted.status,
        "tool": wanted.tool,
        "agent": wanted.agent,
        "error_type": wanted.error_type,
    }
    left = {column: value for column, value in asked.items() if value is not None}
    walk = _Walk(None, _Where(("received_at >= ?",), (wanted.since or 0,)))
    # Whoever looks at all tenants owns the file; that is rare, and may take its time.
    if wanted.tenant is not None:
        walk = _indexed(wanted.tenant, left)
        walk = walk if wanted.since is None else walk.narrowed("received_at >= ?", wanted.since)
    return walk if wanted.until is None else walk.narrowed("received_at < ?", wanted.until), left


def _indexed(tenant: str, left: dict[str, Any]) -> _Walk:
    """By the narrowest index that answers part of the filter, which is taken out of ``left``."""
    for column, index in _INDEXES.items():
        if column not in left or (column == "status" and left[column] not in _STATUSES):
            continue
        walk = _Walk(index, _Where().equal(**{"tenant": tenant, column: left.pop(column)}))
        return walk.narrowed(_ENDED_OTHERWISE) if column == "status" else walk
    return _Walk("calls_by_time", _Where().equal(tenant=tenant))


_INDEXES = {
    "workflow_id": "calls_by_workflow",
    "caller_id": "calls_by_caller",
    "status": "calls_that_ended_otherwise",
    "tool": "calls_by_tool",
}
"""The narrower first."""
_STATUSES = {"refused", "failed", "unknown", "pending_approval"}


def _moment(db: sqlite3.Connection, call_id: str) -> tuple[int, str] | None:
    found = db.execute("SELECT received_at FROM calls WHERE call_id = ?", (call_id,)).fetchone()
    return None if found is None else (found[0], call_id)


def _floor(db: sqlite3.Connection, walk: _Walk) -> tuple[int, str] | None:
    """The last call that this page looks at; None where there are not that many."""
    query = f"SELECT received_at, call_id {walk.rest} {_NEWEST_FIRST} LIMIT 1 OFFSET {LOOKED_AT - 1}"
    found: tuple[int, str] | None = db.execute(query, walk.values).fetchone()
    return found


def _next(found: Sequence[CallRow], limit: int, floor: tuple[int, str] | None) -> str | None:
    if len(found) == limit:
        return found[-1].call_id
    return None if floor is None else floor[1]


def _unresolved(db: sqlite3.Connection, wanted: CallFilter) -> CallPage:
    """Few whatever the history; left to itself SQLite would walk through all calls, newest first."""
    columns = ("tenant", "tool", "caller_id", "agent", "status", "error_type", "workflow_id")
    where = _Where((IN_DOUBT, "(effect_state = 'unknown' OR incident IS NOT NULL)"))
    where = where.equal(**{column: getattr(wanted, column) for column in columns})
    where = where.bounded("received_at >= ?", wanted.since).bounded("received_at < ?", wanted.until)
    if wanted.before is not None:
        moment = _moment(db, wanted.before)
        where = where.narrowed("(received_at, call_id) < (?, ?)", *(moment or (0, "")))
    query = f"SELECT {sql.CALL_COLUMNS} FROM calls INDEXED BY calls_in_doubt {where} {_NEWEST_FIRST} LIMIT ?"
    found = [sql.call_row(row) for row in db.execute(query, (*where.values, wanted.limit))]
    return CallPage(found, _next(found, wanted.limit, None))


def approvals(wanted: ApprovalFilter) -> tuple[str, tuple[Any, ...]]:
    """Open ones oldest first, all of them newest first."""
    columns = ("tenant", "tool", "caller_id", "state")
    where = _Where().equal(**{column: getattr(wanted, column) for column in columns})
    where = where.bounded("expires_at <= ?", wanted.lapsed_at)
    where = where.bounded("approval_id > ?" if wanted.open_only else "approval_id < ?", wanted.after)
    order, hint = ("ASC", _waiting(wanted)) if wanted.open_only else ("DESC", "")
    where = where.narrowed(OPEN) if wanted.open_only else where
    query = (
        f"SELECT {sql.APPROVAL_COLUMNS} FROM approvals {hint} {where} ORDER BY approval_id {order} LIMIT ?"
    )
    return query, (*where.values, wanted.limit)


def _waiting(wanted: ApprovalFilter) -> str:
    if wanted.lapsed_at is not None:
        return "INDEXED BY approvals_lapsing"
    return "INDEXED BY approvals_waiting" if wanted.tenant is not None else ""


def grants(
    *, tenant: str, tool: str | None, active_at: int | None, before: str | None
) -> tuple[str, tuple[Any, ...]]:
    """Newest first; ``active_at`` (µs) only those that could be used then."""
    where = _Where().equal(tenant=tenant, tool=tool)
    where = where.bounded("revoked_at IS NULL AND until > ? AND uses < max_uses", active_at)
    where = where.bounded("grant_id < ?", before)
    return f"SELECT {sql.GRANT_COLUMNS} FROM grants {where} ORDER BY grant_id DESC LIMIT ?", where.values


def tokens(*, tenant: str | None, live_at: int | None, limit: int) -> tuple[str, tuple[Any, ...]]:
    """Newest first. Those that people make are few; of the others only what has not ended by ``live_at`` (µs)."""
    of_tenant, own = ("tenant = ?", [tenant]) if tenant is not None else ("1", [])
    one = f"SELECT {sql.TOKEN_COLUMNS} FROM tokens WHERE {of_tenant}"
    last = "ORDER BY token_id DESC LIMIT ?"
    if live_at is None:
        return f"{one} {last}", (*own, limit)
    given = f"SELECT * FROM ({one} AND kind = '{GIVEN_OUT}' {last})"
    live = f"SELECT * FROM ({one} AND {_PASSING} AND expires_at > ? {last})"
    return f"{given} UNION ALL {live} {last}", (*own, limit, *own, live_at, limit, limit)


def deliveries(
    *, state: str, due: int | None, tenant: str | None, sink: str | None
) -> tuple[str, tuple[Any, ...]]:
    """With what they carry: those due first, or what ended, newest first."""
    where = _Where().equal(state=state).bounded("next_at <= ?", due).equal(tenant=tenant, sink=sink)
    columns = f"{_prefixed('d', DeliveryRow._fields)}, {_prefixed('n', NoticeRow._fields)}"
    order = ", ".join(
        f"{column} {'ASC' if state == 'pending' else 'DESC'}" for column in ("next_at", "d.notice_id", "sink")
    )
    query = (
        f"SELECT {columns} FROM deliveries d JOIN notices n USING (notice_id) "
        f"{where} ORDER BY {order} LIMIT ?"
    )
    return query, where.values


def delivery(row: Sequence[Any]) -> tuple[DeliveryRow, NoticeRow]:
    """A row of ``deliveries``."""
    ways = len(DeliveryRow._fields)
    return DeliveryRow(*row[:ways]), sql.notice_row(row[ways:])


def _prefixed(table: str, fields: Sequence[str]) -> str:
    return ", ".join(f"{table}.{field}" for field in fields)
