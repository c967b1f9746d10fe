"""Any order of asking, running, dying, lapsing, cancelling, taking over and coming too late keeps what jobs promise.

The world is played besides the ledger: an owner that began may change it at any later moment, also after others took
its job, and may then try to settle. Not here: a gateway; this is what every gateway relies on.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.ledger import rows as make
from toolgate.adapters.stores.memory import MemoryStore
from toolgate.domain.commands import (
    BeginJob,
    CancelJob,
    Done,
    EndJob,
    Lapse,
    LateEvidence,
    MoveJob,
    Renew,
    Settle,
    Superseded,
)
from toolgate.domain.jobs import state_of
from toolgate.domain.lifecycle import EffectCause, EffectState, JobState
from toolgate.domain.rows import ByJob, Found
from toolgate.ports import JobFilter

pytestmark = pytest.mark.req("M7.3", "M7.4", "M7.7", "M7.13")
OWNERS = st.sampled_from(["boot_a", "boot_b", "boot_c"])
LEASE = 30 * make.SECOND


class Jobs(RuleBasedStateMachine):
    """Jobs of three kinds: a read, an effect that honours its key, and one that does not."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.now = make.NOW
        self.store = MemoryStore(boot_id="boot_m", now=lambda: self.now)
        self.do(self.store.open())
        self.numbers = itertools.count(1)
        self.asked: dict[str, str] = {}
        self.begun: Counter[str] = Counter()
        self.believing: set[tuple[str, str, int]] = set()
        self.happened: list[str] = []
        self.ended: dict[str, JobState] = {}

    def teardown(self) -> None:
        self.loop.close()

    def do(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    def found(self, call_id: str) -> Found:
        found: Found = self.do(self.store.find(ByJob(call_id)))
        return found

    def some(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.asked)))

    @rule(kind=st.sampled_from(["read", "honours", "once"]), delay=st.sampled_from([0, 60]))
    def ask(self, kind: str, delay: int) -> None:
        call_id = f"call_{next(self.numbers):03}"
        asked = make.queue(call_id, rerun=kind != "once")
        call = asked.call._replace(effect="read" if kind == "read" else "write")
        assert asked.job is not None
        job = asked.job._replace(not_before=make.NOW + delay * make.SECOND, timeout_us=600 * make.SECOND)
        assert isinstance(self.do(self.store.execute(asked._replace(call=call, job=job))), Done)
        self.asked[call_id] = kind

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), owner=OWNERS)
    def begin(self, data: st.DataObject, owner: str) -> None:
        call_id = self.some(data)
        before = self.found(call_id)
        answer = self.do(self.store.execute(BeginJob(call_id, owner, self.now + LEASE, b"digest")))
        if isinstance(answer, Done):
            assert before.call is not None
            assert state_of(before.call) is JobState.QUEUED
            self.begun[call_id] += 1
            self.believing.add((call_id, owner, self.begun[call_id]))

    @precondition(lambda self: self.believing)
    @rule(data=st.data())
    def change_the_world(self, data: st.DataObject) -> None:
        """An owner does what it came to do, whether or not it was taken for dead meanwhile."""
        call_id, _, _ = data.draw(st.sampled_from(sorted(self.believing)))
        self.happened.append(call_id)

    @precondition(lambda self: self.believing)
    @rule(
        data=st.data(),
        cause=st.sampled_from(
            [EffectCause.SETTLED_APPLIED, EffectCause.SETTLED_NOT_APPLIED, EffectCause.IN_DOUBT]
        ),
    )
    def settle(self, data: st.DataObject, cause: EffectCause) -> None:
        """It says how it ended; whoever was taken for dead is not believed, unless as evidence."""
        mine = data.draw(st.sampled_from(sorted(self.believing)))
        call_id, owner, attempt = mine
        before = self.found(call_id)
        assert before.call is not None
        command: Settle = make.settle(call_id, cause, owner=owner)
        answer = self.do(self.store.execute(command))
        if isinstance(answer, Done):
            assert before.call.owner == owner
            assert before.job is not None
            assert state_of(before.call) is JobState.RUNNING
        else:
            assert isinstance(answer, Superseded)
            self.do(
                self.store.execute(LateEvidence(call_id, owner, applied=None, detail="over", result=None))
            )
        assert attempt <= self.begun[call_id]
        self.believing.discard(mine)

    @precondition(lambda self: self.believing)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        self.believing.discard(data.draw(st.sampled_from(sorted(self.believing))))

    @precondition(lambda self: self.believing)
    @rule(data=st.data())
    def tell(self, data: st.DataObject) -> None:
        """Progress and leases: only of who the ledger says has it."""
        call_id, owner, _ = data.draw(st.sampled_from(sorted(self.believing)))
        before = self.found(call_id).call
        assert before is not None
        moved = self.do(self.store.execute(MoveJob(call_id, owner, 1.0)))
        renewed = self.do(self.store.execute(Renew(call_id, owner, self.now + LEASE)))
        owns = before.owner == owner and before.effect_state is not None
        assert isinstance(moved, Done) is isinstance(renewed, Done) is owns

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.do(self.store.execute(CancelJob(self.some(data), make.REQUESTER, "enough")))

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), error=st.sampled_from(["permission_denied", "contract_changed"]))
    def refuse(self, data: st.DataObject, error: str) -> None:
        self.do(self.store.execute(EndJob(self.some(data), "boot_a", error, ("no more",))))

    @rule(seconds=st.sampled_from([1, 31, 70, 601]))
    def wait(self, seconds: int) -> None:
        self.now += seconds * make.SECOND

    @rule()
    def take_over(self) -> None:
        for row in self.do(self.store.lapsed()):
            self.do(self.store.execute(Lapse(row.call_id, "boot_c")))

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def leave_in_order(self, data: st.DataObject) -> None:
        """An owner gives back what it has, and does no more of it."""
        call = self.found(self.some(data)).call
        assert call is not None
        answer = self.do(self.store.execute(Lapse(call.call_id, call.owner, gone=True)))
        if isinstance(answer, Done):
            self.believing = {one for one in self.believing if one[:2] != (call.call_id, call.owner)}

    @invariant()
    def an_effect_happens_at_most_once_unless_its_key_is_honoured(self) -> None:
        for call_id, kind in self.asked.items():
            if kind == "once":
                assert self.begun[call_id] <= 1

    @invariant()
    def no_job_is_lost(self) -> None:
        """It is over, it waits where a sweep finds it, or somebody has it whose lease ends."""
        waiting = {
            call.call_id for _, call in self.do(self.store.jobs(JobFilter(state="queued", limit=1000))).rows
        }
        for call_id in self.asked:
            call = self.found(call_id).call
            assert call is not None
            state = state_of(call)
            assert (state is JobState.QUEUED) is (call_id in waiting)
            assert state is not JobState.RUNNING or 0 < call.lease_until <= self.now + LEASE

    @invariant()
    def nothing_leaves_its_end(self) -> None:
        for call_id in self.asked:
            call = self.found(call_id).call
            assert call is not None
            state = state_of(call)
            assert self.ended.get(call_id, state) is state
            if state is JobState.ENDED:
                self.ended[call_id] = state
                assert call.effect_state in {
                    EffectState.APPLIED,
                    EffectState.NOT_APPLIED,
                    EffectState.UNKNOWN,
                }


TestJobs = Jobs.TestCase
TestJobs.settings = settings(max_examples=60, stateful_step_count=40)
