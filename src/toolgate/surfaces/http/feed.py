"""What happens, as it happens: one look at the trail for everybody who watches, however many they are.

The trail is looked at only while somebody watches, each ``INTERVAL``, at once when something was decided here, and soon
when word comes of what another process committed. Each
record is read once. Whoever is too slow loses the events, is told so (``Resync``), and holds up nobody. Not here: who
may see which event (whoever watches says so), and how events are sent (``streams``).
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from toolgate.domain.errors import GateFault
from toolgate.operations.read_changes import MOST, read_changes

if TYPE_CHECKING:
    from toolgate.ports import Change
    from toolgate.surfaces.http.gate import Gate

INTERVAL: Final = 0.25
"""Seconds between two looks."""
SOON: Final = 0.05
"""Seconds from word of another process to a look, which sees what else came by then."""
WAITING: Final = 1_000
"""Events that wait for one watcher, or that one missed while it was away, before it is told to read anew."""

_log = logging.getLogger("toolgate")


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEvent:
    """One event of the trail. ``transition`` is a call's, or the name of an event that is no call's."""

    seq: int
    tenant: str | None
    call_id: str | None
    approval_id: str | None
    tool: str | None
    caller_id: str | None
    agent: str | None
    transition: str
    status: str | None


@dataclass(frozen=True, slots=True)
class Resync:
    """Events up to ``seq`` were lost to this watcher: whatever it shows has to be read anew."""

    seq: int


Wanted = Callable[[FeedEvent], bool]


class Watch:
    """One watcher's own queue. Inside the server's loop."""

    def __init__(self, wanted: Wanted, *, most: int = WAITING) -> None:
        self._wanted = wanted
        self._most = most
        self._waiting: deque[FeedEvent] = deque()
        self._lost: int | None = None
        self._behind = 0
        self._arrived = asyncio.Event()

    def offer(self, event: FeedEvent) -> None:
        """Take ``event`` if it is wanted and was not seen yet. Never waits."""
        if event.seq <= self._behind or not self._wanted(event):
            return
        if self._lost is not None or len(self._waiting) >= self._most:
            self.lose(event.seq)
            return
        self._waiting.append(event)
        self._arrived.set()

    def make_up(self, missed: Iterable[FeedEvent]) -> None:
        """Put what was missed before what arrived meanwhile; what is in both is told once."""
        self._waiting.extendleft(reversed([event for event in missed if self._wanted(event)]))
        self._arrived.set()

    def lose(self, seq: int) -> None:
        """Give up what waits."""
        self._waiting.clear()
        self._lost = seq
        self._arrived.set()

    async def next(self) -> FeedEvent | Resync:
        """The next event."""
        while True:
            if self._lost is not None:
                lost, self._lost = self._lost, None
                self._behind = max(self._behind, lost)
                return Resync(lost)
            while self._waiting:
                event = self._waiting.popleft()
                if event.seq > self._behind:
                    self._behind = event.seq
                    return event
            self._arrived.clear()
            await self._arrived.wait()


class Feed:
    """The one look at the trail that all watchers of a server share. Inside the server's loop."""

    def __init__(self, gate: Gate, *, interval: float = INTERVAL) -> None:
        self._gate = gate
        self._interval = interval
        self._watches: set[Watch] = set()
        self._beginning = asyncio.Lock()
        self._nudged = asyncio.Event()
        self._cursor: int | None = None
        self._looking: asyncio.Task[None] | None = None
        self._deaf: Callable[[], None] | None = None
        self._heard = False
        self.looks = 0
        """How often the trail was looked at, for whoever measures."""

    def nudge(self) -> None:
        """Something was decided: look now."""
        self._nudged.set()

    def _hear(self, loop: asyncio.AbstractEventLoop) -> None:
        """Another process committed something. Any thread; one timer, however often it is called."""
        if self._heard:
            return
        self._heard = True
        try:
            loop.call_soon_threadsafe(loop.call_later, SOON, self._look_at_word)
        except RuntimeError:
            self._heard = False  # the loop is closed, and with it every watch

    def _look_at_word(self) -> None:
        self._heard = False
        self.nudge()

    @asynccontextmanager
    async def watch(self, wanted: Wanted, *, after: int | None = None) -> AsyncIterator[Watch]:
        """Follow the events that are ``wanted``, from ``after`` on where it is given, else from now on.

        Raises:
            GateFault: where the trail cannot be read at the beginning.
        """
        watch = Watch(wanted)
        async with self._beginning:
            if self._looking is None:
                self._cursor = await self._newest()
                self._looking = asyncio.create_task(self._look(), name="toolgate-feed")
                loop = asyncio.get_running_loop()
                self._deaf = self._gate.watch(lambda: self._hear(loop), elsewhere=True)
            self._watches.add(watch)
        try:
            if after is not None:
                await self._make_up(watch, after)
            yield watch
        finally:
            self._watches.discard(watch)
            if not self._watches and self._looking is not None:
                self._looking.cancel()
                self._looking = None
                if self._deaf is not None:
                    self._deaf()

    def __len__(self) -> int:
        """How many watch."""
        return len(self._watches)

    async def _newest(self) -> int:
        newest = await self._gate.operate(read_changes, None)
        return newest[-1].seq if newest else 0

    async def _make_up(self, watch: Watch, after: int) -> None:
        """What somebody missed who was here before. What arrives meanwhile stands behind it in the same queue."""
        missed: list[FeedEvent] = []
        place = after
        while len(missed) < WAITING:
            changes = await self._gate.operate(read_changes, place)
            missed += [event for change in changes if (event := read_event(change)) is not None]
            if len(changes) < MOST:
                break
            place = changes[-1].seq
        else:
            watch.lose(place)
            return
        watch.make_up(missed)

    async def _look(self) -> None:
        troubled = False
        while True:
            # Before the look: a nudge that comes while it lasts asks for another one.
            self._nudged.clear()
            try:
                await self._read_on()
                troubled = False
            except GateFault as fault:
                if not troubled:
                    _log.warning("the feed waits for the store: %s", type(fault).__name__)
                troubled = True
            try:
                async with asyncio.timeout(self._interval):
                    await self._nudged.wait()
            except TimeoutError:
                continue

    async def _read_on(self) -> None:
        while True:
            self.looks += 1
            changes = await self._gate.operate(read_changes, self._cursor)
            for change in changes:
                event = read_event(change)
                if event is None:
                    continue
                for watch in self._watches:
                    watch.offer(event)
            if changes:
                self._cursor = changes[-1].seq
            if len(changes) < MOST:
                return


def read_event(change: Change) -> FeedEvent | None:
    """The event as watchers get it; None for a record that cannot be read."""
    try:
        record: Any = json.loads(change.record)
    except ValueError:
        return None
    if not isinstance(record, dict):
        return None
    return FeedEvent(
        seq=change.seq,
        tenant=record.get("toolgate.tenant"),
        call_id=record.get("toolgate.call.id"),
        approval_id=record.get("toolgate.approval.id"),
        tool=record.get("gen_ai.tool.name"),
        caller_id=record.get("user.id"),
        agent=record.get("gen_ai.agent.name"),
        transition=str(record.get("toolgate.transition") or record.get("event", "")),
        status=record.get("toolgate.status"),
    )
