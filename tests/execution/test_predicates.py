"""A predicate that does anything but say yes denies, and a gate that fails closes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.execution.stage import ANN, Ledger, stage, trail
from toolgate import Caller, Refused, Succeeded, ToolContext, tool
from toolgate.testing import FakeClock

pytestmark = pytest.mark.req("M4.6")

NONSENSE: dict[str, Any] = {
    "None": None,
    "one": 1,
    "a word": "yes",
    "a full list": [True],
    "no": False,
    "itself": object(),
}


def raising(error: BaseException) -> Any:
    async def authorize(context: ToolContext[Any], args: Any) -> bool:
        raise error

    return authorize


def answering(answer: Any) -> Any:
    def authorize(context: ToolContext[Any], args: Any) -> Any:
        return answer

    return authorize


CASES: dict[str, Any] = {
    **{f"answers {name}": answering(answer) for name, answer in NONSENSE.items()},
    "raises": raising(ValueError("sk_live_4242424242424242")),
    "raises StopIteration": raising(StopAsyncIteration()),
    "quits": raising(SystemExit(0)),
    "interrupts": raising(KeyboardInterrupt()),
    "cancels": raising(asyncio.CancelledError()),
    "takes the wrong parameters": lambda: True,
}


@pytest.mark.parametrize("case", CASES)
async def test_anything_but_a_yes_denies_and_runs_nothing(case: str, clock: FakeClock) -> None:
    ran = []

    @tool(effect="write", roles={"support"}, timeout=5, idempotency="w:{number}", authorize=CASES[case])
    async def work(number: int) -> str:
        """Work."""
        ran.append(number)
        return "done"

    @tool(effect="read", roles={"support"}, timeout=5)
    async def look() -> str:
        """Look."""
        return "seen"

    async with stage(work, look, clock=clock) as gateway:
        outcome = await gateway.call(work, {"number": 1}, caller=ANN)
        after = await gateway.call(look, {}, caller=ANN)
        events = await trail(gateway, outcome.call_id)

    assert isinstance(outcome, Refused)
    assert outcome.error_type == "permission_denied"
    assert ran == []
    assert events[0]["toolgate.decision"] == "deny"
    assert "4242" not in str(outcome) + str(events)
    assert isinstance(after, Succeeded)


@pytest.mark.req("M5.7")
@pytest.mark.parametrize("method", ["find", "spend"])
async def test_a_gate_that_fails_closes_and_leaves_its_trace(
    method: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran, store = [], Ledger(clock)

    @tool(effect="write", roles={"support"}, timeout=5, idempotency="w:{number}", rate_limit="5/minute")
    async def work(number: int) -> str:
        """Work."""
        ran.append(number)
        return "done"

    def broken(*_: Any, **__: Any) -> Any:
        raise LookupError("sk_live_4242424242424242")

    async with stage(work, clock=clock, store=store) as gateway:
        with monkeypatch.context() as fault:
            fault.setattr(store.inner if method == "find" else gateway.world.reservations, method, broken)
            outcome = await gateway.call(work, {"number": 1}, caller=ANN)
        events = await trail(gateway, outcome.call_id)
        after = await gateway.call(work, {"number": 1}, caller=ANN)

    assert outcome.to_model()["error_type"] == "internal_error"
    assert outcome.effect == "none"
    assert ran == [1]
    assert len(events) == 1
    assert "4242" not in str(outcome) + str(events)
    assert isinstance(after, Succeeded)
    assert not after.replayed


@pytest.mark.req("M5.7")
async def test_a_predicate_cannot_be_fooled_by_a_caller_from_the_arguments(clock: FakeClock) -> None:
    async def own(context: ToolContext[Any], args: Any) -> bool:
        return bool(args.owner == context.caller.id)

    @tool(effect="read", roles={"support"}, authorize=own)
    async def look(owner: str) -> str:
        """Look."""
        return owner

    async with stage(look, clock=clock) as gateway:
        mine = await gateway.call(look, {"owner": "ann"}, caller=ANN)
        theirs = await gateway.call(
            look, {"owner": "ann"}, caller=Caller("bob", roles={"support"}, tenant="acme")
        )

    assert isinstance(mine, Succeeded)
    assert isinstance(theirs, Refused)
