"""Server-sent events: what the feed says, to one client, until it leaves, its credential ends, or the server does.

The form is that of the HTML standard, section 9.2: ``id:`` is the event's place in the trail, and a client that comes
back with ``Last-Event-ID`` gets what it missed. Not here: which events somebody may see, and what is said of each.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.responses import Response, StreamingResponse

from toolgate.domain.errors import GateFault
from toolgate.domain.principal import Principal
from toolgate.surfaces.http.problems import Problem

if TYPE_CHECKING:
    from starlette.requests import Request

    from toolgate.surfaces.http.closing import Closing
    from toolgate.surfaces.http.credentials import NotSignedIn
    from toolgate.surfaces.http.feed import FeedEvent, Resync, Wanted, Watch
    from toolgate.surfaces.http.office import Office

HEARTBEAT: Final = 15.0
"""Seconds of silence after which a comment is sent, and after which the credential is checked anew."""
COME_BACK_AFTER: Final = 2_000
"""Milliseconds after which a client that lost its stream asks again."""
MOST_STREAMS: Final = 500
_LONGEST_ID: Final = 18


class Message(NamedTuple):
    """One event as the client gets it. ``event`` is its type, ``data`` may have several lines."""

    event: str
    data: str


Render = Callable[["FeedEvent | Resync"], Message | None]
Identify = Callable[["Request"], Awaitable["Principal | NotSignedIn"]]


def event_stream(
    office: Office,
    request: Request,
    *,
    principal: Principal,
    identify: Identify,
    wanted: Wanted,
    render: Render,
    greeting: Message | None = None,
    heartbeat: float = HEARTBEAT,
) -> Response:
    """The stream for ``principal``, who was found by ``identify``: it ends as soon as that answers otherwise.

    ``greeting`` is said once everything from then on is heard: what happened before may have been missed.
    """
    if len(office.feed) >= MOST_STREAMS or office.closing.begun:
        busy = Problem(code="unavailable", detail="too many streams are open; ask again later", retry_after=5)
        return busy.response(request)

    async def still_there() -> bool:
        return _same(principal, await identify(request))

    told = _told(
        office, last_event_id(request), still_there, wanted, render, greeting=greeting, heartbeat=heartbeat
    )
    return StreamingResponse(told, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def last_event_id(request: Request) -> int | None:
    """The last event that the client has seen; None for a new one, or one that says nonsense."""
    said = request.headers.get("last-event-id", "")
    return int(said) if said.isascii() and said.isdigit() and len(said) <= _LONGEST_ID else None


async def next_of(watch: Watch, closing: Closing, seconds: float) -> FeedEvent | Resync | None:
    """The next event; None if there was none in ``seconds``, or the server is ending."""
    event = asyncio.ensure_future(watch.next())
    end = asyncio.ensure_future(closing.wait())
    try:
        await asyncio.wait({event, end}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        return event.result() if event.done() and not closing.begun else None
    finally:
        event.cancel()
        end.cancel()


async def _told(
    office: Office,
    after: int | None,
    still_there: Callable[[], Awaitable[bool]],
    wanted: Wanted,
    render: Render,
    *,
    greeting: Message | None,
    heartbeat: float,
) -> AsyncIterator[str]:
    yield f"retry: {COME_BACK_AFTER}\n\n"
    loop = asyncio.get_running_loop()
    checked = loop.time()
    try:
        async with office.feed.watch(wanted, after=after) as watch:
            if greeting is not None:
                yield _written(greeting)
            while True:
                event = await next_of(watch, office.closing, heartbeat)
                if office.closing.begun:
                    return
                if loop.time() - checked >= heartbeat:
                    if not await still_there():
                        return
                    checked = loop.time()
                if event is None:
                    yield ": still here\n\n"
                elif (message := render(event)) is not None:
                    yield f"id: {event.seq}\n{_written(message)}"
    except GateFault:
        # Nobody can tell any more who listens, or what happens: the client comes back, and is then told.
        return


def _written(message: Message) -> str:
    data = "\n".join(f"data: {line}" for line in message.data.splitlines() or [""])
    return f"event: {message.event}\n{data}\n\n"


def _same(before: Principal, now: Principal | NotSignedIn) -> bool:
    """Whether the stream was opened for what this person may see now."""
    return (
        isinstance(now, Principal)
        and now.caller == before.caller
        and now.agent == before.agent
        and now.scopes == before.scopes
    )
