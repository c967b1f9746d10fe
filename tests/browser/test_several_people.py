"""Several people and one request: a quorum, two at the same moment, and what each of them sees of the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.asked_for import approve, deny, expect_it_ran, look_at, notices, state

if TYPE_CHECKING:
    from tests.browser.conftest import Windows
    from tests.browser.house import House

pytestmark = pytest.mark.req("M12.10")


@pytest.mark.req("X2.9", "M12.15")
def test_a_quorum_of_two_needs_two_people_and_each_sees_the_other_vote_live(
    house: House, windows: Windows
) -> None:
    held = house.held("wipe_customer", {"customer": "c1"})
    ann, bea = windows.sign_in(house, "ann"), windows.sign_in(house, "bea")
    for page in (ann, bea):
        look_at(page, held.approval_id)
        expect(page.locator("#state")).to_contain_text("0 of 2")

    approve(ann, "her request is on file")
    expect(notices(ann).first).to_contain_text("counted")
    expect(bea.locator("#state")).to_contain_text("1 of 2")
    expect(bea.locator("#state")).to_contain_text("her request is on file")
    assert house.business.done == []
    expect(ann.get_by_role("button", name="Approve exactly this")).to_have_count(0)
    approve(bea, "I called her")

    expect_it_ran(bea)
    expect_it_ran(ann)
    assert house.business.of("wipe_customer") == [{"customer": "c1"}]


@pytest.mark.req("X2.9", "M12.18")
def test_of_two_who_decide_at_once_one_wins_and_the_other_is_told_who_and_what(
    house: House, windows: Windows
) -> None:
    held = house.held()
    ann, bea = windows.sign_in(house, "ann"), windows.sign_in(house, "bea")
    for page in (ann, bea):
        look_at(page, held.approval_id)
    ann.get_by_label("Approve, because").fill("looks right to me")

    deny(bea, "the wrong order")
    expect(state(bea)).to_have_text("denied")
    ann.get_by_role("button", name="Approve exactly this").click()

    expect(notices(ann).first).to_contain_text("Nothing was decided by you")
    expect(notices(ann).first).to_contain_text("bea")
    expect(state(ann)).to_have_text("denied")
    expect(ann.locator("main")).to_contain_text("the wrong order")
    assert house.business.done == []


@pytest.mark.req("M12.15")
def test_a_request_appears_in_an_open_inbox_and_leaves_it_by_itself(house: House, windows: Windows) -> None:
    ann, bea = windows.sign_in(house, "ann"), windows.sign_in(house, "bea")
    expect(ann.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    expect(ann.locator(".live")).to_have_text("Live")

    held = house.held()
    for page in (ann, bea):
        expect(page.get_by_role("link", name="refund")).to_be_visible()
        expect(page.locator("#waiting-count")).to_contain_text("1")
    look_at(bea, held.approval_id)
    deny(bea)

    expect(ann.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    expect(ann.locator("#waiting-count")).to_contain_text("0")


@pytest.mark.req("M12.15")
def test_an_open_inbox_keeps_the_place_of_the_keyboard_when_something_arrives(
    house: House, windows: Windows
) -> None:
    house.held(arguments={"order": 1, "cents": 2000})
    page = windows.sign_in(house, "ann")
    page.keyboard.press("j")
    focused = page.locator("[data-item]:focus")
    expect(focused).to_have_text("refund")
    first = focused.get_attribute("data-item")

    house.held(arguments={"order": 2, "cents": 3000})

    expect(page.locator("[data-item]")).to_have_count(2)
    expect(focused).to_have_attribute("data-item", first or "")


@pytest.mark.req("M12.14")
def test_like_requests_are_decided_together_and_one_that_changed_meanwhile_is_left_alone(
    house: House, windows: Windows
) -> None:
    held = [house.held(arguments={"order": n, "cents": 2000 + n}, workflow=f"case-{n}") for n in (1, 2, 3)]
    other = house.held("wipe_customer", {"customer": "c1"})
    page = windows.sign_in(house, "ann")
    for one in held:
        page.get_by_role("checkbox", name=one.approval_id).check()
    expect(page.get_by_role("checkbox", name=other.approval_id)).to_have_count(0)
    page.get_by_role("button", name="Look at the marked ones together").click()
    expect(page.get_by_text("Pays 20.02 EUR back for order 2.")).to_be_visible()

    house.run(house.gateway.deny(held[1].approval_id, by=house.people["bea"].caller, reason="not this one"))
    page.get_by_label("Because").fill("all from the same broken lot")
    page.get_by_role("button", name="Approve each exactly as shown").click()

    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("main")).to_contain_text("denied")
    for one in (held[0], held[2]):
        house.ended(one)
    assert sorted(done["order"] for done in house.business.of("refund")) == [1, 3]
    assert house.approval(other.approval_id).state == "pending"
