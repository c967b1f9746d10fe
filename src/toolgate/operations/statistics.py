"""How calls went lately: by outcome over time, how long they took, what was refused most.

Counted anew from the newest calls each time somebody asks, and never from more than ``MOST_COUNTED`` of them: what is
told is true of the calls that it says it was counted over. Nothing is counted while a call runs, so that no call pays
for it. Not here: whose calls (``list_calls``), and drawing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

from toolgate.domain.principal import Declined
from toolgate.operations.list_calls import seen_by
from toolgate.ports import CallFilter

if TYPE_CHECKING:
    from toolgate.domain.principal import Principal
    from toolgate.domain.rows import CallRow
    from toolgate.gateway.world import World

MOST_COUNTED: Final = 3_000
"""Calls that one answer counts."""
BUCKETS: Final = 24
MOST_TOOLS: Final = 8
MOST_REFUSALS: Final = 8

OUTCOMES: Final = ("succeeded", "waiting", "refused", "failed", "unknown")
"""What a call is counted as; ``waiting`` is one that runs or waits for a person."""
_RAN: Final = frozenset({"succeeded", "failed", "unknown"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Calls of one stretch of time, from ``since`` (µs), by outcome."""

    since: int
    counts: Mapping[str, int]

    @property
    def calls(self) -> int:
        """All of them."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """How long the calls of a tool took that ran: percentiles in microseconds, by the nearest rank."""

    tool: str
    calls: int
    p50: int
    p95: int
    p99: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What was counted.

    Attributes:
        since, until: the stretch of time that was counted over (µs); every call in it was.
        cut: whether it is shorter than what was asked for, because more calls came than are counted.
        refusals: error type and how often, the most frequent first.
    """

    since: int
    until: int
    cut: bool
    buckets: tuple[Bucket, ...]
    tools: tuple[Took, ...]
    refusals: tuple[tuple[str, int], ...]

    @property
    def calls(self) -> int:
        """All of them."""
        return sum(bucket.calls for bucket in self.buckets)

    def of(self, outcome: str) -> int:
        """Those with this outcome."""
        return sum(bucket.counts.get(outcome, 0) for bucket in self.buckets)


async def statistics(world: World, *, by: Principal, span: int) -> Statistics | Declined:
    """What ``by`` may see of the last ``span`` microseconds."""
    now = await world.store.now()
    wanted = seen_by(CallFilter(since=now - span, limit=MOST_COUNTED), by)
    if isinstance(wanted, Declined):
        return wanted
    if wanted is None:
        return counted((), since=now - span, until=now)
    page = await world.store.calls(wanted)
    if page.next is None or not page.rows:
        return counted(page.rows, since=now - span, until=now)
    # The stretch that was read to its end: of the oldest moment some calls may lie behind the page.
    oldest = page.rows[-1].received_at
    return counted(page.rows, since=oldest, until=now, cut=True)


def counted(rows: Sequence[CallRow], *, since: int, until: int, cut: bool = False) -> Statistics:
    """The figures over ``rows``, newest first."""
    width = max(1, ceil((until - since) / BUCKETS))
    starts = [since + number * width for number in range(BUCKETS)]
    counts: list[Counter[str]] = [Counter() for _ in starts]
    took: dict[str, list[int]] = {}
    refusals: Counter[str] = Counter()
    for row in rows:
        outcome = _outcome(row)
        counts[max(0, bisect_right(starts, row.received_at) - 1)][outcome] += 1
        if row.status in _RAN and row.duration_us > 0:
            took.setdefault(row.tool, []).append(row.duration_us)
        if outcome == "refused" and row.error_type is not None:
            refusals[row.error_type] += 1
    return Statistics(
        since=since,
        until=until,
        cut=cut,
        buckets=tuple(
            Bucket(since=start, counts=dict(count)) for start, count in zip(starts, counts, strict=True)
        ),
        tools=_busiest(took),
        refusals=tuple(refusals.most_common(MOST_REFUSALS)),
    )


def _outcome(row: CallRow) -> str:
    return row.status if row.status in OUTCOMES else "waiting"


def _busiest(took: Mapping[str, list[int]]) -> tuple[Took, ...]:
    busiest = sorted(took.items(), key=lambda item: (-len(item[1]), item[0]))[:MOST_TOOLS]
    found = []
    for tool, durations in busiest:
        durations.sort()
        found.append(
            Took(
                tool=tool,
                calls=len(durations),
                p50=percentile(durations, 50),
                p95=percentile(durations, 95),
                p99=percentile(durations, 99),
            )
        )
    return tuple(found)


def percentile(ascending: Sequence[int], percent: int) -> int:
    """The smallest value that at least ``percent`` in a hundred do not exceed. ``ascending`` is not empty."""
    return ascending[max(0, ceil(len(ascending) * percent / 100) - 1)]
