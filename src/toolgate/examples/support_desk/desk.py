"""The desk as one caller sees it during one call: every service, bound to one tenant and one connection.

Belongs here: putting the services together. It is what the gate's tools are given as `context.deps`.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from toolgate.examples.support_desk.customers import Customers
from toolgate.examples.support_desk.notes import Notes
from toolgate.examples.support_desk.orders import Orders
from toolgate.examples.support_desk.outbox import Outbox
from toolgate.examples.support_desk.refunds import Refunds
from toolgate.examples.support_desk.reports import Reports
from toolgate.examples.support_desk.runbooks import Runbooks
from toolgate.examples.support_desk.scanner import Scanner
from toolgate.examples.support_desk.shipping import Shipping
from toolgate.examples.support_desk.tickets import Tickets
from toolgate.examples.support_desk.users import User, Users

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from toolgate.examples.support_desk.clock import Now
    from toolgate.examples.support_desk.faults import Faults


class Desk:
    """Everything the desk can do for one tenant. `user` is None if the tenant has no such user."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        *,
        tenant: str,
        user: User | None,
        now: Now,
        faults: Faults,
        site_port: Callable[[], int],
    ) -> None:
        """See the desk of `tenant` through `connection`, as `user`."""
        self._connection = connection
        self._now = now
        self.tenant = tenant
        self.user = user
        self.faults = faults
        self.site_port = site_port

    @cached_property
    def customers(self) -> Customers:
        """The tenant's customers."""
        return Customers(self._connection, tenant=self.tenant)

    @cached_property
    def colleagues(self) -> Users:
        """The tenant's staff."""
        return Users(self._connection, tenant=self.tenant)

    @cached_property
    def orders(self) -> Orders:
        """The tenant's orders and payments."""
        return Orders(self._connection, tenant=self.tenant)

    @cached_property
    def refunds(self) -> Refunds:
        """The tenant's refunds."""
        return Refunds(self._connection, tenant=self.tenant, now=self._now)

    @cached_property
    def tickets(self) -> Tickets:
        """The tenant's tickets."""
        return Tickets(self._connection, tenant=self.tenant, now=self._now)

    @cached_property
    def notes(self) -> Notes:
        """The notes about the tenant's customers."""
        return Notes(self._connection, tenant=self.tenant)

    @cached_property
    def runbooks(self) -> Runbooks:
        """The handbook."""
        return Runbooks(self._connection)

    @cached_property
    def outbox(self) -> Outbox:
        """The tenant's outgoing mail."""
        return Outbox(self._connection, tenant=self.tenant, now=self._now)

    @cached_property
    def shipping(self) -> Shipping:
        """The tenant's parcels."""
        return Shipping(self._connection, tenant=self.tenant, faults=self.faults)

    @cached_property
    def reports(self) -> Reports:
        """The tenant's reports."""
        return Reports(self._connection, tenant=self.tenant, faults=self.faults)

    @cached_property
    def scanner(self) -> Scanner:
        """The scanner of the desk's automations."""
        return Scanner(self._connection, now=self._now, faults=self.faults)
