"""What happens, as it happens: streams of server-sent events for one call, and for whatever somebody may see.

An event says that something changed and where to look; arguments and results are never in it. Not here: the one look at
the trail for all streams (``surfaces.http.feed``).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response, StreamingResponse

from toolgate.domain.errors import GateFault
from toolgate.domain.principal import Action, Declined, Principal, forbids
from toolgate.operations.review_approval import review_approval
from toolgate.operations.see_call import Seen, see_call
from toolgate.surfaces.http.feed import FeedEvent, Resync
from toolgate.surfaces.http.problems import Problem
from toolgate.surfaces.http.streams import (
    COME_BACK_AFTER,
    HEARTBEAT,
    MOST_STREAMS,
    last_event_id,
    next_of,
)

if TYPE_CHECKING:
    from toolgate.surfaces.http.feed import Wanted, Watch
    from toolgate.surfaces.rest.endpoint import Asked, NoBody, Reply
    from toolgate.surfaces.rest.requests import Query

STREAM: Final = "text/event-stream"


async def follow(asked: Asked[Query, NoBody]) -> Reply:
    """What changes, of all that you may see: your calls, approvals that concern you, or the tenant's calls.

    Each event's `data` is JSON: `seq`, `event`, `call_id`, `approval_id`, `tool`, `caller_id`, `status`. `resync` means
    that events were lost and lists have to be read anew; `Last-Event-ID` gets what was missed.
    """
    by = asked.by
    see_all = forbids(by, Action.SEE_ALL_CALLS) is None

    def wanted(event: FeedEvent) -> bool:
        return event.tenant == by.tenant and (see_all or _is_own(event, by) or event.approval_id is not None)

    return _stream(asked, _Following(asked, wanted, see_all=see_all).lines())


async def follow_call(asked: Asked[Query, NoBody]) -> Reply:
    """The steps of one call, and its outcome once it ended, with which the stream ends.

    The last event is `outcome`: its `data` is what `GET /v1/calls/{id}` answers.
    """
    seen = await _look(asked)
    return seen if isinstance(seen, Declined) else _stream(asked, _CallFollowing(asked).lines())


def _stream(asked: Asked[Any, Any], lines: AsyncIterator[str]) -> Response | Problem:
    if len(asked.office.feed) >= MOST_STREAMS or asked.office.closing.begun:
        return Problem(code="unavailable", detail="too many streams are open; ask again later", retry_after=5)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(lines, media_type=STREAM, headers=headers)


async def _look(asked: Asked[Any, Any]) -> Seen | Declined:
    return await asked.office.gate.operate(see_call, asked.id, by=asked.by)


def _is_own(event: FeedEvent, by: Principal) -> bool:
    """Whether it is of a call that ``by`` asked for; an agent sees those that it asked for itself."""
    if forbids(by, Action.CALL_TOOLS) is not None or event.caller_id != by.id:
        return False
    return by.agent is None or event.agent == by.agent


class _Following:
    """A stream of whatever is wanted, until its credential ends, the server does, or the client leaves."""

    def __init__(self, asked: Asked[Any, Any], wanted: Wanted, *, see_all: bool = False) -> None:
        self._asked = asked
        self._wanted = wanted
        self._see_all = see_all
        self._checked = asyncio.get_running_loop().time()

    async def lines(self) -> AsyncIterator[str]:
        office = self._asked.office
        yield f"retry: {COME_BACK_AFTER}\n\n"
        try:
            async with office.feed.watch(self._wanted, after=last_event_id(self._asked.request)) as watch:
                async for line in self._told(watch):
                    yield line
        except GateFault:
            # Nobody can tell any more who listens, or what happens: the client comes back, and is then told.
            return

    async def _told(self, watch: Watch) -> AsyncIterator[str]:
        while (event := await self._next(watch)) is not _OVER:
            if event is None:
                yield ": still here\n\n"
            elif isinstance(event, Resync) or (isinstance(event, FeedEvent) and await self._may_see(event)):
                yield _written(event)

    async def _next(self, watch: Watch) -> FeedEvent | Resync | object | None:
        """The next event, None after a silence, or ``_OVER``."""
        office, loop = self._asked.office, asyncio.get_running_loop()
        event = await next_of(watch, office.closing, HEARTBEAT)
        if office.closing.begun:
            return _OVER
        if loop.time() - self._checked >= HEARTBEAT:
            if not await self._still_there():
                return _OVER
            self._checked = loop.time()
        return event

    async def _still_there(self) -> bool:
        """Whether the credential still stands for whom the stream was opened."""
        now, before = await self._asked.office.credentials.bearer(self._asked.request), self._asked.by
        return isinstance(now, Principal) and (now.caller, now.agent, now.scopes) == (
            before.caller,
            before.agent,
            before.scopes,
        )

    async def _may_see(self, event: FeedEvent) -> bool:
        by = self._asked.by
        if self._see_all or _is_own(event, by):
            return True
        if event.approval_id is None or forbids(by, Action.DECIDE) is not None:
            return False
        review = await self._asked.office.gate.operate(review_approval, event.approval_id, by=by)
        return not isinstance(review, Declined)


class _CallFollowing(_Following):
    """A stream of one call, which ends with it."""

    def __init__(self, asked: Asked[Any, Any]) -> None:
        super().__init__(asked, lambda event: event.call_id == asked.id, see_all=True)

    async def _told(self, watch: Watch) -> AsyncIterator[str]:
        while True:
            # Looked at after each event, and first of all: it may have ended before anybody watched.
            seen = await _look(self._asked)
            if isinstance(seen, Declined):
                return
            if seen.ended:
                yield f"event: outcome\ndata: {json.dumps(seen.outcome)}\n\n"
                return
            event = await self._next(watch)
            if event is _OVER:
                return
            yield ": still here\n\n" if event is None else _written(event)


_OVER: Final = object()


def _written(event: FeedEvent | Resync | object) -> str:
    """One event in the form of the HTML standard, section 9.2."""
    if isinstance(event, Resync):
        return f'id: {event.seq}\nevent: resync\ndata: {{"seq": {event.seq}}}\n\n'
    assert isinstance(event, FeedEvent)
    data = {
        "seq": event.seq,
        "event": event.transition,
        "call_id": event.call_id,
        "approval_id": event.approval_id,
        "tool": event.tool,
        "caller_id": event.caller_id,
        "status": event.status,
    }
    return f"id: {event.seq}\nevent: change\ndata: {json.dumps(data)}\n\n"
