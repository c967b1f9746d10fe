"""A process is stopped with SIGSTOP past its lease while another one recovers its call, and is woken again.

Both read one clock, which the test moves. What a woken process still says is evidence: it becomes ``applied``, or an
incident where somebody had said otherwise meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.crash.business import (
    AGENT,
    AUDITOR,
    TIMEOUT,
    Business,
    refund_honoured,
    refund_plain,
    refund_wished,
)
from tests.crash.child import ORDER, WORKFLOW, recover
from tests.crash.clocks import SharedClock
from tests.crash.deaths import before
from tests.crash.nursery import Nursery
from tests.crash.survivor import replica, survivor, the_calls, told
from tests.people import resolve_call
from toolgate import Gateway, PendingApproval, Refused, Succeeded, Unknown
from toolgate.domain.lifecycle import EffectState
from toolgate.domain.outcome import ErrorType, WorldEffect
from toolgate.domain.rows import CallRow
from toolgate.operations.verify_audit import verify_audit
from toolgate.ports import CallFilter
from toolgate.testing import PortTap

pytestmark = pytest.mark.req("X1.13")

MARGIN = 10.0
"""What the gateway's lease adds to the deadline, by default."""
LONG = TIMEOUT + MARGIN + 1
HORIZON = 60.0

NOT_DISPATCHED = "after store.execute(Intend) #1"
ENTERED = "at tool: entered #1"
DONE = "at business: after COMMIT #1"
UNSETTLED = "before store.execute(Settle) #1"
COMMIT_OF_THE_INTENT = "at writer: before COMMIT #2"


class Story:
    """A child that was stopped, the clock it shares, and what it left so far."""

    def __init__(self, nursery: Nursery, folder: Path, clock: SharedClock) -> None:
        self.nursery = nursery
        self.folder = folder
        self.clock = clock
        self.business = Business(folder / "business.db")

    def wake(self) -> None:
        """Let the child go on, to its end."""
        assert self.nursery.wake() == "exited 0", (self.folder / "log").read_text()

    @property
    def paid(self) -> int:
        return len(self.business.paid(ORDER))


@pytest.fixture
def stop(nursery: Nursery, tmp_path: Path) -> Iterator[Stop]:
    with closing(Stop(nursery, tmp_path)) as stop:
        yield stop


class Stop:
    """Runs a child to a point and stops it there."""

    def __init__(self, nursery: Nursery, folder: Path) -> None:
        self._nursery = nursery
        self._folder = folder
        self._stopped = False

    async def at(self, point: str, scenario: str) -> Story:
        """A child that is stopped at ``point``."""
        folder = await before(scenario, self._nursery, self._folder)
        return self.in_(folder, point, scenario)

    def in_(self, folder: Path, point: str, scenario: str) -> Story:
        """The same, in a folder that others may have opened."""
        clock = SharedClock(folder / "clock")
        orders = {"scenario": scenario, "folder": str(folder), "stop_at": point, "shared_clock": True}
        assert self._nursery.run(**orders) == "stopped", (folder / "log").read_text()
        return Story(self._nursery, folder, clock)

    def close(self) -> None:
        """A test that failed leaves its child stopped; the next one must not wake it."""
        self._nursery.bury()


async def the_call(gateway: Gateway) -> CallRow:
    """The call that was stopped: the first about the order."""
    return (await the_calls(gateway))[0]


async def ask(gateway: Gateway, tool: object) -> object:
    """The application's retry, through another replica."""
    return await gateway.call(tool, {"order_id": ORDER}, caller=AGENT, workflow=WORKFLOW)  # type: ignore[call-overload]


@pytest.mark.req("X1.4", "X1.9", "X1.15")
@pytest.mark.parametrize(
    ("point", "runs"), [(NOT_DISPATCHED, False), (ENTERED, True), (DONE, True), (UNSETTLED, True)]
)
async def test_a_process_woken_past_its_lease_doubles_nothing_and_claims_nothing_false(
    point: str, runs: bool, stop: Stop
) -> None:
    story = await stop.at(point, "a plain write")
    story.clock.advance(LONG)
    async with survivor(story.folder, clock=story.clock) as gateway:
        await recover(gateway)
        assert (await the_call(gateway)).effect_state is EffectState.UNKNOWN
        assert isinstance(await ask(gateway, refund_plain), Unknown)

        story.wake()

        assert story.paid == runs
        assert (await the_call(gateway)).effect_state is (
            EffectState.APPLIED if runs else EffectState.NOT_APPLIED
        )
        (said,) = told(story.folder)
        assert said["effect"] in ({"unknown", "applied"} if runs else {"unknown", "none"})
        assert isinstance(await ask(gateway, refund_plain), Succeeded)
        assert story.paid == 1
        assert (await verify_audit(gateway.store)).intact


