"""Notifications, as answers tell of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from toolgate.surfaces.rest.answers.content import Content, Time, rfc3339

if TYPE_CHECKING:
    from toolgate.domain.rows import DeliveryRow, NoticeRow


class DeliveryInfo(Content):
    """A notification on its way to one sink."""

    notification_id: str
    topic: str
    risk: str | None
    at: Time
    sink: str
    state: str
    attempts: int
    next_at: Time
    last_error: str | None

    @classmethod
    def of(cls, delivery: DeliveryRow, notice: NoticeRow) -> Self:
        """Both rows as one."""
        return cls(
            notification_id=notice.notice_id,
            topic=notice.topic,
            risk=notice.risk,
            at=rfc3339(notice.at),
            sink=delivery.sink,
            state=delivery.state,
            attempts=delivery.attempts,
            next_at=rfc3339(delivery.next_at),
            last_error=delivery.last_error,
        )


class RetriedBody(Content):
    """A delivery that begins anew."""

    notification_id: str
    sink: str
    state: str
    next_at: Time

    @classmethod
    def of(cls, delivery: DeliveryRow) -> Self:
        """``delivery`` as it is now."""
        return cls(
            notification_id=delivery.notice_id,
            sink=delivery.sink,
            state=delivery.state,
            next_at=rfc3339(delivery.next_at),
        )


class DeliveryList(Content):
    """Deliveries in one state, those due first."""

    notifications: list[DeliveryInfo]
