"""Between the ledger's rows and Postgres: the tables, their columns with types, and rows as they are sent and read.

Text that Postgres cannot keep is refused here, before it is sent: one such value would fail a whole group.
Not here: what is asked of the tables (``loading``, ``writing``, ``search``).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from toolgate.domain.approval import Vote
from toolgate.domain.lifecycle import ApprovalState, EffectState
from toolgate.domain.rows import (
    MOVED_FIELDS,
    ApprovalRow,
    CallRow,
    ClaimRow,
    DeliveryRow,
    GrantRow,
    JobRow,
    NoticeRow,
    Reveal,
    RevisionRow,
    SealedRow,
    TokenRow,
)

SEQ_STEP = 65536
"""Events that one transaction may write: its number times this is the first one's ``seq``."""

SEQ_BASE = "(SELECT value::bigint FROM meta WHERE key = 'seq_base')"

SETTLED_BELOW = f"({SEQ_BASE} + pg_snapshot_xmin(pg_current_snapshot())::text::bigint * {SEQ_STEP})"
"""SQL: every event that will ever have a ``seq`` below this is there, or never will be.

Transactions commit in another order than they begin; a reader that goes on from the last ``seq`` it saw must not look
beyond this, or it would pass over one that commits late.
"""

_BIGINT = 2**63
_SPECIAL = {
    "bigint": (
        "received_at updated_at lease_until duration_us revision requested_at expires_at at replaced_at until max_uses "
        "uses created_at revoked_at attempts next_at priority not_before timeout_us started_at progress_at cancel_at "
        "chain_no chain_seq seq"
    ),
    "bytea": "digest fingerprint key_mac requirement shown bounds body sealed record leaf link",
    "boolean": "workflow_explicit attach_only must_reveal planned rerun",
    "double precision": "done total",
}
_TYPES = {name: kind for kind, names in _SPECIAL.items() for name in names.split()}


class Unkeepable(ValueError):
    """A value that Postgres has no place for; the message names the column and not the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table and its columns, in the order of the row's fields. ``key`` is its primary key."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def listed(self) -> str:
        """The columns, for a SELECT."""
        return ", ".join(self.columns)

    def parameters(self, first: int = 1, columns: Sequence[str] | None = None) -> str:
        """``unnest($1::text[], …)``: one array a column; a statement takes any number of rows."""
        named = self.columns if columns is None else columns
        arrays = [f"${first + at}::{_TYPES.get(name, 'text')}[]" for at, name in enumerate(named)]
        return f"unnest({', '.join(arrays)})"

    def insert(self, first: int = 1) -> str:
        """Rows that must not be there yet."""
        return f"INSERT INTO {self.name} ({self.listed}) SELECT * FROM {self.parameters(first)}"

    def put(self, first: int = 1) -> str:
        """Rows in place of what has their keys."""
        moving = [name for name in self.columns if name not in self.key]
        change = ", ".join(f"{name} = excluded.{name}" for name in moving)
        what = f"DO UPDATE SET {change}" if change else "DO NOTHING"
        return f"{self.insert(first)} ON CONFLICT ({', '.join(self.key)}) {what}"

    def update(self, columns: Sequence[str], first: int = 1) -> str:
        """Some columns of rows that are there; the parameters are the key's columns and then those."""
        named = (*self.key, *columns)
        change = ", ".join(f"{name} = new.{name}" for name in columns)
        same = " AND ".join(f"{self.name}.{name} = new.{name}" for name in self.key)
        return (
            f"UPDATE {self.name} SET {change} FROM {self.parameters(first, named)} "
            f"AS new ({', '.join(named)}) WHERE {same}"
        )


CALLS = Table(name="calls", columns=CallRow._fields, key=("call_id",))
CLAIMS = Table(name="claims", columns=ClaimRow._fields, key=("key_mac",))
APPROVALS = Table(name="approvals", columns=ApprovalRow._fields, key=("approval_id",))
VOTES = Table(
    name="votes",
    columns=("approval_id", "revision", "voter", "roles", "reason", "at"),
    key=("approval_id", "revision", "voter"),
)
REVISIONS = Table(name="revisions", columns=RevisionRow._fields, key=("approval_id", "revision"))
REVEALS = Table(name="reveals", columns=Reveal._fields, key=("approval_id", "revision", "viewer"))
SEALED = Table(name="sealed", columns=SealedRow._fields, key=("call_id", "kind"))
GRANTS = Table(name="grants", columns=GrantRow._fields, key=("grant_id",))
TOKENS = Table(name="tokens", columns=TokenRow._fields, key=("token_id",))
NOTICES = Table(name="notices", columns=NoticeRow._fields, key=("notice_id",))
DELIVERIES = Table(name="deliveries", columns=DeliveryRow._fields, key=("notice_id", "sink"))
JOBS = Table(name="jobs", columns=JobRow._fields, key=("job_id",))
AUDIT = Table(
    name="audit",
    columns=("seq", "chain_no", "chain_seq", "call_id", "at", "record", "leaf", "link"),
    key=("chain_no", "chain_seq", "at"),
)
MOVED = MOVED_FIELDS
RESEALED = ("digest", "fingerprint", "key_mac")


