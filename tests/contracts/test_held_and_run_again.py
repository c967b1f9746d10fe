"""Whatever shape an argument has, a call that waited for a person runs with exactly what was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tests.contracts import models
from tests.contracts.test_schema_and_validator_agree import SAMPLES
from tests.small_gate import ANA, opened
from toolgate import Approval, Caller, PendingApproval, tool
from toolgate.adapters.clock import SystemClock

BOSS = Caller("u-boss", {"boss"}, "acme")


@pytest.mark.req("X2.2", "M2.18", "M3.2")
@pytest.mark.parametrize("model", models.ALL)
async def test_a_held_call_of_any_shape_runs_with_what_was_asked_for(
    tmp_path: Path, model: type[BaseModel]
) -> None:
    ran: list[Any] = []

    def act(args: Any) -> None:
        """Do."""
        ran.append(args)

    act.__annotations__["args"] = model
    held = tool(effect="write", roles={"support"}, approval=Approval(approvers={"boss"}))(act)
    async with opened([held], tmp_path, clock=SystemClock()) as gateway:
        flow = gateway.workflow("w", caller=ANA)
        outcome = await flow.call(held, SAMPLES[model.__name__])
        assert isinstance(outcome, PendingApproval)
        assert ran == []
        await gateway.approve(outcome.approval_id, by=BOSS, reason="fine")
        await gateway.sweep()
        assert (await flow.wait(outcome, timeout=20)).ok
    assert ran == [model.model_validate(SAMPLES[model.__name__])]
