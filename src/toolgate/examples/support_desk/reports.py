"""What one customer has bought and got back: the desk's only long computation."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolgate.examples.support_desk.refusals import NoSuchCustomer

if TYPE_CHECKING:
    import sqlite3

    from toolgate.examples.support_desk.faults import Faults


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerReport:
    """Totals over a customer's whole history."""

    customer_id: str
    orders: int
    ordered_cents: int
    refunded_cents: int
    open_tickets: int


class Reports:
    """The reports of one tenant."""

    def __init__(self, connection: sqlite3.Connection, *, tenant: str, faults: Faults) -> None:
        """Report on `tenant`, through `connection` and a database that `faults` may slow down."""
        self._connection = connection
        self._tenant = tenant
        self._faults = faults

    async def about(self, customer_id: str) -> CustomerReport:
        """Add up a customer's orders one by one, letting others work in between.

        Raises:
            NoSuchCustomer: the tenant has none of this id.
        """
        if not self._count("SELECT count(*) FROM customers WHERE tenant = ? AND id = ?", customer_id):
            raise NoSuchCustomer(f"there is no customer {customer_id}")
        await self._faults.before("report")
        orders = ordered = refunded = 0
        for order_id, total_cents in self._orders_of(customer_id):
            orders += 1
            ordered += total_cents
            refunded += self._refunded(order_id)
            await asyncio.sleep(0)
        return CustomerReport(
            customer_id=customer_id,
            orders=orders,
            ordered_cents=ordered,
            refunded_cents=refunded,
            open_tickets=self._count(
                "SELECT count(*) FROM tickets WHERE tenant = ? AND customer_id = ? AND state = 'open'",
                customer_id,
            ),
        )

    def _orders_of(self, customer_id: str) -> list[tuple[int, int]]:
        rows = self._connection.execute(
            "SELECT id, total_cents FROM orders WHERE tenant = ? AND customer_id = ? ORDER BY id",
            (self._tenant, customer_id),
        )
        return [(row["id"], row["total_cents"]) for row in rows]

    def _refunded(self, order_id: int) -> int:
        return self._count(
            "SELECT coalesce(sum(amount_cents), 0) FROM refunds WHERE tenant = ? AND order_id = ?", order_id
        )

    def _count(self, statement: str, of: str | int) -> int:
        return int(self._connection.execute(statement, (self._tenant, of)).fetchone()[0])
