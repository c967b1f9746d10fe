"""Any sequence of calls, duplicates, crashes, recoveries and decisions: the ledger and the business agree.

The gateway is driven through its public face on both ledgers. A crash lets a guillotine fall between the
gateway and its store, so that what was committed is there and nothing is written after, and kills every
attempt; the business survives. People tell the truth as far as they can see it.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from tests.machines.business import TIMEOUT, Business, End
from tests.machines.effort import effort
from tests.machines.stage import Kind, Stage, end_of
from tests.people import decide_approval, resolve_call
from toolgate import (
    Caller,
    ErrorType,
    Failed,
    Outcome,
    PendingApproval,
    Refused,
    Started,
    Succeeded,
    Unknown,
    WorldEffect,
)
from toolgate.domain.lifecycle import APPROVAL_TRANSITIONS, EFFECT_TRANSITIONS, ApprovalState, EffectState
from toolgate.domain.rows import CallRow
from toolgate.operations.verify_audit import verify_audit
from toolgate.ports import ApprovalFilter, CallFilter

ANN = Caller("ann", {"clerk"}, "acme")
BOB = Caller("bob", {"clerk"}, "acme")
LEA = Caller("lea", {"lead"}, "acme")

PATIENCE = 30.0
"""Real seconds after which something that should have ended has not."""

_EFFECT_MOVES: dict[EffectState | None, set[EffectState | None]] = {
    # Held, and then dispatched; dispatched, and then held because the business wished it.
    None: {EffectState.INTENDED},
    # Nobody corrects anything here: what is settled stays.
    **{
        state: {after for cause, after in moves.items() if not cause.name.startswith("CORRECTED")}
        for state, moves in EFFECT_TRANSITIONS.items()
    },
}
_EFFECT_MOVES[EffectState.INTENDED] = {*_EFFECT_MOVES[EffectState.INTENDED], None}
_APPROVAL_MOVES: dict[ApprovalState, set[ApprovalState]] = {
    state: set(moves.values()) for state, moves in APPROVAL_TRANSITIONS.items()
}


def reachable(moves: dict[Any, set[Any]], start: Any) -> set[Any]:
    """Every state that may follow ``start``, itself included."""
    found, pending = {start}, [start]
    while pending:
        for state in moves[pending.pop()] - found:
            found.add(state)
            pending.append(state)
    return found


@dataclass(frozen=True, slots=True)
class Told:
    """What a caller was told of a call."""

    call_id: str
    outcome: Outcome[Any]


class LedgerMachine(RuleBasedStateMachine):
    """One business, one ledger, one gateway at a time."""

    kind: ClassVar[Kind] = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="toolgate-machine-")
        self.runner = asyncio.Runner()
        self.stage = Stage(kind=self.kind, folder=Path(self.folder.name))
        self.business = Business()
        self.told: list[Told] = []
        self.waiting: dict[asyncio.Task[Outcome[Any]], str] = {}
        self.seen_calls: dict[str, EffectState | None] = {}
        self.seen_approvals: dict[str, ApprovalState] = {}
        self.numbers = 0

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(asyncio.wait_for(work, PATIENCE))

    # ------------------------------------------------------------------------------ lives of the program

    @initialize()
    def begin(self) -> None:
        self.run(self._open())

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        self.changed = asyncio.Event()
        self.business.changed = lambda: loop.call_soon_threadsafe(self.changed.set)
        self.store = self.stage.store()
        self.gateway = self.stage.gateway(*self.business.tools(), store=self.store)
        await self.gateway.__aenter__()

    async def _crash(self) -> None:
        self.store.fall()
        self.business.restart()
        for task in self.waiting:
            task.cancel()
        await asyncio.gather(*self.waiting, return_exceptions=True)
        self.waiting.clear()
        await self._quiet()
        await self.gateway.__aexit__(None, None, None)

    @rule()
    def crash(self) -> None:
        self.run(self._crash())
        self.run(self._open())
        self._verify()

    # No rule has a precondition: who wins a race is not the same twice, and what is drawn must not depend on it.

    @rule()
    def restart(self) -> None:
        if self.business.process.hanging:
            return
        self.run(self.gateway.__aexit__(None, None, None))
        self.run(self._open())

    def _verify(self) -> None:
        report = self.run(verify_audit(self.gateway.store))
        assert report.intact, report

    def teardown(self) -> None:
        try:
            if hasattr(self, "gateway"):
                self._everything_is_known_in_the_end()
                self._verify()
                self.run(self.gateway.__aexit__(None, None, None))
        finally:
            self.runner.close()
            self.stage.leave()
            self.folder.cleanup()

    def _everything_is_known_in_the_end(self) -> None:
        for call_id in list(self.business.process.hanging):
            self._release(call_id)
        self.run(self._pass(30.0))
        rows = self.run(self.gateway.store.calls(CallFilter(limit=1000))).rows
        assert [row for row in rows if row.effect_state is EffectState.INTENDED] == []
        self.the_ledger_and_the_business_agree()

    # --------------------------------------------------------------------------------------------- asking

    async def _ask(self, tool: str, order: int, cents: int, callers: Iterable[Caller]) -> None:
        tasks = {}
        for caller in callers:
            self.numbers += 1
            asked = self.gateway.call(
                tool,
                {"order": order, "cents": cents},
                caller=caller,
                workflow="w",
                request_id=f"r{self.numbers}",
            )
            tasks[asyncio.create_task(asked)] = caller.id
        self.waiting.update(tasks)
        await self._quiet()
        self._hear()

    def _hear(self) -> None:
        for task in [task for task in self.waiting if task.done()]:
            del self.waiting[task]
            outcome = task.result()
            self.told.append(Told(outcome.call_id, outcome))

    async def _quiet(self) -> None:
        """Wait until every call has ended, or hangs where it was told to."""
        while True:
            self.changed.clear()
            hanging = self.business.process.hanging
            flying = [
                flight
                for flight in list(self.gateway.world.flights.values())
                if flight.received.call_id not in hanging and flight.lane is not None
            ]
            unanswered = [task for task in self.waiting if not task.done()]
            out = [
                flight
                for flight in list(self.gateway.world.flights.values())
                if flight.received.call_id in hanging and not flight.answered and not flight.resuming
            ]
            if not flying and len(unanswered) <= len(out):
                return
            ends = [asyncio.wrap_future(flight.lane.start(end_of(flight))) for flight in flying]
            changed = asyncio.create_task(self.changed.wait())
            await asyncio.wait({*ends, *unanswered, changed}, return_when=asyncio.FIRST_COMPLETED)
            for waiter in (*ends, changed):
                waiter.cancel()

    tools = st.sampled_from(["pay", "post"])
    orders = st.integers(1, 3)
    amounts = st.sampled_from([100, 100, 200, 5000])
    people = st.sampled_from([ANN, ANN, ANN, BOB])

    @rule(tool=tools, order=orders, cents=amounts, caller=people, end=st.sampled_from(End))
    def call(self, tool: str, order: int, cents: int, caller: Caller, end: End) -> None:
        self.business.ends[order] = end
        self.run(self._ask(tool, order, cents, [caller]))

    @rule(
        tool=tools,
        order=orders,
        cents=amounts,
        callers=st.lists(people, min_size=2, max_size=4),
        end=st.sampled_from(End),
    )
    def race(self, tool: str, order: int, cents: int, callers: list[Caller], end: End) -> None:
        self.business.ends[order] = end
        self.run(self._ask(tool, order, cents, callers))

    @rule(
        tool=tools,
        order=orders,
        end=st.sampled_from([End.STUBBORN, End.STUBBORN_DECLINED, End.HANGS_BEFORE, End.HANGS_AFTER]),
    )
    def somebody_is_impatient(self, tool: str, order: int, end: End) -> None:
        """A call hangs, its lease would be over by now, and a person wants it off the list."""
        self.business.ends[order] = end
        self.run(self._ask(tool, order, 100, [ANN]))
        self.run(self._pass(25.0))
        for index in range(len(self.run(self.gateway.store.unknown()))):
            self.run(self._resolve(index))

    @rule(index=st.integers(0, 50))
    def look_up(self, index: int) -> None:
        if not self.told:
            return
        told = self.told[index % len(self.told)]
        for caller in (ANN, BOB):
            outcome = self.run(self.gateway.get_call(told.call_id, caller=caller))
            if not (isinstance(outcome, Refused) and outcome.error_type is ErrorType.UNKNOWN_TOOL):
                self.told.append(Told(outcome.call_id, outcome))

    # ------------------------------------------------------------------------------------------- deciding

    async def _decide(self, index: int, decision: Any) -> None:
        rows = await self.gateway.store.approvals(ApprovalFilter(open_only=True))
        if not rows:
            return
        row = rows[index % len(rows)]
        after = await decide_approval(self.gateway, row.approval_id, decision, voter=LEA, reason="I looked")
        late = self.stage.clock.now() >= row.expires_at
        assert (
            isinstance(after, str)
            if late or row.state is not ApprovalState.PENDING
            else not isinstance(after, str)
        )

    @rule(index=st.integers(0, 5), decision=st.sampled_from(["approve", "approve", "deny"]))
    def decide(self, index: int, decision: str) -> None:
        self.run(self._decide(index, decision))

    @rule(index=st.integers(0, 5))
    def resolve(self, index: int) -> None:
        self.run(self._resolve(index))

    async def _resolve(self, index: int) -> None:
        rows = list(await self.gateway.store.unknown())
        if not rows:
            return
        row = rows[index % len(rows)]
        happened = self.business.by_call[row.call_id] > 0
        after = await resolve_call(
            self.gateway.world, row.call_id, applied=happened, by=LEA, reason="I looked"
        )
        if row.call_id in self.business.process.hanging and not happened:
            assert isinstance(after, str), "called off while an attempt was running"

    # ------------------------------------------------------------------------------------- time and attempts

    async def _sweep(self) -> None:
        await self.gateway.sweep()
        await self._quiet()
        self._hear()

    @rule()
    def sweep(self) -> None:
        self.run(self._sweep())

    async def _pass(self, seconds: float) -> None:
        while seconds > 0:
            step = min(seconds, TIMEOUT)
            self.stage.clock.advance(step)
            seconds -= step
            for flight in list(self.gateway.world.flights.values()):
                if flight.lane is not None and flight.deadline <= self.stage.clock.monotonic():
                    await self._is_given_up(flight)
            await self._sweep()

    async def _is_given_up(self, flight: Any) -> None:
        """Everybody is answered at the deadline, and whatever honours its cancellation ends."""
        while not flight.answered:
            await asyncio.wrap_future(flight.lane.start(asyncio.sleep(0)))
        hang = self.business.process.hanging.get(flight.received.call_id)
        if hang is None or not hang.stubborn:
            await asyncio.wrap_future(flight.lane.start(end_of(flight)))

    @rule(seconds=st.sampled_from([1.0, 5.0, 5.0, 15.0, 25.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.run(self._pass(seconds))

    @rule(can_tell=st.booleans())
    def the_books_open_or_close(self, can_tell: bool) -> None:
        self.business.can_tell = can_tell

    def _release(self, call_id: str) -> None:
        async def release() -> None:
            flight = self.gateway.world.flights[call_id]
            self.business.process.hanging[call_id].release()
            await asyncio.wrap_future(flight.lane.start(end_of(flight)))
            await self._quiet()
            self._hear()

        self.run(release())

    @rule(index=st.integers(0, 5))
    def an_attempt_goes_on(self, index: int) -> None:
        if not (hanging := sorted(self.business.process.hanging)):
            return
        self._release(hanging[index % len(hanging)])

    # ----------------------------------------------------------------------------------------- what holds

    @invariant()
    def the_ledger_and_the_business_agree(self) -> None:
        if not hasattr(self, "gateway"):
            return
        rows, trail, approvals = self.run(self._read())
        by_id = {row.call_id: row for row in rows}
        self._nothing_happened_twice()
        self._every_word_was_true(by_id)
        self._every_row_is_true(by_id)
        self._nothing_ran_in_doubt(by_id)
        self._states_moved_along_the_tables(by_id, approvals)
        for call_id, events in trail.items():
            assert told_by(events) == by_id[call_id].effect_state, (
                call_id,
                [e["toolgate.transition"] for e in events],
            )
        assert trail.keys() == by_id.keys()

    async def _read(self) -> tuple[list[CallRow], dict[str, list[dict[str, Any]]], dict[str, ApprovalState]]:
        store = self.gateway.store
        rows = list((await store.calls(CallFilter(limit=1000))).rows)
        trail: dict[str, list[dict[str, Any]]] = {}
        async for stored in store.records():
            record = json.loads(stored.record)
            if (call_id := record.get("toolgate.call.id")) is not None:
                trail.setdefault(call_id, []).append(record)
        approvals = await store.approvals(ApprovalFilter(open_only=False, limit=1000))
        return rows, trail, {row.approval_id: row.state for row in approvals}

    def _nothing_happened_twice(self) -> None:
        assert [key for key, count in self.business.by_key.items() if count > 1] == []

    def _every_word_was_true(self, rows: dict[str, CallRow]) -> None:
        for told in self.told:
            assert told.call_id in rows, told
            happened = self.business.by_call[told.call_id]
            match told.outcome:
                case Succeeded():
                    assert happened == 1, told
                case Refused(effect=WorldEffect.NONE) | Failed(effect=WorldEffect.NONE):
                    assert happened == 0, told
                case Failed(effect=WorldEffect.APPLIED):
                    assert happened == 1, told
                case PendingApproval() | Started() | Unknown() | Refused() | Failed():
                    pass

    def _every_row_is_true(self, rows: dict[str, CallRow]) -> None:
        assert self.business.by_call.keys() <= rows.keys()
        for row in rows.values():
            happened = self.business.by_call[row.call_id]
            match row.effect_state:
                case EffectState.APPLIED:
                    assert happened == 1, row
                case EffectState.NOT_APPLIED | None:
                    assert happened == 0, row
                    assert row.status != "succeeded", row
                case EffectState.INTENDED:
                    assert row.status == "running", row
                case EffectState.UNKNOWN:
                    assert row.status == "unknown", row
            assert row.incident is None, row

    def _nothing_ran_in_doubt(self, rows: dict[str, CallRow]) -> None:
        """A key's next attempt comes only after the last one is known to have done nothing."""
        for attempts in self.business.attempts.values():
            for earlier, later in pairwise(attempts):
                state = rows[earlier].effect_state
                # None: it wished for a person, who did not agree in time; nobody is asked whether that did anything.
                known = state in {EffectState.NOT_APPLIED, None}
                assert known or earlier == later, (earlier, later, state)

    def _states_moved_along_the_tables(
        self, rows: dict[str, CallRow], approvals: dict[str, ApprovalState]
    ) -> None:
        assert self.seen_calls.keys() <= rows.keys(), "a call was lost"
        assert self.seen_approvals.keys() <= approvals.keys(), "an approval was lost"
        for call_id, before in self.seen_calls.items():
            assert rows[call_id].effect_state in reachable(_EFFECT_MOVES, before)
        for approval_id, state in self.seen_approvals.items():
            assert approvals[approval_id] in reachable(_APPROVAL_MOVES, state)
        self.seen_calls = {call_id: row.effect_state for call_id, row in rows.items()}
        self.seen_approvals = approvals


