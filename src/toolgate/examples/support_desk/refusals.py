"""What the desk says no to, whoever asks. The third validation, after the schema's and the gate's.

Belongs here: one class for each rule of the business, with a stable code and words a model may be given.
Does not belong here: permission (see `permissions`), and faults such as a lost connection.
"""

from __future__ import annotations

from toolgate import BusinessRule


class BusinessRefusal(BusinessRule):
    """A rule of the desk forbids it. Raised before anything is written, so nothing has happened."""

    code = "refused"


class NoSuchOrder(BusinessRefusal):
    """The tenant has no such order."""

    code = "no_such_order"


class NoSuchCustomer(BusinessRefusal):
    """The tenant has no such customer."""

    code = "no_such_customer"


class CustomerClosed(BusinessRefusal):
    """The customer's account is closed or erased."""

    code = "customer_closed"


class OrderUnpaid(BusinessRefusal):
    """No money has been captured for the order."""

    code = "order_unpaid"


class CardMismatch(BusinessRefusal):
    """The order was not paid with the card that the customer named."""

    code = "card_mismatch"


class RefundOverRemaining(BusinessRefusal):
    """More than what is left of the captured amount."""

    code = "refund_over_remaining"


class RefundOverCeiling(BusinessRefusal):
    """More than the tenant refunds through the desk at all, approved or not."""

    code = "refund_over_ceiling"


class KeyReused(BusinessRefusal):
    """The idempotency key was used before, for something else."""

    code = "key_reused"


class EmailInUse(BusinessRefusal):
    """Another customer of the tenant has this address."""

    code = "email_in_use"


class CustomerHasOpenWork(BusinessRefusal):
    """There are open tickets or undelivered orders."""

    code = "customer_has_open_work"


class RecipientNotOnFile(BusinessRefusal):
    """The desk writes to its customers and colleagues, and to nobody else."""

    code = "recipient_not_on_file"


class NoSuchShipment(BusinessRefusal):
    """The order has no parcel yet."""

    code = "no_such_shipment"
