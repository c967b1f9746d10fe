"""Bring notices to where people hear of them: plan, claim, send outside any transaction, write down how it ended.

At least once: a process that dies between sending and writing leaves a claim that runs out, and the notice is sent
again under the same id. Receivers remove duplicates by that id. The order is not kept. Not here: what a notice says
(``domain.ledger.notices``), how it is sent (``adapters.notify``), when a round is made (``bootstrap``).
"""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Final

from toolgate.domain.commands import Done, MoveDelivery, PlanNotice
from toolgate.domain.duration import MICRO
from toolgate.domain.names import label
from toolgate.domain.notice import MAX_ATTEMPTS, pause_after
from toolgate.domain.principal import Action, Declined, forbids
from toolgate.domain.rows import ByNotice, Event
from toolgate.domain.trail import plain_record
from toolgate.gateway.faults import place_of
from toolgate.ports import Failed, Sent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from toolgate.domain.principal import Principal
    from toolgate.domain.rows import DeliveryRow, NoticeRow
    from toolgate.gateway.world import World
    from toolgate.ports import Clock, Sink

PENDING: Final = "pending"
DELIVERED: Final = "delivered"
DEAD: Final = "dead"
STATES: Final = (PENDING, DELIVERED, DEAD)

AT_ONCE: Final = 8
"""Attempts of one sink that are made at a time."""
PLANNED_AT_ONCE: Final = 200
ATTEMPT_TIMEOUT: Final = 15.0
"""Seconds of one attempt, from looking the name up to the status of the answer."""
CLAIM: Final = 60.0
"""Seconds for which a claimed attempt is nobody else's: longer than it can last, and the pause after a crash."""
ORPHANED_AFTER: Final = 3_600.0
"""Seconds for which a delivery waits for a process that knows its sink: the roll-out of a new configuration."""
MOST_LISTED: Final = 1_000
_LONGEST_ERROR: Final = 200

_log = logging.getLogger("toolgate")


async def plan_notices(world: World) -> int:
    """Say to which sinks new notices go; to none where none wants them. How many were planned."""
    planned = 0
    for notice in await world.store.unplanned(PLANNED_AT_ONCE):
        tool = _tool_of(notice)
        sinks = tuple(
            sink.name
            for sink in world.sinks.values()
            if sink.wanted.covers(topic=notice.topic, risk=notice.risk, tool=tool, tenant=notice.tenant)
        )
        planned += isinstance(await world.store.execute(PlanNotice(notice.notice_id, sinks)), Done)
    return planned


async def deliver_due(world: World, sink: Sink) -> int:
    """Make the attempts of ``sink`` that are due, few at a time. How many were made."""
    made = 0
    while True:
        now = await world.store.now()
        due = await world.store.deliveries(state=PENDING, due=now, sink=sink.name, limit=AT_ONCE)
        claimed = [
            (claim, notice)
            for delivery, notice in due
            if (claim := await _claimed(world, delivery)) is not None
        ]
        ends = await asyncio.gather(
            *(_attempt(world, sink, claim, notice) for claim, notice in claimed), return_exceptions=True
        )
        if fault := next((end for end in ends if isinstance(end, BaseException)), None):
            raise fault
        made += len(claimed)
        if len(claimed) < AT_ONCE:
            return made


async def end_orphans(world: World) -> int:
    """Deliveries to a sink that no process has known for a while are dead: it was taken out of the configuration."""
    ended = 0
    now = await world.store.now()
    overdue = await world.store.deliveries(state=PENDING, due=now - round(ORPHANED_AFTER * MICRO))
    for delivery, _ in overdue:
        if delivery.sink not in world.sinks:
            gone = delivery._replace(
                state=DEAD, updated_at=now, last_error="no sink of this name is configured"
            )
            ended += isinstance(await world.store.execute(MoveDelivery(gone, delivery.attempts)), Done)
    return ended


async def list_deliveries(
    world: World, *, by: Principal, state: str = DEAD, limit: int = 100
) -> Sequence[tuple[DeliveryRow, NoticeRow]] | Declined:
    """Deliveries of one's tenant in ``state``: those due first, or what ended, newest first."""
    if (why := forbids(by, Action.SEE_NOTIFICATIONS)) is not None:
        return Declined("forbidden", why)
    if state not in STATES:
        return Declined("invalid", f"a delivery is {', '.join(STATES)}")
    bounded = min(max(limit, 1), MOST_LISTED)
    return await world.store.deliveries(state=state, tenant=by.tenant, limit=bounded)


