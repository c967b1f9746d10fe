"""Remove what has been kept long enough, in bounded steps; and say beforehand what would go.

Each step is a transaction of its own that waits for nobody, so that a round may be stopped anywhere and begun again.
Records of the trail go last of all steps in which they could be missed: the trail first says which chains end where,
and only then is anything of it removed. Exporting before that is the operator's business.

Not here: the rules (``domain.retention``), and when a round is made (``bootstrap.house``).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from toolgate.domain.commands import Append
from toolgate.domain.duration import MICRO
from toolgate.domain.retention import (
    WALKS,
    PruneCalls,
    PruneNotices,
    PruneTokens,
    PruneTombstones,
    PruneTrail,
    Tally,
    pruned_events,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from toolgate.domain.retention import Prune, Retention, TrailCut
    from toolgate.ports import Store

TURN: Final = "retention"
"""The name of this work where processes take turns."""
EVERY: Final = 3_600.0
"""Seconds between two rounds, over all processes."""
ALL_RECORDS: Final = 1 << 62

_log = logging.getLogger("toolgate")


def never() -> bool:
    """Go on to the end."""
    return False


def heard_by_nobody(_: Mapping[str, int]) -> None:
    """Nobody watches."""


async def keep_within(
    store: Store,
    kept: Retention,
    *,
    stop: Callable[[], bool] = never,
    progress: Callable[[Mapping[str, int]], object] = heard_by_nobody,
) -> Mapping[str, int]:
    """Remove what ``kept`` lets go by now. What was removed, by name.

    ``stop`` is asked between two steps. ``progress`` hears the counts after each.

    Raises:
        StoreUnavailable: if the store cannot be written; what was removed before is removed.
        StoreInDoubt: likewise.
    """
    tally = Tally()
    now = await store.now()
    for batch in _rows(kept, now):
        after: str | None = ""
        while after is not None and not stop():
            if isinstance(batch, PruneCalls):
                batch = batch._replace(after=after)  # noqa: PLW2901 - the same walk, further on
            pruned = await store.prune(batch)
            tally.add(pruned.counts)
            progress(tally.counts)
            after = pruned.after
    before = kept.before("audit", now)
    while before is not None and kept.audit is not None and not stop():
        cut = await store.oldest(before)
        if cut is None or not await _cut_trail(store, cut, kept.audit, tally, stop):
            break
        progress(tally.counts)
    return tally.counts


async def plan_retention(store: Store, kept: Retention) -> Mapping[str, int]:
    """What ``keep_within`` would remove now, by name. It removes nothing, and needs no more than to read."""
    tally = Tally()
    now = await store.now()
    for batch in _rows(kept, now):
        # What goes together is counted once, by the walk that it belongs to.
        own = _OWN.get(batch.by) if isinstance(batch, PruneCalls) else None
        after: str | None = ""
        while after is not None:
            if isinstance(batch, PruneCalls):
                batch = batch._replace(after=after)  # noqa: PLW2901 - the same walk, further on
            pruned = await store.prune(batch, dry=True)
            counts = pruned.counts
            tally.add({name: count for name, count in counts.items() if own in {None, name}})
            after = pruned.after
    before = kept.before("audit", now)
    cut = None if before is None else await store.oldest(before, limit=ALL_RECORDS)
    if cut is not None:
        tally.add({"audit": cut.records})
    return tally.counts


_OWN: Final = {"sealed": "arguments", "claims": "keys", "calls": "calls"}


def _rows(kept: Retention, now: int) -> Iterator[Prune]:
    """Everything but the trail, as batches to begin with."""
    for walk, name in WALKS:
        if kept.before(name, now) is not None:
            yield PruneCalls(walk, kept)
    if (before := kept.before("idempotency", now)) is not None:
        yield PruneTombstones(before)
    if (before := kept.before("sessions", now)) is not None:
        yield PruneTokens(before)
    if (before := kept.before("notices", now)) is not None:
        yield PruneNotices(before, kept.before("calls", now))


async def _cut_trail(
    store: Store, cut: TrailCut, kept: float, tally: Tally, stop: Callable[[], bool]
) -> bool:
    """Say what goes, then remove it. Whether anything went, so that another step makes sense."""
    now = await store.now()
    await store.execute(Append(pruned_events(cut, now=now, kept=kept)))
    went = 0
    after: str | None = ""
    while after is not None and not stop():
        pruned = await store.prune(PruneTrail(cut, now))
        tally.add(pruned.counts)
        went += sum(pruned.counts.values())
        after = pruned.after
    return went > 0


async def take_turn(store: Store, kept: Retention, *, stop: Callable[[], bool]) -> None:
    """A round of housekeeping, if none was made for a while by whichever process."""
    last = await store.turn_taken(TURN)
    # Looked at before it is taken: a look writes nothing.
    if last is not None and await store.now() - last < EVERY * MICRO:
        return
    if not await store.turn(TURN, every=EVERY):
        return
    removed = await keep_within(store, kept, stop=stop)
    if removed:
        _log.info("retention removed %s", ", ".join(f"{count} {name}" for name, count in removed.items()))
