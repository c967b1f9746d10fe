"""One reading of durations, rates and sizes, wherever they are written."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolgate import Approval, Breaker, ContractError, Gateway, Rate, Retry, ToolgateError, tool
from toolgate.domain.duration import seconds
from toolgate.domain.limits import size

pytestmark = pytest.mark.req("M1.7")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (5, 5.0),
        (0.25, 0.25),
        ("1.5s", 1.5),
        ("250ms", 0.25),
        ("10m", 600.0),
        ("24h", 86_400.0),
        ("7d", 604_800.0),
        ("PT2S", 2.0),
        ("PT1H30M", 5_400.0),
        ("P1D", 86_400.0),
        ("P1DT1S", 86_401.0),
    ],
)
def test_a_duration_reads_the_same_everywhere(written: Any, meant: float) -> None:
    assert seconds(written, of="x") == meant

    @tool(effect="write", roles="anyone", timeout=written, horizon=written)
    def act() -> None:
        """Do."""

    assert act.contract.timeout == act.contract.horizon == meant
    assert Approval(approvers={"boss"}, expires_in=written).expires_in == meant
    assert Retry(delay=written).delay == meant
    assert Breaker.of(cooldown=written).cooldown == meant


@pytest.mark.parametrize(
    "senseless",
    [
        "",
        "5",
        "soon",
        "-5",
        -1,
        0,
        "0",
        "5 parsecs",
        "P",
        "PT",
        "1h30",
        True,
        None,
        float("nan"),
        float("inf"),
        "nan",
        [5],
    ],
)
def test_a_senseless_duration_is_refused_with_the_key_that_holds_it(senseless: Any) -> None:
    with pytest.raises(ToolgateError, match=re.escape("the_key")):
        seconds(senseless, of="the_key")


@given(st.text(max_size=12))
def test_no_text_is_read_as_a_duration_by_accident(text: str) -> None:
    try:
        value = seconds(text, of="x")
    except ContractError:
        return
    assert value > 0
    assert any(digit.isdigit() and digit.isascii() for digit in text)


def test_a_gateway_reads_its_own_durations_alike() -> None:
    @tool(effect="read", roles="anyone")
    def act() -> None:
        """Do."""

    assert Gateway([act], lease="1m").world.lease_margin == 60.0


@pytest.mark.parametrize(
    ("written", "meant"), [("30/minute", (30, 60.0)), ("5 / s", (5, 1.0)), ("1/day", (1, 86_400.0))]
)
def test_a_rate_is_a_count_in_a_time(written: str, meant: tuple[int, float]) -> None:
    rate = Rate.parse(written)
    assert (rate.count, rate.per) == meant


@pytest.mark.parametrize("senseless", ["", "often", "0/minute", "-1/minute", "5/fortnight", "5"])
def test_a_senseless_rate_is_refused(senseless: str) -> None:
    with pytest.raises(ContractError, match="write for example '30/minute'"):
        Rate.parse(senseless)


@pytest.mark.parametrize(
    ("written", "meant"), [(10, 10), ("64KiB", 65_536), ("1MB", 1_000_000), ("12 B", 12)]
)
def test_a_size_is_a_number_of_bytes(written: int | str, meant: int) -> None:
    assert size(written) == meant


@pytest.mark.parametrize("senseless", ["", "large", 0, -1, "0B", True])
def test_a_senseless_size_is_refused(senseless: Any) -> None:
    with pytest.raises(ContractError, match="write bytes or for example '64KiB'"):
        size(senseless)
