"""What a person does on the page of one approval, by the names that stand on it.

Not here: what is expected of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import Locator, expect

if TYPE_CHECKING:
    from playwright.sync_api import Page


def look_at(page: Page, approval_id: str) -> None:
    """Open the approval's page."""
    page.goto(f"/console/approvals/{approval_id}")


def approve(page: Page, reason: str = "checked the order") -> None:
    """Agree to what is shown."""
    page.get_by_label("Approve, because").fill(reason)
    page.get_by_role("button", name="Approve exactly this").click()


def deny(page: Page, reason: str = "not this one") -> None:
    """Say no."""
    page.get_by_label("Deny, because").fill(reason)
    page.get_by_role("button", name="Deny, for good").click()


def state(page: Page) -> Locator:
    """How it stands."""
    return page.locator("#state h2")


def expect_it_ran(page: Page) -> None:
    """The page says so by itself; nobody loads it anew."""
    expect(state(page)).to_have_text("consumed")


def notices(page: Page) -> Locator:
    """What the page says about what was just done."""
    return page.locator(".notice")
