"""Between the ledger's rows and SQL. Every statement of the writer stands here, named.

Each names its columns: a newer release may add some while this one is at work.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from toolgate.domain.approval import Vote
from toolgate.domain.jobs import job_id_of
from toolgate.domain.lifecycle import ApprovalState, EffectState
from toolgate.domain.rows import (
    MOVED_FIELDS,
    NOTHING,
    ApprovalRow,
    ByApproval,
    ByApprovalAndKey,
    ByCall,
    ByGrant,
    ByJob,
    ByKey,
    ByNotice,
    ByToken,
    CallRow,
    ClaimRow,
    DeliveryRow,
    Found,
    GrantRow,
    JobRow,
    NoticeRow,
    Reveal,
    RevisionRow,
    Subject,
    TokenRow,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

CALL_COLUMNS = ", ".join(CallRow._fields)
APPROVAL_COLUMNS = ", ".join(ApprovalRow._fields)
JOB_COLUMNS = ", ".join(JobRow._fields)
TOKEN_COLUMNS = ", ".join(TokenRow._fields)
GRANT_COLUMNS = ", ".join(GrantRow._fields)
NOTICE_COLUMNS = ", ".join(NoticeRow._fields)
DELIVERY_COLUMNS = ", ".join(DeliveryRow._fields)
REVISION_COLUMNS = ", ".join(RevisionRow._fields)


def put(table: str, fields: tuple[str, ...]) -> str:
    """A row in its table, in place of what has its key."""
    return f"INSERT OR REPLACE INTO {table} ({', '.join(fields)}) VALUES ({', '.join('?' * len(fields))})"


MOVE_CALL = f"UPDATE calls SET {', '.join(f'{name} = ?' for name in MOVED_FIELDS)} WHERE call_id = ?"
RESEAL_CALL = "UPDATE calls SET digest = ?, fingerprint = ?, key_mac = ? WHERE call_id = ?"
PUT_CLAIM = (
    f"INSERT INTO claims ({', '.join(ClaimRow._fields)}) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (key_mac) DO UPDATE SET call_id = excluded.call_id, "
    "caller_id = excluded.caller_id, fingerprint = excluded.fingerprint, attach_only = excluded.attach_only"
)
PUT_APPROVAL = put("approvals", ApprovalRow._fields)
PUT_JOB = put("jobs", JobRow._fields)
PUT_GRANT = put("grants", GrantRow._fields)
PUT_NOTICE = put("notices", NoticeRow._fields)
PUT_DELIVERY = put("deliveries", DeliveryRow._fields)
PUT_REVISION = put("revisions", RevisionRow._fields)
PUT_REVEAL = put("reveals", Reveal._fields)
ADD_VOTE = "INSERT INTO votes (approval_id, revision, voter, roles, reason, at) VALUES (?, ?, ?, ?, ?, ?)"
PUT_SEALED = "INSERT OR REPLACE INTO sealed (call_id, kind, sealed) VALUES (?, ?, ?)"
# Not OR REPLACE: that would take away another token of the same hash, which is refused instead.
PUT_CREDENTIAL = (
    f"INSERT INTO tokens ({TOKEN_COLUMNS}) VALUES ({', '.join('?' * len(TokenRow._fields))}) "
    "ON CONFLICT (token_id) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in TokenRow._fields if name != "token_id")
)

_CALL = f"SELECT {CALL_COLUMNS} FROM calls WHERE call_id = ?"
_JOB = f"SELECT {JOB_COLUMNS} FROM jobs WHERE job_id = ?"
_CLAIM = "SELECT key_mac, call_id, caller_id, fingerprint, attach_only FROM claims WHERE key_mac = ?"
_APPROVAL = f"SELECT {APPROVAL_COLUMNS} FROM approvals WHERE approval_id = ?"
_REVEALS = "SELECT approval_id, revision, viewer, at FROM reveals WHERE approval_id = ? ORDER BY at, viewer"
_TOKEN = f"SELECT {TOKEN_COLUMNS} FROM tokens WHERE token_id = ?"
_GRANT = f"SELECT {GRANT_COLUMNS} FROM grants WHERE grant_id = ?"
_NOTICE = f"SELECT {NOTICE_COLUMNS} FROM notices WHERE notice_id = ?"
_DELIVERY = f"SELECT {DELIVERY_COLUMNS} FROM deliveries WHERE notice_id = ? AND sink = ?"
_VOTES = (
    "SELECT approval_id, revision, voter, roles, reason, at FROM votes WHERE approval_id = ? "
    "ORDER BY at, revision, voter"
)

_BULK = 32
"""Rows of one multi-row INSERT. A step of SQLite lets go of the interpreter's lock once, so one statement of many
rows costs one hand-over where many statements would cost as many."""


def values(rows: int, columns: int) -> str:
    """``(?, ?), (?, ?)``: the parameters of a statement that inserts ``rows`` rows."""
    return ", ".join([f"({', '.join('?' * columns)})"] * rows)


INSERT_CALLS = {
    count: f"INSERT INTO calls ({CALL_COLUMNS}) VALUES {values(count, len(CallRow._fields))}"
    for count in (1, _BULK)
}
INSERT_AUDIT = {
    count: "INSERT INTO audit (chain_no, chain_seq, call_id, at, record, leaf, link) VALUES "
    + values(count, 7)
    for count in (1, _BULK)
}


def insert_many(
    connection: sqlite3.Connection, statements: Mapping[int, str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Insert ``rows``, as many at a time as the prepared statements allow."""
    at = 0
    while len(rows) - at >= _BULK:
        flat = [value for row in rows[at : at + _BULK] for value in row]
        connection.execute(statements[_BULK], flat)
        at += _BULK
    if at < len(rows):
        connection.executemany(statements[1], rows[at:])


