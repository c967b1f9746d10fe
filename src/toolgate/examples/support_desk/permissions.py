"""Who may touch which object. Roles are in the contracts; these predicates only take away.

Belongs here: predicates over one caller and one object. What the model reads is the same for an object that is
not there and one that is somebody else's; the true reason is for the trail.
"""

from __future__ import annotations

from typing import Protocol

from toolgate import Denied, ToolContext
from toolgate.examples.support_desk.desk import Desk
from toolgate.examples.support_desk.users import User

SEES_CONFIDENTIAL = frozenset({"support_lead", "billing_admin"})


class HasCustomer(Protocol):
    """Arguments that name a customer."""

    @property
    def customer_id(self) -> str:
        """The customer's id."""
        ...


class HasOrder(Protocol):
    """Arguments that name an order."""

    @property
    def order_id(self) -> int:
        """The order's number."""
        ...


class HasRecipient(Protocol):
    """Arguments that name an address to write to."""

    @property
    def to(self) -> str:
        """The address."""
        ...


def on_staff(context: ToolContext[Desk], args: object) -> bool | Denied:  # noqa: ARG001
    """Whether the caller works here today. A session may outlive its user's employment."""
    user = _standing(context)
    return user if isinstance(user, Denied) else True


def own_customer(context: ToolContext[Desk], args: HasCustomer) -> bool | Denied:
    """Whether the customer is one of the caller's tenant, and not one of those that only leads see."""
    user = _standing(context)
    return user if isinstance(user, Denied) else _may_see(context.deps, user, args.customer_id)


def own_order(context: ToolContext[Desk], args: HasOrder) -> bool | Denied:
    """Whether the order is of the caller's tenant, and its customer one whom the caller may see."""
    user = _standing(context)
    if isinstance(user, Denied):
        return user
    order = context.deps.orders.find(args.order_id)
    if order is None:
        return Denied(f"{user.tenant} has no order {args.order_id}")
    return _may_see(context.deps, user, order.customer_id)


def own_recipient(context: ToolContext[Desk], args: HasRecipient) -> bool | Denied:
    """Whether the address is a colleague's, or that of a customer whom the caller may see."""
    user = _standing(context)
    if isinstance(user, Denied):
        return user
    customer = context.deps.customers.with_email(args.to)
    if customer is not None:
        return _may_see(context.deps, user, customer.id)
    if context.deps.colleagues.has_email(args.to):
        return True
    return Denied(f"{user.tenant} has nobody of this address")


def _standing(context: ToolContext[Desk]) -> User | Denied:
    user = context.deps.user
    if user is None:
        return Denied(f"{context.caller.tenant} has no user {context.caller.id}")
    if not user.active:
        return Denied(f"{user.id} is deactivated")
    return user


def _may_see(desk: Desk, user: User, customer_id: str) -> bool | Denied:
    customer = desk.customers.find(customer_id)
    if customer is None:
        return Denied(f"{user.tenant} has no customer {customer_id}")
    if customer.confidential and not user.roles & SEES_CONFIDENTIAL:
        return Denied(f"{customer_id} is confidential, and {user.id} is no lead")
    return True
