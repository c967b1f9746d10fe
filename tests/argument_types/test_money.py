"""Exact amounts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError

from toolgate.domain.argument_types import Currency, Money, MoneyRange
from toolgate.domain.errors import ContractError

pytestmark = pytest.mark.req("M2.14")

REFUND = TypeAdapter(Annotated[Money, MoneyRange(currencies={"EUR", "USD"}, min=100, max=500_000)])


def judged(value: object) -> bool:
    """Whether an amount is accepted; the Python form and the JSON form have to agree."""
    verdicts = []
    attempts: tuple[Callable[[], Money], ...] = (
        lambda: REFUND.validate_python(value),
        lambda: REFUND.validate_json(json.dumps(value)),
    )
    for attempt in attempts:
        try:
            attempt()
        except ValidationError:
            verdicts.append(False)
        else:
            verdicts.append(True)
    assert len(set(verdicts)) == 1
    return verdicts[0]


@pytest.mark.parametrize("units", [100, 500_000])
def test_an_amount_within_its_bounds_is_accepted(units: Any) -> None:
    assert judged({"minor_units": units, "currency": "EUR"})


@pytest.mark.req("M2.3", "M2.17")
@pytest.mark.parametrize(
    "units", [99, 500_001, -100, 100.0, 100.5, 1e3, "100", True, None, [100], 2**53, 2**64, float("inf")]
)
def test_a_float_a_numeral_a_boolean_and_an_amount_out_of_bounds_are_refused(units: Any) -> None:
    value = {"minor_units": units, "currency": "EUR"}
    with pytest.raises(ValidationError):
        REFUND.validate_python(value)
    with pytest.raises(ValidationError):
        REFUND.validate_json(json.dumps(value))


@pytest.mark.req("M2.6")
@pytest.mark.parametrize(
    "currency", ["GBP", "eur", "EURO", "", "XXX", "XAU", "BTC", 978, None, " EUR", "\uff25UR"]
)
def test_only_a_listed_currency_is_accepted(currency: Any) -> None:
    assert not judged({"minor_units": 100, "currency": currency})


@pytest.mark.req("M2.6")
def test_bytes_are_no_currency() -> None:
    with pytest.raises(ValidationError):
        REFUND.validate_python({"minor_units": 100, "currency": b"EUR"})


@pytest.mark.req("M2.1")
@pytest.mark.parametrize(
    "value", [{"minor_units": 100}, {"currency": "EUR"}, {}, 100, "1.00 EUR", [100, "EUR"]]
)
def test_an_amount_has_both_parts_and_no_others(value: Any) -> None:
    assert not judged(value)
    assert not judged({"minor_units": 100, "currency": "EUR", "exchange_rate": 2})


def test_an_amount_cannot_be_changed_after_it_was_judged() -> None:
    money = Money(minor_units=100, currency=Currency.EUR)
    with pytest.raises(ValidationError):
        money.minor_units = 10**9  # type: ignore[misc]


def test_an_amount_that_was_made_without_validation_is_judged_when_it_is_passed_on() -> None:
    forged = Money.model_construct(minor_units=-5, currency=Currency.EUR)
    with pytest.raises(ValidationError):
        REFUND.validate_python(forged)


def test_a_bare_amount_is_never_negative_and_never_beyond_what_json_holds() -> None:
    for units in (-1, 2**53):
        with pytest.raises(ValidationError):
            Money(minor_units=units, currency=Currency.EUR)


@pytest.mark.req("M2.4")
def test_the_bounds_stand_in_the_schema_where_the_model_sees_them() -> None:
    class Refund(BaseModel):
        amount: Annotated[Money, MoneyRange(currencies={"EUR", "USD"}, min=100, max=500_000)]

    amount = Refund.model_json_schema()["properties"]["amount"]
    assert amount["additionalProperties"] is False
    assert amount["properties"]["minor_units"]["minimum"] == 100
    assert amount["properties"]["minor_units"]["maximum"] == 500_000
    assert amount["properties"]["currency"]["enum"] == ["EUR", "USD"]
    assert "$defs" not in Refund.model_json_schema()


@pytest.mark.parametrize(
    "declaration",
    [
        {"currencies": set(), "max": 1},
        {"currencies": "EUR", "max": 1},
        {"currencies": {"EUR", "DEM"}, "max": 1},
        {"currencies": {"EUR", "JPY"}, "max": 1},
        {"currencies": {"EUR"}, "max": 0},
        {"currencies": {"EUR"}, "min": -1, "max": 1},
        {"currencies": {"EUR"}, "max": 2**53},
    ],
)
def test_bounds_that_cannot_hold_are_the_authors_error(declaration: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match="MoneyRange"):
        MoneyRange(**declaration)


def test_a_range_stands_on_money_only() -> None:
    with pytest.raises(ContractError, match="Annotated\\[Money"):
        TypeAdapter(Annotated[int, MoneyRange(currencies={"EUR"}, max=1)])


@pytest.mark.parametrize(
    ("units", "currency", "text"),
    [
        (1250, Currency.EUR, "12.50 EUR"),
        (5, Currency.USD, "0.05 USD"),
        (1250, Currency.JPY, "1250 JPY"),
        (1250, Currency.KWD, "1.250 KWD"),
        (0, Currency.CHF, "0.00 CHF"),
        (2**53 - 1, Currency.EUR, "90071992547409.91 EUR"),
    ],
)
def test_an_amount_prints_exactly(units: Any, currency: Any, text: str) -> None:
    assert str(Money(minor_units=units, currency=currency)) == text


@given(st.integers(0, 2**53 - 1), st.sampled_from(Currency))
def test_an_amount_survives_json_unchanged(units: Any, currency: Any) -> None:
    money = Money(minor_units=units, currency=currency)
    assert Money.model_validate_json(money.model_dump_json()) == money
    assert Money.model_validate(money.model_dump(mode="json")) == money
    assert int(str(money).split()[0].replace(".", "")) == units
