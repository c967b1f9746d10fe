"""Writes what a group came to: what nearly every group has in one statement, the rest in one statement a table.

Absent claims are inserted plainly: a key that another replica claimed meanwhile is a unique violation, and the group is
decided anew. Claims go in the order of their keys, the only rows at whose insertion two writers can wait for each
other. Not here: transactions (``session``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import asyncpg

from toolgate.adapters.stores.postgres import rows as sql

if TYPE_CHECKING:
    from toolgate.adapters.stores.chain import ChainHead
    from toolgate.adapters.stores.postgres.overlay import Overlay, Turn


class Forked(Exception):
    """The chain does not end where this process left it: a restored database, or another process of this boot."""


def _most() -> str:
    parts, first = [], 1
    for name, statement, count in (
        ("claimed", sql.CLAIMS.insert, len(sql.CLAIMS.columns)),
        ("called", sql.CALLS.insert, len(sql.CALLS.columns)),
        ("moved", lambda at: sql.CALLS.update(sql.MOVED, at), 1 + len(sql.MOVED)),
        ("kept", sql.SEALED.put, len(sql.SEALED.columns)),
        ("traced", sql.AUDIT.insert, len(sql.AUDIT.columns)),
    ):
        parts.append(f"{name} AS ({statement(first)})")
        first += count
    head = (
        f"UPDATE chains SET head_seq = ${first}, head_link = ${first + 1}, head_at = ${first + 2}, recent = true, "
        f"groups = groups + 1 WHERE chain_no = ${first + 3} AND groups = ${first + 4} RETURNING chain_no"
    )
    return f"WITH {', '.join(parts)} {head}"


_MOST = _most()
_KNOWN_CLAIMS = sql.CLAIMS.put()
_RESEAL = sql.CALLS.update(sql.RESEALED)
_OTHERS = (
    ("approvals", sql.APPROVALS.put(), sql.APPROVALS, sql.approval_values),
    ("votes", sql.VOTES.insert(), sql.VOTES, sql.vote_values),
    ("revisions", sql.REVISIONS.put(), sql.REVISIONS, tuple),
    ("reveals", sql.REVEALS.put(), sql.REVEALS, tuple),
    ("jobs", sql.JOBS.put(), sql.JOBS, tuple),
    ("grants", sql.GRANTS.put(), sql.GRANTS, sql.grant_values),
    ("tokens", sql.TOKENS.put(), sql.TOKENS, sql.token_values),
    ("notices", sql.NOTICES.put(), sql.NOTICES, tuple),
    ("deliveries", sql.DELIVERIES.put(), sql.DELIVERIES, tuple),
)


async def write(
    connection: asyncpg.Connection, overlay: Overlay, *, turn: Turn, head: ChainHead, groups: int
) -> None:
    """Everything that the group put. ``groups``: how many the chain had before.

    Raises:
        Forked: if it has another number of them.
    """
    fresh = [overlay.claims.rows[key] for key in sorted(overlay.claims.changed) if key in overlay.absent]
    there = [overlay.claims.rows[key] for key in sorted(overlay.claims.changed) if key not in overlay.absent]
    if there:
        await connection.execute(_KNOWN_CLAIMS, *_columns(there, sql.CLAIMS.columns))
    moved = [(call.call_id, *call[-len(sql.MOVED) :]) for call in overlay.calls.in_order()]
    told = await connection.fetch(
        _MOST,
        *_columns(fresh, sql.CLAIMS.columns),
        *_columns([overlay.calls.rows[name] for name in overlay.new], sql.CALLS.columns),
        *_columns(moved, ("call_id", *sql.MOVED)),
        *_columns(overlay.sealed.in_order(), sql.SEALED.columns),
        *_columns(overlay.trail, sql.AUDIT.columns),
        head.seq,
        head.link,
        turn.at,
        turn.chain_no,
        groups,
    )
    if not told:
        raise Forked
    resealed = [name for name in sorted(overlay.resealed) if name not in overlay.new]
    if resealed:
        rows = [overlay.calls.rows[name] for name in resealed]
        values = [(row.call_id, row.digest, row.fingerprint, row.key_mac) for row in rows]
        await connection.execute(_RESEAL, *_columns(values, ("call_id", *sql.RESEALED)))
    for name, statement, table, values_of in _OTHERS:
        kept = getattr(overlay, name)
        if kept.changed:
            await connection.execute(statement, *_columns(map(values_of, kept.in_order()), table.columns))


def _columns(rows: Iterable[Sequence[Any]], names: Sequence[str]) -> list[Sequence[Any]]:
    """The rows, turned: one array a column."""
    return list(zip(*rows, strict=True)) or [()] * len(names)