def call_row(values: Sequence[Any]) -> CallRow:
    """A call as SELECTed by ``CALLS.listed``."""
    row = CallRow._make(values)
    return row if row.effect_state is None else row._replace(effect_state=EffectState(row.effect_state))


def claim_row(values: Sequence[Any]) -> ClaimRow:
    """A claim as SELECTed by ``CLAIMS.listed``."""
    return ClaimRow._make(values)


def approval_row(values: Sequence[Any]) -> ApprovalRow:
    """An approval as SELECTed by ``APPROVALS.listed``."""
    row = ApprovalRow._make(values)
    return row._replace(state=ApprovalState(row.state), barred=tuple(json.loads(str(row.barred))))


def approval_values(row: ApprovalRow) -> tuple[Any, ...]:
    """The columns of ``APPROVALS``."""
    return row._replace(barred=json.dumps(row.barred))  # type: ignore[arg-type] # as it lies in its table


def vote(values: Sequence[Any]) -> Vote:
    """A vote as SELECTed by ``VOTES.listed``."""
    approval_id, revision, voter, roles, reason, at = values
    return Vote(
        approval_id=approval_id, revision=revision, voter=voter, roles=_names(roles), reason=reason, at=at
    )


def vote_values(given: Vote) -> tuple[Any, ...]:
    """The columns of ``VOTES``."""
    return (given.approval_id, given.revision, given.voter, _listed(given.roles), given.reason, given.at)


def token_row(values: Sequence[Any]) -> TokenRow:
    """A token as SELECTed by ``TOKENS.listed``."""
    row = TokenRow._make(values)
    return row._replace(roles=_names(row.roles), scopes=_names(row.scopes))


def token_values(row: TokenRow) -> tuple[Any, ...]:
    """The columns of ``TOKENS``."""
    return row._replace(roles=_listed(row.roles), scopes=_listed(row.scopes))  # type: ignore[arg-type] # likewise


def grant_row(values: Sequence[Any]) -> GrantRow:
    """A grant as SELECTed by ``GRANTS.listed``."""
    row = GrantRow._make(values)
    return row._replace(roles=_names(row.roles))


def grant_values(row: GrantRow) -> tuple[Any, ...]:
    """The columns of ``GRANTS``."""
    return row._replace(roles=_listed(row.roles))  # type: ignore[arg-type] # likewise


def job_row(values: Sequence[Any]) -> JobRow:
    """A job as SELECTed by ``JOBS.listed``."""
    return JobRow._make(values)


def can_be_asked(value: object) -> bool:
    """Whether a text can be sent at all. One that cannot is in no row, so whoever looks for it has found nothing."""
    return not isinstance(value, str) or _is_text(value)


def refuse_unkeepable(table: Table, values: Sequence[Any]) -> None:
    """Look at what is about to be written.

    Raises:
        Unkeepable: for a NUL character or half a surrogate pair in a text (PostgreSQL, 8.3), and for an integer
            beyond 64 bits.
    """
    for name, value in zip(table.columns, values, strict=True):
        kind = type(value)
        if kind is int and not -_BIGINT <= value < _BIGINT:
            raise Unkeepable(f"{table.name}.{name} is an integer of more than 64 bits")
        if kind is str and not _is_text(value):
            raise Unkeepable(
                f"{table.name}.{name} holds a NUL character or half a surrogate pair, which Postgres cannot keep"
            )


def _is_text(value: str) -> bool:
    if value.isascii():
        return "\0" not in value
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def _names(listed: Any) -> frozenset[str]:
    return frozenset(json.loads(listed))


def _listed(names: frozenset[str]) -> str:
    return json.dumps(sorted(names))
