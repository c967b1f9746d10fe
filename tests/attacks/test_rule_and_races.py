"""An editor and a voter who work together against the application's own rule on who may decide."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.machines.stage import sweep
from tests.small_gate import ANA, opened
from toolgate import Approval, Caller, Denied, Gateway, PendingApproval, tool
from toolgate.domain.principal import Declined, in_person
from toolgate.operations.decide_approval import decide_approval
from toolgate.operations.edit_approval import edit_approval
from toolgate.operations.review import Review
from toolgate.operations.review_approval import review_approval

LEA, MAX = (in_person(Caller(name, {"lead"}, "acme")) for name in ("lea", "max"))


@pytest.mark.req("M12.21", "X2.2")
async def test_a_vote_never_counts_for_a_revision_that_the_rule_was_not_asked_about(tmp_path: Path) -> None:
    ran: list[int] = []
    asked: list[Any] = []
    gateways: list[Gateway] = []

    @tool(
        effect="write",
        roles={"support"},
        idempotency="pay:{workflow_id}",
        approval=Approval(approvers={"lead"}),
    )
    async def pay(cents: int) -> int:
        """Pay an amount back."""
        ran.append(cents)
        return cents

    async def edit(cents: int) -> Review:
        now = await looked()
        done = await gateways[0].operate_near_tools(
            edit_approval,
            held.approval_id,
            {"cents": cents},
            by=LEA,
            reason="as agreed",
            digest=now.row.digest,
        )
        assert isinstance(done, Review)
        return done

    async def looked() -> Review:
        found = await gateways[0].operate(review_approval, held.approval_id, by=LEA)
        assert isinstance(found, Review)
        return found

    def rule(person: Caller, facts: Mapping[str, Any]) -> bool | Denied:
        if facts["action"] == "edit":
            return True
        asked.append(facts["arguments"]["cents"])
        # While the rule judges the small amount, the other of the two puts the large one back.
        asyncio.run(edit(999_999))
        return facts["arguments"]["cents"] <= 10 or Denied("too much")

    async with opened([pay], tmp_path, may_decide=rule) as gateway:
        gateways.append(gateway)
        outcome = await gateway.call(pay, {"cents": 999_999}, caller=ANA, workflow="wf")
        assert isinstance(outcome, PendingApproval)
        held = outcome
        large = (await looked()).row.digest
        await edit(10)
        answer = await gateway.operate(
            decide_approval, held.approval_id, "approve", by=MAX, reason="fine", digest=large
        )
        await sweep(gateway)

    assert isinstance(answer, Declined)
    assert ran == []
