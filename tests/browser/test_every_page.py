"""Every page, for whoever may see it: by keyboard alone, on a narrow screen, in the dark, and without JavaScript."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest
from playwright.sync_api import expect

from tests.browser.asked_for import deny, expect_it_ran, look_at, state

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.conftest import Windows
    from tests.browser.house import House

pytestmark = pytest.mark.req("M12.17")

PAGES: Final = {
    "ann": (
        "/console/inbox",
        "/console/inbox?view=others",
        "/console/inbox?view=decided",
        "/console/approvals/{approval}",
        "/console/approvals/{approval}/edit",
        "/console/approvals/{decided}",
        "/console/grants",
        "/console/grants/new?approval={approval}",
    ),
    "ada": (
        "/console/overview",
        "/console/stop",
        "/console/calls",
        "/console/calls/{call}",
        "/console/unresolved",
        "/console/tools",
        "/console/tools/refund",
        "/console/audit",
        "/console/tokens",
        "/console/notifications",
    ),
}
EVERY: Final = [(name, path) for name, paths in PAGES.items() for path in paths]

CONTRAST: Final = """() => {
  const parse = (text) => {
    const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
    canvas.fillStyle = text; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return parse(getComputedStyle(document.documentElement).colorScheme.includes('dark') ? 'black' : 'white');
  };
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const element = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !element.checkVisibility({visibilityProperty: true})) continue;
    if (element.closest('.visually-hidden, :disabled, option, script, style, .skip')) continue;
    const style = getComputedStyle(element);
    const [a, b] = [light(parse(style.color)), light(behind(element))].sort((x, y) => y - x);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && style.fontWeight >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (large ? 3 : 4.5)) found.push(`${walk.currentNode.data.trim().slice(0, 40)}: ${ratio.toFixed(2)}`);
  }
  return [...new Set(found)];
}"""
"""Texts that stand out too little from what is behind them (WCAG 2.2, 1.4.3)."""


@pytest.fixture
def places(house: House) -> dict[str, str]:
    """One request that waits, one that was decided, and one whose effect is in doubt."""
    decided = house.held(arguments={"order": 2, "cents": 3000}, workflow="case-2")
    house.run(house.gateway.deny(decided.approval_id, by=house.people["bea"].caller, reason="not hers"))
    house.ask("read_order", {"order": 1})
    house.doubtful()
    held = house.held(rationale="The customer sent a picture. " * 10, workflow="w" * 100)
    return {"approval": held.approval_id, "call": held.call_id, "decided": decided.approval_id}


def open_all(page: Page, path: str) -> None:
    """Go there, and open whatever is folded."""
    page.goto(path)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [360, 768])
def test_no_page_is_wider_than_a_narrow_screen(
    house: House, windows: Windows, places: dict[str, str], name: str, width: int
) -> None:
    page = windows.sign_in(house, name, viewport={"width": width, "height": 740}, is_mobile=True)
    too_wide = {}
    for path in PAGES[name]:
        open_all(page, path.format(**places))
        seen = page.evaluate("document.documentElement.scrollWidth")
        if seen > width:
            too_wide[path] = seen

    assert too_wide == {}


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(
    house: House, windows: Windows, places: dict[str, str], name: str, scheme: str
) -> None:
    page = windows.sign_in(house, name, color_scheme=scheme)
    faint = {}
    for path in PAGES[name]:
        open_all(page, path.format(**places))
        if found := page.evaluate(CONTRAST):
            faint[path] = found

    assert faint == {}


def test_the_dark_is_chosen_by_the_system_or_by_hand_and_remembered(house: House, windows: Windows) -> None:
    def brightness(page: Page) -> int:
        colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(int(part) for part in colour.strip("rgb()").split(","))

    dark, light = (
        windows.sign_in(house, "ann", color_scheme="dark"),
        windows.sign_in(house, "ann", color_scheme="light"),
    )
    assert brightness(dark) < 200
    assert brightness(light) > 600

    light.get_by_role("button", name="Colours: auto").click()
    light.get_by_role("button", name="Colours: light").click()
    expect(light.get_by_role("button", name="Colours: dark")).to_be_visible()
    light.goto("/console/calls")

    assert brightness(light) < 200


@pytest.mark.parametrize("name", PAGES)
def test_every_page_says_all_it_says_without_javascript(
    house: House, windows: Windows, places: dict[str, str], name: str
) -> None:
    page = windows.sign_in(house, name, java_script_enabled=False)

    for path in PAGES[name]:
        page.goto(path.format(**places))
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.locator(".needs-script:visible")).to_have_count(0)


def test_a_request_is_found_read_and_denied_without_javascript(
    house: House, windows: Windows, places: dict[str, str]
) -> None:
    page = windows.sign_in(house, "ann", java_script_enabled=False)
    page.get_by_role("link", name="refund").click()
    page.get_by_role("link", name="Change the arguments").click()
    page.go_back()

    deny(page, "not without a picture")

    expect(state(page)).to_have_text("denied")
    expect(page.locator("main")).to_contain_text("not without a picture")
    assert house.business.done == []


def test_a_request_is_approved_by_the_keyboard_alone(house: House, windows: Windows) -> None:
    house.held(arguments={"order": 7, "cents": 5000})
    page = windows.open(house)
    page.goto("/")
    expect(page.get_by_label("Access token")).to_be_focused()
    page.keyboard.type(house.token("ann"))
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/inbox")
    expect(page.locator(".live")).to_have_text("Live")

    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url("**/console/approvals/*")
    page.keyboard.press("a")
    expect(page.get_by_label("Approve, because")).to_be_focused()
    page.keyboard.type("checked by keyboard")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Approve exactly this")).to_be_focused()
    page.keyboard.press("Enter")

    expect_it_ran(page)
    assert len(house.business.of("refund")) == 1


def test_letters_that_are_typed_into_a_field_are_no_commands(house: House, windows: Windows) -> None:
    held = house.held()
    page = windows.sign_in(house, "ann")
    look_at(page, held.approval_id)

    page.get_by_label("Approve, because").press_sequentially("edge? read gi add")

    expect(page.get_by_label("Approve, because")).to_have_value("edge? read gi add")
    expect(page.locator("dialog[open]")).to_have_count(0)
    assert house.approval(held.approval_id).state == "pending"


def test_the_keyboard_sees_where_it_is(house: House, windows: Windows) -> None:
    held = house.held()
    page = windows.sign_in(house, "ann")
    look_at(page, held.approval_id)
    unseen = []

    for _ in range(40):
        page.keyboard.press("Tab")
        where, seen = page.evaluate(
            """() => { const at = document.activeElement, style = getComputedStyle(at);
            return [at.outerHTML.slice(0, 80),
                at === document.body || style.outlineStyle !== 'none' || style.boxShadow !== 'none']; }"""
        )
        if not seen:
            unseen.append(where)

    assert unseen == []