def move_values(row: CallRow) -> tuple[Any, ...]:
    """The parameters of ``MOVE_CALL``."""
    return (*row[-len(MOVED_FIELDS) :], row.call_id)


def call_row(values: Sequence[Any]) -> CallRow:
    """A call as SELECTed by ``CALL_COLUMNS``."""
    row = CallRow(*values)
    state = None if row.effect_state is None else EffectState(row.effect_state)
    return row._replace(effect_state=state, workflow_explicit=bool(row.workflow_explicit))


def job_row(values: Sequence[Any]) -> JobRow:
    """A job as SELECTed by ``JOB_COLUMNS``."""
    row = JobRow(*values)
    return row._replace(rerun=bool(row.rerun))


def approval_row(values: Sequence[Any]) -> ApprovalRow:
    """An approval as SELECTed by ``APPROVAL_COLUMNS``."""
    row = ApprovalRow(*values)
    return row._replace(
        state=ApprovalState(row.state),
        barred=tuple(json.loads(str(row.barred))),
        must_reveal=bool(row.must_reveal),
    )


def approval_values(row: ApprovalRow) -> tuple[Any, ...]:
    """The parameters of ``PUT_APPROVAL``."""
    return row._replace(barred=json.dumps(row.barred))  # type: ignore[arg-type] # as it lies in its table


def token_row(values: Sequence[Any]) -> TokenRow:
    """A token as SELECTed by ``TOKEN_COLUMNS``."""
    row = TokenRow(*values)
    return row._replace(roles=_names(row.roles), scopes=_names(row.scopes))


def token_values(row: TokenRow) -> tuple[Any, ...]:
    """The parameters of ``PUT_CREDENTIAL``."""
    return row._replace(roles=_listed(row.roles), scopes=_listed(row.scopes))  # type: ignore[arg-type] # likewise


def grant_row(values: Sequence[Any]) -> GrantRow:
    """A grant as SELECTed by ``GRANT_COLUMNS``."""
    row = GrantRow(*values)
    # Edited by hand it may be text, which is then seen to be another condition than the one that was agreed to.
    bounds: Any = row.bounds
    bounds = bounds if isinstance(bounds, bytes) else str(bounds).encode()
    return row._replace(roles=_names(row.roles), bounds=bounds)


def grant_values(row: GrantRow) -> tuple[Any, ...]:
    """The parameters of ``PUT_GRANT``."""
    return row._replace(roles=_listed(row.roles))  # type: ignore[arg-type] # likewise


def notice_row(values: Sequence[Any]) -> NoticeRow:
    """A notice as SELECTed by ``NOTICE_COLUMNS``."""
    row = NoticeRow(*values)
    return row._replace(planned=bool(row.planned))


def _names(listed: Any) -> frozenset[str]:
    return frozenset(json.loads(listed))


def _listed(names: frozenset[str]) -> str:
    return json.dumps(sorted(names))


