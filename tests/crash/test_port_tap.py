"""The tap that names every step: what the crash tests stand on."""

from __future__ import annotations

import pytest

from toolgate import Caller, Gateway, Succeeded, tool
from toolgate.adapters.ids import UlidIds
from toolgate.adapters.keys import Keyring
from toolgate.adapters.stores.memory import MemoryStore
from toolgate.testing import CrashPoint, FakeClock, PortTap

pytestmark = pytest.mark.req("X1.12")


@tool(effect="write", roles="anyone", idempotency="note:{text}")
async def note(text: str) -> str:
    """Keep a note."""
    return text


async def run(tap: PortTap) -> object:
    clock = tap.clock(FakeClock())
    ids = tap.ids(UlidIds())
    store = tap.store(MemoryStore(boot_id=ids.new("boot"), now=clock.now))
    gateway = Gateway(
        [note], store=store, keys=tap.keys(Keyring.ephemeral()), ids=ids, clock=clock, housekeeping=None
    )
    gateway.world.runner = tap.runner(gateway.world.runner)
    async with gateway:
        return await gateway.call(note, {"text": "hello"}, caller=Caller("maya"))


async def test_every_step_through_a_port_is_a_point_before_and_a_point_after_in_the_order_of_the_pipeline() -> (
    None
):
    points: list[CrashPoint] = []
    assert isinstance(await run(PortTap(points.append)), Succeeded)
    names = [str(point) for point in points]
    told = ["after store.execute(Intend) #1", "before runner.run #1", "after runner.run #1"]
    told += ["before store.execute(Settle) #1", "after store.execute(Settle) #1"]
    assert [name for name in names if name in told] == told
    assert [point.number for point in points] == list(range(1, len(points) + 1))
    before = sorted((point.step, point.occurrence) for point in points if point.when == "before")
    assert before == sorted((point.step, point.occurrence) for point in points if point.when == "after")


async def test_a_point_has_the_same_name_in_every_run() -> None:
    first: list[CrashPoint] = []
    second: list[CrashPoint] = []
    await run(PortTap(first.append))
    await run(PortTap(second.append))
    assert {str(point) for point in first} == {str(point) for point in second}


def test_a_mark_of_the_test_itself_is_a_point_and_the_hook_may_raise() -> None:
    def hook(point: CrashPoint) -> None:
        if str(point) == "at the till #2":
            raise InterruptedError

    tap = PortTap(hook)
    tap.mark("the till")
    with pytest.raises(InterruptedError):
        tap.mark("the till")
