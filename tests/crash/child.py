"""What a child process does before it is killed or stopped: one gateway, one business, one scenario.

Each scenario is a short story told to the gateway, as an application would. What the application was told is written
to a file and synced at once, so that whoever looks later can hold the ledger to it.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.crash import business as desk
from tests.crash.business import AGENT, AUDITOR, BOSS, TIMEOUT, TOOLS, Business
from tests.crash.clocks import HOUR, BriskClock, SharedClock
from tests.crash.postgres_taps import tap_postgres
from tests.people import decide_approval, resolve_call
from toolgate import Gateway
from toolgate.adapters.ids import UlidIds
from toolgate.adapters.stores.postgres.store import PostgresStore
from toolgate.adapters.stores.sqlite import SqliteStore, connection, writer
from toolgate.bootstrap.stores import is_postgres, keys_of, sqlite_file
from toolgate.domain.outcome import Outcome, PendingApproval
from toolgate.ports import CallFilter, Store
from toolgate.testing import CrashPoint, PortTap
from toolgate.testing.clock import EPOCH

ORDER = 7
WORKFLOW = "req_1"
FIRST = "a first write on an empty disk"
PATIENCE = 20.0
"""Real seconds after which a child that waits for its own gateway has failed."""


def ledger_of(folder: Path) -> tuple[str, Path]:
    """Where the ledger of a folder is, and its keys: beside it in a file, or in the database that the folder names."""
    named = folder / "dsn"
    address = named.read_text("utf-8") if named.exists() else f"sqlite:///{folder / 'ledger.db'}"
    return address, folder / "ledger.db.keys"


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """What the parent wants of one child.

    Attributes:
        kill_at: the crash point at which the process ends itself with SIGKILL; None for a full run.
        stop_at: the crash point at which it stops itself with SIGSTOP.
        now: what its clock says, in microseconds since the epoch.
        shared_clock: take the time from the folder's clock file; else it stands still.
    """

    scenario: str
    folder: str
    kill_at: str | None = None
    stop_at: str | None = None
    now: int = EPOCH
    shared_clock: bool = False
    workflow: str = WORKFLOW
    tell_to: str = "told"


class Stage:
    """One child's gateway, business and memory of what it passed."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.folder = Path(orders.folder)
        self.tap = PortTap(self._met)
        self._passed: dict[str, threading.Event] = {}
        self._points = (self.folder / "points").open("a", encoding="utf-8")
        self.clock = SharedClock(self.folder / "clock") if orders.shared_clock else BriskClock(now=orders.now)
        self.business = Business(self.folder / "business.db", mark=self.tap.mark)
        self.gateway = self._gateway()

    def _gateway(self) -> Gateway:
        clock = self.tap.clock(self.clock)
        ids = self.tap.ids(UlidIds())
        ledger, keys = ledger_of(self.folder)
        ring = keys_of(ledger, keys)
        kept: dict[str, Any] = {"boot_id": ids.new("boot"), "now": clock.now, "ring_id": ring.ring_id}
        store: Store
        if is_postgres(ledger):
            tap_postgres(self.tap)
            store = PostgresStore(ledger, **kept)
        else:
            _tap_the_writer(self.tap)
            store = SqliteStore(sqlite_file(ledger), **kept)
        gateway = Gateway(
            TOOLS,
            store=self.tap.store(store),
            keys=self.tap.keys(ring),
            ids=ids,
            clock=clock,
            deps=self.business.deps(),
            housekeeping=None,
        )
        gateway.world.runner = self.tap.runner(gateway.world.runner)
        return gateway

    async def call(self, tool: Any) -> Outcome[Any]:
        flow = self.gateway.workflow(self.orders.workflow, caller=AGENT)
        outcome = await flow.call(tool, {"order_id": ORDER})
        self.tell(outcome)
        return outcome

    async def look(self, outcome: Outcome[Any]) -> None:
        """Ask what became of the call, as an application does that was told to wait."""
        self.tell(await self.gateway.get_call(outcome.call_id, caller=AGENT))

    async def approve(self, outcome: Outcome[Any]) -> None:
        """Somebody of billing agrees, and the gateway picks the call up."""
        assert isinstance(outcome, PendingApproval)
        await decide_approval(self.gateway, outcome.approval_id, "approve", voter=BOSS, reason="it is due")
        await self.gateway.sweep()

    async def passed(self, point: str) -> None:
        """Wait until this process has passed ``point``."""
        if not await asyncio.to_thread(self._event(point).wait, PATIENCE):
            raise TimeoutError(point)

    def tell(self, outcome: Outcome[Any]) -> None:
        """The application hears ``outcome``; from here on nobody may say otherwise."""
        self.tap.mark("application: before it is told")
        with (self.folder / self.orders.tell_to).open("a", encoding="utf-8") as told:
            told.write(json.dumps(outcome.to_model()) + "\n")
            told.flush()
            os.fsync(told.fileno())
        self.tap.mark("application: told")

    def _event(self, point: str) -> threading.Event:
        return self._passed.setdefault(point, threading.Event())

    def _met(self, point: CrashPoint) -> None:
        name = str(point)
        self._points.write(name + "\n")
        self._points.flush()
        if name == self.orders.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if name == self.orders.stop_at:
            # To this very thread: sent to the process, another thread may take it, and this one goes on a little.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        self._event(name).set()


async def _simple(stage: Stage, tool: Any) -> None:
    await stage.call(tool)


