"""A small business behind the gate, for tests of the command line: importable by name, as a configuration asks."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, Field

from toolgate import Approval, Caller, Denied, Sensitive, Tool, tool

refunds: list[int] = []
"""The orders that were paid back, in order: what the world looks like."""

mail_may_go = threading.Event()
mails: list[str] = []


def forget() -> None:
    """Begin anew."""
    refunds.clear()
    mails.clear()
    mail_may_go.clear()


class RefundInput(BaseModel):
    order_id: int = Field(gt=0, le=1_000_000)
    amount_cents: int = Field(gt=0, le=500_000)
    card_hint: Annotated[str, Sensitive()] = Field(default="0000", max_length=4)
    note: str = Field(default="", max_length=200)


@tool(effect="read", roles={"support"}, timeout=5.0)
async def read_order(order_id: Annotated[int, Field(gt=0)]) -> dict[str, int]:
    """Read one order."""
    sees_token = int("TOOLGATE_TOKEN" in os.environ)
    return {"order_id": order_id, "refunds": refunds.count(order_id), "sees_token": sees_token}


@tool(
    effect="write",
    roles={"support"},
    timeout=5.0,
    idempotency="refund:{order_id}:{workflow_id}",
    approval=Approval(
        approvers={"billing_admin"}, when={"amount_cents": {"gt": 5000}}, risk="high", expires_in="24h"
    ),
)
async def refund(args: RefundInput) -> dict[str, int]:
    """Pay an order back."""
    refunds.append(args.order_id)
    return {"order_id": args.order_id}


@tool(effect="write", roles={"support"}, timeout=5.0, idempotency="drop:{order_id}")
async def drop_reply(order_id: Annotated[int, Field(gt=0)]) -> None:
    """Do it, and lose the reply: nobody knows how it ended."""
    refunds.append(order_id)
    raise ConnectionResetError("the reply was lost")


@tool(effect="write", roles={"support"}, timeout=5.0, idempotency="mail:{to}")
async def send_mail(to: Annotated[str, Field(max_length=50)]) -> None:
    """Send a mail that takes as long as the test wants, and cannot be called back."""
    try:
        await asyncio.to_thread(mail_may_go.wait, 10)
    except asyncio.CancelledError:
        # It is on its way already; that is what makes it hard to cancel.
        await asyncio.to_thread(mail_may_go.wait, 10)
    mails.append(to)


@tool(
    effect="destructive",
    roles={"support"},
    timeout=5.0,
    approval=Approval(approvers={"billing_admin"}, quorum=2),
)
async def delete_order(order_id: Annotated[int, Field(gt=0)]) -> None:
    """Delete an order for good."""
    refunds.append(-order_id)


tools: list[Tool[Any, Any]] = [read_order, refund, drop_reply, send_mail, delete_order]


def only_small_ones(person: Caller, facts: Mapping[str, Any]) -> bool | Denied:
    """The application's own rule on who may agree to what."""
    if facts["tool"] == "refund" and person.id == "u-omar":
        return Denied("u-omar decides about no refunds this week")
    return True
