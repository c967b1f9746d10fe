"""The Jobs page: bars that move by themselves, the button that ends one, and all of it without JavaScript too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from playwright.sync_api import expect

from tests.browser.house import House
from tests.browser.test_every_page import CONTRAST
from tests.long_work import PATIENCE, Stock
from toolgate.adapters.clock import SystemClock
from toolgate.adapters.jobs.passing import PassingJobs
from toolgate.domain.jobs import told_state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.browser.conftest import Windows

pytestmark = pytest.mark.req("X3.72")
NARROW: Final = {"width": 360, "height": 740}


@pytest.fixture
def stock() -> Iterator[Stock]:
    stock = Stock()
    yield stock
    stock.proceed.set()


@pytest.fixture
def house(tmp_path: Path, stock: Stock) -> Iterator[House]:
    clock = SystemClock()
    engine = PassingJobs(clock, concurrency=16)
    with House(tmp_path, tools=stock.tools(), clock=clock, jobs=engine) as house:
        yield house
        stock.proceed.set()


def running(house: House, stock: Stock, tool: str = "count") -> str:
    """A job that is at work."""
    outcome: Any = house.ask(tool, {"shelves": 4}, workflow=f"case-{tool}")
    assert outcome.status == "started", outcome
    assert stock.entered.wait(PATIENCE)
    return str(outcome.job_id)


def card(page: Page) -> Any:
    """What says how far it is."""
    return page.locator("#state")


def test_a_bar_moves_by_itself_until_the_job_has_ended(house: House, stock: Stock, windows: Windows) -> None:
    job_id = running(house, stock)
    page = windows.sign_in(house, "u1")
    page.goto("/console/jobs")
    row = page.locator(f"#{job_id}")
    expect(row.get_by_role("progressbar", name="Progress of count")).to_have_js_property("value", 1)
    expect(row).to_contain_text("1 of 4")
    expect(row).to_contain_text("at the first shelf of north")
    expect(page.locator(".live")).to_have_text("Live")
    stock.proceed.set()
    expect(row).to_contain_text("succeeded")
    expect(row.get_by_role("progressbar")).to_have_count(0)


def test_a_job_that_begins_appears_on_a_page_that_is_open(
    house: House, stock: Stock, windows: Windows
) -> None:
    page = windows.sign_in(house, "olga")
    page.goto("/console/jobs")
    expect(page.get_by_role("heading", name="No job yet")).to_be_visible()
    job_id = running(house, stock)
    expect(page.locator(f"#{job_id}")).to_contain_text("1 of 4")


def test_a_person_ends_a_job_with_a_reason_that_the_trail_keeps(
    house: House, stock: Stock, windows: Windows
) -> None:
    job_id = running(house, stock)
    page = windows.sign_in(house, "u1")
    page.goto("/console/jobs")
    page.get_by_role("link", name="count").click()
    expect(card(page)).to_contain_text("running")
    page.get_by_role("link", name="Cancel it…").click()
    page.get_by_label("Why").fill("It is the wrong house")
    page.get_by_role("button", name="Cancel this job").click()
    expect(page.get_by_text("It was asked to end")).to_be_visible()
    expect(card(page)).to_contain_text("cancelled")
    expect(card(page)).to_contain_text("It is the wrong house")
    page.reload()
    expect(page.get_by_role("button", name="Cancel this job")).to_have_count(0)
    row = house.run(house.gateway.store.job(job_id))
    assert row is not None
    assert (row.cancelled_by, row.cancel_reason) == ("u1", "It is the wrong house")
    assert "job_cancel_asked" in [line.get("toolgate.transition") for line in house.trail(row.call_id)]


def test_everything_works_without_javascript(house: House, stock: Stock, windows: Windows) -> None:
    job_id = running(house, stock, "fill")
    page = windows.sign_in(house, "u1", java_script_enabled=False)
    page.goto("/console/jobs")
    expect(page.locator(f"#{job_id}").get_by_role("progressbar")).to_be_visible()
    page.get_by_label("State").select_option("queued")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("heading", name="No job fits")).to_be_visible()
    page.goto(f"/console/jobs/{job_id}")
    page.get_by_label("Why").fill("Not today")
    page.get_by_role("button", name="Cancel this job").click()
    expect(page.get_by_text("It was asked to end")).to_be_visible()
    expect(card(page)).to_contain_text("Not today")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_pages_fit_a_narrow_screen_and_stand_out_in_either_colour(
    house: House, stock: Stock, windows: Windows, theme: Any
) -> None:
    job_id = running(house, stock)
    page = windows.sign_in(house, "u1", viewport=NARROW, color_scheme=theme)
    for path in ("/console/jobs", f"/console/jobs/{job_id}"):
        page.goto(path)
        expect(page.get_by_role("progressbar", name="Progress of count")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert page.evaluate(CONTRAST) == []


@pytest.mark.req("M4.19")
def test_a_job_of_another_tenant_is_one_that_never_was(house: House, stock: Stock, windows: Windows) -> None:
    job_id = running(house, stock)
    page = windows.sign_in(house, "eve")
    page.goto("/console/jobs")
    expect(page.get_by_role("heading", name="No job yet")).to_be_visible()
    answer = page.goto(f"/console/jobs/{job_id}")
    assert answer is not None
    assert answer.status == 404
    row = house.run(house.gateway.store.job(job_id))
    assert row is not None
    assert told_state(house.call(row.call_id)) == "running"
