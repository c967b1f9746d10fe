"""What waits for whoever asked, over REST: they confirm it with a credential of their own, an agent with none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field

from tests.rest.desk import ANN, BOB, LEA, OLA, SETTINGS, Business, Desk, ask, decide, seen
from toolgate import Approval, Gateway, tool
from toolgate.domain.principal import Scope
from toolgate.surfaces.http.app import build_app
from toolgate.surfaces.http.office import open_office
from toolgate.surfaces.rest.endpoints import routes
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
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk with one tool that asks its caller."""
    clock = FakeClock()
    async with Gateway(
        [note], store=f"sqlite:///{tmp_path / 'gate.db'}", clock=clock, housekeeping=None
    ) as gateway:
        office = open_office(gateway, SETTINGS, monotonic=clock.monotonic)
        app = build_app(office, routes=routes(office))
        try:
            yield Desk(
                gateway=gateway, office=office, app=app, clock=clock, business=Business(), folder=tmp_path
            )
        finally:
            office.closing.begin()


async def test_an_agent_says_no_yes_for_its_user_who_says_it_with_a_credential_of_their_own(
    desk: Desk,
) -> None:
    async with desk.person(ANN, agent="helper") as agent, desk.person(ANN) as ann:
        asked = (await ask(agent, "note", order=7)).json()
        by_agent = await decide(agent, asked["approval_id"])
        shown = await seen(ann, asked["approval_id"])
        mine = (await ann.get("/v1/approvals")).json()["approvals"]
        by_ann = await decide(ann, asked["approval_id"])
        await desk.gateway.sweep()
        told = (await agent.get(f"/v1/calls/{asked['call_id']}", params={"wait": 30})).json()

    assert asked["status"] == "pending_approval"
    assert by_agent.status_code == 403
    assert by_agent.json()["detail"] == "this credential lacks the scope approve"
    assert (shown["own"], shown["requires_role"]) == (True, "whoever asked")
    assert [one["approval_id"] for one in mine] == [asked["approval_id"]]
    assert by_ann.status_code == 200
    assert told["status"] == "succeeded"


async def test_nobody_else_confirms_or_denies_it(desk: Desk) -> None:
    async with desk.person(ANN) as ann, desk.person(OLA) as ola:
        asked = (await ask(ann, "note", order=7)).json()
        digest = (await seen(ann, asked["approval_id"]))["digest"]
        answers = []
        for caller, scopes in ((BOB, None), (LEA, None), (OLA, None), (ANN, frozenset({Scope.CALL}))):
            given = {} if scopes is None else {"scopes": scopes}
            async with desk.person(caller, **given) as other:
                for word in ("approve", "deny"):
                    body = {"decision": word, "digest": digest, "reason": "it is fine"}
                    answers.append(
                        await other.post(f"/v1/approvals/{asked['approval_id']}/decision", json=body)
                    )
        state = (await seen(ola, asked["approval_id"]))["state"]

    assert {answer.status_code for answer in answers} == {403}
    assert state == "pending"
