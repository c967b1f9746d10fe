"""What waits for whom."""

from __future__ import annotations

import json
import re

import pytest

from tests.console.house import ANN, AUD, EVE, LEA, MAX, House, decide
from toolgate import validate
from toolgate.examples.support_desk.writes import create_refund

pytestmark = pytest.mark.anyio


def _order(text: str, *ids: str) -> list[str]:
    return sorted(ids, key=text.index)


@pytest.mark.req("M12.10")
async def test_what_waits_for_me_stands_there_oldest_first_and_is_counted(house: House) -> None:
    first = await house.held(order=1, cents=5000)
    house.clock.advance(120)
    second = await house.held("mail", to="x@example.com", body="Hello")
    async with house.person(LEA) as browser:
        page = await browser.get("/console/inbox")
        assert _order(browser.answer.text, first, second) == [first, second]
        for said in (
            "(2) Inbox",
            "refund high risk",
            "Pays 50.00 EUR for order 1.",
            'to: "x@example.com"',
            "ann through helper",
            "2 min ago",
            "58 min left",
            "0 of 1 vote",
        ):
            assert said in page.text, said


@pytest.mark.req("M12.10")
async def test_what_expires_soon_is_marked_in_words_too(house: House) -> None:
    await house.held("mail", to="x@example.com", body="Hello")
    async with house.person(LEA) as browser:
        page = await browser.get("/console/inbox")
        assert "20 min left expires soon" in page.text
        house.clock.advance(1000)
        page = await browser.get("/console/inbox")
        assert any(given.get("class") == "left now numeric" for _, given in page.tags)
        house.clock.advance(300)
        page = await browser.get("/console/inbox")
        assert "Nothing waits for you" in page.text


@pytest.mark.req("M12.10")
async def test_the_list_is_narrowed_by_tool_and_risk(house: House) -> None:
    refund = await house.held()
    mail = await house.held("mail", to="x@example.com", body="Hello")
    async with house.person(LEA) as browser:
        await browser.get("/console/inbox?tool=mail")
        assert mail in browser.answer.text
        assert refund not in browser.answer.text
        await browser.get("/console/inbox?risk=high")
        assert refund in browser.answer.text
        assert mail not in browser.answer.text
        page = await browser.get("/console/inbox?tool=mail&risk=high")
        assert "Nothing matches" in page.text


@pytest.mark.req("M12.10", "X2.9")
async def test_what_i_approved_waits_for_others_and_not_for_me(house: House) -> None:
    waiting = await house.held("wipe", customer="cus_1")
    async with house.person(LEA) as lea, house.person(MAX) as other:
        await decide(lea, waiting)
        await lea.get("/console/inbox")
        assert waiting not in lea.answer.text
        page = await lea.get("/console/inbox?view=others")
        assert "1 of 2 votes you approved" in page.text
        page = await other.get("/console/inbox")
        assert "1 of 2 votes" in page.text


@pytest.mark.req("M12.10")
async def test_what_was_decided_stands_apart_newest_first(house: House) -> None:
    first, second = await house.held(order=1, cents=5000), await house.held(order=2, cents=5000)
    await house.held(order=3, cents=5000)
    async with house.person(LEA) as browser:
        await decide(browser, first, "deny")
        await decide(browser, second, "deny")
        page = await browser.get("/console/inbox?view=decided")
        assert _order(browser.answer.text, first, second) == [second, first]
        assert page.text.count("denied just now") == 2


@pytest.mark.req("M12.10")
async def test_whoever_only_asks_sees_what_waits_of_theirs(house: House) -> None:
    waiting = await house.held()
    async with house.person(ANN) as browser:
        page = await browser.get("/console/inbox")
        assert "Nothing waits for you" in page.text
        page = await browser.get("/console/inbox?view=others")
        assert waiting in browser.answer.text
        assert "needs lead" in page.text


@pytest.mark.req("M12.10")
async def test_an_empty_inbox_teaches_how_a_call_gets_there(house: House) -> None:
    async with house.person(LEA) as browser:
        page = await browser.get("/console/inbox")
        assert "its tool asks for an approval by a role that you have (lead)" in page.text
        assert "toolgate serve" in page.text
        arguments = re.search(r"call create_refund --workflow try-1 --args '(.*?)'", page.text)
        assert arguments is not None
        assert validate(create_refund, json.loads(arguments[1])) is None, "it fits the demo's tool"


@pytest.mark.req("M12.15")
async def test_a_live_list_is_the_same_list_without_the_page_around_it(house: House) -> None:
    waiting = await house.held()
    async with house.person(LEA) as browser:
        page = await browser.get("/console/inbox")
        live = next(given["data-live"] for _, given in page.tags if given.get("id") == "queue")
        assert live is not None
        part = await browser.get(live)
        assert waiting in browser.answer.text
        assert not [tag for tag, _ in part.tags if tag in {"html", "main", "script"}]
        assert ("span", "1") in [(tag, given.get("data-count")) for tag, given in part.tags]


@pytest.mark.req("M12.6")
async def test_an_auditor_reads_what_was_decided_and_another_tenant_reads_nothing(house: House) -> None:
    waiting = await house.held()
    async with house.person(AUD) as auditor, house.person(EVE) as eve:
        await auditor.get("/console/inbox?view=others")
        assert waiting in auditor.answer.text
        for view in ("mine", "others", "decided"):
            await eve.get(f"/console/inbox?view={view}")
            assert waiting not in eve.answer.text


@pytest.mark.req("M12.10")
async def test_more_than_a_page_is_walked_through_page_by_page(house: House) -> None:
    ids = [await house.held(order=number, cents=2000) for number in range(1, 54)]
    async with house.person(LEA) as browser:
        page = await browser.get("/console/inbox")
        further = next(given["href"] for tag, given in page.tags if tag == "a" and given.get("rel") == "next")
        assert further is not None
        assert ids[49] in browser.answer.text
        assert ids[50] not in browser.answer.text
        await browser.get(further)
        listed = {given.get("data-item") for _, given in browser.page.tags}
        assert ids[50] in listed
        assert ids[49] not in listed
