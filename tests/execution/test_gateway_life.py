"""Opening, using and closing a gateway, with a loop and without; closing leaves nothing in silence."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from tests.execution.stage import ANN, Halt, Ledger, drive, row, stage, trail, until
from toolgate import Caller, Gateway, Succeeded, ToolContext, Unknown, UsageError, tool
from toolgate.testing import FakeClock


@tool(effect="read", roles={"support"})
async def whoami(context: ToolContext[Any]) -> dict[str, str | None]:
    """Tell what the tool is told."""
    return {
        "workflow": context.workflow_id,
        "caller": context.caller.id,
        "tenant": context.tenant,
        "agent": context.agent,
        "model": context.model,
        "request": context.request_id,
    }


@pytest.mark.req("M5.8")
def test_a_program_without_a_loop_calls_in_the_plain_way(clock: FakeClock) -> None:
    with stage(whoami, clock=clock) as gateway:
        outcome = gateway.call_sync(whoami, {}, caller=ANN, workflow="w1")
        flow = gateway.workflow("w2", caller=ANN, agent="clerk")
        second = flow.call_sync(whoami, {})

    assert outcome.unwrap()["workflow"] == "w1"
    assert second.unwrap()["agent"] == "clerk"


@pytest.mark.req("M5.8")
async def test_the_wrong_door_inside_a_loop_says_which_is_right(clock: FakeClock) -> None:
    gateway = stage(whoami, clock=clock)
    with pytest.raises(UsageError, match="async with Gateway"):
        gateway.__enter__()
    async with gateway:
        with pytest.raises(UsageError, match=r"await call\(\.\.\.\)"):
            gateway.call_sync(whoami, {}, caller=ANN)


@pytest.mark.req("M5.8")
async def test_a_gateway_that_is_not_open_says_so(clock: FakeClock) -> None:
    gateway = stage(whoami, clock=clock)
    with pytest.raises(UsageError, match="not open"):
        await gateway.call(whoami, {}, caller=ANN)
    async with gateway:
        with pytest.raises(UsageError, match="open already"):
            async with gateway:
                pass
    with pytest.raises(UsageError, match="not open"):
        await gateway.call(whoami, {}, caller=ANN)


@pytest.mark.req("M5.8")
async def test_calls_from_several_loops_at_once_come_home_to_their_own(clock: FakeClock) -> None:
    async with stage(whoami, clock=clock) as gateway:

        def elsewhere(name: str) -> list[Any]:
            async def work() -> list[Any]:
                caller = Caller(name, roles={"support"})
                return list(
                    await asyncio.gather(*(gateway.call(whoami, {}, caller=caller) for _ in range(20)))
                )

            found: list[Any] = asyncio.run(work())
            return found

        found = await asyncio.gather(*(asyncio.to_thread(elsewhere, f"c{n}") for n in range(5)))

    for number, outcomes in enumerate(found):
        assert {outcome.unwrap()["caller"] for outcome in outcomes} == {f"c{number}"}


@pytest.mark.req("M5.9")
async def test_a_workflow_carries_what_it_is_to_each_of_its_calls(clock: FakeClock) -> None:
    async with stage(whoami, clock=clock) as gateway:
        flow = gateway.workflow("req_123", caller=ANN, agent="support_assistant", model="m-1")
        outcomes = [await flow.call(whoami, {}, request_id=f"r{number}") for number in range(2)]
        events = await trail(gateway)

    for number, outcome in enumerate(outcomes):
        assert outcome.unwrap() == {
            "workflow": "req_123",
            "caller": "ann",
            "tenant": "acme",
            "agent": "support_assistant",
            "model": "m-1",
            "request": f"r{number}",
        }
    assert {
        (
            event["toolgate.workflow.id"],
            event["user.id"],
            event["gen_ai.agent.name"],
            event["gen_ai.request.model"],
        )
        for event in events
    } == {("req_123", "ann", "support_assistant", "m-1")}


@pytest.mark.req("M5.9")
async def test_a_workflow_without_an_id_gets_a_fresh_one(clock: FakeClock) -> None:
    async with stage(whoami, clock=clock) as gateway:
        first, second = gateway.workflow(caller=ANN), gateway.workflow(caller=ANN)
        outcome = await first.call(whoami, {})

    assert first.id != second.id
    assert outcome.unwrap()["workflow"] == first.id


def paying(halt: Halt, *, how: str = "here") -> Any:
    @tool(effect="write", roles={"support"}, timeout=5, idempotency="pay:{order}")
    async def pay(order: int) -> str:
        """Pay."""
        stop = getattr(halt, how)()
        if stop is not None:
            await stop
        return "paid"

    return pay


@pytest.mark.req("M5.10")
async def test_closing_waits_for_the_calls_on_their_way(clock: FakeClock) -> None:
    halt, store = Halt(), Ledger(clock)
    gateway = await stage(paying(halt), clock=clock, store=store).__aenter__()
    call = asyncio.create_task(gateway.call("pay", {"order": 1}, caller=ANN))
    await halt.reached()
    closing = asyncio.create_task(gateway.__aexit__(None, None, None))
    with pytest.raises(UsageError):
        await until_closing(gateway)
    halt.go_on.set()
    outcome = await call
    await closing

    assert outcome.unwrap() == "paid"
    assert (await row(gateway, outcome.call_id)).effect_state == "applied"


async def until_closing(gateway: Gateway) -> None:
    """New calls are taken until it closes, and then refused in words."""
    async with asyncio.timeout(10):
        while True:
            await gateway.get_call("call_none", caller=ANN)
            await asyncio.sleep(0.005)


@pytest.mark.req("M5.10", "M10.3")
@pytest.mark.parametrize("how", ["here", "stubbornly", "block"])
async def test_closing_answers_what_does_not_end_at_its_deadline(how: str, clock: FakeClock) -> None:
    halt, store = Halt(), Ledger(clock)
    gateway = await stage(paying(halt, how=how), clock=clock, store=store).__aenter__()
    call = asyncio.create_task(gateway.call("pay", {"order": 1}, caller=ANN))
    await halt.reached()
    closing = asyncio.create_task(gateway.__aexit__(None, None, None))
    clock.advance(5.1)
    outcome = await call
    await drive(closing, clock)

    assert isinstance(outcome, Unknown)
    assert (await row(gateway, outcome.call_id)).effect_state == "unknown"
    halt.go_on.set()


@pytest.mark.req("M5.10")
async def test_what_was_cut_off_by_closing_is_known_to_be_over_by_the_next_gateway(clock: FakeClock) -> None:
    halt, store = Halt(), Ledger(clock)

    @tool(effect="write", roles={"support"}, timeout=5, idempotency="pay:{order}")
    async def pay(order: int) -> str:
        """Ignore the first cancellation only, as a clean-up may."""
        halt.entered.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(3600)
        return "paid"

    gateway = await stage(pay, clock=clock, store=store).__aenter__()
    call = asyncio.create_task(gateway.call("pay", {"order": 1}, caller=ANN))
    await halt.reached()
    clock.advance(5.1)
    outcome = await call
    await gateway.__aexit__(None, None, None)

    kept = await row(gateway, outcome.call_id)
    assert isinstance(outcome, Unknown)
    assert kept.effect_state == "unknown"
    assert kept.lease_until <= clock.now()


@pytest.mark.req("M5.10")
async def test_a_closed_gateway_leaves_no_thread_behind(clock: FakeClock) -> None:
    @tool(effect="read", roles={"support"})
    def look() -> str:
        """Look from a thread."""
        return threading.current_thread().name

    before = set(threading.enumerate())
    async with Gateway([look, whoami], store=Ledger(clock), clock=clock) as gateway:
        assert isinstance(await gateway.call(look, {}, caller=ANN), Succeeded)
        assert isinstance(await gateway.call(whoami, {}, caller=ANN), Succeeded)

    def ours() -> list[str]:
        return [
            thread.name
            for thread in set(threading.enumerate()) - before
            if thread.name.startswith("toolgate")
        ]

    await until(lambda: not ours())


@pytest.mark.req("M5.10")
async def test_a_gateway_can_be_opened_again(clock: FakeClock) -> None:
    gateway = stage(whoami, clock=clock)
    for _ in range(2):
        async with gateway:
            assert isinstance(await gateway.call(whoami, {}, caller=ANN), Succeeded)
