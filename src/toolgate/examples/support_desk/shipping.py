"""Where a parcel is, as the carrier says. The carrier is somebody else's system and is not always there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from toolgate.examples.support_desk.orders import Orders
from toolgate.examples.support_desk.refusals import NoSuchOrder, NoSuchShipment

if TYPE_CHECKING:
    import sqlite3

    from toolgate.examples.support_desk.faults import Faults


class ParcelState(StrEnum):
    """What the carrier last saw."""

    IN_TRANSIT = "in_transit"
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One parcel of one order."""

    order_id: int
    tracking: str
    state: ParcelState


class Shipping:
    """The parcels of one tenant."""

    def __init__(self, connection: sqlite3.Connection, *, tenant: str, faults: Faults) -> None:
        """See the parcels of `tenant`, through `connection` and a carrier that `faults` may trouble."""
        self._connection = connection
        self._tenant = tenant
        self._faults = faults
        self._orders = Orders(connection, tenant=tenant)

    async def track(self, order_id: int) -> Parcel:
        """Ask the carrier.

        Raises:
            NoSuchOrder: the tenant has none of this id.
            NoSuchShipment: nothing was sent yet.
            ConnectionDroppedError: the carrier did not answer; asking again is safe.
        """
        order = self._orders.find(order_id)
        if order is None:
            raise NoSuchOrder(f"there is no order {order_id}")
        if order.tracking is None:
            raise NoSuchShipment(f"order {order_id} has no parcel yet")
        await self._faults.before("carrier")
        return Parcel(order_id=order_id, tracking=order.tracking, state=self._carrier_says(order_id))

    def _carrier_says(self, order_id: int) -> ParcelState:
        row = self._connection.execute(
            "SELECT state FROM orders WHERE tenant = ? AND id = ?", (self._tenant, order_id)
        ).fetchone()
        return ParcelState.DELIVERED if row["state"] == "delivered" else ParcelState.IN_TRANSIT
