"""The people around a refund, and a desk that counts what it really paid back.

Not here: what is expected of them; each test says that.
"""

from __future__ import annotations

import asyncio
import json
import threading
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from toolgate import Approval, Caller, PendingApproval, Sensitive, Tool, ToolContext, tool
from toolgate.domain.rows import ByApproval, ByCall

if TYPE_CHECKING:
    from toolgate import Gateway, Outcome
    from toolgate.domain.rows import ApprovalRow, CallRow

ANN = Caller("ann", {"clerk"}, "acme")
ANN_AS_LEAD = Caller("ann", {"clerk", "lead"}, "acme")
BOB = Caller("bob", {"clerk"}, "acme")
LEA = Caller("lea", {"lead"}, "acme")
MAX = Caller("max", {"lead"}, "acme")
BOSS = Caller("ida", {"boss"}, "acme")
EVE = Caller("eve", {"lead"}, "globex")

LEAD = Approval(approvers={"lead"}, expires_in="1h")
BIG_ONES = Approval(approvers={"lead"}, when={"cents": {"gt": 1000}}, expires_in="1h", risk="high")


class Refund(BaseModel):
    """What is paid back."""

    order: int = Field(ge=1)
    cents: int = Field(default=5000, ge=1)
    card: Annotated[str, Sensitive()] = Field(default="0000", max_length=19)


class Desk:
    """The business: what happened, in which context, and how the next attempts shall end."""

    def __init__(self) -> None:
        self.paid: list[tuple[int, int]] = []
        self.contexts: list[ToolContext[Any]] = []
        self.ends: list[BaseException] = []
        self.forbidden: set[str] = set()
        self.hold: threading.Event | None = None
        self.entered = threading.Event()

    async def pay_back(self, context: ToolContext[Any], args: Refund) -> int:
        self.contexts.append(context)
        self.entered.set()
        if self.hold is not None:
            await asyncio.to_thread(self.hold.wait, 10)
        if self.ends:
            raise self.ends.pop(0)
        self.paid.append((args.order, args.cents))
        return args.cents

    def tool(
        self,
        approval: Approval | None = LEAD,
        *,
        idempotency: str | None = "refund:{order}:{workflow_id}",
        **given: Any,
    ) -> Tool[Any, int]:
        """The refund, with more of a contract where a test gives it."""

        async def refund(context: ToolContext[Any], args: Refund) -> int:
            """Pay an order back to the card."""
            return await self.pay_back(context, args)

        def allowed(context: ToolContext[Any], args: Refund) -> bool:
            return context.caller.id not in self.forbidden

        keywords: dict[str, Any] = {
            "effect": "write",
            "roles": {"clerk"},
            "authorize": allowed,
            "timeout": 5,
        } | given
        return tool(approval=approval, idempotency=idempotency, **keywords)(refund)


async def ask(
    gateway: Gateway, order: int = 1, *, caller: Caller = ANN, workflow: str = "wf", **args: Any
) -> Any:
    """Ask for a refund."""
    return await gateway.call("refund", {"order": order, **args}, caller=caller, workflow=workflow)


async def held(gateway: Gateway, order: int = 1, **given: Any) -> PendingApproval:
    """Ask for a refund that has to wait."""
    outcome: Outcome[Any] = await ask(gateway, order, **given)
    assert isinstance(outcome, PendingApproval), outcome
    return outcome


async def approval_of(gateway: Gateway, outcome: PendingApproval) -> ApprovalRow:
    """The approval as it lies in the ledger."""
    row = (await gateway.store.find(ByApproval(outcome.approval_id))).approval
    assert row is not None
    return row


async def call_of(gateway: Gateway, outcome: Outcome[Any]) -> CallRow:
    """The call as it lies in the ledger."""
    row = (await gateway.store.find(ByCall(outcome.call_id))).call
    assert row is not None
    return row


async def trail_of(gateway: Gateway, outcome: Outcome[Any]) -> list[dict[str, Any]]:
    """The events of one call, in order."""
    return [json.loads(record.record) async for record in gateway.store.records(call_id=outcome.call_id)]


async def transitions(gateway: Gateway, outcome: Outcome[Any]) -> list[str]:
    """What the trail says that happened to one call."""
    return [event["toolgate.transition"] for event in await trail_of(gateway, outcome)]
