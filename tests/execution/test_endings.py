"""How a run ends is what is said about it: no success that did not happen, no failure that may have worked."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Literal

import pytest
from pydantic import BaseModel, field_serializer

from tests.execution.stage import ANN, Ledger, flights_over, row, stage, trail
from toolgate import Advice, BusinessRule, Failed, Succeeded, ToolError, TransientError, Unknown, tool
from toolgate.testing import FakeClock


class CardDeclined(ToolError):
    """The card was declined."""

    code = "card_declined"
    effect = "none"


def acting(effect: Any, error: Any, **more: Any) -> Any:
    key: dict[str, Any] = {} if effect == "read" else {"idempotency": "act:{number}"}

    @tool(effect=effect, roles={"support"}, timeout=5, **key, **more)
    async def act(number: int) -> str:
        """Act."""
        raise error

    return act


@pytest.mark.req("M10.5")
@pytest.mark.parametrize("effect", ["read", "write"])
async def test_a_declared_error_keeps_its_code_its_words_and_its_effect(
    effect: Any, clock: FakeClock
) -> None:
    act = acting(effect, CardDeclined("Declined by the bank."), raises={CardDeclined})
    async with stage(act, clock=clock) as gateway:
        outcome = await gateway.call(act, {"number": 1}, caller=ANN)

    assert isinstance(outcome, Failed)
    assert (outcome.error_type, outcome.code, outcome.effect) == ("tool_error", "card_declined", "none")
    assert outcome.to_model()["message"] == "Declined by the bank."


@pytest.mark.req("M10.5")
async def test_a_declared_error_that_says_it_was_applied_finishes_its_key(clock: FakeClock) -> None:
    act = acting("write", ToolError("Paid, but no receipt.", effect="applied", code="no_receipt"))
    async with stage(act, clock=clock) as gateway:
        outcome = await gateway.call(act, {"number": 1}, caller=ANN)
        again = await gateway.call(act, {"number": 1}, caller=ANN)
        kept = await row(gateway, outcome.call_id)

    assert isinstance(outcome, Failed)
    assert (outcome.effect, outcome.code) == ("applied", "no_receipt")
    assert isinstance(again, Failed)
    assert (again.replayed, again.effect, again.code) == (True, "applied", "no_receipt")
    assert kept.effect_state == "applied"


@pytest.mark.req("M10.6")
async def test_an_undeclared_exception_of_a_write_is_unknown(clock: FakeClock) -> None:
    act = acting("write", KeyError("sk_live_4242424242424242"))
    async with stage(act, clock=clock) as gateway:
        outcome = await gateway.call(act, {"number": 1}, caller=ANN)
        events = await trail(gateway)

    assert isinstance(outcome, Unknown)
    assert outcome.advice is Advice.ASK_HUMAN
    assert "4242" not in json.dumps(events) + str(outcome)


@pytest.mark.req("M10.7")
async def test_an_undeclared_exception_of_a_read_asks_for_a_person(clock: FakeClock) -> None:
    act = acting("read", KeyError("sk_live_4242424242424242"))
    async with stage(act, clock=clock) as gateway:
        outcome = await gateway.call(act, {"number": 1}, caller=ANN)
        events = await trail(gateway)

    assert isinstance(outcome, Failed)
    assert (outcome.error_type, outcome.effect, outcome.advice) == ("internal_error", "none", "ask_human")
    assert "4242" not in json.dumps(events) + str(outcome)


@pytest.mark.req("M10.3")
@pytest.mark.parametrize("error", [ConnectionResetError, TimeoutError, BrokenPipeError])
async def test_a_write_that_lost_its_connection_after_dispatch_is_unknown(
    error: Any, clock: FakeClock
) -> None:
    act = acting("write", error)
    async with stage(act, clock=clock) as gateway:
        outcome = await gateway.call(act, {"number": 1}, caller=ANN)

    assert isinstance(outcome, Unknown)


class Receipt(BaseModel):
    number: int


class Broken(BaseModel):
    number: int

    @field_serializer("number")
    def shown(self, number: int) -> int:
        raise LookupError("sk_live_4242424242424242")


def endless() -> list[Any]:
    inner: list[Any] = []
    inner.append(inner)
    return inner


def deep() -> list[Any]:
    inner: list[Any] = []
    for _ in range(5000):
        inner = [inner]
    return inner


BAD_RESULTS: dict[str, tuple[Any, Any]] = {
    "another type": (int, "three"),
    "no such model": (Receipt, {"number": "one"}),
    "a serialiser that raises": (Broken, Broken(number=1)),
    "nan": (float, float("nan")),
    "an object": (Any, object()),
    "a circle": (Any, endless()),
    "too deep": (Any, deep()),
    "a lone surrogate": (str, "\ud800"),
    "an integer beyond JSON": (int, 2**60),
    "one of a choice": (Literal["a", "b"], "c"),
}


@pytest.mark.req("M10.8", "M10.9")
@pytest.mark.parametrize("bad", BAD_RESULTS)
@pytest.mark.parametrize("effect", ["read", "write"])
async def test_an_invalid_result_is_withheld_and_after_a_write_it_was_applied_all_the_same(
    effect: Any, bad: str, clock: FakeClock
) -> None:
    returns, value = BAD_RESULTS[bad]
    key = {} if effect == "read" else {"idempotency": "act:{number}"}
    runs = []

    async def act(number: int) -> Any:
        """Act."""
        runs.append(number)
        return value

    act.__annotations__["return"] = returns
    made = tool(effect=effect, roles={"support"}, timeout=5, **key)(act)  # type: ignore[arg-type]
    async with stage(made, clock=clock) as gateway:
        outcome = await gateway.call("act", {"number": 1}, caller=ANN)
        again = await gateway.call("act", {"number": 1}, caller=ANN)

    assert isinstance(outcome, Failed)
    assert outcome.error_type == "invalid_result"
    assert outcome.effect == ("none" if effect == "read" else "applied")
    assert "result" not in outcome.to_model()
    assert "4242" not in str(outcome)
    # A write's key is finished: asking again runs nothing. A read runs anew.
    assert len(runs) == (2 if effect == "read" else 1)
    assert isinstance(again, Failed)
    assert again.replayed is (effect == "write")


@pytest.mark.req("M10.14")
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (None, ("succeeded", "applied")),
        (CardDeclined("No."), ("failed", "none")),
        (ValueError("x"), ("unknown", "unknown")),
    ],
    ids=["returned", "declared none", "undeclared"],
)
async def test_a_write_whose_outcome_cannot_be_recorded_is_never_reported_as_done(
    error: Exception | None, expected: tuple[str, str], clock: FakeClock
) -> None:
    store, runs = Ledger(clock), []

    @tool(effect="write", roles={"support"}, timeout=5, idempotency="act:{number}")
    async def act(number: int) -> str:
        """Act."""
        runs.append(number)
        if error is not None:
            raise error
        return "done"

    async with stage(act, clock=clock, store=store) as gateway:
        store.failing |= {"Settle", "LateEvidence"}
        outcome = await gateway.call(act, {"number": 1}, caller=ANN)
        assert isinstance(outcome, Unknown)
        store.failing.clear()
        # What was known is written as soon as that works, and then the ledger tells it.
        await gateway.sweep()
        known = await gateway.get_call(outcome.call_id, caller=ANN)

    assert runs == [1]
    assert (known.status, known.effect) == expected


@pytest.mark.req("M10.14")
async def test_a_read_whose_trail_cannot_be_written_is_withheld(clock: FakeClock) -> None:
    store = Ledger(clock)

    @tool(effect="read", roles={"support"}, timeout=5)
    async def look() -> str:
        """Look."""
        return "the secret of the house"

    async with stage(look, clock=clock, store=store) as gateway:
        store.failing.add("Record")
        outcome = await gateway.call(look, {}, caller=ANN)

    assert outcome.to_model()["error_type"] == "audit_unavailable"
    assert "secret" not in str(outcome)


@pytest.mark.req("M10.5")
async def test_a_business_rule_is_final_and_a_transient_failure_is_not(clock: FakeClock) -> None:
    rule, busy = acting("write", BusinessRule("Not on a Sunday.", code="sunday")), TransientError("Busy.")
    async with stage(rule, clock=clock) as gateway:
        outcome = await gateway.call(rule, {"number": 1}, caller=ANN)
    async with stage(acting("write", busy), clock=clock) as gateway:
        other = await gateway.call("act", {"number": 1}, caller=ANN)

    assert (outcome.advice, outcome.effect) == (Advice.STOP, "none")
    assert (other.advice, other.effect) == (Advice.RETRY, "none")


@pytest.mark.req("M10.15", "M5.10")
async def test_a_caller_who_stops_waiting_does_not_stop_the_bookkeeping(clock: FakeClock) -> None:
    entered, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    @tool(effect="write", roles={"support"}, timeout=5, idempotency="act:{number}")
    async def act(number: int) -> str:
        """Act."""
        loop.call_soon_threadsafe(entered.set)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(go_on.wait(), loop))
        return "done"

    async with stage(act, clock=clock) as gateway:
        call = asyncio.create_task(gateway.call(act, {"number": 1}, caller=ANN))
        await entered.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        go_on.set()
        await flights_over(gateway)
        again = await gateway.call(act, {"number": 1}, caller=ANN)

    assert isinstance(again, Succeeded)
    assert again.replayed
    assert again.result == "done"
