"""Words of a model, an agent and a customer stand on pages that decide about money: they are shown, and do nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.asked_for import approve, look_at
from tests.browser.business import HOSTILE

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import Windows
    from tests.browser.house import House

pytestmark = pytest.mark.req("M12.16")

INJECTED = (
    "script:not([src])",
    "script[src*='//']",
    "iframe",
    "object",
    "embed",
    "base",
    "img",
    "main svg",
    "[onerror], [onload], [onclick]",
    "a[href^='javascript:' i]",
    "main [hx-get='/x']",
)
"""What no page of ours holds; whatever of it is there was put there by somebody else's words."""


def expect_nothing_injected(page: Page) -> None:
    for selector in INJECTED:
        expect(page.locator(selector)).to_have_count(0)
    assert "49" not in page.locator("title").inner_text(), "a template was evaluated"


@pytest.mark.parametrize("words", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_words_in_every_place_are_shown_as_they_are_and_run_nothing(
    house: House, windows: Windows, words: str
) -> None:
    held = house.held(
        "send_note",
        {"to": words, "body": f"first line\n{words}", "tags": [words]},
        agent=words,
        model=words,
        workflow=words,
        rationale=words,
    )
    approver, operator = windows.sign_in(house, "ann"), windows.sign_in(house, "olga")
    expect_nothing_injected(approver)
    look_at(approver, held.approval_id)
    # Shown as JSON, so that quotes are escaped; the rest stands there letter by letter.
    expect(approver.locator("pre.exact").first).to_contain_text(words.replace('"', '\\"'))
    expect(approver.locator("blockquote")).to_have_text(words)
    expect_nothing_injected(approver)
    approve(approver, words)
    house.ended(held)

    for page, path in (
        (approver, f"/console/approvals/{held.approval_id}"),
        (approver, "/console/inbox?view=decided"),
        (operator, f"/console/calls/{held.call_id}"),
        (operator, "/console/calls"),
        (operator, "/console/audit"),
        (operator, "/console/audit?caller=" + words.replace("#", "%23").replace("&", "%26")),
    ):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect_nothing_injected(page)
    assert house.business.of("send_note")[0]["to"] == words


def test_letters_that_nobody_sees_or_that_turn_the_line_are_spelt_out(house: House, windows: Windows) -> None:
    held = house.held("send_note", {"to": "ann@acme.example\u202egpj.exe", "body": "pay\u200bpal \u0430pple"})
    page = windows.sign_in(house, "ann")

    look_at(page, held.approval_id)

    expect(page.locator("pre.exact").first).to_contain_text("\\u202e")
    expect(page.locator("pre.exact").first).to_contain_text("\\u200b")


def test_a_very_long_word_does_not_widen_the_page(house: House, windows: Windows) -> None:
    held = house.held("send_note", {"to": "x" * 200, "body": "y" * 2000}, workflow="w" * 120)
    page = windows.sign_in(house, "ann", viewport={"width": 360, "height": 740})

    look_at(page, held.approval_id)

    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
