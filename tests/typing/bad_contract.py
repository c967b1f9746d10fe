"""Mistakes in a contract, and ways around the gate, that an editor shows before anything runs."""

from __future__ import annotations

from pydantic import BaseModel, Field

from toolgate import Approval, Caller, Effect, Retry, Tool, ToolError, tool


class OrderInput(BaseModel):
    order_id: int = Field(gt=0)


@tool(effect="read", roles="anyone", timeout=2.0)
async def order_status(args: OrderInput) -> str:
    """Say where an order stands."""
    return f"order {args.order_id}"


order_status(OrderInput(order_id=1))  # error
order_status.contract.timeout = 60.0  # error
numbers: Tool[OrderInput, int] = order_status  # error

tool(effect="delete")  # error
tool(effect=Effect.REMOVE)  # error
tool(roles={1, 2})  # error
tool(roles=7)  # error
tool(retries="often")  # error
tool(retries=Retry(attempts="3"))  # error
tool(approval={"approvers": {"billing_admin"}})  # error
tool(approval=Approval(approvers=7))  # error
tool(raises={ValueError})  # error
tool(isolation="thread")  # error
tool(result_trust="maybe")  # error
tool(idempotent=True)  # error
tool("read")  # error

Caller(481)  # error
Caller("u481", roles=7)  # error
Caller("u481").tenant = "other"  # error


class CardDeclined(ToolError):
    code = 7  # error
