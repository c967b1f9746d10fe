"""Takes the pictures of ``docs/images``: ``python docs/screenshots.py [NAME …]``.

A support desk is seeded, served by the real server, and looked at in a real browser, as people of it. Its clock stands
still, so that a picture changes only where a page did. Not here: the words around the pictures (``console.md``).
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

ROOT: Final = Path(__file__).parent.parent
# The house that is looked at is the one of the browser's tests.
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright  # noqa: E402 - the path above comes first

from tests.browser import provide  # noqa: E402 - as above
from tests.browser.business import Person  # noqa: E402 - as above
from tests.browser.house import House  # noqa: E402 - as above
from toolgate import Caller, PendingApproval  # noqa: E402 - as above
from toolgate.domain.duration import MICRO  # noqa: E402 - as above
from toolgate.domain.principal import in_person  # noqa: E402 - as above
from toolgate.domain.rows import GrantRow  # noqa: E402 - as above
from toolgate.examples.support_desk import callers, deps, personas, tools  # noqa: E402 - as above
from toolgate.examples.support_desk.faults import Fault  # noqa: E402 - as above
from toolgate.examples.support_desk.world import World  # noqa: E402 - as above
from toolgate.operations.grants import make_grant  # noqa: E402 - as above
from toolgate.testing import FakeClock  # noqa: E402 - as above

if TYPE_CHECKING:
    from toolgate import Outcome

FOLDER: Final = Path(__file__).parent / "images"
MORNING: Final = round(datetime(2026, 3, 2, 8, 5, tzinfo=UTC).timestamp()) * MICRO
WIDE: Final = ViewportSize(width=1180, height=780)
NARROW: Final = ViewportSize(width=390, height=780)
TALLEST: Final = 1500
"""Pixels of a picture; what is longer is cut."""

SHORTEST: Final = 500
MINUTE: Final = 60.0
ASKS: Final = frozenset({"call"})
DECIDES: Final = frozenset({"call", "approve"})


def _persona(name: str, scopes: frozenset[str]) -> Person:
    return Person(personas[name].caller, scopes)


PEOPLE: Final = {
    "maya": _persona("maya", ASKS),
    "priya": _persona("priya", ASKS),
    "omar": _persona("omar", DECIDES),
    "ines": _persona("ines", DECIDES),
    "olga": Person(
        Caller("u-olga", roles={"operator", "admin"}, tenant="acme"), frozenset({"call", "operate", "admin"})
    ),
}


@dataclass
class Morning:
    """What happened before the pictures are taken, and what of it is looked at."""

    house: House
    world: World
    clock: FakeClock
    seen: dict[str, str] = field(default_factory=dict)

    def ask(
        self, who: str, tool: str, arguments: dict[str, Any], case: str, why: str | None = None
    ) -> Outcome[Any]:
        """The agent of ``who`` asks, and two minutes pass."""
        outcome = self.house.ask(
            tool,
            arguments,
            by=who,
            workflow=case,
            agent="support_assistant",
            model="made-up-1",
            rationale=why,
        )
        self.clock.advance(2 * MINUTE)
        return outcome

    def held(self, *asked: Any, **given: Any) -> PendingApproval:
        """As ``ask``, where a person has to decide."""
        outcome = self.ask(*asked, **given)
        assert isinstance(outcome, PendingApproval), outcome
        return outcome

    def approve(self, who: str, held: PendingApproval, reason: str) -> None:
        """``who`` agrees."""
        gateway = self.house.gateway
        said = self.house.run(gateway.approve(held.approval_id, by=PEOPLE[who].caller, reason=reason))
        assert not isinstance(said, str), said

    def grant(self, who: str, bounds: dict[str, Any], reason: str) -> None:
        """``who`` agrees beforehand to what Priya's agent refunds within ``bounds``, for eight hours."""
        made = self.house.run(
            self.house.gateway.operate(
                make_grant,
                by=in_person(PEOPLE[who].caller),
                tool="create_refund",
                bounds=bounds,
                caller_id="u-priya",
                agent="support_assistant",
                lasting=8 * 60 * MINUTE,
                uses=20,
                reason=reason,
            )
        )
        assert isinstance(made, GrantRow), made

    def ended(self, who: str, held: PendingApproval) -> None:
        """Wait until what was approved has run."""
        self.house.run(self.house.gateway.wait_for(held, caller=PEOPLE[who].caller))


