"""Removing what retention lets go, in short transactions beside the writers; and whose turn it is to do so.

It takes the rows of a batch without waiting for any of them (``SKIP LOCKED``): what a writer is deciding about at this
moment stays for the next round, and no writer meets a deadlock because of it. The trail goes a month's partition at a
time, detached beside its readers and then dropped. Not here: what may go (``domain.retention``).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import asyncpg

from toolgate.adapters.stores.postgres import rows as sql
from toolgate.adapters.stores.postgres.partitions import Month, month_of
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
from toolgate.domain.rows import GIVEN_OUT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from asyncpg.pool import PoolConnectionProxy

    from toolgate.domain.audit import Head

    Connection = asyncpg.Connection | PoolConnectionProxy

_WALKS: Final = {
    "sealed": "SELECT DISTINCT call_id FROM sealed WHERE call_id > $1 ORDER BY call_id LIMIT $2",
    "claims": "SELECT DISTINCT call_id FROM claims WHERE call_id > $1 ORDER BY call_id LIMIT $2",
    "calls": "SELECT call_id FROM calls WHERE call_id > $1 ORDER BY call_id LIMIT $2",
}
_ENDED: Final = f"FROM tokens WHERE kind <> '{GIVEN_OUT}' AND least(expires_at, revoked_at) <= $1"
"""Word for word what the index ``tokens_ended`` is limited to and made of."""
_OVER: Final = (
    "FROM notices n WHERE planned AND at <= $1 AND NOT EXISTS (SELECT 1 FROM deliveries d "
    "WHERE d.notice_id = n.notice_id AND NOT (d.state = 'delivered' AND d.updated_at <= $1 "
    "OR d.state = 'dead' AND d.updated_at <= coalesce($2::bigint, -1)))"
)
_MONTH: Final = re.compile(r"audit_(\d{4})_(\d{2})")
_PARTITIONS: Final = (
    "SELECT c.relname, i.inhdetachpending FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
    "WHERE i.inhparent = 'audit'::regclass ORDER BY c.relname"
)
_LEFT_OVER: Final = (
    "SELECT c.relname FROM pg_class c WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' "
    "AND c.relname ~ '^audit_\\d{4}_\\d{2}$' AND NOT EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhrelid = c.oid)"
)
_ENDS: Final = """
WITH RECURSIVE chains_of AS (
    (SELECT chain_no FROM {0} ORDER BY chain_no LIMIT 1)
    UNION ALL
    SELECT (SELECT p.chain_no FROM {0} p WHERE p.chain_no > c.chain_no ORDER BY p.chain_no LIMIT 1)
    FROM chains_of c WHERE c.chain_no IS NOT NULL
)
SELECT c.chain_no, f.chain_seq AS first, l.chain_seq AS last, l.link, n.chain_id
FROM chains_of c
CROSS JOIN LATERAL (SELECT chain_seq FROM {0} WHERE chain_no = c.chain_no ORDER BY chain_seq LIMIT 1) f
CROSS JOIN LATERAL (SELECT chain_seq, link FROM {0} WHERE chain_no = c.chain_no ORDER BY chain_seq DESC LIMIT 1) l
LEFT JOIN chains n ON n.chain_no = c.chain_no
"""
"""The first and the last record of each chain in a partition, found by its key, without reading what lies between."""
_RESTATED: Final = (
    "SELECT n.chain_id, t.seq, t.link FROM cuts t JOIN chains n USING (chain_no) WHERE t.stated_at < $1"
)


async def prune(db: Connection, batch: Prune, now: int, *, dry: bool) -> Pruned:
    """Remove one batch, or say what would go."""
    match batch:
        case PruneCalls():
            return await _calls(db, batch, now, dry=dry)
        case PruneTombstones(before, limit):
            return await _tombstones(db, before, limit, dry=dry)
        case PruneTokens(before, limit):
            if dry:
                return Pruned({"sessions": await db.fetchval(f"SELECT count(*) {_ENDED}", before)})
            some = f"SELECT token_id {_ENDED} LIMIT $2 FOR UPDATE SKIP LOCKED"
            done = await db.execute(f"DELETE FROM tokens WHERE token_id IN ({some})", before, limit)
            return _page("sessions", _touched(done), limit)
        case PruneNotices():
            return await _notices(db, batch, dry=dry)
        case PruneTrail():
            return await _trail(db, batch, dry=dry)


async def oldest(db: Connection, before: int) -> TrailCut | None:
    """The oldest partitions as far as one that holds records, all of it written before ``before``."""
    old = [month for month, _ in await _partitions(db) if month.ends <= before]
    for month in old:
        ends = await db.fetch(_ENDS.format(month.name))
        if ends:
            heads = {str(end["chain_id"] or ""): (end["last"], end["link"]) for end in ends}
            stated = await db.fetch(_RESTATED, before)
            restated = {row[0]: (row[1], row[2]) for row in stated if row[0] not in heads}
            count = sum(end["last"] - end["first"] + 1 for end in ends)
            return TrailCut(heads, restated, count, month.ends - 1, month.name)
    return None


async def turn(db: Connection, name: str, every: float, now: int) -> bool:
    """Take the turn of ``name`` if the last one is ``every`` seconds ago."""
    done = await db.execute(
        "INSERT INTO turns VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET at = excluded.at WHERE turns.at <= $3",
        *(name, now, now - round(every * MICRO)),
    )
    return _touched(done) == 1


async def turn_taken(db: Connection, name: str) -> int | None:
    """When the last turn of ``name`` was taken."""
    at: int | None = await db.fetchval("SELECT at FROM turns WHERE name = $1", name)
    return at


def _touched(done: str) -> int:
    """How many rows a command tag (``DELETE 7``) says."""
    return int(done.rpartition(" ")[2])


def _page(name: str, gone: int, limit: int) -> Pruned:
    """What was removed is not found again, so that the next batch begins at the front."""
    return Pruned({name: gone}, "" if gone == limit else None)


# --- calls ------------------------------------------------------------------------------------------------------


async def _calls(db: Connection, batch: PruneCalls, now: int, *, dry: bool) -> Pruned:
    async with db.transaction(readonly=dry):
        walked = [row[0] for row in await db.fetch(_WALKS[batch.by], batch.after, batch.limit)]
        found = await _around(db, walked, dry=dry)
        gone = removals(batch.kept, found, now)
        if gone and not dry:
            await _remove(db, gone)
    horizon = batch.kept.before(batch.serves, now)
    # Ids are in the order of time: where none of a whole batch is old enough, none behind it is.
    young = horizon is None or (bool(found) and min(around.call.received_at for around in found) > horizon)
    return Pruned(counted(gone), None if young or len(walked) < batch.limit else walked[-1])


async def _around(db: Connection, call_ids: Sequence[str], *, dry: bool) -> list[Around]:
    """The calls that nobody else is deciding about now, each with all its keys."""
    lock = "" if dry else "FOR UPDATE SKIP LOCKED"
    some = f"FROM calls WHERE call_id = ANY($1::text[]) ORDER BY call_id {lock}"
    calls = [
        sql.call_row(tuple(row)) for row in await db.fetch(f"SELECT {sql.CALLS.listed} {some}", call_ids)
    ]
    ids = [call.call_id for call in calls]
    held = await db.fetch("SELECT key_mac, call_id FROM claims WHERE call_id = ANY($1::text[])", ids)
    mine = f"SELECT {sql.CLAIMS.listed} FROM claims WHERE call_id = ANY($1::text[]) ORDER BY key_mac {lock}"
    claims = [sql.claim_row(tuple(row)) for row in await db.fetch(mine, ids)]
    taken = {claim.key_mac for claim in claims}
    busy = {row["call_id"] for row in held if row["key_mac"] not in taken}
    approvals = await db.fetch(
        f"SELECT {sql.APPROVALS.listed} FROM approvals WHERE approval_id = ANY($1::text[])",
        [call.approval_id for call in calls if call.approval_id is not None],
    )
    asked = {row["approval_id"]: sql.approval_row(tuple(row)) for row in approvals}
    sealed = {
        row[0]
        for row in await db.fetch("SELECT DISTINCT call_id FROM sealed WHERE call_id = ANY($1::text[])", ids)
    }
    return [
        Around(
            call,
            asked.get(call.approval_id or ""),
            tuple(claim for claim in claims if claim.call_id == call.call_id),
            call.call_id in sealed,
        )
        for call in calls
        if call.call_id not in busy
    ]


async def _remove(db: Connection, gone: Sequence[Removal]) -> None:
    await _delete(db, "sealed", "call_id", [one.call_id for one in gone if one.sealed])
    await _delete(db, "claims", "key_mac", [key for one in gone for key in one.freed], kind="bytea")
    left = [(key, one.ended_at) for one in gone for key in one.tombstones]
    if left:
        await db.execute(
            "INSERT INTO tombstones SELECT * FROM unnest($1::bytea[], $2::bigint[]) ON CONFLICT (key_mac) DO NOTHING",
            *([key for key, _ in left], [ended for _, ended in left]),
        )
    calls = [one.call_id for one in gone if one.call]
    await _delete(db, "jobs", "job_id", [job_id_of(call_id) for call_id in calls])
    approvals = [one.approval_id for one in gone if one.call and one.approval_id is not None]
    for table in ("votes", "revisions", "reveals", "approvals"):
        await _delete(db, table, "approval_id", approvals)
    await _delete(db, "calls", "call_id", calls)


async def _delete(
    db: Connection, table: str, column: str, values: Sequence[Any], *, kind: str = "text"
) -> None:
    if values:
        await db.execute(f"DELETE FROM {table} WHERE {column} = ANY($1::{kind}[])", values)


async def _tombstones(db: Connection, before: int, limit: int, *, dry: bool) -> Pruned:
    if dry:
        return Pruned(
            {"keys": await db.fetchval("SELECT count(*) FROM tombstones WHERE ended_at <= $1", before)}
        )
    async with db.transaction():
        some = (
            "SELECT key_mac FROM tombstones JOIN claims USING (key_mac) WHERE ended_at <= $1 "
            "ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED"
        )
        keys = [row[0] for row in await db.fetch(some, before, limit)]
        await _delete(db, "claims", "key_mac", keys, kind="bytea")
        await _delete(db, "tombstones", "key_mac", keys, kind="bytea")
    return _page("keys", len(keys), limit)


async def _notices(db: Connection, batch: PruneNotices, *, dry: bool) -> Pruned:
    given = (batch.before, batch.dead_before)
    if dry:
        return Pruned({"notices": await db.fetchval(f"SELECT count(*) {_OVER}", *given)})
    async with db.transaction():
        some = f"SELECT notice_id {_OVER} ORDER BY at LIMIT $3 FOR UPDATE SKIP LOCKED"
        ids = [row[0] for row in await db.fetch(some, *given, batch.limit)]
        await _delete(db, "deliveries", "notice_id", ids)
        await _delete(db, "notices", "notice_id", ids)
    return _page("notices", len(ids), batch.limit)


# --- the trail --------------------------------------------------------------------------------------------------


async def _partitions(db: Connection) -> list[tuple[Month, bool]]:
    """The months that the trail has, oldest first, and whether one was left half detached."""
    found = []
    for name, pending in await db.fetch(_PARTITIONS):
        if match := _MONTH.fullmatch(name):
            found.append((_month(match), bool(pending)))
    return found


def _month(match: re.Match[str]) -> Month:
    first = datetime(int(match[1]), int(match[2]), 1, tzinfo=UTC)
    return month_of(round(first.timestamp()) * MICRO)


async def _trail(db: Connection, batch: PruneTrail, *, dry: bool) -> Pruned:
    """Drop the partition that was stated. Whoever is in its way (a long read) makes it wait for the next round."""
    if dry:
        return Pruned({"audit": batch.cut.records})
    await _keep_cuts(db, batch)
    for month, pending in await _partitions(db):
        if month.name > batch.cut.place:
            break
        try:
            await db.execute(
                f"ALTER TABLE audit DETACH PARTITION {month.name} {'FINALIZE' if pending else 'CONCURRENTLY'}"
            )
        except (asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError):
            return Pruned()
    for (name,) in await db.fetch(_LEFT_OVER):
        if name <= batch.cut.place:
            await db.execute(f"DROP TABLE {name}")
    return Pruned({"audit": batch.cut.records})


async def _keep_cuts(db: Connection, batch: PruneTrail) -> None:
    cuts: dict[str, Head] = {**batch.cut.restated, **batch.cut.heads}
    await db.execute(
        "INSERT INTO cuts SELECT n.chain_no, c.seq, c.link, $4::bigint "
        "FROM unnest($1::text[], $2::bigint[], $3::bytea[]) AS c (chain_id, seq, link) JOIN chains n USING (chain_id) "
        "ON CONFLICT (chain_no) DO UPDATE SET seq = excluded.seq, link = excluded.link, stated_at = excluded.stated_at",
        *(
            list(cuts),
            [seq for seq, _ in cuts.values()],
            [link for _, link in cuts.values()],
            batch.stated_at,
        ),
    )
