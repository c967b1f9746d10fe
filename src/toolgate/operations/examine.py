"""Look at what stands open in a ledger, and say of each kind how it stands. It reads, and moves nothing.

Not here: whether the ledger can be opened at all (``bootstrap.doctor``), and the thresholds (``domain.checkup``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toolgate.domain.checkup import LONG_WAIT, SHORT_WAIT, Finding, ok, span_words, warn
from toolgate.domain.duration import MICRO
from toolgate.operations.retention import TURN, plan_retention
from toolgate.ports import ApprovalFilter, JobFilter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from toolgate.domain.retention import Retention
    from toolgate.ports import Store

COUNTED: Final = 1_000
"""What waits is counted up to here; more is as bad."""
RETENTION_LATE: Final = 6 * 3_600.0
"""Seconds after which a round of retention is overdue: one is made each hour."""
_START: Final = "start a gateway: it keeps house each second (toolgate serve, or toolgate worker)"


async def examine(store: Store, kept: Retention) -> Sequence[Finding]:
    """A finding for each kind of thing that can stand open.

    Raises:
        StoreUnavailable: if the ledger cannot be read.
    """
    now = await store.now()
    return [
        await _unknown(store, now),
        await _lapsed(store, now),
        await _approvals(store, now),
        await _approved(store, now),
        await _notifications(store, now),
        await _jobs(store, now),
        await _retention(store, kept, now),
    ]


async def _unknown(store: Store, now: int) -> Finding:
    rows = await store.unknown(COUNTED)
    if not rows:
        return ok("unknown effects", "none")
    return warn(
        "unknown effects",
        f"{_many(rows)}, the oldest for {_age(now, (row.received_at for row in rows))}",
        "look at the world, then say how each ended: toolgate calls list --unresolved, toolgate calls resolve",
    )


async def _lapsed(store: Store, now: int) -> Finding:
    rows = await store.lapsed(COUNTED)
    late = [row for row in rows if now - row.lease_until > SHORT_WAIT * MICRO]
    if not late:
        return ok("lapsed intents", "none")
    words = f"{_many(late)} whose process died and that nobody has looked at since"
    return warn("lapsed intents", words, _START)


async def _approvals(store: Store, now: int) -> Finding:
    rows = await store.approvals(ApprovalFilter(open_only=True, state="pending", limit=COUNTED))
    if not rows:
        return ok("approvals", "nothing waits for a person")
    words = (
        f"{_many(rows)} waiting for a person, the oldest for {_age(now, (row.requested_at for row in rows))}"
    )
    if now - min(row.requested_at for row in rows) < LONG_WAIT * MICRO:
        return ok("approvals", words)
    return warn("approvals", words, "decide, or withdraw what nobody needs: toolgate approvals list")


async def _approved(store: Store, now: int) -> Finding:
    rows = await store.dispatchable(COUNTED)
    late = [row for row in rows if now - row.updated_at > SHORT_WAIT * MICRO]
    if not late:
        return ok("approved calls", "each was picked up" if not rows else f"{_many(rows)} about to run")
    mend = "start a gateway that has these tools; whichever owns one runs what was approved"
    return warn("approved calls", f"{_many(late)} approved, and no gateway has run them", mend)


async def _notifications(store: Store, now: int) -> Finding:
    dead = await store.deliveries(state="dead", limit=COUNTED)
    if dead:
        mend = "mend the receiver, then send again: toolgate notifications list"
        return warn("notifications", f"{_many(dead)} given up", mend)
    late = await store.deliveries(state="pending", due=now - round(SHORT_WAIT * MICRO), limit=COUNTED)
    if late:
        return warn("notifications", f"{_many(late)} overdue", _START)
    return ok("notifications", "none is late or given up")


async def _jobs(store: Store, now: int) -> Finding:
    running = (await store.jobs(JobFilter(state="running", limit=COUNTED))).rows
    dead = [call for _, call in running if now - call.lease_until > SHORT_WAIT * MICRO]
    if dead:
        return warn("jobs", f"{_many(dead)} owned by a process that died", _START)
    queued = (await store.jobs(JobFilter(state="queued", limit=COUNTED))).rows
    stuck = [job for job, _ in queued if now - job.not_before > SHORT_WAIT * MICRO]
    if stuck and not running:
        since = _age(now, (job.not_before for job in stuck))
        words = f"{_many(stuck)} waiting in their queue for {since}, and none runs"
        return warn("jobs", words, "start a worker that has these tools: toolgate worker")
    return ok("jobs", f"{len(running)} running, {len(queued)} queued")


async def _retention(store: Store, kept: Retention, now: int) -> Finding:
    last = await store.turn_taken(TURN)
    since = "no round was made yet" if last is None else f"the last round was {_age(now, (last,))} ago"
    nothing_said = kept.audit is kept.calls is kept.arguments is kept.idempotency is None
    said = "no [retention]: calls and trail are kept for ever" if nothing_said else since
    if last is not None and now - last < RETENTION_LATE * MICRO:
        return ok("retention", said)
    due = sum((await plan_retention(store, kept)).values())
    if not due:
        return ok("retention", f"{said}; nothing is due")
    return warn("retention", f"{due} things are due, and {since}", f"{_START}; or toolgate retention run")


def _many(rows: Sequence[object]) -> str:
    return f"{len(rows)} or more" if len(rows) >= COUNTED else str(len(rows))


def _age(now: int, since: Iterable[int]) -> str:
    return span_words(max(0, now - min(since)) / MICRO)