async def _lost_reply(stage: Stage, tool: Any) -> None:
    stage.business.loses_reply = True
    await stage.call(tool)


async def _approved(stage: Stage, tool: Any) -> None:
    outcome = await stage.call(tool)
    await stage.approve(outcome)
    await stage.passed("after store.execute(Settle) #1")
    await stage.look(outcome)


async def _approved_an_hour_later(stage: Stage, tool: Any) -> None:
    outcome = await stage.call(tool)
    assert isinstance(stage.clock, BriskClock)
    stage.clock.advance(HOUR)
    await stage.approve(outcome)
    await stage.passed("after store.execute(Settle) #1")


async def _late(stage: Stage, tool: Any) -> None:
    assert isinstance(stage.clock, BriskClock)
    clock = stage.clock
    stage.business.lingers = lambda: clock.advance(TIMEOUT + 1)
    outcome = await stage.call(tool)
    await stage.passed("after store.execute(LateEvidence) #1")
    await stage.look(outcome)


async def recover(gateway: Gateway) -> None:
    """A round of housekeeping, and what it started to its end."""
    await gateway.sweep()
    while gateway.world.flights:  # noqa: ASYNC110 - they fly in the gateway's own loops, and nobody waits for their answer
        await asyncio.sleep(0)


async def _endless(stage: Stage, tool: Any) -> None:
    stage.business.never_ends = True
    await _late(stage, tool)


async def _recovery(stage: Stage, tool: Any) -> None:
    await recover(stage.gateway)
    for row in (await stage.gateway.store.calls(CallFilter(workflow_id=WORKFLOW))).rows:
        stage.tell(await stage.gateway.get_call(row.call_id, caller=AGENT))


async def _resolution(stage: Stage, tool: Any) -> None:
    await stage.gateway.sweep()
    (row,) = await stage.gateway.store.unknown()
    await resolve_call(
        stage.gateway.world, row.call_id, applied=False, by=AUDITOR, reason="the books hold nothing"
    )
    stage.tell(await stage.gateway.get_call(row.call_id, caller=AGENT))


@dataclass(frozen=True, slots=True)
class Scenario:
    """A story and the tool that it is about. ``after``: the scenario of a child that died before, and where."""

    tool: Any
    story: Callable[[Stage, Any], Awaitable[None]]
    after: tuple[str, str] | None = None


SCENARIOS = {
    "a plain write": Scenario(desk.refund_plain, _simple),
    FIRST: Scenario(desk.refund_plain, _simple),
    "a write that can be reconciled": Scenario(desk.refund_reconciled, _simple),
    "a write whose reply is lost once": Scenario(desk.refund_honoured, _lost_reply),
    "an approved write": Scenario(desk.refund_held, _approved),
    "an approved write that can be reconciled": Scenario(desk.refund_held_reconciled, _approved),
    "a write whose service asks for a person": Scenario(desk.refund_wished, _approved),
    "a write that ends after its deadline": Scenario(desk.refund_late, _late),
    "a destructive tool in a thread": Scenario(desk.refund_blocking, _simple),
    "a read": Scenario(desk.count_refunds, _simple),
    "the recovery of a write that happened": Scenario(
        desk.refund_reconciled, _recovery, ("a write that can be reconciled", "at business: after COMMIT #1")
    ),
    "the recovery of an approved write that did not happen": Scenario(
        desk.refund_held_reconciled,
        _recovery,
        ("an approved write that can be reconciled", "at tool: entered #1"),
    ),
    "a person's word that an approved write did not happen": Scenario(
        desk.refund_held, _resolution, ("an approved write", "at tool: entered #1")
    ),
}
"""Those that are killed at every step."""

OTHERS = {
    "an honoured write": Scenario(desk.refund_honoured, _simple),
    "only recovery": Scenario(None, _recovery),
    "a write approved an hour later": Scenario(desk.refund_held_reconciled, _approved_an_hour_later),
    "a write that never ends": Scenario(desk.refund_late, _endless),
    "a wish for a person": Scenario(desk.refund_wished, _simple),
}


async def live(orders: Orders) -> None:
    """A child's whole life, if nobody ends it before."""
    stage = Stage(orders)
    scenario = {**SCENARIOS, **OTHERS}[orders.scenario]
    async with stage.gateway:
        await scenario.story(stage, scenario.tool)


def _tap_the_writer(tap: PortTap) -> None:
    """Points inside the writer's transactions, where no port is: before each statement, and after BEGIN and COMMIT."""
    connect = connection.connect

    def tapped(*args: Any, **keywords: Any) -> Any:
        return _TappedConnection(connect(*args, **keywords), tap)

    vars(writer)["connect"] = tapped


class _TappedConnection:
    def __init__(self, real: sqlite3.Connection, tap: PortTap) -> None:
        self._connection = real
        self._tap = tap

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, *values: Any) -> Any:
        return self._marked(statement, self._connection.execute, values)

    def executemany(self, statement: str, *values: Any) -> Any:
        return self._marked(statement, self._connection.executemany, values)

    def _marked(self, statement: str, run: Callable[..., Any], values: tuple[Any, ...]) -> Any:
        words = " ".join(statement.split()[:3])
        self._tap.mark(f"writer: before {words}")
        answer = run(statement, *values)
        if words in {"BEGIN IMMEDIATE", "COMMIT"}:
            self._tap.mark(f"writer: after {words}")
        return answer
