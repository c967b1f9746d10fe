"""What people look for, as SQL: calls, approvals, grants, deliveries. Reading alone.

Each listing walks an index in the order in which it is shown, and looks at a bounded number of rows. What SQLite
would choose by itself depends on statistics that nobody keeps up to date, so the index is named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from toolgate.adapters.stores.sqlite import rows as sql
from toolgate.domain.rows import GIVEN_OUT, DeliveryRow, NoticeRow
from toolgate.ports import CallPage

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from toolgate.domain.rows import CallRow
    from toolgate.ports import ApprovalFilter, CallFilter

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


class _Walk(NamedTuple):
    """Which index is walked, and between what."""

    by: str | None
    conditions: tuple[str, ...]
    values: tuple[Any, ...]

    def narrowed(self, condition: str, *values: Any) -> _Walk:
        return _Walk(self.by, (*self.conditions, condition), (*self.values, *values))

    @property
    def rest(self) -> str:
        hint = f" INDEXED BY {self.by}" if self.by else ""
        return f"FROM calls{hint} WHERE {' AND '.join(self.conditions)}"


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
    walk = _Walk(None, ("received_at >= ?",), (wanted.since or 0,))
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
        walk = _Walk(index, ("tenant = ?", f"{column} = ?"), (tenant, left.pop(column)))
        return walk.narrowed(_ENDED_OTHERWISE) if column == "status" else walk
    return _Walk("calls_by_time", ("tenant = ?",), (tenant,))


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
    conditions = [IN_DOUBT, "(effect_state = 'unknown' OR incident IS NOT NULL)"]
    values: list[Any] = []
    for column in ("tenant", "tool", "caller_id", "agent", "status", "error_type", "workflow_id"):
        if (value := getattr(wanted, column)) is not None:
            conditions.append(f"{column} = ?")
            values.append(value)
    for comparison, bound in (("received_at >= ?", wanted.since), ("received_at < ?", wanted.until)):
        if bound is not None:
            conditions.append(comparison)
            values.append(bound)
    if wanted.before is not None:
        moment = _moment(db, wanted.before)
        conditions.append("(received_at, call_id) < (?, ?)")
        values += moment or (0, "")
    query = (
        f"SELECT {sql.CALL_COLUMNS} FROM calls INDEXED BY calls_in_doubt WHERE {' AND '.join(conditions)} "
        f"{_NEWEST_FIRST} LIMIT ?"
    )
    found = [sql.call_row(row) for row in db.execute(query, (*values, wanted.limit))]
    return CallPage(found, _next(found, wanted.limit, None))


def approvals(wanted: ApprovalFilter) -> tuple[str, tuple[Any, ...]]:
    """Open ones oldest first, all of them newest first."""
    conditions, values = [], list[Any]()
    for column in ("tenant", "tool", "caller_id", "state"):
        if (value := getattr(wanted, column)) is not None:
            conditions.append(f"{column} = ?")
            values.append(value)
    if wanted.lapsed_at is not None:
        conditions.append("expires_at <= ?")
        values.append(wanted.lapsed_at)
    if wanted.after is not None:
        conditions.append("approval_id > ?" if wanted.open_only else "approval_id < ?")
        values.append(wanted.after)
    order, hint = ("ASC", _waiting(wanted)) if wanted.open_only else ("DESC", "")
    conditions += [OPEN] if wanted.open_only else []
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    query = (
        f"SELECT {sql.APPROVAL_COLUMNS} FROM approvals {hint} {where} ORDER BY approval_id {order} LIMIT ?"
    )
    return query, (*values, wanted.limit)


def _waiting(wanted: ApprovalFilter) -> str:
    if wanted.lapsed_at is not None:
        return "INDEXED BY approvals_lapsing"
    return "INDEXED BY approvals_waiting" if wanted.tenant is not None else ""


def grants(
    *, tenant: str, tool: str | None, active_at: int | None, before: str | None
) -> tuple[str, tuple[Any, ...]]:
    """Newest first; ``active_at`` (µs) only those that could be used then."""
    conditions, values = ["tenant = ?"], list[Any]([tenant])
    if tool is not None:
        conditions.append("tool = ?")
        values.append(tool)
    if active_at is not None:
        conditions.append("revoked_at IS NULL AND until > ? AND uses < max_uses")
        values.append(active_at)
    if before is not None:
        conditions.append("grant_id < ?")
        values.append(before)
    query = f"SELECT {sql.GRANT_COLUMNS} FROM grants WHERE {' AND '.join(conditions)} ORDER BY grant_id DESC LIMIT ?"
    return query, tuple(values)


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
    conditions, values = ["state = ?"], list[Any]([state])
    if due is not None:
        conditions.append("next_at <= ?")
        values.append(due)
    if tenant is not None:
        conditions.append("tenant = ?")
        values.append(tenant)
    if sink is not None:
        conditions.append("sink = ?")
        values.append(sink)
    columns = f"{_prefixed('d', DeliveryRow._fields)}, {_prefixed('n', NoticeRow._fields)}"
    order = ", ".join(
        f"{column} {'ASC' if state == 'pending' else 'DESC'}" for column in ("next_at", "d.notice_id", "sink")
    )
    query = (
        f"SELECT {columns} FROM deliveries d JOIN notices n USING (notice_id) "
        f"WHERE {' AND '.join(conditions)} ORDER BY {order} LIMIT ?"
    )
    return query, tuple(values)


def delivery(row: Sequence[Any]) -> tuple[DeliveryRow, NoticeRow]:
    """A row of ``deliveries``."""
    ways = len(DeliveryRow._fields)
    return DeliveryRow(*row[:ways]), sql.notice_row(row[ways:])


def _prefixed(table: str, fields: Sequence[str]) -> str:
    return ", ".join(f"{table}.{field}" for field in fields)
