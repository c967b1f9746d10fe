"""Any sequence of calls, decisions, days and rounds of retention: every key answers as it must, and the trail verifies.

The ledger is driven by its commands, beside a model that knows of each key what it stands for and since when. Nothing
that is open may ever be missing, and a key may be free only when its own time was over at some round.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.ledger import rows as make
from tests.machines.effort import effort
from toolgate.adapters.stores.memory import MemoryStore
from toolgate.adapters.stores.sqlite import SqliteStore
from toolgate.domain.commands import Append, Done, Taken
from toolgate.domain.idempotency import KeyUse
from toolgate.domain.lifecycle import EffectCause
from toolgate.domain.retention import DAY, Retention
from toolgate.domain.rows import ByCall, ByKey
from toolgate.operations.retention import keep_within
from toolgate.operations.verify_audit import verify_audit
from toolgate.ports import Store

MICRO = 1_000_000
FAR = 8_000_000_000_000_000
State = Literal["running", "unknown", "applied", "nothing", "held", "denied"]
OPEN: frozenset[State] = frozenset({"running", "unknown", "held"})
USES: dict[State, KeyUse] = {
    "running": KeyUse.IN_FLIGHT,
    "unknown": KeyUse.UNKNOWN,
    "applied": KeyUse.REPLAY,
    "held": KeyUse.PENDING,
    "denied": KeyUse.DENIED,
}
kept = st.one_of(st.none(), st.sampled_from([1.0, 5.0, 20.0]))


@dataclass(slots=True)
class Known:
    """What a call is known as."""

    call_id: str
    key: bytes
    arguments: bytes
    state: State
    moved_at: int
    there: bool = True
    result: bool = True


class RetentionMachine(RuleBasedStateMachine):
    """One ledger, one clock, one retention."""

    kind: ClassVar[Literal["memory", "sqlite"]] = "memory"

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="toolgate-retention-")
        self.runner = asyncio.Runner()
        self.at = make.NOW
        self.boots = self.asked = 0
        self.calls: dict[str, Known] = {}
        self.keys: dict[bytes, str] = {}
        self.store: Store | None = None

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(asyncio.wait_for(work, 30.0))

    @property
    def ledger(self) -> Store:
        assert self.store is not None
        return self.store

    @initialize(calls=kept, arguments=kept, idempotency=kept, audit=kept)
    def begin(
        self, calls: float | None, arguments: float | None, idempotency: float | None, audit: float | None
    ) -> None:
        days = {"calls": calls, "arguments": arguments, "idempotency": idempotency, "audit": audit}
        self.kept = Retention(**{name: None if many is None else many * DAY for name, many in days.items()})
        self._open()

    def _open(self) -> None:
        self.boots += 1
        boot, before = f"boot_{self.boots}", self.store
        if isinstance(before, MemoryStore):
            self.store = before.reopen(boot_id=boot)
        elif self.kind == "memory":
            self.store = MemoryStore(boot_id=boot, now=lambda: self.at)
        else:
            database = Path(self.folder.name) / "ledger.db"
            self.store = SqliteStore(database, boot_id=boot, now=lambda: self.at)
        self.run(self.ledger.open())

    def teardown(self) -> None:
        if self.store is not None:
            self.run(self.store.close())
        self.runner.close()
        self.folder.cleanup()

    # ------------------------------------------------------------------------------------------------ the rules

    @rule()
    def restart(self) -> None:
        self.run(self.ledger.close())
        self._open()
        self.run(self.ledger.execute(Append((make.note(),))))

    @rule(days=st.sampled_from([0.1, 0.9, 2.0, 6.0, 25.0]))
    def time_passes(self, days: float) -> None:
        self.at += round(days * DAY * MICRO)

    @rule(key=st.sampled_from([b"a", b"b"]), arguments=st.sampled_from([b"x", b"y"]), held=st.booleans())
    def ask(self, key: bytes, arguments: bytes, held: bool) -> None:
        self.asked += 1
        call_id = f"call_{self.asked:06}"
        row: dict[str, Any] = {
            "fingerprint": arguments,
            "received_at": self.at,
            "updated_at": self.at,
            "key_mac": key,
        }
        command: Any = make.intend(call_id, key=key, lease_until=self.at + MICRO, **row)
        if held:
            drafted = make.draft(call_id, key=key, **row)
            command = drafted._replace(approval=drafted.approval._replace(expires_at=FAR))
        answer = self.run(self.ledger.execute(command))
        expected = self._expected(key, arguments)
        if expected is None:
            assert isinstance(answer, Done), answer
            self.calls[call_id] = Known(call_id, key, arguments, "held" if held else "running", self.at)
            self.keys[key] = call_id
        else:
            assert isinstance(answer, Taken), answer
            assert answer.use is expected

    def _expected(self, key: bytes, arguments: bytes) -> KeyUse | None:
        if key not in self.keys:
            return None
        holder = self.calls[self.keys[key]]
        if holder.arguments != arguments:
            return KeyUse.CONFLICT
        return USES.get(holder.state)

    @rule(key=st.sampled_from([b"a", b"b"]), cause=st.sampled_from(["applied", "nothing", "unknown"]))
    def settle(self, key: bytes, cause: State) -> None:
        call = self._holder(key, "running")
        if call is None:
            return
        causes = {
            "applied": EffectCause.SETTLED_APPLIED,
            "nothing": EffectCause.SETTLED_NOT_APPLIED,
            "unknown": EffectCause.IN_DOUBT,
        }
        command = make.settle(
            call.call_id,
            causes[cause],
            key_mac=key,
            fingerprint=call.arguments,
            updated_at=self.at,
            lease_until=0,
        )
        self._moved(call, command, cause)

    @rule(key=st.sampled_from([b"a", b"b"]), applied=st.booleans())
    def resolve(self, key: bytes, applied: bool) -> None:
        call = self._holder(key, "unknown")
        if call is None:
            return
        self.at += 2 * MICRO
        cause = EffectCause.RESOLVED_APPLIED if applied else EffectCause.RESOLVED_NOT_APPLIED
        self._moved(call, make.resolve(call.call_id, cause), "applied" if applied else "nothing")

    @rule(key=st.sampled_from([b"a", b"b"]), denied=st.booleans())
    def end_hold(self, key: bytes, denied: bool) -> None:
        call = self._holder(key, "held")
        if call is None:
            return
        command = make.deny(call.call_id) if denied else make.end(call.call_id)
        self._moved(call, command, "denied" if denied else "nothing")

    def _holder(self, key: bytes, state: State) -> Known | None:
        call = self.calls.get(self.keys.get(key, ""))
        return call if call is not None and call.state == state else None

    def _moved(self, call: Known, command: Any, state: State) -> None:
        answer = self.run(self.ledger.execute(command))
        assert isinstance(answer, Done), answer
        call.state, call.moved_at = state, self.at

    @rule()
    def retain(self) -> None:
        self.at += 2 * MICRO
        self.run(keep_within(self.ledger, self.kept))
        for call in [call for call in self.calls.values() if call.there and call.state not in OPEN]:
            self._retained(call)
        for key, call_id in list(self.keys.items()):
            call = self.calls[call_id]
            forgotten = call.state not in OPEN and self._over(call, self.kept.idempotency)
            if forgotten or (not call.there and call.state == "nothing"):
                del self.keys[key]

    def _retained(self, call: Known) -> None:
        keyed = self.keys.get(call.key) == call.call_id and not self._over(call, self.kept.idempotency)
        call.there = not self._over(call, self.kept.calls) or (keyed and call.state == "denied")
        call.result = call.there and not self._over(call, self.kept.arguments)

    def _over(self, call: Known, kept: float | None) -> bool:
        return kept is not None and call.moved_at + round(kept * MICRO) <= self.at

    # ------------------------------------------------------------------------------------------- what must hold

    @invariant()
    def what_is_there_is_what_should_be(self) -> None:
        for call in self.calls.values() if self.store is not None else ():
            found = self.run(self.ledger.find(ByCall(call.call_id))).call
            assert (found is not None) == call.there, call
            if call.result:
                assert self.run(self.ledger.sealed(call.call_id, "request")) is not None, call
            elif not call.there:
                assert self.run(self.ledger.sealed(call.call_id, "request")) is None, call

    @invariant()
    def every_key_still_stands_for_its_call(self) -> None:
        for key, call_id in self.keys.items() if self.store is not None else ():
            claim = self.run(self.ledger.find(ByKey(key))).claim
            assert claim is not None
            assert claim.call_id == call_id

    @invariant()
    def the_trail_verifies(self) -> None:
        if self.store is not None:
            report = self.run(verify_audit(self.ledger))
            assert report.intact, report


class SqliteRetentionMachine(RetentionMachine):
    kind = "sqlite"


TestRetentionInMemory = RetentionMachine.TestCase
TestRetentionInMemory.settings = effort(40, 25)
TestRetentionInMemory.pytestmark = [pytest.mark.req("M9.13", "M11.17", "M11.50", "X5.30")]  # type: ignore[attr-defined]

TestRetentionOnSqlite = SqliteRetentionMachine.TestCase
TestRetentionOnSqlite.settings = effort(6, 20)
TestRetentionOnSqlite.pytestmark = [pytest.mark.req("M9.13", "M11.17", "M11.50", "X5.30")]  # type: ignore[attr-defined]
