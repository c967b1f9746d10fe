"""The tools that change something: tickets, refunds, addresses, erasure, mail.

Belongs here: contracts of effects, and how each is looked up when its answer was lost. Every key is made of the
arguments and of the application's name for the piece of work; the model chooses none of it.
"""

from __future__ import annotations

from dataclasses import dataclass

from toolgate import Applied, Approval, NotApplied, Retry, ToolContext, tool
from toolgate.examples.support_desk.arguments import Erasure, MailInput, NewAddress, RefundInput, TicketInput
from toolgate.examples.support_desk.customers import CustomerState
from toolgate.examples.support_desk.desk import Desk
from toolgate.examples.support_desk.money import shown
from toolgate.examples.support_desk.outbox import Draft, QueuedMail
from toolgate.examples.support_desk.permissions import own_customer, own_order, own_recipient
from toolgate.examples.support_desk.refunds import Refund, RefundRequest
from toolgate.examples.support_desk.refusals import (
    CardMismatch,
    CustomerClosed,
    CustomerHasOpenWork,
    EmailInUse,
    KeyReused,
    NoSuchCustomer,
    NoSuchOrder,
    OrderUnpaid,
    RecipientNotOnFile,
    RefundOverCeiling,
    RefundOverRemaining,
)
from toolgate.examples.support_desk.tickets import NewTicket, Ticket

APPROVAL_LIMIT_CENTS = 50_00
OWNER = "support-desk"


async def find_ticket(context: ToolContext[Desk], args: TicketInput) -> Applied[Ticket] | NotApplied:  # noqa: ARG001
    """Look the ticket up by its key."""
    ticket = context.deps.tickets.find(_key(context))
    return NotApplied("no ticket has this key") if ticket is None else Applied(ticket)


@tool(
    effect="write",
    roles={"support", "support_lead"},
    authorize=own_customer,
    timeout=2.0,
    owner=OWNER,
    version="1",
    idempotency="ticket:{customer_id}:{subject}:{workflow_id}",
    honours_key=True,
    retries=Retry(attempts=2),
    reconcile=find_ticket,
    rate_limit="60/minute",
    raises={NoSuchCustomer, CustomerClosed, KeyReused},
)
async def create_support_ticket(context: ToolContext[Desk], args: TicketInput) -> Ticket:
    """Open a support ticket for a customer. Sends nothing to anybody."""
    new = NewTicket(
        customer_id=args.customer_id, subject=args.subject, body=args.body, priority=args.priority
    )
    return context.deps.tickets.open(new, key=_key(context), by=context.caller.id)


async def find_refund(context: ToolContext[Desk], args: RefundInput) -> Applied[Refund] | NotApplied:  # noqa: ARG001
    """Look the refund up by its key."""
    refund = context.deps.refunds.find(_key(context))
    return NotApplied("no refund has this key") if refund is None else Applied(refund)


def show_refund(context: ToolContext[Desk], args: RefundInput) -> str:
    """Say to an approver what would happen, from the desk's own books."""
    order = context.deps.orders.find(args.order_id)
    item = "an order that is not there" if order is None else f"order {order.id} ({order.item})"
    left = context.deps.refunds.remaining_cents(args.order_id)
    return f"Refund {shown(args.amount_cents)} of {item}; {shown(left)} of it is left."


