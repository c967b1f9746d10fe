"""One request: what is shown of it, and the decision."""

from __future__ import annotations

import json

import pytest

from tests.console.house import AUD, CARD, LEA, LIKE_A_SECRET, MAX, OLA, House, approval, decide
from toolgate.domain.rows import ByApproval

pytestmark = pytest.mark.anyio


async def _trail(house: House) -> list[dict[str, object]]:
    return [json.loads(row.record) async for row in house.gateway.store.records()]


@pytest.mark.req("M12.10", "M12.5", "M12.8")
async def test_the_page_shows_the_whole_request(house: House) -> None:
    waiting = await house.held(
        why="The customer says that it broke.", order=7, cents=5000, note="line one\nline two"
    )
    async with house.person(LEA) as browser:
        page = await browser.get(approval(waiting))
        row = (await house.gateway.store.find(ByApproval(waiting))).approval
        assert row is not None
        for said in (
            "Pays 50.00 EUR for order 7.",
            "Pay an order back to the card.",
            '"cents": 5000',
            '"note": "line one\\n line two"',
            '"currency": "EUR"',
            "high risk",
            "write",
            "leaves the house",
            "A person is asked cents > 1000",
            "Asked by ann of acme",
            "Through the agent helper, model aster-3",
            "The model claims, and nobody has checked it: The customer says that it broke.",
            "0 of 1 approval, by lead",
            "1 h left",
            row.digest.hex(),
            row.call_id,
            "1 masked: card",
            "Held: a person has to agree",
        ):
            assert said in page.text, said
        assert CARD not in browser.answer.text


@pytest.mark.req("M12.11")
async def test_the_other_calls_of_the_workflow_are_shown_as_evidence(house: House) -> None:
    flow = house.gateway.make_workflow("wf", agent="helper", model="aster-3")
    from tests.console.house import ANN

    await house.gateway.request("look", {"customer": "cus_1"}, caller=ANN, workflow=flow)
    elsewhere = house.gateway.make_workflow("another", agent="helper")
    await house.gateway.request("look", {"customer": "cus_2"}, caller=ANN, workflow=elsewhere)
    first = await house.held(order=1, cents=5000)
    second = await house.held(order=2, cents=5000)
    async with house.person(LEA) as browser:
        page = await browser.get(approval(second))
        evidence = page.text.partition("Other calls of this workflow")[2].partition("What happened so far")[0]
        assert evidence.count("look") == 1
        assert "succeeded" in evidence
        assert "refund" in evidence
        assert "pending approval" in evidence
        await decide(browser, first, "deny")
        page = await browser.get(approval(second))
        assert "approval_denied" in page.text


@pytest.mark.req("M12.10", "M12.7")
async def test_what_is_approved_there_runs_as_it_was_shown(house: House) -> None:
    waiting = await house.held(order=7, cents=5000)
    async with house.person(LEA) as browser:
        page = await decide(browser, waiting, reason="the parcel came back")
        assert "Approved" in page.text
        assert await house.ended(waiting) == "succeeded"
        assert [(args.order, args.cents) for args in house.business.done] == [(7, 5000)]
        page = await browser.get(approval(waiting))
        assert "lea approved" in page.text
        assert "the parcel came back" in page.text
        assert "The call: succeeded" in page.text
        assert not any(form.action.endswith("/decide") for form in page.forms)


@pytest.mark.req("M12.10", "M12.7")
async def test_what_is_denied_there_never_runs(house: House) -> None:
    waiting = await house.held()
    async with house.person(LEA) as browser:
        page = await decide(browser, waiting, "deny", reason="not ours to pay")
        assert "It does not run. Asking for the same again gets the same no." in page.text
        assert "Denied by lea" in page.text
        assert "not ours to pay" in page.text
    assert await house.ended(waiting) == "refused"
    assert house.business.done == []


@pytest.mark.req("M12.10", "X2.9")
async def test_where_two_are_needed_each_is_told_how_many_there_were(house: House) -> None:
    waiting = await house.held("wipe", customer="cus_1")
    async with house.person(LEA) as lea, house.person(MAX) as other:
        page = await decide(lea, waiting)
        assert "Your approval is counted" in page.text
        assert "1 of 2 approvals, by lead" in page.text
        assert "You may not approve it: you approved it already; another person is needed." in page.text
        assert page.form(approval(waiting, "/decide"), decision="deny").fields
        page = await decide(other, waiting)
        assert "2 of 2 approvals" in page.text
    assert await house.ended(waiting) == "succeeded"


@pytest.mark.req("M12.10")
@pytest.mark.parametrize("word", ["approve", "deny"])
async def test_a_decision_without_a_reason_is_none(house: House, word: str) -> None:
    waiting = await house.held()
    async with house.person(LEA) as browser:
        page = await decide(browser, waiting, word, reason="   ")
        assert browser.status == 422
        assert "say why, in a few words" in page.text
    assert await house.state(waiting) == "pending"


@pytest.mark.req("M12.18")
@pytest.mark.parametrize(("word", "after"), [("approve", "approved"), ("deny", "denied")])
async def test_a_double_click_decides_once_and_is_told_so_kindly(house: House, word: str, after: str) -> None:
    waiting = await house.held()
    async with house.person(LEA) as browser:
        page = await browser.get(approval(waiting))
        form = page.form(approval(waiting, "/decide"), decision=word)
        await browser.send(form, reason="fine")
        page = await browser.send(form, reason="fine")
        assert browser.status == 200
        assert "You had decided it already" in page.text
        assert await house.state(waiting) == after
    decided = [one for one in await _trail(house) if one.get("toolgate.actor") == "lea"]
    assert len([one for one in decided if str(one.get("toolgate.transition")).startswith("approval_")]) == 1


