"""A service that refuses by its own rules, before any effect: not applied, with its own code, and free to try again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.small_gate import ANA, opened, trail
from toolgate import Advice, BusinessRule, ErrorType, Failed, ToolError, WorldEffect, tool
from toolgate.domain.lifecycle import EffectState
from toolgate.domain.rows import ByCall

pytestmark = pytest.mark.req("M3.3", "M10.5")


class AlreadyRefunded(BusinessRule):
    """The order was refunded long ago."""

    code = "already_refunded"


@pytest.mark.parametrize("effect", ["read", "write", "destructive"])
async def test_a_business_rule_settles_the_call_as_not_applied_with_its_own_code(
    tmp_path: Path, effect: Any
) -> None:
    @tool(effect=effect, roles={"support"}, raises={AlreadyRefunded})
    async def refund(order_id: int) -> int:
        """Refund an order."""
        raise AlreadyRefunded(f"order {order_id} was refunded on 2026-01-02")

    async with opened([refund], tmp_path) as gateway:
        outcome = await gateway.call(refund, {"order_id": 5}, caller=ANA)
        row = (await gateway.store.find(ByCall(outcome.call_id))).call
        records = await trail(gateway, outcome.call_id)
    assert isinstance(outcome, Failed)
    assert (outcome.error_type, outcome.code) == (ErrorType.TOOL_ERROR, "already_refunded")
    assert (outcome.effect, outcome.advice) == (WorldEffect.NONE, Advice.STOP)
    assert outcome.message == "order 5 was refunded on 2026-01-02"
    assert row is not None
    assert row.effect_state is (None if effect == "read" else EffectState.NOT_APPLIED)
    assert records[-1]["toolgate.effect"] == "none"
    assert records[-1]["error.type"] == "tool_error"


@pytest.mark.req("M9.9")
async def test_what_a_rule_refused_may_be_asked_again_under_the_same_key(tmp_path: Path) -> None:
    closed = [True]

    @tool(effect="write", roles={"support"}, idempotency="refund:{order_id}")
    async def refund(order_id: int) -> int:
        """Refund an order."""
        if closed.pop() if closed else False:
            raise AlreadyRefunded
        return order_id

    async with opened([refund], tmp_path) as gateway:
        refused = await gateway.call(refund, {"order_id": 5}, caller=ANA)
        assert isinstance(refused, Failed)
        assert refused.message == "The order was refunded long ago."
        outcome = await gateway.call(refund, {"order_id": 5}, caller=ANA)
        assert outcome.unwrap() == 5
        assert not outcome.replayed


async def test_an_error_that_promises_nothing_about_its_effect_is_believed_to_have_had_one(
    tmp_path: Path,
) -> None:
    class Broken(ToolError):
        code = "broken"

    @tool(effect="write", roles={"support"}, idempotency="refund:{order_id}", raises={Broken})
    async def refund(order_id: int) -> int:
        """Refund an order."""
        raise Broken("halfway")

    async with opened([refund], tmp_path) as gateway:
        outcome = await gateway.call(refund, {"order_id": 5}, caller=ANA)
    assert outcome.effect is WorldEffect.UNKNOWN