@tool(
    effect="write",
    external=True,
    roles={"support", "support_lead"},
    authorize=own_order,
    timeout=2.0,
    owner="payments",
    version="1",
    idempotency="refund:{order_id}:{amount_cents}:{workflow_id}",
    honours_key=True,
    retries=Retry(attempts=3, delay=0.05),
    reconcile=find_refund,
    horizon="10m",
    approval=Approval(
        approvers={"billing_admin"},
        when={"amount_cents": {"gt": APPROVAL_LIMIT_CENTS}},
        risk="high",
        expires_in="24h",
    ),
    preview=show_refund,
    rate_limit="30/minute",
    raises={
        NoSuchOrder,
        CustomerClosed,
        OrderUnpaid,
        CardMismatch,
        RefundOverRemaining,
        RefundOverCeiling,
        KeyReused,
    },
)
async def create_refund(context: ToolContext[Desk], args: RefundInput) -> Refund:
    """Refund a captured payment to the card it was paid with. Does not notify the customer."""
    desk = context.deps
    request = RefundRequest(
        order_id=args.order_id,
        amount_cents=args.amount_cents,
        card_last4=args.card_last4,
        reason=args.reason,
    )
    async with desk.faults.on_the_wire("refund"):
        return desk.refunds.create(
            request, key=_key(context), by=context.caller.id, approved=context.approval is not None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressChanged:
    """Whose address changed. The address itself is not repeated."""

    customer_id: str


async def find_address(context: ToolContext[Desk], args: NewAddress) -> Applied[AddressChanged] | NotApplied:
    """Compare the address on file with the one that was asked for."""
    customer = context.deps.customers.find(args.customer_id)
    if customer is not None and customer.email == args.new_email:
        return Applied(AddressChanged(customer_id=customer.id))
    return NotApplied("another address is on file")


@tool(
    effect="write",
    roles={"support", "support_lead"},
    authorize=own_customer,
    timeout=2.0,
    owner=OWNER,
    version="1",
    idempotency="email:{customer_id}:{new_email}:{workflow_id}",
    reconcile=find_address,
    approval=Approval(
        approvers={"billing_admin", "support_lead"},
        risk="medium",
        expires_in="8h",
        reason="a changed address takes over the account",
    ),
    raises={NoSuchCustomer, CustomerClosed, EmailInUse},
)
async def update_customer_email(context: ToolContext[Desk], args: NewAddress) -> AddressChanged:
    """Change the e-mail address of a customer's account. The old address is not told."""
    customer = context.deps.customers.change_email(args.customer_id, args.new_email)
    return AddressChanged(customer_id=customer.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """Who was erased."""

    customer_id: str


async def find_erasure(context: ToolContext[Desk], args: Erasure) -> Applied[Erased] | NotApplied:
    """Look whether the person is still on file."""
    customer = context.deps.customers.find(args.customer_id)
    if customer is not None and customer.state is CustomerState.ERASED:
        return Applied(Erased(customer_id=customer.id))
    return NotApplied("the customer is still on file")


@tool(
    effect="destructive",
    roles={"support_lead"},
    authorize=own_customer,
    timeout=2.0,
    owner="privacy",
    version="1",
    idempotency="erase:{customer_id}:{workflow_id}",
    reconcile=find_erasure,
    approval=Approval(
        approvers={"billing_admin"},
        quorum=2,
        risk="high",
        expires_in="24h",
        reason="erasing a person cannot be undone",
    ),
    raises={NoSuchCustomer, CustomerHasOpenWork},
)
async def delete_customer(context: ToolContext[Desk], args: Erasure) -> Erased:
    """Erase a customer's name, address and notes for good. Orders and refunds stay in the books."""
    context.deps.customers.erase(args.customer_id)
    return Erased(customer_id=args.customer_id)


@tool(
    effect="write",
    external=True,
    roles={"support", "support_lead"},
    authorize=own_recipient,
    timeout=2.0,
    owner=OWNER,
    version="1",
    idempotency="mail:{to}:{subject}:{workflow_id}",
    approval=Approval(
        approvers={"support_lead", "billing_admin"},
        risk="medium",
        expires_in="8h",
        reason="a mail cannot be called back",
    ),
    rate_limit="20/hour",
    raises={RecipientNotOnFile, KeyReused},
)
async def send_email(context: ToolContext[Desk], args: MailInput) -> QueuedMail:
    """Send one mail to a customer or colleague whose address is on file. Nobody can ask whether it arrived."""
    draft = Draft(recipient=args.to, subject=args.subject, body=args.body)
    async with context.deps.faults.on_the_wire("mail"):
        return context.deps.outbox.queue(draft, key=_key(context), by=context.caller.id)


def _key(context: ToolContext[Desk]) -> str:
    if context.idempotency_key is None:
        raise RuntimeError(f"{context.tool} has effects and was given no key")  # the gate's own fault
    return context.idempotency_key