@pytest.mark.req("M12.18", "X2.2")
async def test_a_decision_that_came_too_late_says_who_did_what_and_keeps_what_was_typed(house: House) -> None:
    waiting = await house.held()
    async with house.person(LEA) as lea, house.person(MAX) as other:
        form = (await lea.get(approval(waiting))).form(approval(waiting, "/decide"), decision="approve")
        await decide(other, waiting, "deny", reason="the order is not theirs")
        page = await lea.send(form, reason="I checked the order")
        assert lea.status == 409
        assert "max denied it meanwhile, and said: the order is not theirs" in page.text
        assert "denied" in page.text


@pytest.mark.req("M12.18", "X2.2", "X2.3")
async def test_a_decision_on_an_earlier_revision_is_refused_and_shows_the_new_one(house: House) -> None:
    waiting = await house.held(order=7, cents=5000)
    async with house.person(LEA) as lea, house.person(MAX) as other:
        form = (await lea.get(approval(waiting))).form(approval(waiting, "/decide"), decision="approve")
        edit = (await other.get(approval(waiting, "/edit"))).form(approval(waiting, "/edit"))
        await other.send(edit, {"field.cents": "9000"}, step="save", reason="they paid more")
        page = await lea.send(form, reason="I checked the order")
        assert lea.status == 409
        assert "max changed its arguments meanwhile, and said: they paid more" in page.text
        assert "Pays 90.00 EUR for order 7." in page.text
        assert (
            page.form(approval(waiting, "/decide"), decision="approve").fields["reason"]
            == "I checked the order"
        )
        assert await house.state(waiting) == "pending"


@pytest.mark.req("X2.7")
async def test_a_decision_after_its_time_is_none(house: House) -> None:
    waiting = await house.held("mail", to="x@example.com", body="Hello")
    async with house.person(LEA) as browser:
        form = (await browser.get(approval(waiting))).form(approval(waiting, "/decide"), decision="approve")
        house.clock.advance(1300)
        page = await browser.send(form, reason="fine")
        assert browser.status == 409
        assert "Its time ran out meanwhile" in page.text
    assert await house.ended(waiting) == "refused"


@pytest.mark.req("M12.12")
async def test_a_reveal_asks_why_says_that_it_is_logged_and_is(house: House) -> None:
    waiting = await house.held(order=7, cents=5000)
    async with house.person(LEA) as browser:
        page = await browser.get(approval(waiting))
        assert "Reveal, and log that I looked" in page.text
        form = page.form(approval(waiting, "/reveal"))
        page = await browser.send(form, reason=" ")
        assert browser.status == 422
        assert CARD not in browser.answer.text
        page = await browser.send(form, reason="two customers share a name")
        assert f'"card": "{CARD}"' in page.text
        assert "two customers share a name" in page.text
        assert "no-store" in browser.answer.headers["cache-control"]
        await browser.get(approval(waiting))
        assert CARD not in browser.answer.text
        assert "Seen unmasked by lea" in browser.page.text
    told = [one for one in await _trail(house) if one.get("toolgate.transition") == "approval_revealed"]
    assert [(one["toolgate.actor"], one["toolgate.reason"]) for one in told] == [
        ("lea", "two customers share a name")
    ]
    assert CARD not in json.dumps(await _trail(house))


@pytest.mark.req("M12.12")
async def test_what_is_masked_for_its_looks_alone_is_revealed_before_it_is_approved(house: House) -> None:
    waiting = await house.held("mail", to="x@example.com", body=f"log in with {LIKE_A_SECRET}")
    async with house.person(LEA) as browser:
        page = await browser.get(approval(waiting))
        assert "nobody approves what they have not seen" in page.text
        form = page.form(approval(waiting, "/decide"), decision="approve")
        assert form.disabled == ["button"]
        page = await browser.send(form, reason="fine")
        assert browser.status == 409
        assert "reveal it first" in page.text
        assert await house.state(waiting) == "pending"
        page = await browser.send(page.form(approval(waiting, "/reveal")), reason="have to see it")
        assert LIKE_A_SECRET in page.text
        form = page.form(approval(waiting, "/decide"), decision="approve")
        assert form.disabled == []
        await browser.send(form, reason="it is a test key")
    assert await house.ended(waiting) == "succeeded"


@pytest.mark.req("M12.10")
async def test_it_is_withdrawn_by_one_who_may_with_a_reason(house: House) -> None:
    waiting = await house.held()
    async with house.person(OLA) as browser, house.person(AUD) as auditor:
        page = await auditor.get(approval(waiting))
        assert not page.forms[0].action.endswith("/withdraw")
        assert "Withdraw it" not in page.text
        form = (await browser.get(approval(waiting))).form(approval(waiting, "/withdraw"))
        await browser.send(form, reason="")
        assert browser.status == 422
        page = await browser.send(form, reason="asked twice")
        assert "Withdrawn" in page.text
        assert "asked twice" in page.text
    assert await house.ended(waiting) == "refused"


@pytest.mark.req("M12.15")
async def test_an_open_page_is_told_that_it_shows_an_earlier_revision(house: House) -> None:
    waiting = await house.held()
    async with house.person(LEA) as lea, house.person(MAX) as other:
        page = await lea.get(approval(waiting))
        live = next(given["data-live"] for _, given in page.tags if given.get("id") == "state")
        assert live is not None
        assert "changed while you looked" not in (await lea.get(live)).text
        edit = (await other.get(approval(waiting, "/edit"))).form(approval(waiting, "/edit"))
        await other.send(edit, {"field.cents": "9000"}, step="save", reason="they paid more")
        part = await lea.get(live)
        assert "It changed while you looked" in part.text
        assert not part.forms
