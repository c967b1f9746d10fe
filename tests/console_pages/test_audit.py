"""The trail at the console: reading, verifying and exporting it."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.console_pages.office import ADA, ANA, BEN, EVE, GIL, OLGA, RUTH
from toolgate.adapters.stores.sqlite import SqliteStore
from toolgate.domain.audit import verify_chains
from toolgate.domain.audit_export import FinalHeads, parse_line
from toolgate.domain.principal import Declined, in_person
from toolgate.operations.read_trail import MOST_LOOKED_AT, TrailFilter, read_trail

if TYPE_CHECKING:
    from tests.console_pages.office import Browser, Office

pytestmark = pytest.mark.anyio


@pytest.mark.req("M11.24", "M11.21")
async def test_the_trail_shows_events_of_the_readers_tenant_newest_first(office: Office) -> None:
    hers = [(await office.ask("read_order", order=number)).call_id for number in range(1, 4)]
    elsewhere = await office.ask("read_order", order=1, caller=GIL)
    source = await (await office.sign_in(RUTH)).page("/console/audit")
    assert elsewhere.call_id not in source
    assert "globex" not in source
    places = [source.index(call_id) for call_id in reversed(hers)]
    assert places == sorted(places)
    for who, status in ((ANA, 403), (ADA, 403), (OLGA, 200)):
        await (await office.sign_in(who)).page("/console/audit", status)


@pytest.mark.req("M11.24")
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"caller": "ben"}, {"ben"}),
        ({"tool": "refund"}, {"refund", "held"}),
        ({"transition": "held"}, {"held"}),
        ({"transition": "refused"}, {"wrong"}),
        ({"actor": "nobody"}, set()),
        ({"to": "2001-01-01T00:00"}, set()),
        ({"range": "1h", "tool": "read_order"}, {"ben", "wrong"}),
    ],
)
async def test_events_are_found_by_what_is_known_of_them(
    office: Office, query: dict[str, str], found: set[str]
) -> None:
    calls = {
        "refund": await office.ask(order=1),
        "held": await office.ask(order=2, cents=5000),
        "ben": await office.ask("read_order", order=3, caller=BEN),
        "wrong": await office.ask("read_order", order=-1),
    }
    source = await (await office.sign_in(RUTH)).page("/console/audit", **query)
    assert {name for name, call in calls.items() if call.call_id in source} == found


@pytest.mark.req("M11.24")
async def test_one_calls_events_are_found_by_its_id_and_nobody_elses(office: Office) -> None:
    call = await office.ask(order=1)
    await office.ask(order=2)
    source = await (await office.sign_in(RUTH)).page("/console/audit", call=call.call_id)
    assert re.findall('<summary data-item="(\\d+)"', source) == ["2", "1"]
    by = in_person(RUTH)
    newest = await office.gateway.operate(
        read_trail, by=by, limit=1, wanted=TrailFilter(call_id=call.call_id)
    )
    assert not isinstance(newest, Declined)
    assert [line["transition"] for _, line in newest.rows] == ["settled"]
    older = await office.gateway.operate(
        read_trail, by=by, before=newest.next, wanted=TrailFilter(call_id=call.call_id)
    )
    assert not isinstance(older, Declined)
    assert [line["transition"] for _, line in older.rows] == ["intended"]
    assert older.next is None
    assert "No event fits" in await (await office.sign_in(EVE)).says("/console/audit", call=call.call_id)


@pytest.mark.req("M11.22")
async def test_the_pages_of_the_trail_go_on_to_its_beginning(office: Office) -> None:
    for number in range(1, 71):
        await office.ask("read_order", order=number)
    browser = await office.sign_in(RUTH)
    numbers: list[int] = []
    path: str | None = "/console/audit"
    while path is not None:
        source = await browser.page(path)
        numbers += [int(number) for number in re.findall(r'<summary data-item="(\d+)"', source)]
        found = re.search(r'href="([^"]+)" rel="next"', source)
        path = found[1].replace("&amp;", "&") if found else None
    assert numbers == sorted(numbers, reverse=True)
    assert len(set(numbers)) == len(numbers)
    last = await browser.says("/console/audit", before=str(numbers[-1] + 1))
    assert "chain opened" in last


@pytest.mark.req("M11.22")
async def test_a_search_stops_after_a_bounded_look_and_goes_on(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("toolgate.operations.read_trail.MOST_LOOKED_AT", 20)
    monkeypatch.setattr("toolgate.operations.read_trail._CHUNK", 10)
    assert MOST_LOOKED_AT >= 1_000
    rare = await office.ask(order=1)
    for number in range(1, 31):
        await office.ask("read_order", order=number)
    page = await office.gateway.operate(read_trail, by=in_person(RUTH), wanted=TrailFilter(tool="refund"))
    assert not isinstance(page, Declined)
    assert page.rows == ()
    assert page.next is not None
    again = await office.gateway.operate(
        read_trail, by=in_person(RUTH), before=page.next, wanted=TrailFilter(tool="refund")
    )
    assert not isinstance(again, Declined)
    assert {line["call_id"] for _, line in again.rows} == {rare.call_id}


@pytest.mark.req("M11.22")
async def test_a_time_that_is_long_past_is_found_without_reading_what_came_after(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await office.ask("read_order", order=1)
    then = office.clock.now()
    office.clock.advance(3 * 3600)
    for number in range(2, 60):
        await office.ask("read_order", order=number)
    monkeypatch.setattr("toolgate.operations.read_trail.MOST_LOOKED_AT", 10)
    monkeypatch.setattr("toolgate.operations.read_trail._CHUNK", 5)
    page = await office.gateway.operate(
        read_trail, by=in_person(RUTH), wanted=TrailFilter(until=then + 1, tool="read_order")
    )
    assert not isinstance(page, Declined)
    assert [line["call_id"] for _, line in page.rows] == [old.call_id]


async def verified(browser: Browser, office: Office) -> str:
    """What the page says once the verification that was asked for has ended."""
    answer = await browser.post("/console/audit/verify")
    assert answer.status_code == 303
    while "Verifying" in (told := await browser.says("/console/audit/verification")):
        await office.gateway.store.now()
    return told


@pytest.mark.req("M11.24", "X5.2")
async def test_the_trail_is_verified_beside_the_requests_and_the_result_stays(office: Office) -> None:
    for number in range(1, 5):
        await office.ask(order=number)
    browser = await office.sign_in(RUTH)
    assert "Not verified since this server started" in await browser.says("/console/audit")
    told = await verified(browser, office)
    assert told.startswith("intact")
    assert "every record, every link and every known head fits" in told
    assert "asked for by ruth" in await (await office.sign_in(OLGA)).says("/console/audit")


@pytest.mark.req("M11.24")
async def test_only_a_reader_of_the_trail_verifies_and_exports_it(office: Office) -> None:
    browser = await office.sign_in(ANA)
    assert (await browser.post("/console/audit/verify")).status_code == 403
    await browser.page("/console/audit/export", 403)
    await browser.page("/console/audit/verification", 403)
    reader = await office.sign_in(RUTH)
    assert (await reader.post("/console/audit/verify", csrf="made up")).status_code == 403
    foreign = await reader.client.get("/console/audit/export", headers={"sec-fetch-site": "cross-site"})
    assert foreign.status_code == 403


@pytest.mark.req("M11.24", "X5.9")
async def test_an_export_of_the_only_tenant_verifies_offline(office: Office) -> None:
    for number in range(1, 5):
        await office.ask(order=number)
    browser = await office.sign_in(RUTH)
    answer = await browser.get("/console/audit/export")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith(
        'attachment; filename="toolgate-trail-2026-01-01T'
    )
    assert answer.headers["cache-control"] == "no-store"
    *records, last = [parse_line(line) for line in answer.content.splitlines()]
    assert isinstance(last, FinalHeads)
    assert last.records == len(records)
    report = verify_chains(
        [record for record in records if not isinstance(record, FinalHeads)], known_heads=last.heads
    )
    assert report.intact, report.problems


@pytest.mark.req("M11.24", "M11.21")
async def test_an_export_leaves_other_tenants_out_and_says_so(office: Office) -> None:
    await office.ask(order=1)
    elsewhere = await office.ask(order=1, caller=GIL)
    answer = await (await office.sign_in(RUTH)).get("/console/audit/export")
    assert elsewhere.call_id not in answer.text
    *_, last = answer.content.splitlines()
    assert json.loads(last)["left_out"] == 2
    with pytest.raises(ValueError, match="it is a part of a trail"):
        parse_line(last)


@pytest.mark.req("M11.24", "X5.2")
async def test_a_trail_that_was_edited_is_called_broken_and_where(office: Office) -> None:
    for number in range(1, 4):
        await office.ask(order=number)
    await edited(office)
    told = await verified(await office.sign_in(RUTH), office)
    assert told.startswith("broken 1 problem")
    assert "edited the record is not what was hashed" in told
    assert "b'" not in told


async def edited(office: Office) -> None:
    """Somebody with a hand in the ledger changes what a record says."""
    store: Any = office.gateway.store
    ledger = store.inner
    if isinstance(ledger, SqliteStore):
        with closing(sqlite3.connect(ledger.path)) as database:
            changed = "SELECT seq, record FROM audit WHERE call_id IS NOT NULL ORDER BY seq LIMIT 1"
            number, record = database.execute(changed).fetchone()
            database.execute(
                "UPDATE audit SET record = ? WHERE seq = ?", (record.replace(b"ana", b"bob"), number)
            )
            database.commit()
        return
    trail = ledger._rows.trail
    place = next(place for place, (call_id, _) in enumerate(trail) if call_id is not None)
    call_id, stored = trail[place]
    trail[place] = (call_id, replace(stored, record=stored.record.replace(b"ana", b"bob")))


@pytest.mark.req("M11.24")
async def test_one_verification_runs_at_a_time(office: Office) -> None:
    await office.ask(order=1)
    browser = await office.sign_in(RUTH)
    for _ in range(3):
        assert (await browser.post("/console/audit/verify")).status_code == 303
    running = [task for task in asyncio.all_tasks() if task.get_name() == "toolgate-verification"]
    assert len(running) <= 1
    assert (await verified(browser, office)).startswith("intact")


@pytest.mark.req("M11.24")
async def test_nothing_is_verified_while_a_program_has_it_verified(office: Office) -> None:
    browser = await office.sign_in(RUTH)
    assert office.verifying.take()
    refused = await browser.post("/console/audit/verify")
    assert refused.status_code == 409
    assert "ask again when that has ended" in refused.text
    office.verifying.release()
    assert (await browser.post("/console/audit/verify")).status_code == 303
    assert (await verified(browser, office)).startswith("intact")
    assert office.verifying.take()
