"""What tells an open page that something happened: one word, after which the page fetches what it shows anew.

No content travels here, so that there is one place that decides what somebody sees: the page. Not here: the feed and
the form of a stream (``surfaces.http``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toolgate.domain.principal import Declined
from toolgate.operations.jobs import list_jobs
from toolgate.ports import JobFilter
from toolgate.surfaces.console.session import Page, Visit, peek
from toolgate.surfaces.http.streams import Glance, Message, Telling, event_stream

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from toolgate.domain.principal import Principal
    from toolgate.surfaces.http.credentials import NotSignedIn
    from toolgate.surfaces.http.feed import FeedEvent, Resync

_CHANGED = Message("changed", "")
_MOST_BARS: Final = 100


async def events(visit: Visit) -> Response:
    """Each event of the visitor's tenant, as ``changed``."""

    async def identify(request: Request) -> Principal | NotSignedIn:
        return await peek(visit.office, request)

    def of_their_tenant(event: FeedEvent) -> bool:
        return event.tenant == visit.principal.tenant

    # A page is older than its stream: what happened between the two nobody would tell it.
    telling = Telling(
        wanted=of_their_tenant,
        render=_changed,
        greeting=_CHANGED,
        glance=Glance(_Bars(visit).look) if visit.query.get("moving") == "jobs" else None,
    )
    return event_stream(visit.office, visit.request, telling, principal=visit.principal, identify=identify)


class _Bars:
    """How far the jobs are that run and that the visitor may see: no record of the trail says when that changes."""

    def __init__(self, visit: Visit) -> None:
        self._visit = visit
        self._seen: frozenset[tuple[str, int | None]] = frozenset()

    async def look(self) -> Message | None:
        """``changed`` where a bar has moved since the last look."""
        wanted = JobFilter(state="running", limit=_MOST_BARS)
        found = await self._visit.operate(list_jobs, wanted, by=self._visit.principal)
        if isinstance(found, Declined):
            return None
        now = frozenset((view.row.job_id, view.row.progress_at) for view in found.rows)
        moved, self._seen = now != self._seen, now
        return _CHANGED if moved else None


async def _changed(event: FeedEvent | Resync) -> Message:  # noqa: ARG001 - what it was is told by the page
    return _CHANGED


PAGES = (Page("GET", "/events", events),)
