"""Server-sent events: what the feed says, to one client, until it leaves, its credential ends, or the server does.

The form is that of the HTML standard, section 9.2: ``id:`` is the event's place in the trail, and a client that comes
back with ``Last-Event-ID`` gets what it missed. A server holds so many streams, and fewer for each principal. Not here:
which events somebody may see, and what is said of each.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.responses import Response, StreamingResponse

from toolgate.domain.errors import GateFault
from toolgate.domain.principal import Principal
from toolgate.surfaces.http.problems import Problem

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from toolgate.surfaces.http.closing import Closing
    from toolgate.surfaces.http.credentials import NotSignedIn
    from toolgate.surfaces.http.feed import FeedEvent, Resync, Wanted, Watch
    from toolgate.surfaces.http.office import Office

HEARTBEAT: Final = 15.0
"""Seconds of silence after which a comment is sent, and after which the credential is checked anew."""
COME_BACK_AFTER: Final = 2_000
"""Milliseconds after which a client that lost its stream asks again."""
MOST_STREAMS: Final = 500
"""Of one server."""
MOST_OF_ONE: Final = 20
"""Of one principal: the others still have theirs, however many pages somebody leaves open."""
MOST_WAITS: Final = 400
MOST_WAITS_OF_ONE: Final = 100
"""An agent may wait for many calls at once, and has no page to leave open."""
_ASK_AGAIN: Final = 5.0
_LONGEST_ID: Final = 18


class Message(NamedTuple):
    """One event as the client gets it. ``event`` is its type, ``data`` may have several lines."""

    event: str
    data: str


class Over(NamedTuple):
    """A stream has said all that it is about; ``last`` comes before its end."""

    last: Message | None


Render = Callable[["FeedEvent | Resync"], Awaitable[Message | None]]
Identify = Callable[["Request"], Awaitable["Principal | NotSignedIn"]]


class Glance(NamedTuple):
    """A look at what changes without a record: at the beginning, and each so many seconds without an event.

    None where there is nothing to say.
    """

    look: Callable[[], Awaitable[Message | None]]
    each: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """What a stream tells.

    Attributes:
        wanted: which events it is about.
        render: an event as this client gets it; None where it is not told of it.
        greeting: said once everything from then on is heard: what happened before may have been missed.
        over: asked when it begins, and after each event and silence, whether there is more to come.
        glance: for what the trail does not say, such as how far a job has come.
    """

    wanted: Wanted
    render: Render
    greeting: Message | None = None
    over: Callable[[], Awaitable[Over | None]] | None = None
    glance: Glance | None = None


class OpenStreams:
    """The streams that are open, and whose. Inside the server's loop. ``heartbeat``: seconds.

    Requests that wait for something hold a connection as long as a stream does, and are counted in the same way,
    apart: ``what`` they are called.
    """

    def __init__(
        self,
        *,
        most: int = MOST_STREAMS,
        most_of_one: int = MOST_OF_ONE,
        heartbeat: float = HEARTBEAT,
        what: str = "streams",
    ) -> None:
        self._what = what
        self._most = most
        self._most_of_one = most_of_one
        self._of: Counter[tuple[str, str, str | None]] = Counter()
        self.heartbeat = heartbeat

    def why_not(self, by: Principal) -> Problem | None:
        """Why ``by`` gets no further one at this moment."""
        if self._of[_whose(by)] >= self._most_of_one:
            detail = f"{self._most_of_one} {self._what} of yours are open, which is the most; end one of them first"
            return Problem(code="too_many_streams", detail=detail, retry_after=_ASK_AGAIN)
        if len(self) >= self._most:
            detail = f"too many {self._what} are open; ask again later"
            return Problem(code="unavailable", detail=detail, retry_after=_ASK_AGAIN)
        return None

    @contextmanager
    def held(self, by: Principal) -> Iterator[None]:
        """One stream of ``by`` is open during the block."""
        whose = _whose(by)
        self._of[whose] += 1
        try:
            yield
        finally:
            self._of[whose] -= 1
            if not self._of[whose]:
                del self._of[whose]

    def __len__(self) -> int:
        """How many are open."""
        return self._of.total()


class _Stream(StreamingResponse):
    """A response that counts as long as it lasts, whether or not its client ever read of it."""

    def __init__(self, told: AsyncIterator[str], streams: OpenStreams, by: Principal) -> None:
        super().__init__(told, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
        self._streams = streams
        self._by = by

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._streams.held(self._by):
            await super().__call__(scope, receive, send)


def event_stream(
    office: Office, request: Request, telling: Telling, *, principal: Principal, identify: Identify
) -> Response:
    """The stream for ``principal``, who was found by ``identify``: it ends as soon as that answers otherwise."""
    if office.closing.begun:
        ending = Problem(code="unavailable", detail="the server is ending", retry_after=_ASK_AGAIN)
        return ending.response(request)
    if (busy := office.streams.why_not(principal)) is not None:
        return busy.response(request)

    async def still_there() -> bool:
        return is_same(principal, await identify(request))

    told = _told(office, last_event_id(request), still_there, telling)
    return _Stream(told, office.streams, principal)


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
    office: Office, after: int | None, still_there: Callable[[], Awaitable[bool]], telling: Telling
) -> AsyncIterator[str]:
    yield f"retry: {COME_BACK_AFTER}\n\n"
    loop, heartbeat = asyncio.get_running_loop(), office.streams.heartbeat
    silence = heartbeat if telling.glance is None else min(heartbeat, telling.glance.each)
    checked = said = loop.time()
    try:
        async with office.feed.watch(telling.wanted, after=after) as watch:
            if begun := await _begun(telling):
                yield begun
            # Asked once more before the first event: it may have ended before anybody watched.
            while (over := await _over(telling)) is None:
                event = await next_of(watch, office.closing, silence)
                if office.closing.begun:
                    return
                if loop.time() - checked >= heartbeat:
                    if not await still_there():
                        return
                    checked = loop.time()
                written = await _said(telling, event)
                if written or loop.time() - said >= heartbeat:
                    said = loop.time()
                    yield written or ": still here\n\n"
            if over.last is not None:
                yield _written(over.last)
    except GateFault:
        # Nobody can tell any more who listens, or what happens: the client comes back, and is then told.
        return


async def _begun(telling: Telling) -> str:
    """What is said before anything happens."""
    greeting = "" if telling.greeting is None else _written(telling.greeting)
    return greeting + await _said(telling, None)


async def _said(telling: Telling, event: FeedEvent | Resync | None) -> str:
    """What is said of one event, or of a time without one; empty for nothing."""
    if event is not None:
        message = await telling.render(event)
        return "" if message is None else f"id: {event.seq}\n{_written(message)}"
    seen = None if telling.glance is None else await telling.glance.look()
    return "" if seen is None else _written(seen)


async def _over(telling: Telling) -> Over | None:
    return None if telling.over is None else await telling.over()


def _written(message: Message) -> str:
    data = "\n".join(f"data: {line}" for line in message.data.splitlines() or [""])
    return f"event: {message.event}\n{data}\n\n"


def _whose(by: Principal) -> tuple[str, str, str | None]:
    """An agent has streams of its own, and takes none of its user's."""
    return by.tenant, by.id, by.agent


def is_same(before: Principal, now: Principal | NotSignedIn) -> bool:
    """Whether the stream was opened for what this person may see now."""
    return (
        isinstance(now, Principal)
        and now.caller == before.caller
        and now.agent == before.agent
        and now.scopes == before.scopes
    )
