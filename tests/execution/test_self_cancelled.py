"""An author's code that cancels the task it runs in: the next write of the gate is cut off, and what stood is told."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from tests.execution.stage import ANN, flights_over, trail
from toolgate import Approval, Gateway, PendingApproval, Succeeded, ToolContext, tool

pytestmark = pytest.mark.req("M10.15")
Number = Annotated[int, Field(ge=0, le=9)]


def meddle(context: ToolContext[Any], args: Any) -> str:
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    return "one line"


@tool(effect="read", roles={"support"})
async def look() -> str:
    """Look, and cancel whoever runs this."""
    meddle(None, None)  # type: ignore[arg-type]
    return "seen"


@tool(effect="write", roles={"support"}, idempotency="pay:{n}")
async def pay(n: Number) -> str:
    """Pay, and cancel whoever runs this."""
    meddle(None, None)  # type: ignore[arg-type]
    return "paid"


@tool(
    effect="write",
    roles={"support"},
    idempotency="ask:{n}",
    approval=Approval(approvers={"boss"}),
    preview=meddle,
)
async def ask(n: Number) -> str:
    """Wait for a person."""
    return "done"


async def test_a_call_that_is_cut_off_while_it_is_recorded_is_told_as_it_stands(tmp_path: Path) -> None:
    async with Gateway([look, pay, ask], store=f"sqlite:///{tmp_path}/gate.db") as gateway:
        seen = await gateway.call(look, {}, caller=ANN)
        paid = await gateway.call(pay, {"n": 1}, caller=ANN)
        held = await gateway.call(ask, {"n": 1}, caller=ANN)
        # Nothing of it was a fault of the trail: the next call is not turned away for it.
        beside = await gateway.call(look, {}, caller=ANN)
        await flights_over(gateway)
        transitions = [event["toolgate.transition"] for event in await trail(gateway, held.call_id)]
        known = await gateway.get_call(held.call_id, caller=ANN)

    assert seen.unwrap() == beside.unwrap() == "seen"
    assert paid.unwrap() == "paid"
    assert isinstance(paid, Succeeded)
    assert isinstance(held, PendingApproval)
    assert known == held
    assert transitions == ["held"]
