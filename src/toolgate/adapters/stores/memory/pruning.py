"""Removing what retention lets go, from dictionaries. Called under the store's lock.

Not here: what may go (``domain.retention``).
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

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
    from collections.abc import Iterable

    from toolgate.adapters.stores.memory.store import _Rows
    from toolgate.domain.audit import Head
    from toolgate.domain.rows import DeliveryRow


def prune(rows: _Rows, batch: Prune, now: int, *, dry: bool) -> Pruned:
    """Remove one batch, or say what would go."""
    match batch:
        case PruneCalls():
            return _calls(rows, batch, now, dry=dry)
        case PruneTombstones(before, limit):
            old = [key for key, ended in rows.tombstones.items() if ended <= before]
            for key in () if dry else old[:limit]:
                del rows.tombstones[key], rows.claims[key]
            return _page("keys", len(old), limit, dry=dry)
        case PruneTokens(before, limit):
            passed = [row for row in rows.tokens.values() if row.kind != GIVEN_OUT]
            ended = [
                row.token_id
                for row in passed
                if min(row.expires_at, row.revoked_at or row.expires_at) <= before
            ]
            for token_id in () if dry else ended[:limit]:
                del rows.tokens[token_id]
            return _page("sessions", len(ended), limit, dry=dry)
        case PruneNotices():
            return _notices(rows, batch, dry=dry)
        case PruneTrail():
            return _trail(rows, batch, dry=dry)


def oldest(rows: _Rows, before: int, limit: int) -> TrailCut | None:
    """The records at the front of the trail that were written before ``before``."""
    count = sum(1 for _ in _until(islice(rows.written, limit), before))
    # The newest record stays whatever its age: the trail's numbers go on from it.
    count = min(count, len(rows.trail) - 1)
    if count <= 0:
        return None
    heads = {row.chain_id: (row.seq, row.link_hash) for _, row in islice(rows.trail, count)}
    restated = {
        chain: head for chain, (head, stated) in rows.cuts.items() if chain not in heads and stated < before
    }
    return TrailCut(heads, restated, count, rows.written[count - 1], str(rows.gone + count))


def _until(times: Iterable[int], before: int) -> Iterable[int]:
    for at in times:
        if at >= before:
            return
        yield at


def _page(name: str, found: int, limit: int, *, dry: bool) -> Pruned:
    """Where the rows were removed, the next batch begins at the front again."""
    if dry:
        return Pruned({name: found})
    return Pruned({name: min(found, limit)}, "" if found > limit else None)


def _calls(rows: _Rows, batch: PruneCalls, now: int, *, dry: bool) -> Pruned:
    walked = sorted(call_id for call_id in _ids(rows, batch) if call_id > batch.after)[: batch.limit]
    horizon = batch.kept.before(batch.serves, now)
    found = [_around(rows, call_id) for call_id in walked if call_id in rows.calls]
    gone = removals(batch.kept, found, now)
    for removal in () if dry else gone:
        _remove(rows, removal)
    over = len(walked) < batch.limit or horizon is None
    return Pruned(counted(gone), None if over else walked[-1])


def _ids(rows: _Rows, batch: PruneCalls) -> set[str]:
    match batch.by:
        case "sealed":
            return {call_id for call_id, _ in rows.sealed}
        case "claims":
            return {claim.call_id for claim in rows.claims.values()}
        case "calls":
            return set(rows.calls)


def _around(rows: _Rows, call_id: str) -> Around:
    call = rows.calls[call_id]
    return Around(
        call,
        None if call.approval_id is None else rows.approvals.get(call.approval_id),
        tuple(claim for claim in rows.claims.values() if claim.call_id == call_id),
        any(owner == call_id for owner, _ in rows.sealed),
    )


def _remove(rows: _Rows, gone: Removal) -> None:
    if gone.sealed:
        for key in [key for key in rows.sealed if key[0] == gone.call_id]:
            del rows.sealed[key]
    for key_mac in gone.freed:
        del rows.claims[key_mac]
    if not gone.call:
        return
    for key_mac in gone.tombstones:
        rows.tombstones[key_mac] = gone.ended_at
    del rows.calls[gone.call_id]
    for job_id in [job_id for job_id, job in rows.jobs.items() if job.call_id == gone.call_id]:
        del rows.jobs[job_id]
    if gone.approval_id is not None:
        rows.approvals.pop(gone.approval_id, None)
        rows.votes.pop(gone.approval_id, None)
        rows.revisions.pop(gone.approval_id, None)
        rows.reveals.pop(gone.approval_id, None)


def _notices(rows: _Rows, batch: PruneNotices, *, dry: bool) -> Pruned:
    ways: dict[str, list[DeliveryRow]] = {}
    for delivery in rows.deliveries.values():
        ways.setdefault(delivery.notice_id, []).append(delivery)
    ended = [
        notice.notice_id
        for notice in rows.notices.values()
        if notice.planned
        and notice.at <= batch.before
        and all(_is_over(way, batch) for way in ways.get(notice.notice_id, ()))
    ]
    for notice_id in () if dry else ended[: batch.limit]:
        del rows.notices[notice_id]
        for way in ways.get(notice_id, ()):
            del rows.deliveries[notice_id, way.sink]
    return _page("notices", len(ended), batch.limit, dry=dry)


def _is_over(way: DeliveryRow, batch: PruneNotices) -> bool:
    if way.state == "delivered":
        return way.updated_at <= batch.before
    return way.state == "dead" and batch.dead_before is not None and way.updated_at <= batch.dead_before


def _trail(rows: _Rows, batch: PruneTrail, *, dry: bool) -> Pruned:
    left = max(int(batch.cut.place) - rows.gone, 0)
    if dry:
        return Pruned({"audit": left})
    cuts: dict[str, Head] = {**batch.cut.restated, **batch.cut.heads}
    rows.cuts |= {chain: (head, batch.stated_at) for chain, head in cuts.items()}
    count = min(left, batch.limit)
    del rows.trail[:count], rows.written[:count]
    rows.gone += count
    return Pruned({"audit": count}, "" if left > count else None)
