"""The pages about calls: who sees which, how they are searched, and what one of them tells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.console_pages.office import ANA, BEN, CARD, EVE, GIL, LEA, OLGA, RUTH, XSS, words
from tests.machines.stage import sweep
from toolgate import Caller, PendingApproval

if TYPE_CHECKING:
    from tests.console_pages.office import Office

pytestmark = pytest.mark.anyio


@pytest.mark.req("M11.21")
async def test_an_operator_sees_every_call_of_the_tenant_and_others_their_own(office: Office) -> None:
    hers = await office.ask(order=1)
    his = await office.ask(order=2, caller=BEN)
    elsewhere = await office.ask(order=3, caller=GIL)
    for who, seen, unseen in (
        (OLGA, (hers, his), (elsewhere,)),
        (RUTH, (hers, his), (elsewhere,)),
        (ANA, (hers,), (his, elsewhere)),
        (EVE, (elsewhere,), (hers, his)),
    ):
        browser = await office.sign_in(who)
        listed = await browser.page("/console/calls")
        assert all(call.call_id in listed for call in seen)
        assert not any(call.call_id in listed for call in unseen)
        for call in seen:
            await browser.page(f"/console/calls/{call.call_id}")
        for call in unseen:
            assert "There is no such thing" in await browser.says(f"/console/calls/{call.call_id}", 404)


@pytest.mark.req("M11.21")
async def test_naming_somebody_else_in_the_search_shows_nothing_of_theirs(office: Office) -> None:
    his = await office.ask(order=2, caller=BEN)
    browser = await office.sign_in(ANA)
    assert his.call_id not in await browser.page("/console/calls", caller="ben")


@pytest.mark.req("M11.21")
async def test_an_approver_sees_a_held_call_through_its_review(office: Office) -> None:
    held = await office.ask(order=4, cents=2000)
    other = await office.ask(order=5)
    browser = await office.sign_in(LEA)
    assert held.call_id not in await browser.page("/console/calls")
    assert "waits here" in await browser.says(f"/console/calls/{held.call_id}")
    await browser.page(f"/console/calls/{other.call_id}", 404)


@pytest.mark.req("M11.22")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"tool": "refund"}, {"refund", "held", "ben"}),
        ({"tool": "refun"}, set()),
        ({"caller": "ben"}, {"ben"}),
        ({"agent": "night_agent"}, {"read"}),
        ({"status": "pending_approval"}, {"held"}),
        ({"status": "refused"}, {"wrong"}),
        ({"error": "invalid_arguments"}, {"wrong"}),
        ({"workflow": "night"}, {"read"}),
        ({"tool": "refund", "caller": "ana", "status": "succeeded"}, {"refund"}),
        ({"to": "2001-01-01T00:00"}, set()),
        ({"from": "2001-01-01T00:00"}, {"refund", "held", "ben", "read", "wrong"}),
        ({"range": "1h"}, {"refund", "held", "ben", "read", "wrong"}),
    ],
)
async def test_calls_are_found_by_what_is_known_of_them(
    office: Office, query: dict[str, str], found: set[str]
) -> None:
    calls = {
        "refund": await office.ask(order=1),
        "held": await office.ask(order=2, cents=5000),
        "ben": await office.ask(order=3, caller=BEN),
        "read": await office.ask("read_order", order=1, agent="night_agent", workflow="night"),
        "wrong": await office.ask("read_order", order=-1),
    }
    browser = await office.sign_in(OLGA)
    listed = await browser.page("/console/calls", **query)
    assert {name for name, call in calls.items() if call.call_id in listed} == found


@pytest.mark.req("M11.22")
async def test_what_cannot_be_searched_for_is_said_and_nothing_is_listed(office: Office) -> None:
    await office.ask(order=1)
    browser = await office.sign_in(OLGA)
    for query in (
        {"from": "yesterday"},
        {"status": "wonderful"},
        {"tool": "x" * 300},
        {"before": "'; drop table calls"},
        {"to": "99999-01-01"},
    ):
        assert "This search cannot be read" in await browser.says("/console/calls", 400, **query)


@pytest.mark.req("M11.22")
async def test_pages_go_on_until_the_oldest_call_and_none_is_listed_twice(office: Office) -> None:
    asked = [(await office.ask("read_order", order=number)).call_id for number in range(1, 121)]
    browser = await office.sign_in(OLGA)
    listed: list[str] = []
    path: str | None = "/console/calls"
    while path is not None:
        source = await browser.page(path)
        listed += [call for call in reversed(asked) if f'data-item="{call}"' in source]
        path = _link(source, "next")
    assert listed == asked[::-1]


@pytest.mark.req("M12.15")
async def test_a_page_that_is_open_is_told_of_new_calls_and_no_row_moves(office: Office) -> None:
    first = await office.ask("read_order", order=1)
    browser = await office.sign_in(OLGA)
    watched = _attribute(await browser.page("/console/calls", tool="read_order"), "data-live")
    assert (await browser.says(watched)) == ""
    await office.ask("read_order", order=2)
    await office.ask(order=3)
    assert (await browser.says(watched)) == "1 new call. Show it."
    assert first.call_id not in await browser.page(watched)


@pytest.mark.req("M11.23")
async def test_one_call_is_told_from_the_trail(office: Office) -> None:
    held = await office.ask(order=4, cents=2000, note="please")
    assert isinstance(held, PendingApproval)
    await office.gateway.approve(held.approval_id, by=LEA, reason="I asked the customer")
    await sweep(office.gateway)
    assert office.shop.paid == [4]
    told = await (await office.sign_in(OLGA)).says(f"/console/calls/{held.call_id}")
    for part in (
        "Held: a person has to agree",
        "by lea",
        "I asked the customer",
        "Intent written, then dispatched",
        "Settled: succeeded",
        "desk_agent",
        '"note": "please"',
    ):
        assert part in told, part


@pytest.mark.req("M11.23")
async def test_a_refused_call_names_the_step_that_said_no_and_why(office: Office) -> None:
    wrong = await office.ask("read_order", order=-1)
    told = await (await office.sign_in(ANA)).says(f"/console/calls/{wrong.call_id}")
    assert "Refused at “sealed”" in told
    assert "stopped here" in told
    assert "invalid_arguments" in told


@pytest.mark.req("M11.21")
async def test_a_result_is_its_callers_and_a_sensitive_argument_nobodys(office: Office) -> None:
    refund = await office.ask(order=1, cents=777)
    mine = await (await office.sign_in(ANA)).page(f"/console/calls/{refund.call_id}")
    theirs = await (await office.sign_in(OLGA)).page(f"/console/calls/{refund.call_id}")
    assert '"result": 777' in words(mine)
    assert '"result"' not in words(theirs)
    assert CARD not in mine + theirs


@pytest.mark.req("M12.16")
async def test_other_peoples_words_are_text_wherever_a_page_shows_them(office: Office) -> None:
    hostile = Caller(XSS, {"clerk"}, "acme")
    call = await office.ask(order=1, caller=hostile, workflow=XSS, agent=XSS, note=XSS)
    unknown = await office.ask(XSS, caller=hostile, workflow=XSS, agent=XSS, note=XSS)
    doubt = await office.in_doubt(caller=hostile, workflow=f"{XSS}2", agent=XSS, note=XSS)
    browser = await office.sign_in(Caller(XSS, {"operator", "auditor", "admin", "clerk"}, "acme"))
    for path in (
        "/console/calls",
        f"/console/calls/{call.call_id}",
        f"/console/calls/{unknown.call_id}",
        f"/console/calls/{doubt}",
        "/console/unresolved",
        "/console/audit",
        "/console/tokens",
        "/console/tools",
        "/console/notifications",
        "/console/overview",
    ):
        source = await browser.page(path)
        assert XSS not in source, path
        assert "alert(" in source, path
    for path, name in (
        ("/console/calls", "tool"),
        ("/console/audit", "actor"),
        ("/console/calls", "workflow"),
    ):
        source = await browser.page(path, **{name: f'"{XSS}'})
        assert XSS not in source
        assert "&#34;&lt;script&gt;" in source


@pytest.mark.req("M12.17")
async def test_an_empty_page_teaches_what_would_stand_there(office: Office) -> None:
    browser = await office.sign_in(OLGA)
    assert "No call yet" in await browser.says("/console/calls")
    assert "Nothing is in doubt" in await browser.says("/console/unresolved")
    assert "Nothing was given up" in await browser.says("/console/notifications")
    assert "No call fits" in await browser.says("/console/calls", tool="refund")


@pytest.mark.req("M11.22")
async def test_a_call_that_was_asked_for_again_and_again_stays_one_short_page(office: Office) -> None:
    asked = {(await office.ask(order=1)).call_id for _ in range(60)}
    assert len(asked) == 1
    told = await (await office.sign_in(OLGA)).says(f"/console/calls/{asked.pop()}")
    assert told.count("Asked again: the recorded answer was given") == 10
    assert "49 more events of this call are left out here." in told


def _attribute(source: str, name: str) -> str:
    found = source.partition(f'{name}="')[2].partition('"')[0]
    assert found, name
    return found.replace("&amp;", "&")


def _link(source: str, rel: str) -> str | None:
    for part in source.split("<a ")[1:]:
        if f'rel="{rel}"' in part.partition(">")[0]:
            return _attribute(part, "href")
    return None


@pytest.mark.req("M12.18")
async def test_a_live_part_of_a_page_whose_session_ended_is_not_filled_with_a_sign_in(office: Office) -> None:
    browser = await office.sign_in(OLGA)
    browser.client.cookies.clear()
    for path in ("/console/calls/new", "/console/audit/verification"):
        answer = await browser.client.get(path, headers={"hx-request": "true"})
        assert (answer.status_code, answer.text) == (204, "")
