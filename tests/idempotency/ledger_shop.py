"""A till that counts what it really did, and the tools before it."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import Any

from pydantic import BaseModel, Field

from toolgate import Caller, Tool, ToolContext, ToolError, tool

ANN = Caller("ann", {"clerk"}, "acme")
BOB = Caller("bob", {"clerk"}, "acme")
OTHER_TENANTS_ANN = Caller("ann", {"clerk"}, "globex")


class Declined(ToolError):
    """The card was declined."""

    code = "declined"
    effect = "none"


class Payment(BaseModel):
    """What is paid."""

    order: int = Field(ge=1)
    cents: int = Field(default=500, ge=1)
    note: str = Field(default="", max_length=40)


class Till:
    """The business: what happened, under which keys, and how the next attempts shall end."""

    def __init__(self) -> None:
        self.paid: Counter[int] = Counter()
        self.keys: list[str | None] = []
        self.ends: list[BaseException] = []
        self.hold: threading.Event | None = None
        self.entered = threading.Event()
        self.forbidden: set[str] = set()

    async def take(self, context: ToolContext[Any], args: Payment) -> int:
        self.keys.append(context.idempotency_key)
        self.entered.set()
        if self.hold is not None:
            await asyncio.to_thread(self.hold.wait, 10)
        if self.ends:
            raise self.ends.pop(0)
        self.paid[args.order] += 1
        return args.cents

    def tool(self, template: str | None = "pay:{order}:{workflow_id}", **given: Any) -> Tool[Any, int]:
        async def pay(context: ToolContext[Any], args: Payment) -> int:
            """Take a payment for an order."""
            return await self.take(context, args)

        def allowed(context: ToolContext[Any], args: Payment) -> bool:
            return context.caller.id not in self.forbidden

        return tool(
            effect="write", roles={"clerk"}, idempotency=template, authorize=allowed, timeout=5, **given
        )(pay)
