"""Refunds, and every rule the business has about them. It trusts no gate: each rule is checked here again.

In this order, the first that applies wins:
1. a key that was used before answers with the refund made then, if it was the same request;
2. the order exists, its customer's account is open, and money was captured, from the card the customer named;
3. not more than the tenant's ceiling, which no approval lifts, and not more than is left;
4. a disputed payment is refunded only when a person has agreed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolgate import NeedsApproval
from toolgate.examples.support_desk.customers import Customers
from toolgate.examples.support_desk.database import transaction
from toolgate.examples.support_desk.money import shown
from toolgate.examples.support_desk.orders import Orders, Payment, PaymentState
from toolgate.examples.support_desk.refusals import (
    CardMismatch,
    KeyReused,
    NoSuchOrder,
    OrderUnpaid,
    RefundOverCeiling,
    RefundOverRemaining,
)

if TYPE_CHECKING:
    import sqlite3

    from toolgate.examples.support_desk.clock import Now


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRequest:
    """Give `amount_cents` of an order back to the card it was paid with."""

    order_id: int
    amount_cents: int
    card_last4: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Money that went back. `remaining_cents` is what could still be refunded after it."""

    id: int
    order_id: int
    amount_cents: int
    remaining_cents: int


class Refunds:
    """The refunds of one tenant."""

    def __init__(self, connection: sqlite3.Connection, *, tenant: str, now: Now) -> None:
        """See the refunds of `tenant`, through `connection`."""
        self._connection = connection
        self._tenant = tenant
        self._now = now
        self._orders = Orders(connection, tenant=tenant)
        self._customers = Customers(connection, tenant=tenant)

    def create(self, request: RefundRequest, *, key: str, by: str, approved: bool = False) -> Refund:
        """Refund once for this key, however often it is asked.

        Args:
            request: what to refund.
            key: the idempotency key; one key is one refund, for ever.
            by: the user who asks.
            approved: whether a person has agreed to exactly this.

        Raises:
            BusinessRefusal: a rule forbids it (see this module's list). Nothing is written.
            NeedsApproval: the payment is disputed and nobody has agreed. Nothing is written.
        """
        with transaction(self._connection):
            earlier = self._earlier(request, key)
            if earlier is not None:
                return earlier
            self._check(request, approved=approved)
            self._insert(request, key=key, by=by)
            made = self.find(key)
        if made is None:
            raise RuntimeError("the refund that was just written cannot be read")  # the desk's own fault
        return made

    def find(self, key: str) -> Refund | None:
        """Find the refund made under `key`, or None."""
        row = self._connection.execute(
            "SELECT id, order_id, amount_cents FROM refunds WHERE tenant = ? AND idempotency_key = ?",
            (self._tenant, key),
        ).fetchone()
        if row is None:
            return None
        return Refund(**dict(row), remaining_cents=self.remaining_cents(row["order_id"]))

    def remaining_cents(self, order_id: int) -> int:
        """Count what is left of the captured amount of an order."""
        row = self._connection.execute(
            """
            SELECT
                (SELECT coalesce(sum(captured_cents), 0) FROM payments
                 WHERE tenant = :tenant AND order_id = :order)
              - (SELECT coalesce(sum(amount_cents), 0) FROM refunds
                 WHERE tenant = :tenant AND order_id = :order)
            """,
            {"tenant": self._tenant, "order": order_id},
        ).fetchone()
        return int(row[0])

    def _earlier(self, request: RefundRequest, key: str) -> Refund | None:
        earlier = self.find(key)
        if earlier is None:
            return None
        if (earlier.order_id, earlier.amount_cents) != (request.order_id, request.amount_cents):
            raise KeyReused("this key belongs to a refund of another order or amount")
        return earlier

    def _check(self, request: RefundRequest, *, approved: bool) -> None:
        order = self._orders.find(request.order_id)
        if order is None:
            raise NoSuchOrder(f"there is no order {request.order_id}")
        self._customers.get_open(order.customer_id)
        payment = self._orders.payment_of(order.id)
        if payment is None or payment.state is PaymentState.AUTHORISED:
            raise OrderUnpaid(f"nothing has been captured for order {order.id}")
        if payment.card_last4 != request.card_last4:
            raise CardMismatch(f"order {order.id} was not paid with the card that ends in these digits")
        self._check_amount(request)
        self._check_dispute(payment, approved=approved)

    def _check_amount(self, request: RefundRequest) -> None:
        ceiling = self._ceiling_cents()
        if request.amount_cents > ceiling:
            raise RefundOverCeiling(
                f"{shown(request.amount_cents)} is above {shown(ceiling)}, the most this desk refunds; "
                "ask finance to do it in their own system"
            )
        remaining = self.remaining_cents(request.order_id)
        if request.amount_cents > remaining:
            raise RefundOverRemaining(
                f"{shown(request.amount_cents)} is more than the {shown(remaining)} "
                f"left of order {request.order_id}"
            )

    def _check_dispute(self, payment: Payment, *, approved: bool) -> None:
        if payment.state is PaymentState.DISPUTED and not approved:
            raise NeedsApproval(
                "the customer's bank disputes this payment, so a refund could pay twice",
                approvers={"billing_admin"},
                risk="high",
            )

    def _ceiling_cents(self) -> int:
        row = self._connection.execute(
            "SELECT refund_ceiling_cents FROM tenants WHERE id = ?", (self._tenant,)
        ).fetchone()
        return int(row["refund_ceiling_cents"])

    def _insert(self, request: RefundRequest, *, key: str, by: str) -> None:
        self._connection.execute(
            """
            INSERT INTO refunds
                (tenant, order_id, amount_cents, reason, requested_by, idempotency_key, created_at)
            VALUES (?, ?, ?, ?, ?, ?, ?)
            """,
            (
                self._tenant,
                request.order_id,
                request.amount_cents,
                request.reason,
                by,
                key,
                self._now().isoformat(),
            ),
        )
