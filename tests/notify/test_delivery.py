"""From the outbox to a receiver: attempts, pauses, claims, dead letters, crashes."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.approvals.desk import ANN, LEA
from tests.notify.conftest import HANG, OPERATOR, Opened, Receiver, hook, one_notice, sink
from toolgate import Caller
from toolgate.domain.commands import MoveDelivery
from toolgate.domain.duration import MICRO
from toolgate.domain.errors import StoreUnavailable
from toolgate.domain.ledger.notices import DEAD
from toolgate.domain.notice import LONGEST_PAUSE, MAX_ATTEMPTS, Wanted, pause_after
from toolgate.domain.principal import Declined, Principal, in_person
from toolgate.domain.rows import DeliveryRow, NoticeRow
from toolgate.operations import notify
from toolgate.ports import Failed, Sent
from toolgate.testing.crash_points import CrashPoint, PortTap

if TYPE_CHECKING:
    from toolgate import Gateway
    from toolgate.testing import FakeClock

pytestmark = pytest.mark.req("M12.13", "M12.20")

ROOT = Path(__file__).parents[2]
FAR = 4_102_444_800
"""The first of January 2100 in seconds: after every claim that a child made by the clock of the machine."""


async def the_delivery(gateway: Gateway, state: str) -> DeliveryRow:
    found = await gateway.store.deliveries(state=state)
    assert len(found) == 1, found
    return found[0][0]


async def tell(gateway: Gateway) -> int:
    """A round: what is planned is sent as far as it is due."""
    await notify.plan_notices(gateway.world)
    return sum([await notify.deliver_due(gateway.world, sink) for sink in gateway.world.sinks.values()])


async def test_who_has_to_decide_hears_of_it_once(opened: Opened, receiver: Receiver) -> None:
    async with opened(hook(receiver)) as gateway:
        held = await one_notice(gateway)
        await tell(gateway)
        await tell(gateway)

        assert (await the_delivery(gateway, "delivered")).attempts == 1

    (request,) = receiver.requests
    said = json.loads(request.body)
    assert request.line == "POST /hook HTTP/1.1"
    assert said["type"] == "approval.requested"
    assert said["data"]["approval_id"] == held.approval_id
    assert said["data"]["tool"] == "refund"


async def test_arguments_stay_in_the_house(opened: Opened, receiver: Receiver) -> None:
    async with opened(hook(receiver)) as gateway:
        await gateway.call("refund", {"order": 4711, "card": "4242424242424242"}, caller=ANN, workflow="wf")
        await tell(gateway)

    assert b"4711" not in receiver.requests[0].body
    assert b"4242" not in receiver.requests[0].body


async def test_a_decision_is_told_too(opened: Opened, receiver: Receiver) -> None:
    async with opened(hook(receiver, wanted=Wanted(topics=frozenset({"approval.denied"})))) as gateway:
        held = await one_notice(gateway)
        await gateway.deny(held.approval_id, by=LEA, reason="not this one")
        await tell(gateway)

    assert [json.loads(request.body)["type"] for request in receiver.requests] == ["approval.denied"]


@pytest.mark.parametrize(
    ("wanted", "comes"),
    [
        (Wanted(risks=frozenset({"medium"})), True),
        (Wanted(risks=frozenset({"high"})), False),
        (Wanted(tools=frozenset({"refund"})), True),
        (Wanted(tools=frozenset({"delete"})), False),
        (Wanted(tenants=frozenset({"acme"})), True),
        (Wanted(tenants=frozenset({"globex"})), False),
        (Wanted(topics=frozenset({"effect.unknown"})), False),
    ],
)
async def test_a_sink_gets_what_it_wants_and_nothing_else(
    opened: Opened, receiver: Receiver, wanted: Wanted, comes: bool
) -> None:
    async with opened(hook(receiver, wanted=wanted)) as gateway:
        await one_notice(gateway)
        await tell(gateway)

        assert await gateway.store.unplanned() == []
    assert len(receiver.requests) == comes


def test_what_has_no_risk_passes_a_filter_of_risks() -> None:
    only_high = Wanted(risks=frozenset({"high"}))

    assert only_high.covers(topic="effect.unknown", risk=None, tool="refund", tenant="acme")


async def test_without_a_sink_nothing_piles_up(opened: Opened) -> None:
    async with opened() as gateway:
        await one_notice(gateway)
        await tell(gateway)

        assert await gateway.store.unplanned() == []
        assert await gateway.store.deliveries(state="pending") == []


async def test_a_failed_attempt_is_made_again_after_a_pause_and_not_before(
    opened: Opened, receiver: Receiver, clock: FakeClock
) -> None:
    receiver.answers.extend([500, 503])
    async with opened(hook(receiver)) as gateway:
        await one_notice(gateway)
        await tell(gateway)
        waiting = await the_delivery(gateway, "pending")
        assert (waiting.attempts, waiting.last_error) == (1, "answered 500")

        clock.advance(9.9)
        assert await tell(gateway) == 0
        clock.advance(0.2)
        assert await tell(gateway) == 1
        clock.advance(20.1)
        assert await tell(gateway) == 1

        assert (await the_delivery(gateway, "delivered")).attempts == 3
    assert len(set(receiver.ids)) == 1
    assert len({request.body for request in receiver.requests}) == 1
    assert len({request.headers["webhook-signature"] for request in receiver.requests}) == 3


def test_pauses_double_with_full_jitter_up_to_an_hour() -> None:
    ceilings = [pause_after(attempt, 1.0) for attempt in range(1, MAX_ATTEMPTS)]

    assert ceilings[:4] == [10, 20, 40, 80]
    assert max(ceilings) == LONGEST_PAUSE
    assert pause_after(5, 0.0) == 0.0
    assert pause_after(5, 0.25) == 40.0
    assert 18 * 3600 < sum(ceilings) < 24 * 3600


@pytest.mark.parametrize(
    ("wish", "pause"),
    [("120", 120.0), ("999999", LONGEST_PAUSE), ("3", 10.0), ("soon", 10.0), ("-5", 10.0), ("date", 300.0)],
)
async def test_a_receiver_may_ask_for_patience_within_bounds(
    opened: Opened, receiver: Receiver, clock: FakeClock, wish: str, pause: float
) -> None:
    header = formatdate(clock.now() / MICRO + 300, usegmt=True) if wish == "date" else wish
    receiver.answers.append((429, {"Retry-After": header}))
    async with opened(hook(receiver)) as gateway:
        await one_notice(gateway)
        await tell(gateway)

        assert (await the_delivery(gateway, "pending")).next_at == clock.now() + round(pause * MICRO)


async def test_a_receiver_that_is_gone_is_not_asked_again(opened: Opened, receiver: Receiver) -> None:
    receiver.answers.append(410)
    async with opened(hook(receiver)) as gateway:
        await one_notice(gateway)
        await tell(gateway)

        dead = await the_delivery(gateway, "dead")
    assert dead.attempts == 1
    assert dead.last_error == "answered 410: the receiver is gone for good"


async def test_a_redirect_is_not_followed(
    opened: Opened, receiver: Receiver, other_receiver: Receiver
) -> None:
    receiver.answers.append((307, {"Location": other_receiver.url}))
    async with opened(hook(receiver)) as gateway:
        await one_notice(gateway)
        await tell(gateway)

        waiting = await the_delivery(gateway, "pending")
    assert other_receiver.requests == []
    assert waiting.last_error is not None
    assert waiting.last_error.startswith("answered 307: redirects are not followed")
    assert str(other_receiver.port) not in waiting.last_error


async def test_a_receiver_that_refuses_the_connection_is_tried_again(
    opened: Opened, receiver: Receiver
) -> None:
    nobody = Receiver(port=1)
    async with opened(hook(nobody)) as gateway:
        await one_notice(gateway)
        await tell(gateway)

        waiting = await the_delivery(gateway, "pending")
    assert waiting.last_error == "no connection: ConnectError"


async def test_a_receiver_that_hangs_is_given_up_in_time_and_holds_up_no_other(
    opened: Opened, receiver: Receiver, other_receiver: Receiver, clock: FakeClock
) -> None:
    receiver.answers.extend([HANG] * 20)
    async with opened(hook(receiver, "slow"), hook(other_receiver, "quick")) as gateway:
        for order in range(1, 13):
            await one_notice(gateway, order)
        await notify.plan_notices(gateway.world)
        slow = asyncio.ensure_future(notify.deliver_due(gateway.world, gateway.world.sinks["slow"]))
        await receiver.until(notify.AT_ONCE)

        assert await notify.deliver_due(gateway.world, gateway.world.sinks["quick"]) == 12
        assert len(receiver.requests) == notify.AT_ONCE

        clock.advance(notify.ATTEMPT_TIMEOUT)
        await receiver.until(12)
        clock.advance(notify.ATTEMPT_TIMEOUT)
        await slow
        waiting = await gateway.store.deliveries(state="pending", sink="slow")
    assert {delivery.last_error for delivery, _ in waiting} == {"no answer within 15 seconds"}
    assert len(waiting) == 12


async def test_housekeeping_sends_and_is_held_up_by_nobody(
    opened: Opened, receiver: Receiver, other_receiver: Receiver
) -> None:
    receiver.answers.append(HANG)
    async with opened(hook(receiver, "slow"), hook(other_receiver, "quick")) as gateway:
        held = await one_notice(gateway)
        await gateway.sweep()
        await receiver.until(1)
        await other_receiver.until(1)

        await gateway.approve(held.approval_id, by=LEA, reason="fine")
        await gateway.sweep()
        done = await gateway.wait_for(held, caller=ANN)
        await other_receiver.until(2)
        await gateway.sweep()
    assert done.status == "succeeded"
    assert len(receiver.requests) == 1


class Broken:
    """A notifier with a defect."""

    async def send(self, notice: NoticeRow, *, now: int) -> Sent | Failed:
        raise RuntimeError("hunter2 is the password of https://user:hunter2@example.com")


async def test_a_defect_of_a_notifier_is_a_failed_attempt_whose_words_are_kept_nowhere(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with opened(sink(Broken())) as gateway:
        await one_notice(gateway)
        await tell(gateway)

        waiting = await the_delivery(gateway, "pending")
    assert waiting.last_error == "it could not be sent: RuntimeError"
    assert "hunter2" not in caplog.text


async def test_after_the_last_attempt_a_delivery_is_dead(
    opened: Opened, receiver: Receiver, clock: FakeClock
) -> None:
    receiver.answers.extend([500] * MAX_ATTEMPTS)
    async with opened(hook(receiver)) as gateway:
        await one_notice(gateway)
        while await gateway.store.unplanned() or await gateway.store.deliveries(state="pending"):
            await tell(gateway)
            clock.advance(LONGEST_PAUSE)

        dead = await the_delivery(gateway, "dead")
    assert dead.attempts == MAX_ATTEMPTS == len(receiver.requests)
    assert dead.last_error == "answered 500"


async def test_an_operator_sees_what_is_dead_and_begins_it_anew(opened: Opened, receiver: Receiver) -> None:
    receiver.answers.append(410)
    async with opened(hook(receiver)) as gateway:
        await one_notice(gateway)
        await tell(gateway)
        listed = await notify.list_deliveries(gateway.world, by=OPERATOR, state=DEAD)
        assert not isinstance(listed, Declined)
        ((dead, notice),) = listed

        anew = await notify.retry_delivery(gateway.world, dead.notice_id, dead.sink, by=OPERATOR)
        assert isinstance(anew, DeliveryRow)
        await tell(gateway)

        assert await notify.list_deliveries(gateway.world, by=OPERATOR, state=DEAD) == []
        assert (await the_delivery(gateway, "delivered")).attempts == 1
        events = [json.loads(record.record) async for record in gateway.store.records()]
    assert notice.topic == "approval.requested"
    told = [event for event in events if event["event"] == "notification_retried"]
    assert [(event["toolgate.actor"], event["toolgate.sink"]) for event in told] == [("ops", "ops")]
    assert receiver.ids[0] == receiver.ids[1]


@pytest.mark.parametrize(
    ("by", "why"),
    [
        (in_person(Caller("ann", {"clerk"}, "acme")), "forbidden"),
        (Principal(caller=Caller("ops", {"operator"}, "acme"), agent="desk_agent"), "forbidden"),
        (in_person(Caller("eve", {"operator"}, "globex")), "not_found"),
    ],
)
async def test_nobody_else_begins_a_delivery_anew(
    opened: Opened, receiver: Receiver, by: Principal, why: str
) -> None:
    receiver.answers.append(410)
    async with opened(hook(receiver)) as gateway:
        await one_notice(gateway)
        await tell(gateway)
        dead = await the_delivery(gateway, "dead")

        declined = await notify.retry_delivery(gateway.world, dead.notice_id, dead.sink, by=by)
        seen = await notify.list_deliveries(gateway.world, by=by, state=DEAD)
    assert isinstance(declined, Declined)
    assert declined.why == why
    assert isinstance(seen, Declined) if why == "forbidden" else seen == []


@pytest.mark.parametrize(("answer", "words"), [(200, "it was delivered"), (500, "tried again by itself")])
async def test_only_what_is_dead_is_begun_anew(
    opened: Opened, receiver: Receiver, answer: int, words: str
) -> None:
    receiver.answers.append(answer)
    async with opened(hook(receiver)) as gateway:
        await one_notice(gateway)
        await tell(gateway)
        state = "delivered" if answer == 200 else "pending"
        there = await the_delivery(gateway, state)

        declined = await notify.retry_delivery(gateway.world, there.notice_id, there.sink, by=OPERATOR)
    assert isinstance(declined, Declined)
    assert declined.why == "conflict"
    assert words in declined.reason


async def test_what_waits_survives_a_restart(opened: Opened, receiver: Receiver, clock: FakeClock) -> None:
    receiver.answers.append(500)
    async with opened(hook(receiver)) as gateway:
        await one_notice(gateway)
        await one_notice(gateway, 2)
        # The first is sent once and fails; the second is not even planned.
        first = (await gateway.store.unplanned())[0]
        await notify.plan_notices(gateway.world)
        await notify.deliver_due(gateway.world, gateway.world.sinks["ops"])
    clock.advance(60)
    async with opened(hook(receiver)) as gateway:
        await tell(gateway)

        assert await gateway.store.deliveries(state="pending") == []
        assert len(await gateway.store.deliveries(state="delivered")) == 2
    assert first.notice_id in receiver.ids


async def test_two_processes_do_not_both_send_while_a_claim_lasts(
    opened: Opened, receiver: Receiver, clock: FakeClock
) -> None:
    receiver.answers.append(HANG)
    async with opened(hook(receiver)) as one, opened(hook(receiver)) as two:
        await one_notice(one)
        await notify.plan_notices(one.world)
        sending = asyncio.ensure_future(notify.deliver_due(one.world, one.world.sinks["ops"]))
        await receiver.until(1)

        assert await tell(two) == 0
        assert len(receiver.requests) == 1

        clock.advance(notify.ATTEMPT_TIMEOUT)
        await sending


async def test_of_two_processes_that_look_at_once_one_sends(opened: Opened, receiver: Receiver) -> None:
    async with opened(hook(receiver)) as one, opened(hook(receiver)) as two:
        for order in range(1, 21):
            await one_notice(one, order)
        await asyncio.gather(notify.plan_notices(one.world), notify.plan_notices(two.world))

        made = await asyncio.gather(
            *(notify.deliver_due(at.world, at.world.sinks["ops"]) for at in (one, two))
        )
        while await one.store.deliveries(state="pending"):
            made.append(await notify.deliver_due(one.world, one.world.sinks["ops"]))
    assert sum(made) == 20
    assert len(receiver.ids) == len(set(receiver.ids)) == 20


async def test_what_was_sent_and_not_written_down_is_sent_again_under_the_same_id(
    opened: Opened, receiver: Receiver, clock: FakeClock
) -> None:
    def dies(point: CrashPoint) -> None:
        # The first MoveDelivery claims the attempt, the second would say how it ended.
        if str(point) == "before store.execute(MoveDelivery) #2":
            raise StoreUnavailable("the process is no more")

    async with opened(hook(receiver)) as gateway:
        await one_notice(gateway)
        await notify.plan_notices(gateway.world)
        whole, gateway.world.store = gateway.world.store, PortTap(dies).store(gateway.world.store)
        with pytest.raises(StoreUnavailable):
            await notify.deliver_due(gateway.world, gateway.world.sinks["ops"])
        gateway.world.store = whole
    async with opened(hook(receiver)) as gateway:
        assert await tell(gateway) == 0
        clock.advance(notify.CLAIM)
        assert await tell(gateway) == 1

        assert (await the_delivery(gateway, "delivered")).attempts == 2
    assert len(receiver.ids) == 2
    assert len(set(receiver.ids)) == 1


async def test_a_process_killed_while_it_sends_loses_nothing(
    opened: Opened, receiver: Receiver, clock: FakeClock, tmp_path: Path
) -> None:
    receiver.answers.append(HANG)
    command = [sys.executable, "-m", "tests.notify.child", str(tmp_path / "gate.db"), receiver.url]
    child = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
    await receiver.until(1)
    child.kill()
    await child.wait()

    # The child had the clock of the machine.
    clock.advance(FAR - clock.now() / MICRO)
    async with opened(hook(receiver)) as gateway:
        assert await tell(gateway) == 1

        assert (await the_delivery(gateway, "delivered")).attempts == 2
    assert len(receiver.ids) == 2
    assert len(set(receiver.ids)) == 1
    assert receiver.requests[0].body == receiver.requests[1].body


async def test_who_lost_the_claim_does_not_overwrite_how_the_next_attempt_ended(
    opened: Opened, receiver: Receiver, clock: FakeClock
) -> None:
    async with opened(hook(receiver)) as gateway:
        await one_notice(gateway)
        await notify.plan_notices(gateway.world)
        waiting = await the_delivery(gateway, "pending")
        late = waiting._replace(attempts=1, next_at=clock.now() + MICRO)
        await gateway.store.execute(MoveDelivery(late, 0))
        clock.advance(2)
        await tell(gateway)

        await gateway.store.execute(MoveDelivery(late._replace(last_error="too late"), 1))
        assert (await the_delivery(gateway, "delivered")).last_error is None


async def test_a_process_that_always_dies_while_sending_ends_as_dead_and_not_without_end(
    opened: Opened, receiver: Receiver
) -> None:
    async with opened(hook(receiver)) as gateway:
        await one_notice(gateway)
        await notify.plan_notices(gateway.world)
        waiting = await the_delivery(gateway, "pending")
        await gateway.store.execute(MoveDelivery(waiting._replace(attempts=MAX_ATTEMPTS), 0))

        assert await tell(gateway) == 0
        assert (await the_delivery(gateway, "dead")).last_error == "the last attempt did not end"
    assert receiver.requests == []


async def test_a_delivery_to_a_sink_that_was_taken_out_waits_an_hour_and_is_dead(
    opened: Opened, receiver: Receiver, clock: FakeClock
) -> None:
    async with opened(hook(receiver)) as gateway:
        await one_notice(gateway)
        await notify.plan_notices(gateway.world)
    async with opened() as gateway:
        assert await notify.end_orphans(gateway.world) == 0
        clock.advance(notify.ORPHANED_AFTER)
        assert await notify.end_orphans(gateway.world) == 1

        assert (await the_delivery(gateway, "dead")).last_error == "no sink of this name is configured"
    assert receiver.requests == []
