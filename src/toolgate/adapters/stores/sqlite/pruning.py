"""Removing what retention lets go, in bounded steps of the writer's transactions; and whose turn it is to do so.

What is removed leaves room in the file, which does not shrink. Not here: what may go (``domain.retention``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from toolgate.adapters.stores.sqlite import rows as sql
from toolgate.domain.duration import MICRO
from toolgate.domain.jobs import job_id_of
from toolgate.domain.retention import (
    Around,
    Prune,
    PruneCalls,
    Pruned,
    PruneNotices,
    PruneTokens,
    PruneTombstones,
    PruneTrail,
    Removal,
    TrailCut,
    counted,
    removals,
)
from toolgate.domain.rows import GIVEN_OUT, ByCall, ClaimRow

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from toolgate.domain.audit import Head

_WALKS: Final = {
    "sealed": "SELECT DISTINCT call_id FROM sealed WHERE call_id > ? ORDER BY call_id LIMIT ?",
    "claims": "SELECT DISTINCT call_id FROM claims WHERE call_id > ? ORDER BY call_id LIMIT ?",
    "calls": "SELECT call_id FROM calls WHERE call_id > ? ORDER BY call_id LIMIT ?",
}
_ENDED: Final = f"kind <> '{GIVEN_OUT}' AND min(expires_at, coalesce(revoked_at, expires_at)) <= ?"
"""Word for word what the index ``tokens_ended`` is limited to and made of."""
_OVER: Final = (
    "planned = 1 AND at <= :before AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.notice_id = n.notice_id "
    "AND NOT (d.state = 'delivered' AND d.updated_at <= :before "
    "OR d.state = 'dead' AND d.updated_at <= coalesce(:dead, -1)))"
)


class Upkeep(NamedTuple):
    """Work for the writer that is no command: done in its transaction, at the store's time (µs)."""

    work: Callable[[sqlite3.Connection, int], Any]


def prune(db: sqlite3.Connection, batch: Prune, now: int, *, dry: bool) -> Pruned:
    """Remove one batch, or say what would go. ``dry`` needs no more than a reading connection."""
    match batch:
        case PruneCalls():
            return _calls(db, batch, now, dry=dry)
        case PruneTombstones(before, limit):
            return _tombstones(db, before, limit, dry=dry)
        case PruneTokens(before, limit):
            where = f"FROM tokens WHERE {_ENDED}"
            if dry:
                return Pruned({"sessions": _count(db, where, (before,))})
            ids = f"SELECT token_id {where} LIMIT ?"
            gone = db.execute(f"DELETE FROM tokens WHERE token_id IN ({ids})", (before, limit)).rowcount
            return _page("sessions", gone, limit)
        case PruneNotices():
            return _notices(db, batch, dry=dry)
        case PruneTrail():
            return _trail(db, batch, dry=dry)


def oldest(db: sqlite3.Connection, before: int, limit: int) -> TrailCut | None:
    """The records at the front of the trail that were written before ``before``; the newest record is never of them."""
    first = db.execute("SELECT seq, chain_no, chain_seq, at FROM audit ORDER BY seq LIMIT ?", (limit,))
    last: dict[int, tuple[int, int]] = {}
    place, until, count = 0, 0, 0
    (newest,) = db.execute("SELECT max(seq) FROM audit").fetchone()
    for seq, chain_no, chain_seq, at in first:
        if at >= before or seq == newest:
            break
        last[chain_no] = chain_seq, seq
        place, until, count = seq, max(until, at), count + 1
    if not count:
        return None
    heads = {}
    for chain_no, (chain_seq, seq) in last.items():
        (link,) = db.execute("SELECT link FROM audit WHERE seq = ?", (seq,)).fetchone()
        heads[_name(db, chain_no)] = chain_seq, link
    old = db.execute("SELECT chain_no, seq, link FROM cuts WHERE stated_at < ?", (before,)).fetchall()
    restated = {_name(db, chain_no): (seq, link) for chain_no, seq, link in old if chain_no not in last}
    return TrailCut(heads, restated, count, until, str(place))


def turn(db: sqlite3.Connection, name: str, every: float, now: int) -> bool:
    """Take the turn of ``name`` if the last one is ``every`` seconds ago."""
    taken = db.execute(
        "INSERT INTO turns VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET at = excluded.at WHERE at <= ?",
        (name, now, now - round(every * MICRO)),
    )
    return taken.rowcount == 1


def turn_taken(db: sqlite3.Connection, name: str) -> int | None:
    """When the last turn of ``name`` was taken."""
    row = db.execute("SELECT at FROM turns WHERE name = ?", (name,)).fetchone()
    return None if row is None else int(row[0])


def _name(db: sqlite3.Connection, chain_no: int) -> str:
    row = db.execute("SELECT chain_id FROM chains WHERE chain_no = ?", (chain_no,)).fetchone()
    return str(row[0]) if row else ""


