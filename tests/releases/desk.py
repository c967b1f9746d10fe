"""The tools of a desk as the release before had them: nothing here may use what only a newer one knows.

`made_before.py` runs this under that release, the tests under this one; a contract that came out differently would
cancel every approval at an upgrade.
"""

from __future__ import annotations

import os
from typing import Annotated, Any

from pydantic import Field

from toolgate import Applied, Approval, Caller, NotApplied, ToolContext, tool

ANA = Caller("u-ana", roles={"support"}, tenant="acme")
LEO = Caller("u-leo", roles={"lead"}, tenant="acme")
Order = Annotated[int, Field(gt=0, le=1000)]
RAN: list[tuple[str, int]] = []


async def find_lost(context: ToolContext[Any], order_id: Order) -> Applied[str] | NotApplied | None:
    """Whether the parcel was sent after all."""
    return Applied(f"parcel {order_id} was sent")


@tool(
    effect="write",
    roles={"support"},
    timeout=5.0,
    version="1",
    owner="desk",
    idempotency="refund:{order_id}:{workflow_id}",
    approval=Approval(approvers={"lead"}, risk="high", expires_in="30d"),
)
async def refund(order_id: Order) -> str:
    """Refund one order, once a lead agreed."""
    RAN.append(("refund", order_id))
    return f"refunded {order_id}"


@tool(
    effect="write", roles={"support"}, timeout=5.0, version="1", idempotency="note:{order_id}:{workflow_id}"
)
async def note(order_id: Order) -> str:
    """Write a note."""
    RAN.append(("note", order_id))
    return f"noted {order_id}"


@tool(
    effect="write",
    roles={"support"},
    timeout=5.0,
    version="1",
    idempotency="post:{order_id}:{workflow_id}",
    reconcile=find_lost,
)
async def post(order_id: Order) -> str:
    """Send a parcel, and lose the answer."""
    raise LookupError("the answer was lost")


@tool(
    effect="write", roles={"support"}, timeout=5.0, version="1", idempotency="vanish:{order_id}:{workflow_id}"
)
async def vanish(order_id: Order) -> str:
    """Be killed in the middle."""
    os._exit(0)


TOOLS = [refund, note, post, vanish]
