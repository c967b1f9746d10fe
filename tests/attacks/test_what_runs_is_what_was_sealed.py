"""Inputs and predicates that try to run on other arguments than those that were shown, keyed and recorded."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, field_validator, model_validator

from tests.machines.stage import sweep
from tests.small_gate import ANA, opened
from toolgate import Approval, Caller, Gateway, PendingApproval, Succeeded, tool
from toolgate.ports import ApprovalFilter

LEAD = Caller("u-lea", roles={"lead"}, tenant="acme")
ASKED = Approval(approvers={"lead"})
ran: list[Any] = []


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


class InCents(BaseModel):
    """Reads euros as cents, each time it reads."""

    cents: int = Field(ge=0, le=10**9)

    @field_validator("cents")
    @classmethod
    def _of_euros(cls, value: int) -> int:
        return value * 100


class Growing(BaseModel):
    """Adds a recipient, each time it reads."""

    to: list[Annotated[str, Field(max_length=20)]] = Field(max_length=9)

    @model_validator(mode="after")
    def _and_me(self) -> Growing:
        self.to.append("eve")
        return self


readings = count()


class Fickle(BaseModel):
    """Reads the same twice, and something else from the third time on."""

    cents: int = Field(ge=0, le=10**9)

    @field_validator("cents")
    @classmethod
    def _later_more(cls, value: int) -> int:
        return value if next(readings) < 2 else 999


@tool(effect="write", roles={"support"}, idempotency="pay:{cents}:{workflow_id}")
async def pay_in_cents(args: InCents) -> int:
    """Pay cents back."""
    ran.append(args.cents)
    return args.cents


@tool(effect="write", roles={"support"}, idempotency="mail:{workflow_id}", approval=ASKED)
async def mail_growing(args: Growing) -> int:
    """Mail a few people."""
    ran.append(args.to)
    return len(args.to)


@tool(effect="write", roles={"support"}, idempotency="pay:{workflow_id}")
async def pay_fickle(args: Fickle) -> int:
    """Pay cents back, once."""
    ran.append(args.cents)
    return args.cents


class Names(BaseModel):
    """Whom to look up."""

    names: list[Annotated[str, Field(max_length=20)]] = Field(max_length=9)


async def adds_one(context: Any, args: Names) -> bool:
    args.names.append("everybody")
    return True


@tool(effect="read", roles={"support"}, authorize=adds_one, approval=ASKED)
async def look_up(args: Names) -> int:
    """Look up a few people."""
    ran.append(args.names)
    return len(args.names)


@pytest.mark.req("X2.2", "M3.2", "M5.2")
@pytest.mark.parametrize(
    ("tried", "arguments"), [(pay_in_cents, {"cents": 5}), (mail_growing, {"to": ["ann"]})]
)
async def test_an_input_that_changes_each_time_it_is_read_runs_nothing_and_asks_nobody(
    tmp_path: Path, tried: Any, arguments: dict[str, Any]
) -> None:
    async with opened([tried], tmp_path) as gateway:
        outcome = await gateway.call(tried, arguments, caller=ANA, workflow="wf")
        waiting = await gateway.store.approvals(ApprovalFilter(open_only=True))

    assert (outcome.status, outcome.effect, outcome.advice) == ("refused", "none", "ask_human")
    assert "idempotent" in str(outcome.to_model()["message"])
    assert (ran, list(waiting)) == ([], [])


@pytest.mark.req("X2.2", "M3.2", "M5.7")
async def test_an_input_that_turns_fickle_after_the_seal_is_not_entered_and_nothing_is_in_doubt(
    tmp_path: Path,
) -> None:
    async with opened([pay_fickle], tmp_path) as gateway:
        outcome = await gateway.call(pay_fickle, {"cents": 5}, caller=ANA, workflow="wf")

    assert (outcome.status, outcome.effect) == ("failed", "none")
    assert ran == []


@pytest.mark.req("X2.2", "M5.2")
async def test_a_predicate_cannot_slip_a_value_into_a_held_read_after_it_was_shown(tmp_path: Path) -> None:
    async with opened([look_up], tmp_path) as gateway:
        outcome = await gateway.call(look_up, {"names": ["ann"]}, caller=ANA, workflow="wf")
        assert isinstance(outcome, PendingApproval)
        await gateway.approve(outcome.approval_id, by=LEAD, reason="fine")
        await sweep(gateway)
        ended = await gateway.get_call(outcome.call_id, caller=ANA)

    assert isinstance(ended, Succeeded)
    assert ran == [["ann"]]


@pytest.mark.req("X2.2", "M6.6")
async def test_a_child_process_does_not_run_on_arguments_that_change_when_it_reads_them(
    tmp_path: Path,
) -> None:
    from tests.attacks import isolated_drift

    async with Gateway([isolated_drift.pay_isolated], store=f"sqlite:///{tmp_path / 'g.db'}") as gateway:
        outcome = await gateway.call("pay_isolated", {"cents": 5}, caller=ANA, workflow="wf")

    assert (outcome.status, outcome.effect) == ("failed", "none")
