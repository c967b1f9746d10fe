"""A contract that cannot tell is asked again, but not every second for ever."""

from __future__ import annotations

import asyncio

import pytest

from toolgate import Caller, Gateway, ToolContext, Unknown, tool
from toolgate.operations.recover import LONGEST_PAUSE, reconcile_unknown
from toolgate.testing import FakeClock

asked: list[str] = []


async def cannot_tell(context: ToolContext[None], args: object) -> None:
    asked.append(context.call_id)


@tool(effect="write", roles={"clerk"}, timeout=5, reconcile=cannot_tell)
async def send(context: ToolContext[None], number: int) -> str:
    """Send something whose answer is lost."""
    raise ConnectionError


@pytest.mark.req("X1.5", "X1.11")
@pytest.mark.filterwarnings("ignore:send has effects:UserWarning")
async def test_the_pause_before_asking_again_grows_to_a_bound() -> None:
    clock = FakeClock()
    async with Gateway([send], clock=clock, housekeeping=None) as gateway:
        assert isinstance(await gateway.call(send, {"number": 1}, caller=Caller("u1", {"clerk"})), Unknown)
        while gateway.world.flights:  # it was answered; its task is about to end
            await asyncio.to_thread(lambda: None)
        asked.clear()
        pauses = []
        last = clock.monotonic()
        for _ in range(3 * int(LONGEST_PAUSE)):
            before = len(asked)
            await reconcile_unknown(gateway.world, patient=True)
            if len(asked) > before:
                pauses.append(clock.monotonic() - last)
                last = clock.monotonic()
            clock.advance(1)

    assert pauses[:5] == [0, 1, 2, 4, 8]
    assert max(pauses) <= LONGEST_PAUSE
