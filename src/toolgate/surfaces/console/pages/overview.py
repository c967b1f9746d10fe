"""The page with the charts: how calls went lately.

Not here: counting (``operations.statistics``), and where a bar stands (``charts``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from toolgate.domain.duration import MICRO
from toolgate.domain.principal import Action, Declined, forbids
from toolgate.operations.list_calls import list_calls
from toolgate.operations.statistics import OUTCOMES, statistics
from toolgate.ports import CallFilter
from toolgate.surfaces.console import paths
from toolgate.surfaces.console.pages import charts
from toolgate.surfaces.console.pages.search import RANGES, took
from toolgate.surfaces.console.render import page
from toolgate.surfaces.console.session import Page

if TYPE_CHECKING:
    from starlette.responses import Response

    from toolgate.operations.statistics import Statistics
    from toolgate.surfaces.console.session import Visit

_USUAL: Final = "24h"
_DAY: Final = 86_400 * MICRO
_MOST_UNRESOLVED: Final = 100


async def overview(visit: Visit) -> Response:
    """How calls went in a stretch of time."""
    chosen = visit.query.get("range", _USUAL)
    chosen = chosen if chosen in RANGES else _USUAL
    found = await visit.operate(statistics, by=visit.principal, span=RANGES[chosen][1] * MICRO)
    if isinstance(found, Declined):
        return visit.declined(found)
    labels = _labels(found)
    return page(
        visit,
        "overview.html",
        title="Overview",
        found=found,
        unresolved=await _unresolved(visit),
        views=[
            (paths.with_query(paths.OVERVIEW, range=name), words, name == chosen, None)
            for name, (words, _) in RANGES.items()
        ],
        outcomes=[(outcome, charts.CLASSES[outcome], found.of(outcome)) for outcome in OUTCOMES],
        columns=charts.stacked(found.buckets, labels),
        rows=list(zip(labels, found.buckets, strict=True)),
        chart=charts,
        slowest=max((tool.p99 for tool in found.tools), default=0),
        most_refused=max((count for _, count in found.refusals), default=0),
        took=took,
    )


def _labels(found: Statistics) -> list[str]:
    """When each bucket begins: hours within a day, days beyond it."""
    form = "%H:%M" if found.until - found.since <= _DAY else "%d %b %H:%M"
    if found.until - found.since <= 60 * MICRO:
        form = "%H:%M:%S"
    return [datetime.fromtimestamp(bucket.since / MICRO, UTC).strftime(form) for bucket in found.buckets]


async def _unresolved(visit: Visit) -> str | None:
    """How many calls a person has to look at; None for whoever cannot."""
    if forbids(visit.principal, Action.SEE_ALL_CALLS) is not None:
        return None
    wanted = CallFilter(unresolved=True, limit=_MOST_UNRESOLVED)
    found = await visit.operate(list_calls, wanted, by=visit.principal)
    if isinstance(found, Declined):
        return None
    return f"{len(found.rows)}+" if found.next else str(len(found.rows))


PAGES: Final = (Page("GET", "/overview", overview),)
