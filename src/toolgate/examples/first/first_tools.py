"""Two tools to begin with: one looks an order up, one refunds it and asks a person first.

`toolgate check first_tools:tools` asks the eleven questions of each, `toolgate serve` puts the gate before them.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, Field

from toolgate import Applied, Approval, BusinessRule, NotApplied, ToolContext, tool


@dataclass
class Sale:
    """One row of the shop's books."""

    tenant: str
    item: str
    amount_cents: int
    refunded_under: str = ""


# Your own system stands here: a database session from the `deps` hook, an HTTP client, a service.
SALES = {
    1001: Sale("default", "Kettle", 4_900),
    1002: Sale("default", "Desk lamp", 12_500),
}


class OrderNumber(BaseModel):
    """Which order."""

    # Bounds stand in the schema, where the model sees them. Unknown fields are refused at every depth.
    order_id: int = Field(gt=0, le=1_000_000)


class RefundInput(OrderNumber):
    """Which order, and why."""

    reason: str = Field(min_length=10, max_length=500)


class Order(BaseModel):
    """An order as the model sees it."""

    order_id: int
    item: str
    amount_cents: int
    refunded: bool


class Refund(BaseModel):
    """What was paid back."""

    order_id: int
    amount_cents: int


class AlreadyRefunded(BusinessRule):
    """The order was refunded already."""

    code = "already_refunded"


def own_order(context: ToolContext[None], args: OrderNumber) -> bool:
    """Whether this caller may touch this order; roles have said only that they may use the tool."""
    sale = SALES.get(args.order_id)
    return sale is not None and sale.tenant == context.tenant


@tool(effect="read", roles={"support"}, authorize=own_order, timeout="2s", version="1", owner="shop")
async def look_up_order(args: OrderNumber) -> Order:
    """Look one order up by its number."""
    sale = SALES[args.order_id]
    return Order(
        order_id=args.order_id,
        item=sale.item,
        amount_cents=sale.amount_cents,
        refunded=bool(sale.refunded_under),
    )


async def find_refund(context: ToolContext[None], args: RefundInput) -> Applied[Refund] | NotApplied | None:
    """After a crash the gate asks whether it happened; `None` would say that it cannot be told."""
    sale = SALES[args.order_id]
    if sale.refunded_under != context.idempotency_key:
        return NotApplied()
    return Applied(Refund(order_id=args.order_id, amount_cents=sale.amount_cents))


@tool(
    effect="write",
    roles={"support"},
    authorize=own_order,
    timeout="5s",
    version="1",
    owner="shop",
    # Asked again for the same piece of work, it answers what it answered before and refunds nothing twice.
    idempotency="refund:{order_id}:{workflow_id}",
    reconcile=find_refund,
    # Nothing runs until somebody with this role has seen the exact arguments and agreed.
    approval=Approval(approvers={"refund_approver"}, risk="high", expires_in="24h"),
    raises={AlreadyRefunded},
)
async def refund_order(context: ToolContext[None], args: RefundInput) -> Refund:
    """Refund one order in full. Does not notify the customer."""
    sale = SALES[args.order_id]
    if sale.refunded_under:
        raise AlreadyRefunded(f"order {args.order_id} was refunded already")
    sale.refunded_under = str(context.idempotency_key)
    return Refund(order_id=args.order_id, amount_cents=sale.amount_cents)


tools = [look_up_order, refund_order]