_KNOWN = {"applied": EffectState.APPLIED, "none": EffectState.NOT_APPLIED, "unknown": EffectState.UNKNOWN}


def told_by(events: list[dict[str, Any]]) -> EffectState | None:
    """The state that the trail alone tells of a call. Each event must fit what came before it."""
    state: EffectState | None = None
    begun = False
    for event in events:
        transition, effect = event["toolgate.transition"], event["toolgate.effect"]
        match transition:
            case "refused":
                assert not begun
            case "held":
                assert not begun or state is EffectState.INTENDED
                state = None
            case "intended":
                assert state is None
                state = EffectState.INTENDED
            case "settled":
                assert state is EffectState.INTENDED or not begun
                state = _KNOWN[effect] if begun else None
            case "lapsed":
                assert state is EffectState.INTENDED
                state = EffectState.UNKNOWN
            case "resolved":
                assert state is EffectState.UNKNOWN
                state = _KNOWN[effect]
            case "late_evidence":
                assert state in {EffectState.INTENDED, EffectState.UNKNOWN, _KNOWN[effect]}
                state = _KNOWN[effect]
            case (
                "approval_approved"
                | "approval_denied"
                | "approval_expired"
                | "approval_cancelled"
                | "replayed"
            ):
                assert begun
            case _:
                pytest.fail(f"an event that no call has: {transition}")
        begun = True
    return state


class SqliteLedgerMachine(LedgerMachine):
    """The same over a file, closed and opened anew at each crash."""

    kind = "sqlite"


class PostgresLedgerMachine(LedgerMachine):
    """The same over a database, closed and opened anew at each crash."""

    kind = "postgres"


TestLedgerInMemory = LedgerMachine.TestCase
TestLedgerInMemory.settings = effort(100, 30)
TestLedgerInMemory.pytestmark = pytest.mark.req("X1.16")  # type: ignore[attr-defined]

TestLedgerInSqlite = SqliteLedgerMachine.TestCase
TestLedgerInSqlite.settings = effort(40, 25)
TestLedgerInSqlite.pytestmark = pytest.mark.req("X1.16")  # type: ignore[attr-defined]

TestLedgerInPostgres = PostgresLedgerMachine.TestCase
TestLedgerInPostgres.settings = effort(8, 20)
TestLedgerInPostgres.pytestmark = pytest.mark.req("X1.16")  # type: ignore[attr-defined]