async def retry_delivery(world: World, notice_id: str, sink: str, *, by: Principal) -> DeliveryRow | Declined:
    """Begin a dead delivery anew: due at once, with all its attempts. The trail says who did."""
    if (why := forbids(by, Action.SEE_NOTIFICATIONS)) is not None:
        return Declined("forbidden", why)
    found = await world.store.find(ByNotice(notice_id, sink))
    delivery, notice = found.delivery, found.notice
    if delivery is None or notice is None or notice.tenant != by.tenant:
        return Declined("not_found", "there is no such delivery")
    if delivery.state != DEAD:
        again = (
            "it was delivered"
            if delivery.state == DELIVERED
            else "it is on its way and tried again by itself"
        )
        return Declined("conflict", f"only what was given up is begun anew: {again}")
    now = await world.store.now()
    anew = delivery._replace(state=PENDING, attempts=0, next_at=now, updated_at=now)
    answer = await world.store.execute(MoveDelivery(anew, delivery.attempts, _retried(anew, notice, by, now)))
    return anew if isinstance(answer, Done) else Declined("conflict", "it was begun anew meanwhile")


def _tool_of(notice: NoticeRow) -> object:
    """The tool that a notice is about. One that was damaged on the disk must not hold up all others."""
    try:
        said = json.loads(notice.body)
    except ValueError:
        return None
    return said.get("tool") if isinstance(said, dict) else None


async def _claimed(world: World, delivery: DeliveryRow) -> DeliveryRow | None:
    """The next attempt as ours alone for a while, or None where it is somebody else's or there is none left."""
    now = await world.store.now()
    claim = delivery._replace(
        attempts=delivery.attempts + 1, next_at=now + round(CLAIM * MICRO), updated_at=now
    )
    if claim.attempts > MAX_ATTEMPTS:
        # Its last attempt was claimed and never ended: whoever made it died.
        last = delivery._replace(state=DEAD, updated_at=now, last_error="the last attempt did not end")
        await world.store.execute(MoveDelivery(last, delivery.attempts))
        return None
    return (
        claim if isinstance(await world.store.execute(MoveDelivery(claim, delivery.attempts)), Done) else None
    )


async def _attempt(world: World, sink: Sink, claim: DeliveryRow, notice: NoticeRow) -> None:
    sent = await _sent(world, sink, notice)
    end = _ended(world, claim, sent, await world.store.now())
    if end.state == DEAD:
        _log.warning("notice %s to %s is given up: %s", claim.notice_id, sink.name, end.last_error)
    # Refused where the claim ran out and another process made the next attempt: it says how that one ended.
    await world.store.execute(MoveDelivery(end, claim.attempts))


def _ended(world: World, claim: DeliveryRow, sent: Sent | Failed, now: int) -> DeliveryRow:
    match sent:
        case Sent():
            return claim._replace(state=DELIVERED, next_at=now, updated_at=now, last_error=None)
        case Failed(reason, wish, final):
            error = label(reason, limit=_LONGEST_ERROR)
            if final or claim.attempts >= MAX_ATTEMPTS:
                return claim._replace(state=DEAD, next_at=now, updated_at=now, last_error=error)
            pause = pause_after(claim.attempts, world.chance(), asked=wish)
            return claim._replace(next_at=now + round(pause * MICRO), updated_at=now, last_error=error)


async def _sent(world: World, sink: Sink, notice: NoticeRow) -> Sent | Failed:
    try:
        return await _in_time(world.clock, sink.notifier.send(notice, now=world.clock.now()))
    except Exception as error:  # noqa: BLE001 - whatever a notifier raises is a failed attempt, and its text may hold a secret
        _log.warning("sending to %s failed: %s", sink.name, place_of(error))
        return Failed(f"it could not be sent: {type(error).__name__}")


async def _in_time(clock: Clock, work: Awaitable[Sent | Failed]) -> Sent | Failed:
    """``work``, ended after ``ATTEMPT_TIMEOUT`` seconds of the gate's clock."""
    task = asyncio.ensure_future(work)
    late = False

    def end() -> None:
        nonlocal late
        late = task.cancel()

    timer = clock.call_later(ATTEMPT_TIMEOUT, end)
    try:
        return await task
    except asyncio.CancelledError:
        if late:
            return Failed(f"no answer within {ATTEMPT_TIMEOUT:g} seconds")
        raise
    finally:
        timer.cancel()


def _retried(delivery: DeliveryRow, notice: NoticeRow, by: Principal, now: int) -> Event:
    record = plain_record(
        "notification_retried",
        at=now,
        fields={
            "toolgate.notice.id": delivery.notice_id,
            "toolgate.notice.topic": notice.topic,
            "toolgate.sink": delivery.sink,
            "toolgate.tenant": notice.tenant,
            "toolgate.actor": by.id,
        },
    )
    return Event(None, now, record)
