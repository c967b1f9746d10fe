"""Somebody changes what a held call would do: the new arguments run and not the old, once another person agreed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.asked_for import approve, expect_it_ran, look_at, notices
from tests.browser.business import CARD, LOCKED_ORDER

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import Windows
    from tests.browser.house import House

pytestmark = pytest.mark.req("X2.3")


def change(page: Page, **values: object) -> None:
    """Type new values over the old ones, and ask what that comes to."""
    for name, value in values.items():
        page.get_by_label(name, exact=True).fill(str(value))
    page.get_by_role("button", name="Check what it comes to").click()


def save(page: Page, reason: str) -> None:
    """Make the change that is shown."""
    page.get_by_label("Change it, because").fill(reason)
    page.get_by_role("button", name="Save as a new revision").click()


def edit(page: Page, approval_id: str) -> None:
    """Go to the form from the request's page."""
    look_at(page, approval_id)
    page.get_by_role("link", name="Change the arguments").click()


@pytest.mark.parametrize("script", [True, False], ids=["with a script", "without one"])
def test_a_changed_amount_runs_and_the_original_does_not(
    house: House, windows: Windows, script: bool
) -> None:
    held = house.held(arguments={"order": 7, "cents": 5000})
    ann = windows.sign_in(house, "ann", java_script_enabled=script)
    edit(ann, held.approval_id)

    change(ann, cents=2500)
    expect(ann.get_by_text("Pays 25.00 EUR back for order 7.")).to_be_visible()
    assert house.approval(held.approval_id).revision == 1
    save(ann, "half of it is enough")
    expect(notices(ann).first).to_contain_text("new revision")
    expect(ann.get_by_role("button", name="Approve exactly this")).to_have_count(0)
    bea = windows.sign_in(house, "bea")
    look_at(bea, held.approval_id)
    expect(bea.get_by_text("half of it is enough").first).to_be_visible()
    approve(bea)

    expect_it_ran(bea)
    (ran,) = house.business.of("refund")
    # What was masked was not typed anew, and is what it was.
    assert (ran["order"], ran["cents"], ran["card"]) == (7, 2500, CARD)


@pytest.mark.req("X2.1", "M12.18")
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"order": LOCKED_ORDER, "cents": 2500}, "order 13 is locked"),
        ({"order": 7, "cents": 500_001}, "500000"),
        ({"order": 7, "cents": "a lot"}, "cannot be read"),
    ],
    ids=["forbidden", "out of bounds", "no number"],
)
def test_a_value_that_the_gate_refuses_is_not_saved_and_nothing_typed_is_lost(
    house: House, windows: Windows, typed: dict[str, object], said: str
) -> None:
    held = house.held(arguments={"order": 7, "cents": 5000})
    page = windows.sign_in(house, "ann")
    edit(page, held.approval_id)

    change(page, reason="typed by hand", **typed)

    expect(page.locator("main")).to_contain_text(said)
    for name, value in {"reason": "typed by hand", **typed}.items():
        expect(page.get_by_label(name, exact=True)).to_have_value(str(value))
    expect(page.get_by_role("button", name="Save as a new revision")).to_have_count(0)
    assert house.approval(held.approval_id).revision == 1


@pytest.mark.req("X2.2", "M12.18")
def test_a_decision_on_an_earlier_revision_is_refused_and_told_who_changed_it(
    house: House, windows: Windows
) -> None:
    held = house.held(arguments={"order": 7, "cents": 5000})
    ann, bea = windows.sign_in(house, "ann"), windows.sign_in(house, "bea")
    look_at(bea, held.approval_id)
    bea.get_by_label("Approve, because").fill("fifty is right")

    edit(ann, held.approval_id)
    change(ann, cents=400_000)
    save(ann, "all of it")
    expect(bea.locator("#state")).to_contain_text("It changed while you looked")
    bea.get_by_role("button", name="Approve exactly this").click()

    expect(notices(bea).first).to_contain_text("Nothing was decided by you")
    expect(notices(bea).first).to_contain_text("ann")
    expect(bea.get_by_label("Approve, because")).to_have_value("fifty is right")
    assert house.business.done == []
