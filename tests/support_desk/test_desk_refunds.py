"""The rules of refunding, asked of the service itself: no gate stands before it here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toolgate import NeedsApproval
from toolgate.examples.support_desk.refunds import RefundRequest
from toolgate.examples.support_desk.refusals import (
    BusinessRefusal,
    CardMismatch,
    CustomerClosed,
    KeyReused,
    NoSuchOrder,
    OrderUnpaid,
    RefundOverCeiling,
    RefundOverRemaining,
)
from toolgate.examples.support_desk.seed import PAYMENTS
from toolgate.examples.support_desk.world import World

if TYPE_CHECKING:
    from pathlib import Path

    from toolgate.examples.support_desk.desk import Desk

pytestmark = pytest.mark.req("M3.11")

TENT, SLEDGE, JACKET, ROPE, BOOTS, STOVE = 5001, 5003, 5004, 5005, 5006, 5007
OSCILLOSCOPE = 7001


CARDS = {order_id: card for _, order_id, _, _, card in PAYMENTS}


def asks(order_id: int, amount_cents: int, *, card: str | None = None) -> RefundRequest:
    card_last4 = CARDS.get(order_id, "0000") if card is None else card
    return RefundRequest(
        order_id=order_id, amount_cents=amount_cents, card_last4=card_last4, reason="A pole arrived bent."
    )


def test_a_refund_within_the_rules_is_made_and_says_what_is_left(acme: Desk) -> None:
    refund = acme.refunds.create(asks(TENT, 40_00), key="k1", by="u-maya")
    assert (refund.amount_cents, refund.remaining_cents) == (40_00, 149_00)
    assert acme.refunds.find("k1") == refund


def test_the_same_key_is_the_same_refund_however_often_it_is_asked(acme: Desk) -> None:
    first = acme.refunds.create(asks(TENT, 40_00), key="k1", by="u-maya")
    assert acme.refunds.create(asks(TENT, 40_00), key="k1", by="u-maya") == first
    assert acme.refunds.remaining_cents(TENT) == 149_00


def test_a_key_that_was_used_for_another_amount_or_order_is_refused(acme: Desk) -> None:
    acme.refunds.create(asks(TENT, 40_00), key="k1", by="u-maya")
    for other in (asks(TENT, 41_00), asks(ROPE, 40_00)):
        with pytest.raises(KeyReused):
            acme.refunds.create(other, key="k1", by="u-maya")


def test_the_same_key_in_two_tenants_is_two_refunds(acme: Desk, globex: Desk) -> None:
    acme.refunds.create(asks(TENT, 40_00), key="k1", by="u-maya")
    assert globex.refunds.find("k1") is None
    assert globex.refunds.create(asks(OSCILLOSCOPE, 40_00), key="k1", by="u-kenji").order_id == OSCILLOSCOPE


@pytest.mark.parametrize(
    ("order_id", "amount_cents", "refusal"),
    [
        pytest.param(9999, 1_00, NoSuchOrder, id="an order that does not exist"),
        pytest.param(OSCILLOSCOPE, 1_00, NoSuchOrder, id="an order of another tenant"),
        pytest.param(BOOTS, 1_00, CustomerClosed, id="a customer whose account is closed"),
        pytest.param(STOVE, 1_00, OrderUnpaid, id="an order that was only authorised"),
        pytest.param(TENT, 189_01, RefundOverRemaining, id="a cent more than was paid"),
        pytest.param(SLEDGE, 2_000_01, RefundOverCeiling, id="a cent above the ceiling, though it was paid"),
    ],
)
def test_the_service_refuses(
    acme: Desk, order_id: int, amount_cents: int, refusal: type[BusinessRefusal]
) -> None:
    with pytest.raises(refusal) as refused:
        acme.refunds.create(asks(order_id, amount_cents), key="k1", by="u-maya", approved=True)
    assert refused.value.effect == "none"
    assert acme.refunds.find("k1") is None


def test_a_refund_needs_the_card_that_paid_and_the_refusal_does_not_tell_which(acme: Desk) -> None:
    with pytest.raises(CardMismatch) as refused:
        acme.refunds.create(asks(TENT, 1_00, card="0019"), key="k1", by="u-maya")
    assert CARDS[TENT] not in refused.value.message
    assert "0019" not in refused.value.message


def test_the_last_cent_and_the_ceiling_itself_are_allowed(acme: Desk) -> None:
    assert acme.refunds.create(asks(TENT, 189_00), key="k1", by="u-maya").remaining_cents == 0
    assert acme.refunds.create(asks(SLEDGE, 2_000_00), key="k2", by="u-maya").remaining_cents == 2_200_00


def test_each_tenant_has_its_own_ceiling(globex: Desk) -> None:
    with pytest.raises(RefundOverCeiling):
        globex.refunds.create(asks(OSCILLOSCOPE, 1_000_01), key="k1", by="u-kenji")


def test_what_was_refunded_before_counts(acme: Desk) -> None:
    acme.refunds.create(asks(TENT, 100_00), key="k1", by="u-maya")
    with pytest.raises(RefundOverRemaining, match=r"89\.00 left of order 5001"):
        acme.refunds.create(asks(TENT, 90_00), key="k2", by="u-maya")


def test_a_disputed_payment_asks_for_a_person_and_goes_through_once_one_agreed(acme: Desk) -> None:
    with pytest.raises(NeedsApproval) as asked:
        acme.refunds.create(asks(JACKET, 20_00), key="k1", by="u-maya")
    assert asked.value.approvers == {"billing_admin"}
    assert acme.refunds.find("k1") is None
    assert (
        acme.refunds.create(asks(JACKET, 20_00), key="k1", by="u-maya", approved=True).amount_cents == 20_00
    )


def test_an_approval_lifts_no_other_rule(acme: Desk) -> None:
    with pytest.raises(RefundOverCeiling):
        acme.refunds.create(asks(SLEDGE, 2_500_00), key="k1", by="u-maya", approved=True)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wishes=st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 250_00)), max_size=12))
def test_no_sequence_of_wishes_refunds_more_than_was_paid(
    tmp_path_factory: pytest.TempPathFactory, wishes: list[tuple[str, int]]
) -> None:
    path: Path = tmp_path_factory.mktemp("desk") / "support_desk.db"
    made: set[int] = set()
    with World.create(path).desk(tenant="acme", user_id="u-maya") as desk:
        for key, amount in wishes:
            try:
                made.add(desk.refunds.create(asks(TENT, amount), key=key, by="u-maya").id)
            except BusinessRefusal:
                continue
        assert 0 <= desk.refunds.remaining_cents(TENT) <= 189_00
        assert len(made) <= len({key for key, _ in wishes})
