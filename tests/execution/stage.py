"""What the tests of execution share: a ledger with a hand on it, tools that stand still on demand, a gateway.

Not here: any expectation.
"""

from __future__ import annotations

import asyncio
import json
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from toolgate import Caller, Gateway
from toolgate.adapters.stores.memory import MemoryStore
from toolgate.domain.errors import StoreUnavailable
from toolgate.ports import CallFilter
from toolgate.testing import FakeClock

ANN = Caller("ann", roles={"support"}, tenant="acme")
BOB = Caller("bob", roles={"support"}, tenant="acme")
PATIENCE = 30.0
"""Real seconds after which a test that waits for something that must happen has failed."""


class Ledger:
    """The memory store, whose writes can be made to hang or to fail by the name of their command.

    As in the real one, a command that was handed over is written whether or not anybody still waits for it.
    """

    def __init__(self, clock: FakeClock, *, inner: MemoryStore | None = None) -> None:
        self.inner = inner or MemoryStore(boot_id="boot-1", now=clock.now)
        self._pool = ThreadPoolExecutor(thread_name_prefix="ledger")
        self._held: dict[str, threading.Event] = {}
        self.reached: dict[str, threading.Event] = {}
        self.failing: set[str] = set()
        self.written: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def hold(self, command: str) -> None:
        """Let commands of this name hang until ``let_go``."""
        self._held[command] = threading.Event()
        self.reached[command] = threading.Event()

    def let_go(self, command: str) -> None:
        self._held.pop(command).set()

    async def find(self, subject: Any) -> Any:
        if (gate := self._held.get("find")) is not None:
            self.reached["find"].set()
            assert await asyncio.to_thread(gate.wait, PATIENCE)
        return await self.inner.find(subject)

    async def execute(self, command: Any) -> Any:
        name = type(command).__name__
        if name in self.failing:
            raise StoreUnavailable("the disk is full")
        gate = self._held.get(name)
        if gate is None:
            answer = await self.inner.execute(command)
            self.written.append(name)
            return answer
        self.reached[name].set()

        def write() -> Any:
            assert gate.wait(PATIENCE)
            try:
                return asyncio.run(self.inner.execute(command))
            finally:
                self.written.append(name)

        return await asyncio.wrap_future(self._pool.submit(write))


@dataclass
class Halt:
    """A place where a tool stops until the test lets it go on."""

    entered: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)

    async def here(self) -> None:
        """Stop without blocking the loop; a cancellation gets through."""
        self.entered.set()
        while not self.go_on.is_set():  # noqa: ASYNC110 - set in another thread
            await asyncio.sleep(0.005)

    async def stubbornly(self) -> None:
        """Stop without blocking the loop, and swallow every cancellation."""
        self.entered.set()
        while not self.go_on.is_set():
            try:
                await asyncio.sleep(0.005)
            except asyncio.CancelledError:
                continue

    def block(self) -> None:
        """Stop inside C code, with the whole thread."""
        self.entered.set()
        assert self.go_on.wait(PATIENCE)

    async def reached(self) -> None:
        """The test waits until the tool stands here."""
        await happened(self.entered)


async def happened(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, PATIENCE), "what the test waits for did not happen"


async def until(condition: Callable[[], bool]) -> None:
    """Wait until ``condition`` holds; what it looks at changes in another thread."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - it changes in another thread
            await asyncio.sleep(0.005)


def stage(*tools: Any, clock: FakeClock, store: Any = None, **more: Any) -> Gateway:
    """A gateway without housekeeping of its own, on a ledger in memory."""
    return Gateway(tools, store=store or Ledger(clock), clock=clock, housekeeping=None, **more)


async def trail(gateway: Gateway, call_id: str | None = None) -> list[dict[str, Any]]:
    """The audit events, oldest first, without those that are no call's."""
    found = [json.loads(stored.record) async for stored in gateway.store.records(call_id=call_id)]
    return [record for record in found if "toolgate.call.id" in record]


async def row(gateway: Gateway, call_id: str) -> Any:
    rows = (await gateway.store.calls(CallFilter())).rows
    return next(row for row in rows if row.call_id == call_id)


async def flights_over(gateway: Gateway) -> None:
    """Until nothing runs any more, late attempts included."""
    await until(lambda: not gateway.world.flights)


def alarms(clock: FakeClock) -> int:
    """How many wait for time to pass."""
    with clock._lock:
        return sum(not alarm.cancelled for alarm in clock._alarms)


def next_alarm(clock: FakeClock) -> float:
    """Seconds until somebody is woken; infinite where nobody waits."""
    with clock._lock:
        due = [alarm.due for alarm in clock._alarms if not alarm.cancelled]
        return min(due, default=math.inf) - clock._elapsed


async def drive(call: asyncio.Task[Any], clock: FakeClock, *, step: float = 0.05, beside: int = 1) -> Any:
    """The result of ``call``, with time moved on while something of it waits for that, and not while it works.

    Time moves by ``step`` seconds at most and never past what somebody waits for: otherwise the deadline and a wait
    that ends just before it would fall together. ``beside``: alarms that are no such wait: the deadline of the call
    itself.
    """
    async with asyncio.timeout(PATIENCE):
        while not call.done():
            if alarms(clock) > beside:
                clock.advance(min(step, next_alarm(clock)))
            await asyncio.sleep(0.001)
    return await call
