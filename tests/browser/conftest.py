"""A browser for the folder, a house for each test, and a window for each person who comes.

Every window is watched: a dialog, an error of a script, a violation of the page's policy, or a request that leaves the
house fails the test at its end, whatever the test was about. A failed test leaves a trace in ``.cache/browser``, for
``playwright show-trace``. Playwright's synchronous half keeps a loop running in this thread, so no test in this folder
is a coroutine, and the browser goes when the folder is left.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser import provide
from tests.browser.house import House
from toolgate.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page

TRACES: Final = Path(__file__).parent.parent.parent / ".cache" / "browser"
EXPECTED: Final = re.compile(r"Failed to load resource: the server responded with a status of (4\d\d)")
"""What Chromium says of a refusal that the page then shows."""
_FAILED: Final = pytest.StashKey[bool]()

# Beside other tests on a busy machine a page may take long; what is expected has this much real time to show.
expect.set_options(timeout=15_000)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Remember that a test failed, for whoever keeps its trace."""
    report = yield
    item.stash[_FAILED] = item.stash.get(_FAILED, False) or report.failed
    return report


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The browser. A machine without one fails here, and the error says what to install."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=provide.browser(), args=provide.arguments())
        yield browser
        browser.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """A server with an empty ledger and real time."""
    with House(tmp_path) as house:
        yield house


@pytest.fixture
def clock() -> FakeClock:
    """The time of ``still_house``."""
    return FakeClock()


@pytest.fixture
def still_house(tmp_path: Path, clock: FakeClock) -> Iterator[House]:
    """A server whose time stands still until a test moves ``clock``."""
    with House(tmp_path, clock=clock) as house:
        yield house


class Served(Protocol):
    """Something that is served."""

    @property
    def url(self) -> str:
        """Where."""


@dataclass
class Windows:
    """Browser windows of people, all watched."""

    browser: Browser
    complaints: list[str] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    def open(self, house: Served, **options: Any) -> Page:
        """A window of somebody who is not signed in."""
        context = self.browser.new_context(base_url=house.url, **{"reduced_motion": "reduce", **options})
        context.set_default_timeout(15_000)
        context.tracing.start(snapshots=True, screenshots=False, sources=False)
        context.on("console", self._heard)
        context.on("weberror", lambda error: self.complaints.append(f"error in a script: {error.error}"))
        context.on("request", lambda request: self._asked(request.url, house.url))
        self.contexts.append(context)
        page = context.new_page()
        page.on("dialog", self._interrupted)
        return page

    def sign_in(self, house: House, name: str, **options: Any) -> Page:
        """A window of somebody who is signed in, on the first page they see."""
        known = house.signed_in.get(name)
        page = self.open(house, **({"storage_state": known} if known else {}), **options)
        page.goto("/")
        if known is None:
            page.get_by_label("Access token").fill(house.token(name))
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url("**/console/inbox")
            house.signed_in[name] = page.context.storage_state()
        return page

    def close(self, trace: Path | None) -> None:
        """Close all windows, keeping what happened in them where ``trace`` says."""
        for number, context in enumerate(self.contexts):
            if trace is None:
                context.tracing.stop()
            else:
                context.tracing.stop(path=trace.with_name(f"{trace.name}-{number}.zip"))
            context.close()

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not EXPECTED.match(message.text):
            self.complaints.append(f"{message.type}: {message.text}")

    def _asked(self, url: str, ours: str) -> None:
        if not url.startswith((f"{ours}/", "data:", "about:", "blob:")):
            self.complaints.append(f"a request to {url}")

    def _interrupted(self, dialog: Any) -> None:
        self.complaints.append(f"a dialog said {dialog.message!r}")
        dialog.dismiss()


@pytest.fixture
def windows(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Windows]:
    """Windows for this test; whatever went wrong in one of them fails it."""
    windows = Windows(chromium)
    yield windows
    failed = request.node.stash.get(_FAILED, False) or bool(windows.complaints)
    TRACES.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")[:120]
    windows.close(TRACES / name if failed else None)
    assert windows.complaints == []
