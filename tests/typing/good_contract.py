"""What an author writes: both styles of signature, predicates, dependencies, approval and reconcile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Protocol

from pydantic import BaseModel, Field

from toolgate import (
    Applied,
    Approval,
    Caller,
    Denied,
    Effect,
    NotApplied,
    Retry,
    Sensitive,
    Tool,
    ToolContext,
    ToolError,
    tool,
)


@dataclass(frozen=True)
class Deps:
    database: dict[int, str]


class HasOrder(Protocol):
    @property
    def order_id(self) -> int: ...


class RefundInput(BaseModel):
    order_id: int = Field(gt=0)
    amount_cents: int = Field(gt=0, le=500_000)
    card_hint: Annotated[str, Sensitive()] = Field(max_length=4)


class OrderInput(BaseModel):
    order_id: int = Field(gt=0)


class Refund(BaseModel):
    refund_id: int


class CardDeclined(ToolError):
    code = "card_declined"
    effect = "none"


async def own_order(context: ToolContext[Deps], args: HasOrder) -> bool | Denied:
    if args.order_id not in context.deps.database:
        return Denied("the order belongs to another customer")
    return True


async def find_refund(context: ToolContext[Deps], args: RefundInput) -> Applied[Refund] | NotApplied | None:
    match context.deps.database.get(args.order_id):
        case "refunded":
            return Applied(Refund(refund_id=1))
        case "captured":
            return NotApplied()
        case _:
            return None


@tool(
    effect="write",
    roles={"support"},
    authorize=own_order,
    timeout=5.0,
    version="1",
    owner="payments",
    idempotency="refund:{order_id}:{amount_cents}:{workflow_id}",
    honours_key=True,
    retries=Retry(attempts=3),
    reconcile=find_refund,
    approval=Approval(
        approvers={"billing_admin"},
        when={"amount_cents": {"gt": 50_00}},
        risk="high",
        expires_in="24h",
        quorum=1,
    ),
    rate_limit="30/minute",
    raises={CardDeclined},
)
async def create_refund(context: ToolContext[Deps], args: RefundInput) -> Refund:
    """Refund a captured payment to the original card. Does not notify the customer."""
    if context.deps.database[args.order_id] == "declined":
        raise CardDeclined("the card was closed")
    return Refund(refund_id=args.order_id)


@tool(effect=Effect.READ, roles="anyone", timeout="2s")
def order_status(args: OrderInput) -> str:
    """Say where an order stands."""
    return f"order {args.order_id}"


@tool(effect="read", roles={"support"}, timeout="PT2S")
async def customer_name(context: ToolContext[Deps], customer_id: Annotated[int, Field(gt=0)]) -> str:
    """Name a customer."""
    return context.deps.database[customer_id]


refunds: Tool[RefundInput, Refund] = create_refund
statuses: Tool[OrderInput, str] = order_status
caller = Caller("u481", roles={"support"}, tenant="acme")
identity: str = caller.id
