"""Support tickets. One key opens one ticket; an erased customer gets none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from toolgate.examples.support_desk.customers import Customers, CustomerState
from toolgate.examples.support_desk.database import transaction
from toolgate.examples.support_desk.refusals import CustomerClosed, KeyReused, NoSuchCustomer

if TYPE_CHECKING:
    import sqlite3

    from toolgate.examples.support_desk.clock import Now


class Priority(StrEnum):
    """How soon somebody should look."""

    LOW = "low"
    NORMAL = "normal"
    HIGH = "high"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTicket:
    """What a ticket is opened with."""

    customer_id: str
    subject: str
    body: str
    priority: Priority


@dataclass(frozen=True, slots=True, kw_only=True)
class Ticket:
    """An opened ticket."""

    id: int
    customer_id: str
    subject: str
    priority: Priority


class Tickets:
    """The tickets of one tenant."""

    def __init__(self, connection: sqlite3.Connection, *, tenant: str, now: Now) -> None:
        """See the tickets of `tenant`, through `connection`."""
        self._connection = connection
        self._tenant = tenant
        self._now = now
        self._customers = Customers(connection, tenant=tenant)

    def open(self, new: NewTicket, *, key: str, by: str) -> Ticket:
        """Open a ticket once for this key.

        A closed account may still ask for help; an erased one is nobody's any more.

        Raises:
            NoSuchCustomer: the tenant has none of this id.
            CustomerClosed: the customer was erased.
            KeyReused: the key opened another ticket.
        """
        with transaction(self._connection):
            earlier = self.find(key)
            if earlier is not None:
                if (earlier.customer_id, earlier.subject) != (new.customer_id, new.subject):
                    raise KeyReused("this key belongs to another ticket")
                return earlier
            self._check(new)
            self._insert(new, key=key, by=by)
            made = self.find(key)
        if made is None:
            raise RuntimeError("the ticket that was just written cannot be read")  # the desk's own fault
        return made

    def find(self, key: str) -> Ticket | None:
        """Find the ticket opened under `key`, or None."""
        row = self._connection.execute(
            "SELECT id, customer_id, subject, priority FROM tickets WHERE tenant = ? AND idempotency_key = ?",
            (self._tenant, key),
        ).fetchone()
        if row is None:
            return None
        return Ticket(
            id=row["id"],
            customer_id=row["customer_id"],
            subject=row["subject"],
            priority=Priority(row["priority"]),
        )

    def _check(self, new: NewTicket) -> None:
        customer = self._customers.find(new.customer_id)
        if customer is None:
            raise NoSuchCustomer(f"there is no customer {new.customer_id}")
        if customer.state is CustomerState.ERASED:
            raise CustomerClosed(f"the account of {new.customer_id} is erased")

    def _insert(self, new: NewTicket, *, key: str, by: str) -> None:
        self._connection.execute(
            """
            INSERT INTO tickets
                (tenant, customer_id, subject, body, priority, state, opened_by, idempotency_key, created_at)
            VALUES (?, ?, ?, ?, ?, 'open', ?, ?, ?)
            """,
            (
                self._tenant,
                new.customer_id,
                new.subject,
                new.body,
                new.priority,
                by,
                key,
                self._now().isoformat(),
            ),
        )
