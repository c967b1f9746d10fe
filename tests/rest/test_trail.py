"""The audit trail over REST: read, verified, and taken elsewhere."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import pytest

from tests.rest.desk import ANN, AUD, EVE, SECRET, Desk, ask
from tests.rest.listening import listening
from toolgate.domain.audit import StoredRecord, verify_chains
from toolgate.domain.audit_export import FinalHeads, parse_line

pytestmark = pytest.mark.req("X5.9")


@pytest.mark.req("M11.22")
async def test_the_trail_is_read_backwards_in_pages_by_what_one_looks_for(desk: Desk) -> None:
    async with desk.person(ANN) as ann, desk.person(AUD) as aud:
        for order in range(1, 5):
            await ask(ann, "refund", order=order, card=SECRET)
        found: list[int] = []
        path: str | None = "/v1/audit?limit=3&tool=refund&caller=ann"
        while path is not None:
            page = await aud.get(path)
            assert SECRET not in page.text
            found += [event["seq"] for event in page.json()["events"]]
            path = page.links["next"]["url"] if "next" in page.links else None
        one = await aud.get("/v1/audit", params={"transition": "settled", "limit": 1})
    assert len(found) == 8
    assert found == sorted(found, reverse=True)
    assert one.json()["events"][0]["transition"] == "settled"


@pytest.mark.req("M11.21")
async def test_nobody_reads_what_another_tenant_did(desk: Desk) -> None:
    async with desk.person(ANN) as ann, desk.person(EVE) as eve:
        call = (await ask(ann, "refund", order=1)).json()["call_id"]
        for path in ("/v1/audit", "/v1/audit/export", "/v1/calls"):
            answer = await eve.get(path)
            assert answer.status_code == 200
            assert call not in answer.text


@pytest.mark.req("X5.2")
async def test_verifying_says_whether_all_of_it_fits(desk: Desk) -> None:
    async with desk.person(ANN) as ann, desk.person(AUD) as aud:
        await ask(ann, "refund", order=1)
        report = (await aud.get("/v1/audit/verify")).json()
    assert report["intact"] is True
    assert report["records"] > 3
    assert all(":" in head for head in report["heads"].values())


@pytest.mark.req("M11.24")
async def test_one_verification_runs_at_a_time(desk: Desk) -> None:
    async with desk.person(AUD) as aud:
        both = await asyncio.gather(aud.get("/v1/audit/verify"), aud.get("/v1/audit/verify"))
        after = await aud.get("/v1/audit/verify")
    assert sorted(answer.status_code for answer in both) == [200, 503]
    assert after.status_code == 200
    assert desk.office.verifying.take()


async def test_a_reader_who_leaves_an_export_lets_go_of_the_store(desk: Desk) -> None:
    token = await desk.token(AUD)
    async with listening(desk, "/v1/audit/export", token) as export:
        assert export.status == HTTPStatus.OK
    async with desk.client(token) as aud:
        assert (await aud.get("/v1/audit/export")).status_code == HTTPStatus.OK


async def test_an_export_verifies_offline(desk: Desk) -> None:
    async with desk.person(ANN) as ann, desk.person(AUD) as aud:
        await ask(ann, "refund", order=1, card=SECRET)
        answer = await aud.get("/v1/audit/export")
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert SECRET not in answer.text
    lines = [parse_line(line) for line in answer.content.splitlines()]
    records = [line for line in lines if isinstance(line, StoredRecord)]
    final = lines[-1]
    assert isinstance(final, FinalHeads)
    assert (len(records), len(lines)) == (final.records, final.records + 1)
    assert verify_chains(records, known_heads=final.heads).intact


@pytest.mark.req("M12.13")
async def test_what_was_never_given_up_cannot_be_tried_again(desk: Desk) -> None:
    async with desk.person(EVE) as eve:
        listed = await eve.get("/v1/notifications?state=pending")
        none = await eve.post("/v1/notifications/ntc_1/retry", json={"sink": "slack"})
    assert listed.json() == {"notifications": []}
    assert none.status_code == HTTPStatus.NOT_FOUND
