"""How people get into the console and out of it, and that an ended session loses nothing that was typed."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.asked_for import expect_it_ran, look_at
from toolgate.operations.sessions import one_time_link

if TYPE_CHECKING:
    from pathlib import Path

    from tests.browser.conftest import Windows
    from tests.browser.house import House

pytestmark = pytest.mark.req("M4.23")


def test_a_token_opens_a_session_and_signing_out_ends_it(house: House, windows: Windows) -> None:
    page = windows.sign_in(house, "ann")
    expect(page.get_by_role("heading", name="Inbox")).to_be_visible()

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Access token")).to_be_visible()
    page.goto("/console/inbox")

    expect(page.get_by_label("Access token")).to_be_visible()


def test_a_wrong_token_opens_nothing_and_is_told_so(house: House, windows: Windows) -> None:
    page = windows.open(house)
    page.goto("/")

    page.get_by_label("Access token").fill("tgt_made-up")
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("alert")).to_contain_text("unknown, expired or revoked")
    assert "made-up" not in page.content()
    assert page.context.cookies() == []


def test_a_one_time_link_opens_one_session_and_no_second(house: House, windows: Windows) -> None:
    made = house.run(house.gateway.operate(one_time_link, id="admin", tenant="acme"))
    first, second = windows.open(house), windows.open(house)

    for page in (first, second):
        page.goto(f"/console/sign-in#{made.secret}")
        # The secret leaves the address before anything is sent.
        page.wait_for_url("**/console/sign-in")
        page.get_by_role("button", name="Sign in").click()

    expect(first.get_by_role("heading", name="Inbox")).to_be_visible()
    expect(second.get_by_role("alert")).to_be_visible()
    assert house.url in first.url


def test_whoever_opens_a_page_without_a_session_comes_back_to_it_after_signing_in(
    house: House, windows: Windows
) -> None:
    held = house.held()
    page = windows.open(house)

    look_at(page, held.approval_id)
    page.get_by_label("Access token").fill(house.token("ann"))
    page.get_by_role("button", name="Sign in").click()

    page.wait_for_url(f"**/console/approvals/{held.approval_id}")


@pytest.mark.req("M12.18")
@pytest.mark.parametrize("script", [True, False], ids=["with a script", "without one"])
def test_a_session_that_ended_keeps_what_was_typed_and_sends_it_only_when_asked_again(
    house: House, windows: Windows, script: bool
) -> None:
    held = house.held()
    page = windows.sign_in(house, "ann", java_script_enabled=script)
    other = windows.sign_in(house, "ann")
    look_at(page, held.approval_id)
    page.get_by_label("Approve, because").fill("I looked at the picture")
    with page.expect_response(lambda answer: "state" in answer.url) if script else nullcontext():
        other.get_by_role("button", name="Sign out").click()
    expect(other.get_by_label("Access token")).to_be_visible()

    # The page was told that its session is over, and holds on to what was typed.
    page.get_by_role("button", name="Approve exactly this").click()
    expect(page.get_by_role("status").or_(page.locator(".notice"))).to_contain_text("Your session ended")
    nothing_yet = list(house.business.done)
    page.get_by_label("Access token").fill(house.token("ann"))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("I looked at the picture")).to_be_visible()
    assert house.approval(held.approval_id).state == "pending"
    page.get_by_role("button", name="Send it now").click()

    page.wait_for_url(f"**/console/approvals/{held.approval_id}*")
    house.ended(held)
    assert nothing_yet == []
    assert [done["cents"] for done in house.business.of("refund")] == [5000]
    page.reload()
    expect_it_ran(page)
    expect(page.locator("#state")).to_contain_text("I looked at the picture")


@pytest.mark.req("M4.29", "M5.14")
def test_the_link_that_the_server_prints_signs_its_starter_in(tmp_path: Path, windows: Windows) -> None:
    (tmp_path / "toolgate.toml").write_text(
        'tools = ["toolgate.examples.support_desk:tools"]\nstore = "sqlite:///gate.db"\n'
        '[server]\nlisten = "127.0.0.1:0"\n'
    )
    command = [sys.executable, "-m", "toolgate", "serve"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as serving:
        assert serving.stdout is not None
        link = next(line.split()[-1] for line in serving.stdout if line.strip().startswith("sign in"))
        page = windows.open(SimpleNamespace(url=link.partition("/console")[0]))

        page.goto(link)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
        page.get_by_role("link", name="Tools").click()
        expect(page.get_by_role("link", name="create_refund")).to_be_visible()
        serving.terminate()
        said, complaints = serving.communicate(timeout=60)

    assert serving.returncode == 0, complaints
    assert "toolgate has stopped" in said
    assert link.partition("#")[2] not in complaints
