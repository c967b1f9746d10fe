"""A tenant's orders and the payment of each.

Belongs here: reading them. Nothing at the desk writes an order or a payment; the shop does.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


class PaymentState(StrEnum):
    """Where the money is. `disputed`: captured, and the customer's bank asks for it back."""

    AUTHORISED = "authorised"
    CAPTURED = "captured"
    DISPUTED = "disputed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One order. `tracking` is None until there is a parcel."""

    id: int
    customer_id: str
    item: str
    total_cents: int
    tracking: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """The one payment of an order."""

    captured_cents: int
    state: PaymentState
    card_last4: str


class Orders:
    """The orders of one tenant; those of others do not exist here."""

    def __init__(self, connection: sqlite3.Connection, *, tenant: str) -> None:
        """See the orders of `tenant`, through `connection`."""
        self._connection = connection
        self._tenant = tenant

    def find(self, order_id: int) -> Order | None:
        """Find an order, or None."""
        row = self._connection.execute(
            "SELECT id, customer_id, item, total_cents, tracking FROM orders WHERE tenant = ? AND id = ?",
            (self._tenant, order_id),
        ).fetchone()
        return None if row is None else Order(**dict(row))

    def payment_of(self, order_id: int) -> Payment | None:
        """Find the payment of an order, or None if there is none yet."""
        row = self._connection.execute(
            "SELECT captured_cents, state, card_last4 FROM payments WHERE tenant = ? AND order_id = ?",
            (self._tenant, order_id),
        ).fetchone()
        if row is None:
            return None
        return Payment(
            captured_cents=row["captured_cents"],
            state=PaymentState(row["state"]),
            card_last4=row["card_last4"],
        )
