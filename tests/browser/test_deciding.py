"""One person and one request: what they decide happens, once, and the page shows it as it happens."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.asked_for import approve, deny, expect_it_ran, look_at, notices, state
from toolgate import Refused

if TYPE_CHECKING:
    from tests.browser.conftest import Windows
    from tests.browser.house import House
    from toolgate.testing import FakeClock

pytestmark = pytest.mark.req("M12.10")


@pytest.mark.req("M12.5", "X2.6")
def test_what_is_approved_runs_once_and_the_page_shows_it_live(house: House, windows: Windows) -> None:
    held = house.held(arguments={"order": 7, "cents": 5000}, rationale="the customer sent a picture")
    page = windows.sign_in(house, "ann")
    page.get_by_role("link", name="refund").click()

    expect(page.get_by_text("Pays 50.00 EUR back for order 7.")).to_be_visible()
    expect(page.get_by_text("a refund above 10 EUR").first).to_be_visible()
    expect(page.get_by_text("the customer sent a picture")).to_be_visible()
    expect(page.get_by_text("u1 of acme")).to_be_visible()
    approve(page)

    expect(notices(page).first).to_contain_text("Approved")
    expect_it_ran(page)
    assert [(done["order"], done["cents"]) for done in house.business.of("refund")] == [(7, 5000)]
    assert house.call(held.call_id).status == "succeeded"


@pytest.mark.req("M12.7")
def test_what_is_denied_never_runs_and_the_agent_is_told(house: House, windows: Windows) -> None:
    held = house.held()
    page = windows.sign_in(house, "ann")
    look_at(page, held.approval_id)

    deny(page, "the picture is of another order")

    expect(state(page)).to_have_text("denied")
    again = house.ask("refund", {"order": 1, "cents": 5000})
    assert isinstance(again, Refused)
    assert again.error_type == "approval_denied"
    assert house.business.done == []
    assert "the picture is of another order" in str(house.trail(held.call_id))


def test_a_decision_without_a_reason_is_not_sent(house: House, windows: Windows) -> None:
    held = house.held()
    page = windows.sign_in(house, "ann")
    look_at(page, held.approval_id)

    page.get_by_role("button", name="Approve exactly this").click()

    expect(page.get_by_label("Approve, because")).to_be_focused()
    assert house.approval(held.approval_id).state == "pending"


@pytest.mark.req("M12.18")
@pytest.mark.parametrize("script", [True, False], ids=["with a script", "without one"])
def test_a_double_click_decides_once(house: House, windows: Windows, script: bool) -> None:
    held = house.held()
    page = windows.sign_in(house, "ann", java_script_enabled=script)
    look_at(page, held.approval_id)

    page.get_by_label("Approve, because").fill("checked")
    page.get_by_role("button", name="Approve exactly this").dblclick()

    house.ended(held)
    # Asked again and again: the second click calls off the navigation of the first.
    expect(page).to_have_url(re.compile(r"[?&]done="))
    events = [
        event for event in house.trail(held.call_id) if event["toolgate.transition"] == "approval_approved"
    ]
    assert len(events) == 1
    assert len(house.business.of("refund")) == 1


@pytest.mark.req("M12.18")
def test_a_form_that_is_sent_anew_is_told_that_it_counted_already(house: House, windows: Windows) -> None:
    held = house.held("wipe_customer", {"customer": "c1"})
    first, second = windows.sign_in(house, "ann"), windows.sign_in(house, "ann")
    for page in (first, second):
        look_at(page, held.approval_id)

    approve(first)
    expect(notices(first).first).to_contain_text("counted")
    second.get_by_label("Approve, because").fill("checked")
    second.get_by_role("button", name="Approve exactly this").click()

    expect(notices(second).first).to_contain_text("You had decided it already")
    assert house.business.done == []


@pytest.mark.req("X2.7")
def test_what_expired_while_somebody_looked_does_not_run(
    still_house: House, clock: FakeClock, windows: Windows
) -> None:
    held = still_house.held("send_note", {"to": "nora", "body": "your order is on its way"})
    page = windows.sign_in(still_house, "ann")
    look_at(page, held.approval_id)
    expect(page.get_by_text("10 min left")).to_be_visible()

    clock.advance(601)
    approve(page, "too late")

    expect(notices(page).first).to_contain_text("Its time ran out meanwhile.")
    expect(state(page)).to_have_text("expired")
    assert still_house.business.done == []
    assert still_house.approval(held.approval_id).state == "expired"


@pytest.mark.req("M4.7")
def test_a_stranger_of_another_tenant_sees_nothing_of_it(house: House, windows: Windows) -> None:
    held = house.held()
    page = windows.sign_in(house, "eve")

    expect(page.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    for path in (f"/console/approvals/{held.approval_id}", f"/console/calls/{held.call_id}"):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_have_text("There is no such thing")
        assert "refund" not in page.locator("main").inner_text()


@pytest.mark.req("X2.8")
def test_whoever_asked_for_it_is_shown_no_way_to_approve_it(house: House, windows: Windows) -> None:
    held = house.held(by="boss")
    page = windows.sign_in(house, "boss")

    look_at(page, held.approval_id)

    expect(page.get_by_text("may not approve")).to_be_visible()
    expect(page.get_by_role("button", name="Approve exactly this")).to_have_count(0)