@pytest.mark.req("X1.5", "X1.10")
@pytest.mark.parametrize(("point", "runs"), [(NOT_DISPATCHED, False), (ENTERED, True)])
async def test_what_was_reconciled_and_done_by_another_is_not_done_again_by_whoever_wakes(
    point: str, runs: bool, stop: Stop
) -> None:
    story = await stop.at(point, "an honoured write")
    story.clock.advance(LONG + HORIZON)
    async with survivor(story.folder, clock=story.clock) as gateway:
        await recover(gateway)
        assert (await the_call(gateway)).effect_state is EffectState.NOT_APPLIED
        assert isinstance(await ask(gateway, refund_honoured), Succeeded)

        story.wake()

        assert story.paid == 1
        stopped = await the_call(gateway)
        assert stopped.effect_state is EffectState.NOT_APPLIED
        assert (stopped.incident is not None) == runs
        unresolved = (await gateway.store.calls(CallFilter(unresolved=True))).rows
        assert [row.call_id for row in unresolved] == ([stopped.call_id] if runs else [])
        if runs:
            assert (told(story.folder)[0]["status"], told(story.folder)[0]["effect"]) == (
                "unknown",
                "unknown",
            )


@pytest.mark.req("X1.10", "X1.7")
@pytest.mark.parametrize(("point", "applied"), [(UNSETTLED, False), (NOT_DISPATCHED, True)])
async def test_a_person_whom_the_woken_process_contradicts_finds_an_incident(
    point: str, applied: bool, stop: Stop
) -> None:
    story = await stop.at(point, "a plain write")
    story.clock.advance(LONG)
    async with survivor(story.folder, clock=story.clock) as gateway:
        await recover(gateway)
        call_id = (await the_call(gateway)).call_id
        answer = await resolve_call(
            gateway.world, call_id, applied=applied, by=AUDITOR, reason="seen on the phone"
        )
        assert not isinstance(answer, str)

        story.wake()

        row = await the_call(gateway)
        assert row.effect_state is (EffectState.APPLIED if applied else EffectState.NOT_APPLIED)
        assert row.incident is not None
        assert (told(story.folder)[0]["status"], told(story.folder)[0]["effect"]) == ("unknown", "unknown")


@pytest.mark.req("X1.15")
async def test_an_owner_with_less_lease_left_than_its_deadline_does_not_dispatch(stop: Stop) -> None:
    """No time passed for the deadline, but the wall clock was set: by it, somebody else may take over in between."""
    story = await stop.at(NOT_DISPATCHED, "a plain write")
    story.clock.set_wall(MARGIN + 1)

    story.wake()

    assert story.paid == 0
    (said,) = told(story.folder)
    assert (said["error_type"], said["effect"]) == ("timeout", "none")
    async with survivor(story.folder, clock=story.clock) as gateway:
        assert (await the_call(gateway)).effect_state is EffectState.NOT_APPLIED
        assert isinstance(await ask(gateway, refund_plain), Succeeded)
    assert story.paid == 1


@pytest.mark.req("M3.4", "X1.9")
async def test_a_wish_for_a_person_that_comes_too_late_is_evidence_that_nothing_happened(stop: Stop) -> None:
    story = await stop.at("at business: asks for a person #1", "a wish for a person")
    story.clock.advance(LONG)
    async with survivor(story.folder, clock=story.clock) as gateway:
        await recover(gateway)
        assert (await the_call(gateway)).effect_state is EffectState.UNKNOWN

        story.wake()

        assert (await the_call(gateway)).effect_state is EffectState.NOT_APPLIED
        assert len(told(story.folder)) == 1
        assert isinstance(await ask(gateway, refund_wished), PendingApproval)
    assert story.paid == 0


@pytest.mark.req("X1.8")
async def test_while_a_stopped_process_still_has_its_lease_nobody_takes_its_call(stop: Stop) -> None:
    story = await stop.at(ENTERED, "an honoured write")
    story.clock.advance(TIMEOUT + MARGIN - 1)
    async with survivor(story.folder, clock=story.clock) as gateway:
        await recover(gateway)
        row = await the_call(gateway)
        assert row.effect_state is EffectState.INTENDED
        word = await resolve_call(gateway.world, row.call_id, applied=False, by=AUDITOR, reason="looks stuck")
        assert isinstance(word, str)

        story.wake()

        assert story.paid == 1
        assert (await the_call(gateway)).effect_state is EffectState.APPLIED


@pytest.mark.req("X1.3", "X5.6")
async def test_a_process_stopped_inside_a_commit_closes_the_gate_for_others_until_it_is_woken(
    nursery: Nursery, stop: Stop, tmp_path: Path
) -> None:
    """SQLite lets one write at a time: whoever waits too long for its turn runs nothing and says so."""
    scenario = "a plain write"
    folder = await before(scenario, nursery, tmp_path)
    clock = SharedClock(folder / "clock")
    async with replica(folder, clock, PortTap(lambda _: None), busy_seconds=0.05) as other:
        story = stop.in_(folder, COMMIT_OF_THE_INTENT, scenario)
        refused = await ask(other, refund_plain)
        assert isinstance(refused, Refused)
        assert (refused.error_type, refused.effect) == (ErrorType.AUDIT_UNAVAILABLE, WorldEffect.NONE)
        assert story.paid == 0

        story.wake()

        assert told(story.folder)[0]["status"] == "succeeded"
        answer = await ask(other, refund_plain)
        assert isinstance(answer, Succeeded)
        assert answer.replayed
    assert story.paid == 1