def live_through(morning: Morning) -> None:
    """The morning, as a story."""
    ask, held = morning.ask, morning.held
    ask("maya", "read_customer_notes", {"customer_id": "cus_1001"}, "case-2041")
    ask("maya", "check_shipping_status", {"order_id": 5001}, "case-2041")
    small = {
        "order_id": 5002,
        "amount_cents": 1200,
        "card_last4": "4242",
        "reason": "The lamp came two weeks late.",
    }
    ask("maya", "create_refund", small, "case-2039")
    ask("maya", "read_customer_notes", {"customer_id": "cus_1003"}, "case-2040")
    mail = {"to": "s.ito@example.net", "subject": "Your sledge", "body": "Your sledge is on its way to you."}
    sent = held("maya", "send_email", mail, "case-2037")
    morning.world.faults.arm("mail", Fault.DROPPED_REPLY)
    morning.approve("omar", sent, "Checked against the order.")
    morning.ended("maya", sent)
    morning.seen["unknown"] = sent.call_id
    moved = held(
        "maya",
        "update_customer_email",
        {"customer_id": "cus_1002", "new_email": "samuel@ito.example"},
        "case-2042",
    )
    erased = held(
        "priya",
        "delete_customer",
        {"customer_id": "cus_1005", "ground": "customer_request"},
        "case-2036",
        why="She asked for it twice, in writing.",
    )
    morning.approve("ines", erased, "Her request is on file.")
    refund = held(
        "maya",
        "create_refund",
        {
            "order_id": 5001,
            "amount_cents": 90_00,
            "card_last4": "4242",
            "reason": "One tent pole arrived bent; she keeps the tent.",
        },
        "case-2041",
        why="The customer sent a picture of the bent pole and asked for part of the price.",
    )
    morning.seen |= {"refund": refund.approval_id, "erasure": erased.approval_id, "email": moved.approval_id}
    morning.seen["held_call"] = refund.call_id
    morning.grant("omar", {"amount_cents": {"le": 60_00}}, "Jackets of the winter sale have a loose seam.")
    seam = {"order_id": 5005, "amount_cents": 55_00, "card_last4": "7731", "reason": "The seam came loose."}
    ask("priya", "create_refund", seam, "case-2043")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture. ``path`` may name what the morning left; ``then`` is what is done on the page before it is taken."""

    name: str
    who: str | None
    path: str
    dark: bool = False
    narrow: bool = False
    then: Callable[[Page], object] | None = None


def check_an_edit(page: Page) -> None:
    """Half of what was asked for, checked and not saved."""
    page.get_by_label("amount_cents", exact=True).fill("4500")
    page.get_by_role("button", name="Check what it comes to").click()
    page.get_by_label("Change it, because").fill("Half of it is what the handbook allows.")


PICTURES: Final = (
    Picture(name="sign-in", who=None, path="/console/sign-in"),
    Picture(name="inbox", who="omar", path="/console/inbox"),
    Picture(name="inbox-dark", who="omar", path="/console/inbox", dark=True),
    Picture(name="inbox-narrow", who="omar", path="/console/inbox", narrow=True),
    Picture(name="approval", who="omar", path="/console/approvals/{refund}"),
    Picture(name="approval-dark", who="omar", path="/console/approvals/{refund}", dark=True),
    Picture(name="approval-narrow", who="omar", path="/console/approvals/{refund}", narrow=True),
    Picture(name="edit", who="omar", path="/console/approvals/{refund}/edit", then=check_an_edit),
    Picture(name="quorum", who="omar", path="/console/approvals/{erasure}"),
    Picture(name="grant", who="omar", path="/console/grants/new?approval={refund}"),
    Picture(name="grants", who="omar", path="/console/grants"),
    Picture(name="stop", who="olga", path="/console/stop"),
    Picture(name="overview", who="olga", path="/console/overview"),
    Picture(name="calls", who="olga", path="/console/calls"),
    Picture(name="call", who="olga", path="/console/calls/{held_call}"),
    Picture(name="unresolved", who="olga", path="/console/unresolved"),
    Picture(name="tools", who="olga", path="/console/tools"),
    Picture(name="tool", who="olga", path="/console/tools/create_refund"),
    Picture(name="audit", who="olga", path="/console/audit"),
    Picture(name="tokens", who="olga", path="/console/tokens"),
    Picture(name="notifications", who="olga", path="/console/notifications"),
)


@contextmanager
def morning_at_the_desk() -> Iterator[Morning]:
    """The desk, its gate and the server, with the morning behind them."""
    clock = FakeClock(now=MORNING)
    with (
        tempfile.TemporaryDirectory(prefix="toolgate-pictures-") as folder,
        World.create(Path(folder) / "desk.db").use() as world,
        House(Path(folder), tools=tools, people=PEOPLE, deps=deps, callers=callers, clock=clock) as house,
    ):
        morning = Morning(house, world, clock)
        live_through(morning)
        yield morning


def take(browser: Browser, morning: Morning, picture: Picture) -> Path:
    """One picture, written."""
    house = morning.house
    known = house.signed_in.get(picture.who or "")
    context = browser.new_context(
        base_url=house.url,
        storage_state=known,
        viewport=NARROW if picture.narrow else WIDE,
        color_scheme="dark" if picture.dark else "light",
        reduced_motion="reduce",
        # No room kept for a scroll bar that a phone does not have.
        is_mobile=picture.narrow,
    )
    page = context.new_page()
    if picture.who is not None and known is None:
        sign_in(page, house.token(picture.who))
        house.signed_in[picture.who] = context.storage_state()
    page.goto(picture.path.format(**morning.seen))
    if picture.then is not None:
        picture.then(page)
    height = min(TALLEST, page.evaluate("document.documentElement.scrollHeight"))
    width = (NARROW if picture.narrow else WIDE)["width"]
    page.set_viewport_size(ViewportSize(width=width, height=max(height, SHORTEST)))
    written = FOLDER / f"{picture.name}.png"
    page.screenshot(path=written, animations="disabled")
    context.close()
    return written


def sign_in(page: Page, token: str) -> None:
    """Open a session with ``token``."""
    page.goto("/console/sign-in")
    page.locator("input[name=token]").fill(token)
    page.locator("input[name=token]").press("Enter")
    page.wait_for_url("**/console/inbox")


def main(names: list[str]) -> int:
    """Take the pictures of ``names``, or all."""
    chosen = [picture for picture in PICTURES if not names or picture.name in names]
    FOLDER.mkdir(exist_ok=True)
    with morning_at_the_desk() as morning, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=provide.browser(), args=provide.arguments())
        for picture in chosen:
            written = take(browser, morning, picture)
            print(f"{written.relative_to(ROOT)}  {written.stat().st_size // 1024} KiB")
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
