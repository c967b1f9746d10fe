"""What a model may send to the desk: one input model for each tool with more than a field or two.

Belongs here: shapes and bounds, in the schema where the model sees them. Does not belong here: whether an order
exists, or whose it is (see `permissions`), or what may be refunded (see `refunds`).
"""

from __future__ import annotations

import string
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, Field

from toolgate import EmailAddress, Identifier, PlainText, Sensitive
from toolgate.examples.support_desk.tickets import Priority

CustomerId = Annotated[str, Identifier(prefix="cus_", max_length=12, alphabet=string.digits)]
OrderId = Annotated[
    int, Field(gt=0, le=9_999_999, description="The number of an order, as in the order mail.")
]


class RefundInput(BaseModel):
    """A refund to the card that the order was paid with."""

    order_id: OrderId
    amount_cents: int = Field(gt=0, le=5_000_00, description="In cents: 40.00 is 4000.")
    card_last4: Annotated[str, Sensitive()] = Field(
        min_length=4,
        max_length=4,
        pattern=r"^[0-9]{4}$",
        description="The last four digits of the card, as the customer says them.",
    )
    reason: Annotated[str, PlainText(500, min_length=10)]


class TicketInput(BaseModel):
    """A new support ticket."""

    customer_id: CustomerId
    subject: Annotated[str, PlainText(120, min_length=5)]
    body: Annotated[str, PlainText(4_000, min_length=10, multiline=True)]
    priority: Priority = Priority.NORMAL


class NewAddress(BaseModel):
    """A customer's new e-mail address."""

    customer_id: CustomerId
    new_email: Annotated[str, EmailAddress(), Sensitive()]


class ErasureGround(StrEnum):
    """Why a person is erased."""

    CUSTOMER_REQUEST = "customer_request"
    RETENTION_ENDED = "retention_ended"


class Erasure(BaseModel):
    """The erasure of one customer."""

    customer_id: CustomerId
    ground: ErasureGround


class MailInput(BaseModel):
    """A mail to one customer or colleague."""

    to: Annotated[str, EmailAddress(), Sensitive()]
    subject: Annotated[str, PlainText(120, min_length=3)]
    body: Annotated[str, PlainText(4_000, min_length=10, multiline=True)]