def _count(db: sqlite3.Connection, rest: str, values: Any) -> int:
    return int(db.execute(f"SELECT count(*) {rest}", values).fetchone()[0])


def _page(name: str, gone: int, limit: int) -> Pruned:
    """What was removed is not found again, so that the next batch begins at the front."""
    return Pruned({name: gone}, "" if gone == limit else None)


def _calls(db: sqlite3.Connection, batch: PruneCalls, now: int, *, dry: bool) -> Pruned:
    walked = [call_id for (call_id,) in db.execute(_WALKS[batch.by], (batch.after, batch.limit))]
    found = [around for call_id in walked if (around := _around(db, call_id)) is not None]
    gone = removals(batch.kept, found, now)
    if not dry:
        _remove(db, gone)
    horizon = batch.kept.before(batch.serves, now)
    # Ids are in the order of time: where none of a whole batch is old enough, none behind it is.
    young = horizon is None or (bool(found) and min(around.call.received_at for around in found) > horizon)
    return Pruned(counted(gone), None if young or len(walked) < batch.limit else walked[-1])


def _around(db: sqlite3.Connection, call_id: str) -> Around | None:
    found = sql.load(db, ByCall(call_id), {})
    if found.call is None:
        return None
    claims = db.execute(
        "SELECT key_mac, call_id, caller_id, fingerprint, attach_only FROM claims WHERE call_id = ?",
        (call_id,),
    )
    return Around(
        found.call,
        found.approval,
        tuple(
            ClaimRow(key, holder, caller, print_, bool(only)) for key, holder, caller, print_, only in claims
        ),
        db.execute("SELECT 1 FROM sealed WHERE call_id = ?", (call_id,)).fetchone() is not None,
    )


def _remove(db: sqlite3.Connection, gone: Sequence[Removal]) -> None:
    _delete(db, "sealed", "call_id", [one.call_id for one in gone if one.sealed])
    _delete(db, "claims", "key_mac", [key for one in gone for key in one.freed])
    db.executemany(
        "INSERT OR REPLACE INTO tombstones VALUES (?, ?)",
        [(key, one.ended_at) for one in gone for key in one.tombstones],
    )
    calls = [one.call_id for one in gone if one.call]
    _delete(db, "jobs", "job_id", [job_id_of(call_id) for call_id in calls])
    approvals = [one.approval_id for one in gone if one.call and one.approval_id is not None]
    for table in ("votes", "revisions", "reveals", "approvals"):
        _delete(db, table, "approval_id", approvals)
    _delete(db, "calls", "call_id", calls)


def _delete(db: sqlite3.Connection, table: str, column: str, values: Sequence[Any]) -> None:
    db.executemany(f"DELETE FROM {table} WHERE {column} = ?", [(value,) for value in values])


def _tombstones(db: sqlite3.Connection, before: int, limit: int, *, dry: bool) -> Pruned:
    if dry:
        return Pruned({"keys": _count(db, "FROM tombstones WHERE ended_at <= ?", (before,))})
    query = "SELECT key_mac FROM tombstones WHERE ended_at <= ? ORDER BY ended_at LIMIT ?"
    keys = [key for (key,) in db.execute(query, (before, limit))]
    _delete(db, "claims", "key_mac", keys)
    _delete(db, "tombstones", "key_mac", keys)
    return _page("keys", len(keys), limit)


def _notices(db: sqlite3.Connection, batch: PruneNotices, *, dry: bool) -> Pruned:
    values = {"before": batch.before, "dead": batch.dead_before, "limit": batch.limit}
    if dry:
        return Pruned({"notices": _count(db, f"FROM notices n WHERE {_OVER}", values)})
    query = (
        f"SELECT notice_id FROM notices n INDEXED BY notices_planned WHERE {_OVER} ORDER BY at LIMIT :limit"
    )
    ids = [notice_id for (notice_id,) in db.execute(query, values)]
    _delete(db, "deliveries", "notice_id", ids)
    _delete(db, "notices", "notice_id", ids)
    return _page("notices", len(ids), batch.limit)


def _trail(db: sqlite3.Connection, batch: PruneTrail, *, dry: bool) -> Pruned:
    place = int(batch.cut.place)
    if dry:
        return Pruned({"audit": _count(db, "FROM audit WHERE seq <= ?", (place,))})
    cuts: dict[str, Head] = {**batch.cut.restated, **batch.cut.heads}
    db.executemany(
        "INSERT OR REPLACE INTO cuts SELECT chain_no, ?, ?, ? FROM chains WHERE chain_id = ?",
        [(seq, link, batch.stated_at, chain) for chain, (seq, link) in cuts.items()],
    )
    ids = "SELECT seq FROM audit WHERE seq <= ? ORDER BY seq LIMIT ?"
    gone = db.execute(f"DELETE FROM audit WHERE seq IN ({ids})", (place, batch.limit)).rowcount
    return _page("audit", gone, batch.limit)
