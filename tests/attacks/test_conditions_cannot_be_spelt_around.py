"""A model that chooses how a value is written, so that the condition on it does not hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from tests.small_gate import ANA, opened
from toolgate import Approval, tool
from toolgate.domain.approval import condition_reason, within

amounts = st.decimals(min_value=-9999, max_value=9999, places=2)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1))  # noqa: DTZ001 - made aware below
offsets = st.integers(min_value=-14 * 60, max_value=14 * 60)
ran: list[Decimal] = []


@tool(
    effect="write",
    roles={"support"},
    idempotency="pay:{amount}:{workflow_id}",
    approval=Approval(approvers={"lead"}, when={"amount": {"gt": "50.00"}}),
)
async def pay(amount: Annotated[Decimal, Field(ge=0, le=9999, decimal_places=2)]) -> None:
    """Pay an amount back."""
    ran.append(amount)


@pytest.mark.req("M12.3", "M12.4")
async def test_a_hundred_is_more_than_fifty_where_both_are_written_as_texts(tmp_path: Path) -> None:
    async with opened([pay], tmp_path) as gateway:
        small = await gateway.call(pay, {"amount": "9.50"}, caller=ANA, workflow="wf")
        large = await gateway.call(pay, {"amount": "100.00"}, caller=ANA, workflow="wf")

    assert (small.status, large.status) == ("succeeded", "pending_approval")
    assert ran == [Decimal("9.50")]


@pytest.mark.req("M12.3")
@given(amounts, amounts)
def test_decimals_are_ordered_as_numbers(value: Decimal, bound: Decimal) -> None:
    for operator, truth in (("gt", value > bound), ("le", value <= bound)):
        asked = condition_reason({"amount": {operator: f"{bound:f}"}}, {"amount": f"{value:f}"})
        assert (asked is not None) == truth


@pytest.mark.req("M12.3")
@given(moments, moments, offsets)
def test_no_choice_of_an_offset_moves_a_moment(value: datetime, bound: datetime, minutes: int) -> None:
    when = value.replace(tzinfo=UTC).astimezone(timezone(timedelta(minutes=minutes)))
    limit = bound.replace(tzinfo=UTC)
    asked = condition_reason({"at": {"gt": limit.isoformat()}}, {"at": when.isoformat()})

    assert (asked is not None) == (when > limit)


@pytest.mark.req("M12.4")
@pytest.mark.parametrize(
    ("value", "bound"),
    [
        ("PT2H", "PT90S"),
        ("P1D", "PT5H"),
        ("23:00:00-02:00", "23:30:00Z"),
        ("2026-01-01T00:00:00", "2026-01-01T00:00:00Z"),
        ("2026-99-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00Z", "soon"),
        ("50", 49),
        (None, 1),
        ([], 1),
    ],
)
@pytest.mark.parametrize("operator", ["gt", "lt"])
def test_what_cannot_be_ordered_asks(value: object, bound: object, operator: str) -> None:
    assert condition_reason({"it": {operator: bound}}, {"it": value}) is not None  # type: ignore[dict-item]


@pytest.mark.req("M12.3")
@pytest.mark.parametrize(
    ("value", "bound", "same"),
    [
        ("50.0", "50.00", True),
        ("50", "50.00", True),
        ("50.01", "50.00", False),
        ("2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00Z", True),
        ("2026-01-01T01:00:00Z", "2026-01-01T00:00:00Z", False),
        ("P100", "P200", False),
        ("fifty", "50", False),
    ],
)
def test_another_spelling_of_the_same_value_is_the_same(value: str, bound: str, same: bool) -> None:
    assert (condition_reason({"it": {"eq": bound}}, {"it": value}) is not None) == same
    assert (condition_reason({"it": {"in": [bound, "other"]}}, {"it": value}) is not None) == same


LOOKS_SMALL = ("1E+2", "1e9", "+100", "100.", "1_000", " 100", "1,000", "0x64", "1" + "0" * 44)


@pytest.mark.req("M12.3", "M12.4")
@pytest.mark.parametrize("written", LOOKS_SMALL)
async def test_a_number_written_as_no_plain_decimal_needs_a_person_whatever_its_letters_come_to(
    written: str, tmp_path: Path
) -> None:
    paid: list[str] = []

    @tool(
        effect="write",
        roles={"support"},
        idempotency="send:{amount}:{workflow_id}",
        approval=Approval(approvers={"lead"}, when={"amount": {"gt": "50.00"}}),
    )
    async def send(amount: Annotated[str, Field(max_length=45)]) -> None:
        """Send an amount, written as a text."""
        paid.append(amount)

    async with opened([send], tmp_path) as gateway:
        outcome = await gateway.call(send, {"amount": written}, caller=ANA, workflow="wf")

    assert (outcome.status, paid) == ("pending_approval", [])


@pytest.mark.req("X7.1")
@pytest.mark.parametrize("written", LOOKS_SMALL)
def test_no_grant_holds_a_number_that_is_not_written_as_one(written: str) -> None:
    assert not within({"amount": {"le": "50.00"}}, {"amount": written})


@pytest.mark.req("X7.1")
def test_a_yes_is_no_number_for_a_grant() -> None:
    assert not within({"count": {"le": 1}}, {"count": True})
    assert not within({"count": {"eq": 1}}, {"count": True})
    assert not within({"count": {"in": [1]}}, {"count": True})
    assert not within({"sure": {"eq": True}}, {"sure": 1})
    assert within({"sure": {"eq": True}}, {"sure": True})
