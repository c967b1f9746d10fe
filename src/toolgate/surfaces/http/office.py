"""What the routes of REST and of the console are given: one frozen bundle, made once a server.

``routes(office) -> list[BaseRoute]`` is what each of them offers. Not here: anything that changes with a request.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolgate.operations.authenticate import authenticate
from toolgate.operations.sessions import session
from toolgate.surfaces.http.closing import Closing
from toolgate.surfaces.http.credentials import Credentials
from toolgate.surfaces.http.feed import Feed
from toolgate.surfaces.http.once import Once
from toolgate.surfaces.http.streams import MOST_WAITS, MOST_WAITS_OF_ONE, OpenStreams
from toolgate.surfaces.http.throttle import Throttle

if TYPE_CHECKING:
    from toolgate.surfaces.http.gate import Gate
    from toolgate.surfaces.http.settings import ServerSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """Everything a handler may use.

    Attributes:
        gate: calls and operations.
        feed: what happens, as it happens, for streams.
        streams: which are open, and whose; ``waits`` are the requests that wait for a call to end.
        settings: where the server is and what it is called.
        credentials: who sends a request: ``await office.credentials.bearer(request)`` for programs,
            ``.session(request)`` for the console; both answer a ``Principal`` or ``NotSignedIn``.
        throttle: slows down whoever guesses credentials; ``credentials`` asks it by itself, a sign-in form has to.
        verifying: taken while the trail is verified, for whoever asked.
        closing: set once the server is asked to end; streams and long waits end with it.
    """

    gate: Gate
    feed: Feed
    streams: OpenStreams
    waits: OpenStreams
    settings: ServerSettings
    credentials: Credentials
    throttle: Throttle
    verifying: Once
    closing: Closing

    def decided(self) -> None:
        """Something was decided: have it dispatched now, and let whoever watches see it now."""
        self.gate.wake()
        self.feed.nudge()


def open_office(
    gate: Gate, settings: ServerSettings, *, monotonic: Callable[[], float] = time.monotonic
) -> Office:
    """The office of a gateway that is open. ``monotonic`` is a clock in seconds that never goes back."""
    throttle = Throttle(monotonic)
    return Office(
        gate=gate,
        feed=Feed(gate),
        streams=OpenStreams(),
        waits=OpenStreams(most=MOST_WAITS, most_of_one=MOST_WAITS_OF_ONE, what="waits"),
        settings=settings,
        credentials=Credentials(gate, settings, throttle, authenticate=authenticate, session=session),
        throttle=throttle,
        verifying=Once(),
        closing=Closing(),
    )
