"""What the handlers are given, over HTTP and over stdio alike: the gate, and what waiting for a call needs.

Not here: anything that changes with a message (``asked``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolgate.surfaces.http.closing import Closing
from toolgate.surfaces.http.feed import Feed
from toolgate.surfaces.http.streams import MOST_WAITS, MOST_WAITS_OF_ONE, OpenStreams

if TYPE_CHECKING:
    from toolgate.surfaces.http.gate import Gate
    from toolgate.surfaces.http.office import Office


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One server's. ``waits`` are those who wait for a call to end, ``closing`` is set once the server ends."""

    gate: Gate
    feed: Feed
    waits: OpenStreams
    closing: Closing

    def decided(self) -> None:
        """Something was decided: have it dispatched now, and let whoever watches see it now."""
        self.gate.wake()
        self.feed.nudge()


def service_of(office: Office) -> Service:
    """The service of an HTTP server: what waits here counts with what waits there."""
    return Service(gate=office.gate, feed=office.feed, waits=office.waits, closing=office.closing)


def open_service(gate: Gate) -> Service:
    """A service without an HTTP server around it."""
    waits = OpenStreams(most=MOST_WAITS, most_of_one=MOST_WAITS_OF_ONE, what="waits")
    return Service(gate=gate, feed=Feed(gate), waits=waits, closing=Closing())
