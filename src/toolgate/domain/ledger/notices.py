"""What people outside are told, written in the transaction of what it tells; and how it gets to them.

A notice names what to look at and who should, and holds no arguments: those stay in the house.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.domain.canonical import canonical_json
from toolgate.domain.commands import DONE, Superseded
from toolgate.domain.ledger.decision import Decision, stored_requirement
from toolgate.domain.rows import DeliveryRow, NoticeRow, Row

if TYPE_CHECKING:
    from toolgate.domain.canonical import JsonValue
    from toolgate.domain.commands import MoveDelivery, PlanNotice
    from toolgate.domain.rows import ApprovalRow, CallRow, Found

PENDING, DELIVERED, DEAD = "pending", "delivered", "dead"


def requested(call: CallRow, approval: ApprovalRow, now: int) -> NoticeRow:
    """Somebody has to decide."""
    return _about(call, approval, "approval.requested", now)


def edited(call: CallRow, approval: ApprovalRow, now: int) -> NoticeRow:
    """It changed: whoever approved it has to look again."""
    return _about(call, approval, "approval.edited", now)


def decided(call: CallRow, approval: ApprovalRow, now: int) -> NoticeRow:
    """Nobody has to decide any more."""
    return _about(call, approval, f"approval.{approval.state.value}", now)


def in_doubt(call: CallRow, now: int) -> NoticeRow:
    """It is not known whether it happened."""
    body = _of_call(call, now)
    return NoticeRow(
        f"{call.call_id}:unknown", call.tenant, "effect.unknown", None, now, canonical_json(body)
    )


def _about(call: CallRow, approval: ApprovalRow, topic: str, now: int) -> NoticeRow:
    required = stored_requirement(approval)
    body: dict[str, JsonValue] = {
        **_of_call(call, now),
        "approval_id": approval.approval_id,
        "revision": approval.revision,
        "state": approval.state.value,
        "risk": required.risk,
        "requires_role": required.shown_roles(),
        "quorum": required.quorum,
        "reason": required.reason,
        "expires_at": approval.expires_at,
    }
    # One a transition: the store's time tells those of one topic apart, and a receiver knows a repetition by its id.
    name = f"{approval.approval_id}:{approval.revision}:{topic.partition('.')[2]}:{now}"
    return NoticeRow(name, call.tenant, topic, required.risk, now, canonical_json(body))


def _of_call(call: CallRow, now: int) -> dict[str, JsonValue]:
    return {
        "call_id": call.call_id,
        "tool": call.tool,
        "tenant": call.tenant,
        "caller": call.caller_id,
        "agent": call.agent,
        "at": now,
    }


def plan_notice(command: PlanNotice, found: Found, now: int) -> Decision:
    """To whom it goes, once."""
    notice = found.notice
    if notice is None or notice.planned:
        return Decision(Superseded(None))
    ways: list[Row] = [
        DeliveryRow(notice.notice_id, sink, PENDING, 0, now, now, None) for sink in command.sinks
    ]
    return Decision(DONE, (notice._replace(planned=True), *ways))


def move_delivery(command: MoveDelivery, found: Found) -> Decision:
    """An attempt claimed, or its end; not if somebody else has claimed one meanwhile."""
    there = found.delivery
    if there is None or there.attempts != command.seen or there.state == DELIVERED:
        return Decision(Superseded(None))
    return Decision(DONE, (command.delivery,) if command.event is None else (command.delivery, command.event))
