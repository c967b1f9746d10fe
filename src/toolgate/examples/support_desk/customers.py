"""A tenant's customers: finding one, changing an address, erasing a person.

Rules kept here: a closed account does not change; an address belongs to one customer; nobody is erased
while there is work open for them. Does not belong here: who may see which customer (see `permissions`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from toolgate.examples.support_desk.database import transaction
from toolgate.examples.support_desk.refusals import (
    CustomerClosed,
    CustomerHasOpenWork,
    EmailInUse,
    NoSuchCustomer,
)

if TYPE_CHECKING:
    import sqlite3


class CustomerState(StrEnum):
    """Where an account stands. `erased` is final."""

    OPEN = "open"
    CLOSED = "closed"
    ERASED = "erased"


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """One customer of one tenant. An erased one has no email and no name."""

    id: str
    name: str
    email: str | None
    state: CustomerState
    confidential: bool


class Customers:
    """The customers of one tenant; those of others do not exist here."""

    def __init__(self, connection: sqlite3.Connection, *, tenant: str) -> None:
        """See the customers of `tenant`, through `connection`."""
        self._connection = connection
        self._tenant = tenant

    def find(self, customer_id: str) -> Customer | None:
        """Find a customer in any state, or None."""
        row = self._connection.execute(
            "SELECT id, name, email, state, confidential FROM customers WHERE tenant = ? AND id = ?",
            (self._tenant, customer_id),
        ).fetchone()
        if row is None:
            return None
        return Customer(
            id=row["id"],
            name=row["name"],
            email=row["email"],
            state=CustomerState(row["state"]),
            confidential=bool(row["confidential"]),
        )

    def get_open(self, customer_id: str) -> Customer:
        """Get a customer whose account is open.

        Raises:
            NoSuchCustomer: the tenant has none of this id.
            CustomerClosed: the account is closed or erased.
        """
        customer = self.find(customer_id)
        if customer is None:
            raise NoSuchCustomer(f"there is no customer {customer_id}")
        if customer.state is not CustomerState.OPEN:
            raise CustomerClosed(f"the account of {customer_id} is {customer.state}")
        return customer

    def with_email(self, email: str) -> Customer | None:
        """Find the open account that has this address, or None."""
        row = self._connection.execute(
            "SELECT id FROM customers WHERE tenant = ? AND email = ? AND state = 'open'",
            (self._tenant, email),
        ).fetchone()
        return None if row is None else self.find(row["id"])

    def change_email(self, customer_id: str, email: str) -> Customer:
        """Set the address of an open account. Setting the same address again changes nothing.

        Raises:
            NoSuchCustomer, CustomerClosed: see `get_open`.
            EmailInUse: another customer of the tenant has it.
        """
        with transaction(self._connection) as connection:
            self.get_open(customer_id)
            owner = connection.execute(
                "SELECT id FROM customers WHERE tenant = ? AND email = ?", (self._tenant, email)
            ).fetchone()
            if owner is not None and owner["id"] != customer_id:
                raise EmailInUse("another customer has this address")
            connection.execute(
                "UPDATE customers SET email = ? WHERE tenant = ? AND id = ?",
                (email, self._tenant, customer_id),
            )
        return self.get_open(customer_id)

    def erase(self, customer_id: str) -> None:
        """Erase the person: name, address and notes go, orders and refunds stay for the books.

        Erasing an erased customer changes nothing.

        Raises:
            NoSuchCustomer: the tenant has none of this id.
            CustomerHasOpenWork: a ticket is open, or an order is on its way.
        """
        with transaction(self._connection) as connection:
            customer = self.find(customer_id)
            if customer is None:
                raise NoSuchCustomer(f"there is no customer {customer_id}")
            if self._has_open_work(customer_id):
                raise CustomerHasOpenWork(f"{customer_id} still has an open ticket or an order on its way")
            connection.execute(
                """
                UPDATE customers SET name = 'erased', email = NULL, state = 'erased'
                WHERE tenant = ? AND id = ?
                """,
                (self._tenant, customer_id),
            )
            connection.execute(
                "DELETE FROM notes WHERE tenant = ? AND customer_id = ?", (self._tenant, customer_id)
            )

    def _has_open_work(self, customer_id: str) -> bool:
        found = self._connection.execute(
            """
            SELECT 1 FROM tickets WHERE tenant = :tenant AND customer_id = :id AND state = 'open'
            UNION ALL
            SELECT 1 FROM orders
            WHERE tenant = :tenant AND customer_id = :id AND state IN ('placed', 'shipped')
            LIMIT 1
            """,
            {"tenant": self._tenant, "id": customer_id},
        ).fetchone()
        return found is not None
