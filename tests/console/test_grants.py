"""Consent given beforehand, from the console."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from tests.console.house import ANN, AUD, CARD, LEA, MAX, House, approval
from toolgate import PendingApproval, Succeeded
from toolgate.domain.principal import in_person
from toolgate.domain.rows import GrantRow
from toolgate.operations.grants import make_grant

pytestmark = pytest.mark.anyio


async def _asked(house: House, **arguments: object) -> object:
    flow = house.gateway.make_workflow(f"later-{len(arguments)}-{house.clock.now()}", agent="helper")
    return await house.gateway.request("refund", arguments, caller=ANN, workflow=flow)


@pytest.mark.req("X7.1")
async def test_a_grant_from_a_request_is_filled_in_as_narrow_as_the_request(house: House) -> None:
    waiting = await house.held(order=7, cents=5000)
    async with house.person(LEA) as browser:
        page = await browser.get(f"/console/grants/new?approval={waiting}")
        fields = page.form("/console/grants").fields
        assert (fields["op.cents"], fields["value.cents"]) == ("le", "5000")
        assert (fields["op.currency"], fields["value.currency"]) == ("eq", '"EUR"')
        assert (fields["op.urgent"], fields["value.urgent"]) == ("eq", "false")
        assert (fields["caller"], fields["agent"]) == ("ann", "helper")
        assert "op.card" not in fields
        assert "Not to be bounded, because sensitive: card" in page.text
        assert CARD not in browser.answer.text


@pytest.mark.req("X7.1", "X7.2")
async def test_calls_within_a_grant_run_without_asking_until_it_is_revoked(house: House) -> None:
    waiting = await house.held(order=7, cents=5000)
    async with house.person(LEA) as browser:
        page = await browser.get(f"/console/grants/new?approval={waiting}")
        form = page.form("/console/grants")
        page = await browser.send(form, {"op.order": ""}, uses="3", lasting="3600", reason="the sale of July")
        assert browser.path.startswith("/console/grants?done=made&")
        assert "cents ≤ 5000" in page.text
        assert "for ann through helper · by lea" in page.text
        assert "0 of 3 used" in page.text
        assert "1 h left" in page.text
        assert isinstance(await _asked(house, order=8, cents=4000), Succeeded)
        assert isinstance(await _asked(house, order=9, cents=5001), PendingApproval)
        page = await browser.get("/console/grants")
        assert "1 of 3 used" in page.text
        form = next(form for form in page.forms if form.action.endswith("/revoke"))
        page = await browser.send(form, reason="")
        assert browser.status == 422
        assert "say why" in page.text
        page = await browser.send(form, reason="the sale is over")
        assert "No grant is in force" in page.text
        page = await browser.get("/console/grants?view=past")
        assert "ended just now by lea" in page.text
        house.clock.advance(1)
        assert isinstance(await _asked(house, order=10, cents=4000), PendingApproval)


@pytest.mark.req("X7.1")
@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"caller": "", "agent": ""}, "say for whom"),
        ({"uses": "0"}, "a grant is for 1 to"),
        ({"uses": "many"}, "a grant is for 1 to"),
        ({"lasting": "0"}, "a grant lasts more than 0"),
        ({"reason": " "}, "say why"),
        ({"value.cents": "lots"}, "write a whole number"),
        ({"caller": "lea", "agent": ""}, "nor beforehand"),
    ],
)
async def test_a_grant_that_does_not_fit_is_refused_and_what_was_typed_stays(
    house: House, typed: dict[str, str], words: str
) -> None:
    waiting = await house.held(order=7, cents=5000)
    async with house.person(LEA) as browser:
        form = (await browser.get(f"/console/grants/new?approval={waiting}")).form("/console/grants")
        page = await browser.send(form, {"reason": "often asked"} | typed)
        assert 400 <= browser.status < 500
        assert words in page.text
        fields = page.form("/console/grants").fields
        kept = typed.keys() - {"reason", "lasting"}
        assert {name: fields[name] for name in kept} == {name: typed[name] for name in kept}
        assert "No grant is in force" in (await browser.get("/console/grants")).text


@pytest.mark.req("X7.1")
async def test_a_grant_is_made_by_hand_for_a_tool_that_one_may_approve(house: House) -> None:
    async with house.person(LEA) as browser:
        page = await browser.get("/console/grants/new")
        assert "mail" in page.text
        assert "look" not in [word for word in page.text.split() if word == "look"]
        page = await browser.get("/console/grants/new?tool=mail")
        form = page.form("/console/grants")
        assert form.fields["op.to"] == ""
        page = await browser.send(
            form, {"op.to": "eq", "value.to": "desk@example.com"}, agent="helper", reason="our own desk"
        )
        assert 'to = "desk@example.com"' in page.text
        assert "for anybody through helper" in page.text


@pytest.mark.req("X7.1")
async def test_where_two_are_needed_no_grant_is_offered(house: House) -> None:
    waiting = await house.held("wipe", customer="cus_1")
    async with house.person(LEA) as browser:
        page = await browser.get(approval(waiting))
        assert "Make a grant" not in page.text
        page = await browser.get("/console/grants/new?tool=wipe")
        assert browser.status == 409
        assert "a grant stands for one vote" in page.text


@pytest.mark.req("M12.6")
async def test_whoever_may_not_grant_is_told_why_and_an_auditor_may_read(house: House) -> None:
    waiting = await house.held(order=7, cents=5000)
    async with house.person(LEA) as browser, house.person(AUD) as auditor, house.person(ANN) as asker:
        form = (await browser.get(f"/console/grants/new?approval={waiting}")).form("/console/grants")
        await browser.send(form, reason="often asked")
        page = await auditor.get("/console/grants")
        assert "cents ≤ 5000" in page.text
        await asker.get(f"/console/grants/new?approval={waiting}")
        fields = dict(
            form.fields, csrf=(await asker.get("/console/inbox")).form("/console/sign-out").fields["csrf"]
        )
        page = await asker.post("/console/grants", {**fields, "reason": "for me"})
        assert asker.status == 403
        assert "needs the role lead" in page.text


@pytest.mark.req("X7.2")
async def test_another_who_could_make_it_may_revoke_it(house: House) -> None:
    waiting = await house.held(order=7, cents=5000)
    async with house.person(LEA) as lea, house.person(MAX) as other:
        form = (await lea.get(f"/console/grants/new?approval={waiting}")).form("/console/grants")
        await lea.send(form, reason="often asked")
        page = await other.get("/console/grants")
        form = next(form for form in page.forms if form.action.endswith("/revoke"))
        await other.send(form, reason="too wide")
        page = await lea.send(
            form,
            reason="mine",
            csrf=(await lea.get("/console/grants")).form("/console/sign-out").fields["csrf"],
        )
        assert lea.status == 409
        assert "it has ended already" in page.text
        assert await house.state(waiting) == "pending"
        await lea.get(approval(waiting))
        assert lea.status == 200


@pytest.mark.req("X7.1", "M12.6")
async def test_a_page_of_grants_that_are_not_ones_own_still_leads_on(house: House) -> None:
    nobody = replace(LEA, id="ned", roles=frozenset())
    made: dict[str, Any] = {"bounds": {}, "caller_id": "ann", "agent": None, "lasting": 3600.0, "uses": 1}
    for _ in range(51):
        done = await house.gateway.operate(
            make_grant, by=in_person(LEA), tool="refund", reason="the sale", **made
        )
        assert isinstance(done, GrantRow)
    async with house.person(nobody) as browser:
        page = await browser.get("/console/grants")
        assert "None on this page" in page.text
        assert "the sale" not in page.text
        found = re.search(r'href="(/console/grants\?before=grnt_\w+)"', browser.answer.text)
        assert found is not None
        page = await browser.get(found[1])
        assert "None on this page" in page.text
        assert 'href="/console/grants?before=' not in browser.answer.text
