"""Those who run the gate: grants, unknown effects, tokens, the trail, and who sees which of their pages."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.asked_for import approve, look_at, notices, state

if TYPE_CHECKING:
    from tests.browser.conftest import Windows
    from tests.browser.house import House


@pytest.mark.req("X7.1", "X7.2")
def test_a_grant_made_from_a_request_lets_the_next_like_call_pass_and_its_use_shows(
    house: House, windows: Windows
) -> None:
    held = house.held(arguments={"order": 1, "cents": 5000})
    page = windows.sign_in(house, "ann")
    look_at(page, held.approval_id)
    page.get_by_role("link", name="Make a grant from it").click()
    page.get_by_label("bound of order").select_option("")
    page.get_by_label("bound of reason").select_option("")
    page.get_by_label("At most so many calls").fill("2")
    page.get_by_label("Grant it, because").fill("many parcels broke this week")
    page.get_by_role("button", name="Make the grant").click()
    expect(page.locator(".notice").first).to_contain_text("The grant is made")
    expect(page.get_by_text("0 of 2 used")).to_be_visible()

    within = house.ask("refund", {"order": 2, "cents": 4000}, workflow="case-2")
    beyond = house.ask("refund", {"order": 3, "cents": 5001}, workflow="case-3")
    page.reload()

    assert (within.status, beyond.status) == ("succeeded", "pending_approval")
    expect(page.get_by_text("1 of 2 used")).to_be_visible()
    page.locator("summary", has_text="Revoke").click()
    page.get_by_label("Revoke, because").fill("the week is over")
    page.get_by_role("button", name="Revoke it now").click()
    expect(page.locator(".notice").first).to_contain_text("revoked")
    after = house.ask("refund", {"order": 4, "cents": 4000}, workflow="case-4")
    assert after.status == "pending_approval"


@pytest.mark.req("M12.14")
def test_an_open_inbox_empties_when_an_operator_stops_everything(house: House, windows: Windows) -> None:
    held = [house.held(arguments={"order": n, "cents": 5000}, workflow=f"case-{n}") for n in (1, 2)]
    inbox, request = windows.sign_in(house, "ann"), windows.sign_in(house, "ann")
    look_at(request, held[0].approval_id)
    expect(inbox.locator("[data-item]")).to_have_count(2)

    operator = windows.sign_in(house, "olga")
    operator.goto("/console/stop")
    operator.get_by_label("Stop it, because").fill("the agent went mad")
    operator.get_by_label("Yes: cancel everything").check()
    operator.get_by_role("button", name="Stop", exact=True).click()

    expect(notices(operator).first).to_contain_text("Requests cancelled: 2")
    expect(inbox.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    expect(state(request)).to_have_text("cancelled")
    approve(request)
    expect(notices(request).first).to_contain_text("olga")
    assert house.business.done == []


@pytest.mark.req("X1.7")
def test_an_operator_says_how_an_unknown_effect_ended_and_the_agent_is_told(
    house: House, windows: Windows
) -> None:
    doubtful = house.doubtful()
    page = windows.sign_in(house, "olga")
    page.get_by_role("link", name="Unresolved").click()
    page.get_by_label("How do you know?").fill("the bank shows it")
    page.get_by_role("button", name="It happened").click()

    expect(page.get_by_role("heading", name="Nothing is in doubt")).to_be_visible()
    row = house.call(doubtful.call_id)
    assert (row.status, row.effect_state) == ("succeeded", "applied")
    assert "the bank shows it" in str(house.trail(doubtful.call_id))


@pytest.mark.req("M4.14", "M4.24")
def test_a_token_is_shown_once_and_is_good_for_what_was_ticked_until_it_is_revoked(
    house: House, windows: Windows
) -> None:
    page = windows.sign_in(house, "ada")
    page.get_by_role("link", name="Tokens").click()
    page.get_by_text("Make a token").click()
    page.get_by_label("For whom").fill("olga")
    page.get_by_label("Roles").fill("operator")
    page.get_by_label("call", exact=False).first.uncheck()
    page.get_by_label("operate", exact=False).first.check()
    page.get_by_label("Label").fill("for the night shift")
    page.get_by_role("button", name="Make the token").click()
    secret = page.locator("#secret").inner_text()
    assert re.fullmatch(r"tgt_\S{30,}", secret)

    page.get_by_role("link", name="I have it").click()
    expect(page.get_by_text("for the night shift")).to_be_visible()
    assert secret not in page.content()
    page.go_back()
    assert secret not in page.content()
    night = windows.open(house)
    night.goto("/")
    night.get_by_label("Access token").fill(secret)
    night.get_by_role("button", name="Sign in").click()
    night.get_by_role("link", name="Unresolved").click()
    expect(night.get_by_role("heading", name="Unresolved", exact=True)).to_be_visible()

    page.goto("/console/tokens")
    page.locator("tr", has_text="for the night shift").get_by_role("button", name="Revoke").click()
    expect(page.locator(".notice").first).to_contain_text("revoked")
    night.goto("/console/unresolved")
    expect(night.get_by_label("Access token")).to_be_visible()
    assert secret not in str(house.trail())


@pytest.mark.req("M11.1", "X5.2")
def test_an_operator_reads_searches_and_verifies_the_trail(house: House, windows: Windows) -> None:
    held = house.held()
    page = windows.sign_in(house, "olga")
    page.get_by_role("link", name="Audit").click()
    page.get_by_label("Transition").fill("held")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("ol.records > li")).to_have_count(1)
    page.locator("ol.records summary").click()
    expect(page.locator("ol.records")).to_contain_text(held.call_id)

    page.get_by_role("button", name="Verify now").click()

    expect(page.locator("#verification")).to_contain_text("intact")


@pytest.mark.req("M4.9")
@pytest.mark.parametrize(
    ("name", "pages"),
    [
        ("u1", ["Overview", "Calls", "Jobs", "Tools"]),
        ("ann", ["Inbox", "Grants", "Overview", "Calls", "Jobs", "Tools"]),
        ("ruth", ["Overview", "Calls", "Jobs", "Unresolved", "Tools", "Audit"]),
        ("olga", ["Overview", "Calls", "Jobs", "Unresolved", "Tools", "Audit", "Notifications"]),
        ("ada", ["Overview", "Calls", "Jobs", "Unresolved", "Tools", "Audit", "Notifications", "Tokens"]),
    ],
)
def test_everybody_is_shown_the_pages_that_are_for_them_and_no_others(
    house: House, windows: Windows, name: str, pages: list[str]
) -> None:
    page = windows.sign_in(house, name)

    shown = page.get_by_role("navigation", name="Console").get_by_role("link").all_inner_texts()

    assert [words.split("\n")[0].strip() for words in shown] == pages
