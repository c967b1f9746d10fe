"""What waits for whoever asked, from a terminal: they are told so, and they confirm it."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import Field

from tests.cli.conftest import MAYA, Shop
from toolgate import Approval, Gateway, Outcome, PendingApproval, Succeeded, tool

pytestmark = pytest.mark.req("M12.24", "M12.9")


@tool(
    effect="write",
    roles={"support"},
    timeout=5.0,
    idempotency="note:{order_id}:{workflow_id}",
    approval=Approval(approvers="caller"),
)
async def note(order_id: Annotated[int, Field(ge=1, le=99)]) -> int:
    """Write a note to an order."""
    return order_id


async def test_whoever_asked_is_shown_that_it_is_theirs_and_nobody_else_may(shop: Shop) -> None:
    maya, omar = await shop.token("u-maya", "support"), await shop.token("u-omar", "billing_admin")
    async with Gateway(
        [note], store=f"sqlite:///{shop.database}", clock=shop.clock, housekeeping=None
    ) as gateway:
        held = await gateway.call("note", {"order_id": 7}, caller=MAYA, workflow="w", agent="assistant")
        assert isinstance(held, PendingApproval)
        mine = await shop("approvals", "list", "--mine", token=maya)
        other = await shop("approvals", "approve", held.approval_id, "--reason", "fine", token=omar)
        done = await shop("approvals", "approve", held.approval_id, "--reason", "it is mine", token=maya)
        await gateway.sweep()
        answer: Outcome[int] = await gateway.wait_for(held, caller=MAYA)

    assert held.approval_id in mine.out
    assert other.code == 1
    assert "only whoever asked for a call may confirm it" in other.err
    assert "u-maya asked for it, and has to confirm it; nobody else may" in " ".join(done.out.split())
    assert done.code == 0
    assert isinstance(answer, Succeeded)