def vote_values(vote: Vote) -> tuple[Any, ...]:
    """The parameters of ``ADD_VOTE``."""
    return (vote.approval_id, vote.revision, vote.voter, json.dumps(sorted(vote.roles)), vote.reason, vote.at)


def load(connection: sqlite3.Connection, subject: Subject | None, fresh: Mapping[str, CallRow]) -> Found:  # noqa: C901 - one line a kind of subject
    """What the decision of a command needs. ``fresh``: calls of this group that are not inserted yet."""
    match subject:
        case None:
            return NOTHING
        case ByKey(key_mac):
            row = connection.execute(_CLAIM, (key_mac,)).fetchone()
            if row is None:
                return Found()
            claim = ClaimRow(row[0], row[1], row[2], row[3], bool(row[4]))
            return _around(connection, _load_call(connection, claim.call_id, fresh), claim)
        case ByCall(call_id):
            return _around(connection, _load_call(connection, call_id, fresh), None)
        case ByJob(call_id):
            around = _around(connection, _load_call(connection, call_id, fresh), None)
            return replace(around, job=load_job(connection, job_id_of(call_id)))
        case ByApproval(approval_id):
            return _by_approval(connection, approval_id, fresh)
        case ByApprovalAndKey(approval_id, key_mac):
            holder = load(connection, ByKey(key_mac), fresh)
            held = _by_approval(connection, approval_id, fresh)
            return held if holder.claim is None else replace(held, holder=holder)
        case ByGrant(grant_id, key_mac):
            found = Found() if key_mac is None else load(connection, ByKey(key_mac), fresh)
            row = connection.execute(_GRANT, (grant_id,)).fetchone()
            return replace(found, grant=None if row is None else grant_row(row))
        case ByToken(token_id):
            row = connection.execute(_TOKEN, (token_id,)).fetchone()
            return Found(token=None if row is None else token_row(row))
        case ByNotice(notice_id, sink):
            row = connection.execute(_NOTICE, (notice_id,)).fetchone()
            way = connection.execute(_DELIVERY, (notice_id, sink)).fetchone() if sink is not None else None
            return Found(
                notice=None if row is None else notice_row(row),
                delivery=None if way is None else DeliveryRow(*way),
            )


def _by_approval(connection: sqlite3.Connection, approval_id: str, fresh: Mapping[str, CallRow]) -> Found:
    approval = load_approval(connection, approval_id)
    call = _load_call(connection, approval.call_id, fresh) if approval else None
    return Found(call=call, approval=approval, **_said(connection, approval_id))


def _around(connection: sqlite3.Connection, call: CallRow | None, claim: ClaimRow | None) -> Found:
    if call is None or call.approval_id is None:
        return Found(claim=claim, call=call)
    return Found(
        claim=claim,
        call=call,
        approval=load_approval(connection, call.approval_id),
        **_said(connection, call.approval_id),
    )


def _said(connection: sqlite3.Connection, approval_id: str) -> dict[str, Any]:
    reveals = tuple(Reveal(*row) for row in connection.execute(_REVEALS, (approval_id,)))
    return {"votes": load_votes(connection, approval_id), "reveals": reveals}


def _load_call(connection: sqlite3.Connection, call_id: str, fresh: Mapping[str, CallRow]) -> CallRow | None:
    if call_id in fresh:
        return fresh[call_id]
    found = connection.execute(_CALL, (call_id,)).fetchone()
    return None if found is None else call_row(found)


def load_job(connection: sqlite3.Connection, job_id: str) -> JobRow | None:
    """One job."""
    found = connection.execute(_JOB, (job_id,)).fetchone()
    return None if found is None else job_row(found)


def load_approval(connection: sqlite3.Connection, approval_id: str) -> ApprovalRow | None:
    """One approval."""
    found = connection.execute(_APPROVAL, (approval_id,)).fetchone()
    return None if found is None else approval_row(found)


def load_votes(connection: sqlite3.Connection, approval_id: str) -> tuple[Vote, ...]:
    """The votes of all revisions, in the order they were given."""
    return tuple(
        Vote(approval_id=a, revision=n, voter=v, roles=frozenset(json.loads(roles)), reason=why, at=at)
        for a, n, v, roles, why, at in connection.execute(_VOTES, (approval_id,))
    )
