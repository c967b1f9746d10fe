"""A small shop: what clients of other makers call, over HTTP and over stdio.

Not here: who calls, and what is expected.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

from toolgate import Approval, Caller, Tool, ToolContext, ToolError, tool

ANA: Final = Caller("u-ana", roles={"support"}, tenant="acme")


class Order(BaseModel):
    """An order."""

    order_id: int = Field(ge=1)
    lines: list[Annotated[str, Field(max_length=20)]] = Field(max_length=5)


@tool(effect="read", roles={"support"}, timeout=20.0)
async def read_order(order_id: Annotated[int, Field(ge=1, le=99)]) -> Order:
    """Read one order."""
    return Order(order_id=order_id, lines=["a lamp"])


@tool(
    effect="write",
    roles={"support"},
    timeout=20.0,
    idempotency="{order_id}",
    approval=Approval(approvers={"lead"}),
)
async def refund(order_id: Annotated[int, Field(ge=1, le=99)]) -> str:
    """Pay an order back."""
    return "paid"


@tool(effect="read", roles={"support"}, timeout=20.0)
async def count(context: ToolContext[Any]) -> int:
    """Count to three, aloud."""
    for step in (1, 2, 3):
        context.progress(step, 3)
    return 3


@tool(effect="read", roles={"support"}, timeout=20.0)
async def fail() -> str:
    """Fail in words of its own."""
    raise ToolError("the shop is closed", effect="none", code="closed")


@tool(effect="destructive", roles={"owner"}, timeout=20.0, approval=Approval(approvers={"lead"}))
async def close_shop() -> str:
    """Close the shop."""
    return "closed"


TOOLS: Final[list[Tool[Any, Any]]] = [read_order, refund, count, fail, close_shop]
