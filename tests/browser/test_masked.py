"""What is masked stays masked until somebody says why they have to see it, and that is written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.asked_for import approve, expect_it_ran, look_at
from tests.browser.business import CARD

if TYPE_CHECKING:
    from tests.browser.conftest import Windows
    from tests.browser.house import House

pytestmark = pytest.mark.req("M12.12")

SECRET_BY_LIKENESS = "ghp_" + "a1B2" * 9


def test_a_secret_stands_on_no_page_until_it_is_revealed_and_then_on_one(
    house: House, windows: Windows
) -> None:
    held = house.held()
    ann, olga = windows.sign_in(house, "ann"), windows.sign_in(house, "olga")
    for page, path in (
        (ann, "/console/inbox"),
        (ann, f"/console/approvals/{held.approval_id}"),
        (ann, f"/console/approvals/{held.approval_id}/edit"),
        (ann, f"/console/grants/new?approval={held.approval_id}"),
        (olga, f"/console/calls/{held.call_id}"),
        (olga, "/console/audit"),
    ):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert CARD not in page.content(), path

    look_at(ann, held.approval_id)
    ann.get_by_text("Reveal what is masked", exact=True).click()
    ann.get_by_label("Why you need to see it").fill("the card must be hers")
    ann.get_by_role("button", name="Reveal, and log that I looked").click()
    expect(ann.locator("pre.exact").first).to_contain_text(CARD)
    ann.get_by_role("link", name="Hide it again").click()

    expect(ann.locator("#state")).to_contain_text("Seen unmasked by ann")
    assert CARD not in ann.content()
    bea = windows.sign_in(house, "bea")
    look_at(bea, held.approval_id)
    assert CARD not in bea.content()
    looked = [
        event for event in house.trail(held.call_id) if "reveal" in str(event.get("toolgate.transition"))
    ]
    assert [(event["toolgate.actor"], event["toolgate.reason"]) for event in looked] == [
        ("ann", "the card must be hers")
    ]
    assert CARD not in str(house.trail())


def test_what_only_looks_like_a_secret_must_be_seen_before_it_is_approved(
    house: House, windows: Windows
) -> None:
    held = house.held("send_note", {"to": "nora", "body": SECRET_BY_LIKENESS})
    page = windows.sign_in(house, "ann")
    look_at(page, held.approval_id)
    expect(page.get_by_role("button", name="Approve exactly this")).to_be_disabled()
    assert SECRET_BY_LIKENESS not in page.content()

    page.get_by_label("Why you need to see it").fill("what is sent to whom?")
    page.get_by_role("button", name="Reveal, and log that I looked").click()
    expect(page.locator("pre.exact").first).to_contain_text(SECRET_BY_LIKENESS)
    approve(page, "it is a made-up one")

    expect_it_ran(page)
    assert house.business.of("send_note")[0]["body"] == SECRET_BY_LIKENESS
