"""A result is bounded: what is cut says so, and what is far beyond the bound is none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.execution.stage import ANN, stage
from toolgate import Failed, Limits, Succeeded, tool
from toolgate.domain.bounding import bounded
from toolgate.testing import FakeClock

pytestmark = pytest.mark.req("M6.7")


@tool(effect="read", roles={"support"}, result_size=1000)
async def letters(count: int) -> str:
    """So many letters."""
    return "x" * count


@tool(effect="read", roles={"support"}, result_size=1000)
async def numbers(count: int) -> dict[str, list[int]]:
    """So many numbers."""
    return {"numbers": list(range(count))}


async def test_a_result_within_its_bound_is_shown_whole(clock: FakeClock) -> None:
    async with stage(letters, clock=clock) as gateway:
        outcome = await gateway.call(letters, {"count": 900}, caller=ANN)

    assert outcome.to_model()["result"] == "x" * 900
    assert "truncated" not in outcome.to_model()


async def test_a_cut_result_may_hold_numbers_that_others_read_as_too_great_integers(clock: FakeClock) -> None:
    @tool(effect="write", roles={"support"}, result_size=200, idempotency="weigh:{id}")
    async def weigh(id: int) -> list[float]:
        """Weigh."""
        return [2.0**53, 1e17, -(2.0**60), *([1.5] * 300)]

    async with stage(weigh, clock=clock) as gateway:
        outcome = await gateway.call(weigh, {"id": 1}, caller=ANN, workflow="req_1")
        again = await gateway.call(weigh, {"id": 1}, caller=ANN, workflow="req_1")

    assert (outcome.status, outcome.effect) == ("succeeded", "applied")
    assert again.replayed
    assert outcome.to_model()["result"] == again.to_model()["result"]
    assert outcome.to_model()["truncated"] is True


async def test_a_result_too_deep_to_be_cut_is_withheld_and_what_it_did_is_known(clock: FakeClock) -> None:
    @tool(effect="write", roles={"support"}, result_size=400, idempotency="dig:{id}")
    async def dig(id: int) -> Any:
        """Dig."""
        deep: list[Any] = []
        for _ in range(3000):
            deep = [deep]
        return deep

    async with stage(dig, clock=clock) as gateway:
        outcome = await gateway.call(dig, {"id": 1}, caller=ANN)

    assert isinstance(outcome, Failed)
    assert (outcome.error_type, outcome.effect) == ("invalid_result", "applied")


@pytest.mark.parametrize("made", [letters, numbers], ids=lambda made: made.name)
async def test_a_cut_result_says_that_it_was_cut_and_the_application_has_it_whole(
    made: Any, clock: FakeClock
) -> None:
    async with stage(made, clock=clock) as gateway:
        outcome = await gateway.call(made, {"count": 2000}, caller=ANN)

    body = outcome.to_model()
    shown = json.dumps(body["result"], ensure_ascii=False, separators=(",", ":"))
    assert isinstance(outcome, Succeeded)
    assert body["truncated"] is True
    assert "[cut: " in shown
    assert len(shown.encode()) <= 1000
    assert outcome.result == ("x" * 2000 if made is letters else {"numbers": list(range(2000))})


async def test_a_result_far_beyond_its_bound_is_withheld(clock: FakeClock) -> None:
    async with stage(letters, clock=clock) as gateway:
        outcome = await gateway.call(letters, {"count": 16_001}, caller=ANN)

    assert isinstance(outcome, Failed)
    assert outcome.error_type == "invalid_result"


async def test_the_gateway_bounds_what_a_contract_leaves_open(clock: FakeClock) -> None:
    @tool(effect="read", roles={"support"})
    async def look() -> str:
        """Look."""
        return "x" * 500

    async with stage(look, clock=clock, limits=Limits(result_size=100)) as gateway:
        outcome = await gateway.call(look, {}, caller=ANN)

    assert outcome.to_model()["truncated"] is True


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=400),
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(st.text(max_size=10), inner, max_size=10),
    max_leaves=60,
)


@given(value=_values, limit=st.integers(100, 5000))
def test_whatever_is_cut_fits_its_bound_and_is_marked(value: Any, limit: int) -> None:
    shown, truncated = bounded(value, limit=limit)

    size = len(json.dumps(shown, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
    assert size <= limit
    assert truncated is (shown != value)
    assert not truncated or "[cut: " in json.dumps(shown)
