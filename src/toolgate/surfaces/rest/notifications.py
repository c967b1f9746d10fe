"""Notifications on their way to people, and those that were given up."""

from __future__ import annotations

from toolgate.domain.principal import Declined
from toolgate.operations.notify import list_deliveries, retry_delivery
from toolgate.surfaces.rest.answers import DeliveryInfo, DeliveryList, RetriedBody
from toolgate.surfaces.rest.endpoint import Answer, Asked, NoBody, Reply
from toolgate.surfaces.rest.requests import NotificationsQuery, Query, RetryBody


async def list_(asked: Asked[NotificationsQuery, NoBody]) -> Reply:
    """List deliveries: by default those that were given up."""
    rows = await asked.office.gate.operate(
        list_deliveries, by=asked.by, state=asked.query.state, limit=asked.query.limit
    )
    if isinstance(rows, Declined):
        return rows
    return Answer(
        content=DeliveryList(notifications=[DeliveryInfo.of(delivery, notice) for delivery, notice in rows])
    )


async def retry(asked: Asked[Query, RetryBody]) -> Reply:
    """Try a delivery again that was given up."""
    row = await asked.office.gate.operate(retry_delivery, asked.id, asked.body.sink, by=asked.by)
    return row if isinstance(row, Declined) else Answer(content=RetriedBody.of(row))
