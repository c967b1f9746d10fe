"""The gateway's own event loops: one at work, in a thread, and a watchdog that retires it when a tool blocks it.

``deps``, predicates and async tools share a loop because connections are bound to one. Python cannot
interrupt a thread, so a blocked loop is left to itself: its calls are given up in a fresh loop, and when
the tool lets go, what it returns is late evidence. The number of loops is bounded; when all are blocked
the gateway refuses.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from toolgate.adapters.mailbox import Mailbox, Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from concurrent.futures import Future

T = TypeVar("T")
_log = logging.getLogger("toolgate")

WATCH_INTERVAL = 0.1
"""Seconds between two looks of the watchdog while calls are on their way."""
BLOCKED_AFTER = 0.25
"""Seconds without an answer to a ping, with a call past its deadline, after which a loop counts as blocked."""


class Lane:
    """One event loop in a daemon thread. ``submit`` hands an item to ``deliver`` inside the loop."""

    def __init__(self, name: str, deliver: Callable[[Any], object]) -> None:
        self.loop = asyncio.new_event_loop()
        self._mailbox = Mailbox(self.loop, deliver)
        self._pinged_at: float | None = None
        self._ending = False
        self._asked_to_end = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        while not (self._ending or self.loop.is_closed()):
            try:
                self.loop.run_forever()
            except BaseException as quit_:  # noqa: BLE001 - a task of a tool must not end the calls of all others
                _log.warning(
                    "a tool tried to end the gateway's loop with %s; the loop goes on", type(quit_).__name__
                )
        self._finish()

    def _finish(self) -> None:
        pending = asyncio.all_tasks(self.loop)
        for task in pending:
            task.cancel()
        if pending:
            # One that does not give way keeps this thread, a daemon: whoever stops the lane does not wait for it.
            self.loop.run_until_complete(asyncio.wait(pending))
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.close()

    def submit(self, *items: Any) -> None:
        """Deliver ``items`` in the loop. Any thread."""
        self._mailbox.post(*items)

    def take_back(self) -> list[Any]:
        """Items that the loop has not taken, for another lane."""
        return self._mailbox.take_back()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run ``work`` in the loop, from any thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def call(self, function: Callable[[], object]) -> None:
        """Call ``function`` in the loop, from any thread; not at all once the loop has ended."""
        with suppress(RuntimeError):
            self.loop.call_soon_threadsafe(function)

    def blocked_for(self, now: float) -> float:
        """Seconds since a ping that the loop has not answered; the first question sends one."""
        if self._pinged_at is None:
            self._pinged_at = now
            try:
                self.loop.call_soon_threadsafe(self._pong)
            except RuntimeError:
                # A loop that has ended blocks nobody.
                self._pinged_at = None
            return 0.0
        return now - self._pinged_at

    def _pong(self) -> None:
        self._pinged_at = None

    @property
    def over(self) -> bool:
        """Whether the loop and its thread have ended."""
        return not self._thread.is_alive()

    def end(self) -> None:
        """Leave the loop. Inside it."""
        self._ending = True
        self.loop.stop()

    def stop(self, *, wait: float) -> bool:
        """End the loop; False if it is still blocked after ``wait`` seconds."""
        if not (self.over or self._asked_to_end):
            # Once: asked again, it would be torn from waiting for its last tasks.
            self._asked_to_end = True
            with suppress(RuntimeError):  # it ended meanwhile
                self.loop.call_soon_threadsafe(self.end)
        self._thread.join(wait)
        return self.over


class Lanes:
    """The service loop, which never runs an author's code, and the tool loops, which do.

    Args:
        deliver: starts an item in the running loop. ``overdue``: the items of a lane that are past their
            deadline and not over. ``give_up``: answers an overdue item, in the service loop; asked again, it
            does nothing. ``turn_away``: refuses one.
        limit: how many tool loops there may be, blocked ones included.
    """

    def __init__(
        self,
        *,
        deliver: Callable[[Any], object],
        overdue: Callable[[Lane], list[Any]],
        give_up: Callable[[Any], object],
        turn_away: Callable[[Any], Coroutine[Any, Any, None]],
        limit: int,
    ) -> None:
        self._deliver = deliver
        self._overdue = overdue
        self._give_up = give_up
        self._turn_away = turn_away
        self._limit = limit
        self._lock = threading.Lock()
        self._blocked: list[Lane] = []
        self._leaving: list[Lane] = []
        self._count = 0
        self._stopping = threading.Event()
        self._turns = Turns(lambda items: self.submit(*items))
        self.service = Lane("toolgate-service", give_up)
        self._current: Lane | None = self._fresh()
        self._watchdog = threading.Thread(target=self._watch, name="toolgate-watchdog", daemon=True)
        self._watchdog.start()

    def _fresh(self) -> Lane:
        self._count += 1
        lane: Lane

        def deliver(item: Any) -> None:
            item.lane = lane
            self._deliver(item)

        lane = Lane(f"toolgate-loop-{self._count}", deliver)
        return lane

    @property
    def tool_lane(self) -> Lane | None:
        """The lane that takes new work, if any is free."""
        return self._current

    def submit(self, *items: Any) -> None:
        """Start ``items`` in the tool loop, or turn them away if every one is blocked."""
        lane = self._current
        if lane is None:
            for item in items:
                self.service.start(self._turn_away(item))
            return
        for item in items:
            item.lane = lane
        lane.submit(*items)
        if lane is not self._current:
            # Retired in between: what it has not taken goes where new work goes.
            for stranded in lane.take_back():
                self.submit(stranded)

    def submit_with_turn(self, item: Any) -> None:
        """As ``submit``, with whatever else this turn of the running loop brings: for loops that never block."""
        self._turns.add(item)

    def _watch(self) -> None:
        while not self._stopping.wait(WATCH_INTERVAL):
            with self._lock:
                self._leaving = [lane for lane in self._leaving if not lane.over]
                self._welcome_back()
                if self._current is None and self._has_room():
                    self._current = self._fresh()
                lane = self._current
                if lane is not None and self._blocks(lane):
                    self._retire(lane)
                # Whatever keeps a loop from giving up its own: here it is given up, once.
                for each in filter(None, [self._current, *self._blocked, *self._leaving]):
                    for item in self._overdue(each):
                        self.service.submit(item)

    def _blocks(self, lane: Lane) -> bool:
        # Pinged before anything is overdue, so that a call behind a block is answered soon after its deadline.
        return lane.blocked_for(time.monotonic()) > BLOCKED_AFTER and bool(self._overdue(lane))

    def _retire(self, lane: Lane) -> None:
        _log.warning("a tool blocks its event loop; its calls are given up and new ones go to a fresh loop")
        self._blocked.append(lane)
        self._current = self._fresh() if self._has_room() else None
        for item in lane.take_back():
            self.submit(item)

    def _has_room(self) -> bool:
        return len(self._blocked) + len(self._leaving) < self._limit

    def _welcome_back(self) -> None:
        """A lane whose tool let go: the next to take work if none does, else superfluous."""
        now = time.monotonic()
        for lane in [lane for lane in self._blocked if lane.blocked_for(now) == 0.0]:
            self._blocked.remove(lane)
            if self._current is None:
                self._current = lane
            else:
                self._leaving.append(lane)
                lane.start(_end_when_idle(lane))

    def stop_tools(self, *, wait: float) -> None:
        """Cancel what runs and end the tool loops. A blocked one is left behind; its thread is a daemon."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        self._watchdog.join()
        for lane in [self._current, *self._blocked, *self._leaving]:
            if lane is not None and not lane.stop(wait=wait):
                _log.warning("a tool still blocks its loop; it is left behind")

    def stop(self, *, wait: float) -> None:
        """End every loop, the service loop last."""
        self.stop_tools(wait=wait)
        self.service.stop(wait=wait)


async def _end_when_idle(lane: Lane) -> None:
    """Stop a superfluous loop once its last call is over."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others)
    lane.end()
