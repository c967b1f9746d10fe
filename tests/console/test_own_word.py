"""What waits for whoever asked: the console tells them so, and they confirm it there, in their own person."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from tests.console.house import ANN, LEA, OLA, SETTINGS, Business, House, approval
from toolgate import Approval, Gateway, tool
from toolgate.surfaces.console.routes import routes
from toolgate.surfaces.http.app import build_app
from toolgate.surfaces.http.office import open_office
from toolgate.testing import FakeClock

pytestmark = [pytest.mark.anyio, pytest.mark.req("M12.24")]


@tool(
    effect="write",
    roles={"clerk"},
    timeout=5,
    idempotency="note:{order}:{workflow_id}",
    approval=Approval(approvers="caller", expires_in="1h"),
)
async def note(order: Annotated[int, Field(ge=1, le=99)]) -> int:
    """Write a note to an order."""
    return order


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    """A house with one tool that asks its caller."""
    clock = FakeClock()
    async with Gateway(
        [note], store=f"sqlite:///{tmp_path / 'gate.db'}", clock=clock, housekeeping=None
    ) as gateway:
        office = open_office(gateway, SETTINGS, monotonic=clock.monotonic)
        app = build_app(office, routes=routes(office))
        try:
            yield House(gateway=gateway, office=office, app=app, clock=clock, business=Business())
        finally:
            office.closing.begin()


async def test_whoever_asked_finds_it_in_their_inbox_and_confirms_it_without_giving_a_reason(
    house: House,
) -> None:
    waiting = await house.held("note", order=7)
    async with house.person(ANN) as browser:
        inbox = await browser.get("/console/inbox")
        page = await browser.get(approval(waiting))
        form = page.form(approval(waiting, "/decide"), decision="approve")
        done = await browser.send(form, reason="")

    assert approval(waiting) in inbox.source
    for said in (
        "You asked for this, through the agent helper. Confirm it, and the gateway runs it in your name.",
        "Confirm exactly this",
        "Decline, for good",
        "0 of 1 approval, by whoever asked",
        "A person is asked whoever asks for this has to confirm it",
    ):
        assert said in page.text, said
    assert approval(waiting, "/edit") not in page.source
    assert "Make a grant" not in page.text
    assert "confirmed in person" in done.text
    assert await house.ended(waiting) == "succeeded"


async def test_whoever_asked_declines_it_for_good(house: House) -> None:
    waiting = await house.held("note", order=7)
    async with house.person(ANN) as browser:
        page = await browser.get(approval(waiting))
        await browser.send(page.form(approval(waiting, "/decide"), decision="deny"), reason="")

    assert await house.state(waiting) == "denied"


async def test_nobody_else_finds_a_form_for_it_and_one_that_they_make_up_decides_nothing(
    house: House,
) -> None:
    waiting = await house.held("note", order=7)
    async with house.person(LEA) as browser:
        inbox = await browser.get("/console/inbox")
        await browser.get(approval(waiting))
        hidden = browser.status
    async with house.person(OLA) as browser:
        page = await browser.get(approval(waiting))
        shown = [form.action for form in page.forms if form.action.endswith("/decide")]
        token = next(form.fields["csrf"] for form in page.forms if "csrf" in form.fields)
        digest = (await _digest(house, waiting)).hex()
        fields = {"csrf": token, "decision": "approve", "digest": digest, "reason": "it is fine"}
        refused = await browser.post(approval(waiting, "/decide"), fields)

    assert approval(waiting) not in inbox.source
    assert hidden == 404
    assert shown == []
    assert "You may not decide it: only whoever asked for a call may confirm it." in page.text
    assert "only whoever asked for a call may confirm it" in refused.text
    assert await house.state(waiting) == "pending"


async def test_the_page_of_the_call_says_through_which_program_it_was_confirmed(house: House) -> None:
    from toolgate.domain.principal import Principal
    from toolgate.operations.confirm_own import confirm_own

    waiting = await house.held("note", order=7)
    agent = Principal(caller=ANN, agent="helper")
    await house.gateway.operate(
        confirm_own,
        waiting,
        by=agent,
        accepted=True,
        through="mcp: Reading Room 4.2",
        digest=await _digest(house, waiting),
    )
    outcome, _ = house.asked[waiting]
    async with house.person(ANN) as browser:
        page = await browser.get(f"/console/calls/{outcome.call_id}")

    assert "through mcp: Reading Room 4.2" in page.text


async def _digest(house: House, approval_id: str) -> bytes:
    from toolgate.domain.rows import ByApproval

    row = (await house.gateway.store.find(ByApproval(approval_id))).approval
    assert row is not None
    assert json.loads(row.requirement)["own"] is True
    return row.digest
