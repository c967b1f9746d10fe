"""Tools that configurations of tests name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from pydantic import Field

from toolgate import Approval, Breaker, Caller, NeedsApproval, Retry, tool

Order = Annotated[int, Field(gt=0, le=1000)]
Cents = Annotated[int, Field(gt=0, le=500_000)]


@tool(
    effect="write",
    roles={"support", "lead"},
    timeout=10.0,
    idempotency="refund:{order_id}",
    honours_key=True,
    retries=Retry(attempts=3, delay=1.0),
    rate_limit="30/minute",
    concurrency=8,
    breaker=Breaker.of(failures=5, cooldown=30.0),
    result_size="32KiB",
    horizon="1h",
    approval=Approval(
        approvers={"billing_admin"},
        when={"amount_cents": {"gt": 5000}},
        risk="medium",
        expires_in="8h",
        quorum=2,
    ),
)
async def refund(order_id: Order, amount_cents: Cents) -> int:
    """Pay an order back."""
    return order_id


@tool(effect="read", roles="anyone")
async def read_order(order_id: Order) -> int:
    """Read an order."""
    return order_id


@tool(effect="destructive", roles={"lead"}, approval=Approval(approvers={"lead"}))
async def delete_order(order_id: Order) -> int:
    """Delete an order."""
    return order_id


@tool(effect="write", roles={"lead"})
async def close_order(order_id: Order) -> int:
    """Close an order; the service itself wants a person first."""
    raise NeedsApproval("closing is final", approvers={"lead"})


tools = [refund, read_order, delete_order, close_order]
no_tools = 7


async def callers(id: str, tenant: str) -> Caller | None:
    return Caller(id, roles={"support"}, tenant=tenant)


@asynccontextmanager
async def deps(caller: Caller) -> AsyncIterator[str]:
    yield caller.id
