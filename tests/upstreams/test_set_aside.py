"""A tool that is not the one that was reviewed runs nothing, whatever stage a call of it is in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from toolgate import Approval, Caller, Gateway, PendingApproval, Refused, Succeeded, tool
from toolgate.testing import FakeClock, FakeUpstreams

pytestmark = pytest.mark.req("X3.5")

ANN = Caller("ann", roles={"support"}, tenant="acme")
LEA = Caller("lea", roles={"lead"}, tenant="acme")
WHY = "its description differs from what was reviewed"


class Shop:
    """Two tools of an upstream, and what they did."""

    def __init__(self) -> None:
        self.done: list[int] = []

        @tool(effect="write", roles={"support"}, idempotency="pay:{order}")
        async def shop_pay(order: int) -> str:
            """Pay."""
            self.done.append(order)
            return "paid"

        @tool(
            effect="write",
            roles={"support"},
            idempotency="buy:{order}",
            approval=Approval(approvers={"lead"}, expires_in="24h"),
        )
        async def shop_buy(order: int) -> str:
            """Buy."""
            self.done.append(order)
            return "bought"

        self.upstreams = FakeUpstreams([shop_pay, shop_buy])


@pytest.fixture
def shop() -> Shop:
    return Shop()


@asynccontextmanager
async def opened(shop: Shop) -> AsyncIterator[Gateway]:
    with pytest.warns(UserWarning, match="memory store"):
        gateway = Gateway([], upstreams=shop.upstreams, housekeeping=None, clock=FakeClock())
    async with gateway:
        yield gateway


async def ask(gateway: Gateway, name: str) -> Any:
    return await gateway.call(name, {"order": 1}, caller=ANN, workflow="wf")


async def test_a_changed_tool_is_refused_and_another_of_the_same_upstream_runs(shop: Shop) -> None:
    async with opened(shop) as gateway:
        shop.upstreams.changed["shop_buy"] = WHY
        refused, held_back = await ask(gateway, "shop_buy"), await ask(gateway, "shop_pay")

    assert isinstance(refused, Refused)
    assert (refused.error_type, refused.effect, refused.advice) == ("tool_quarantined", "none", "ask_human")
    assert refused.reasons == (WHY,)
    assert isinstance(held_back, Succeeded)
    assert shop.done == [1]


async def test_what_was_done_before_the_change_may_still_be_told(shop: Shop) -> None:
    async with opened(shop) as gateway:
        await ask(gateway, "shop_pay")
        shop.upstreams.changed["shop_pay"] = WHY
        again = await ask(gateway, "shop_pay")

    assert isinstance(again, Succeeded)
    assert again.replayed
    assert shop.done == [1]


async def test_what_people_approved_waits_until_the_change_was_read(shop: Shop) -> None:
    async with opened(shop) as gateway:
        held = await ask(gateway, "shop_buy")
        assert isinstance(held, PendingApproval)
        shop.upstreams.changed["shop_buy"] = WHY
        await gateway.approve(held.approval_id, by=LEA, reason="due")
        await gateway.sweep()
        while gateway.world.flights:
            await gateway.get_call(held.call_id, caller=ANN)
        waiting = await gateway.get_call(held.call_id, caller=ANN)
        done_meanwhile = list(shop.done)

        shop.upstreams.changed.clear()
        await gateway.sweep()
        outcome = await gateway.wait_for(waiting, caller=ANN, timeout=30)

    assert isinstance(waiting, PendingApproval)
    assert done_meanwhile == []
    assert isinstance(outcome, Succeeded)
    assert shop.done == [1]


async def test_upstreams_open_and_close_with_the_gateway(shop: Shop) -> None:
    async with opened(shop):
        assert shop.upstreams.is_open
    assert not shop.upstreams.is_open
