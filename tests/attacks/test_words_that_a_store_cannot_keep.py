"""A NUL character in words that people, models and authors give closes no store and leaves no effect in doubt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.jobs.works import ANA, LEE, Works, job_of
from tests.machines.stage import EVERY_KIND, Stage, approve, landed
from tests.people import decide_approval
from toolgate import Approval, Denied, PendingApproval, Started, Succeeded, ToolContext, tool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NUL = "as\0agreed"


@pytest.fixture(params=EVERY_KIND)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """An empty ledger of each kind."""
    made = Stage(kind=request.param, folder=tmp_path)
    yield made
    made.leave()


@pytest.mark.req("M7.11")
async def test_a_model_ends_a_job_for_a_reason_with_a_nul(stage: Stage) -> None:
    async with stage.gateway(Works().pay()) as gateway:
        asked = await gateway.workflow("w", caller=ANA).call("pay", {"order": 1}, delay=60)
        assert isinstance(asked, Started)
        ended = await gateway.call("cancel_job", {"job_id": asked.job_id, "reason": NUL}, caller=ANA)

        assert isinstance(ended, Succeeded)
        view = await job_of(gateway, asked)
        assert (view.state, view.row.cancel_reason) == ("cancelled", "as?agreed")


@pytest.mark.req("M3.9")
async def test_a_decision_for_a_reason_with_a_nul_is_kept(stage: Stage) -> None:
    @tool(effect="write", roles={"support"}, approval=Approval(approvers={"lead"}))
    async def ship() -> None:
        """Ship an order."""

    async with stage.gateway(ship) as gateway:
        held = await gateway.call(ship, {}, caller=ANA)
        assert isinstance(held, PendingApproval)
        row = await decide_approval(gateway, held.approval_id, "deny", voter=LEE, reason=NUL)

        assert not isinstance(row, str)
        assert row.reason == "as?agreed"


@pytest.mark.req("M3.9")
async def test_arguments_with_a_nul_in_a_refusal_do_not_stop_housekeeping(stage: Stage) -> None:
    rights = {"may": True}

    async def authorize(_: ToolContext[Any], args: Any) -> bool | Denied:
        return rights["may"] or Denied(f"nobody may ship {args.order}")

    @tool(effect="write", roles={"support"}, authorize=authorize, approval=Approval(approvers={"lead"}))
    async def ship(order: str) -> None:
        """Ship an order."""

    async with stage.gateway(ship) as gateway:
        held = await gateway.call(ship, {"order": NUL}, caller=ANA)
        assert isinstance(held, PendingApproval)
        await approve(gateway, held.approval_id, LEE)
        rights["may"] = False
        await gateway.sweep()
        await landed(gateway)
        await gateway.sweep()

        ended = await gateway.get_call(held.call_id, caller=ANA)
        assert (ended.status, getattr(ended, "error_type", None)) == ("refused", "permission_denied")
