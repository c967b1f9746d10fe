"""Approvals and grants over REST: what is decided is what was seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.rest.desk import ANN, AUD, BOB, EVE, LEA, MAX, NIL, OLA, SECRET, Desk, ask, decide, held, seen

pytestmark = pytest.mark.req("M12.14")


@pytest.mark.req("X2.2")
async def test_a_person_sees_what_will_run_and_agrees_to_exactly_that(desk: Desk) -> None:
    async with desk.person(ANN) as ann, desk.person(LEA) as lea:
        call = await held(ann, card=SECRET, order=3)
        shown = await seen(lea, call["approval_id"])
        answer = await decide(lea, call["approval_id"])
        await desk.gateway.sweep()
        ended = await ann.get(f"/v1/calls/{call['call_id']}?wait=30")
    assert (shown["tool"], shown["arguments"]["order"], shown["requester"]) == ("refund", 3, "ann")
    assert SECRET not in str(shown)
    assert shown["masked"] == [{"path": ["card"], "by": "contract"}]
    assert answer.json()["state"] == "approved"
    assert ended.json()["result"] == 5000


@pytest.mark.parametrize("word", ["approve", "deny", "reveal", "edit"])
async def test_a_decision_without_the_digest_of_what_was_seen_is_refused(desk: Desk, word: str) -> None:
    more: dict[str, Any] = {} if word == "reveal" else {"decision": word}
    more |= {"changes": {"cents": 2000}} if word == "edit" else {}
    async with desk.person(ANN) as ann, desk.person(LEA) as lea:
        call = await held(ann)
        path = f"/v1/approvals/{call['approval_id']}/{'reveal' if word == 'reveal' else 'decision'}"
        without = await lea.post(path, json={"reason": "looked at it", **more})
        stale = await lea.post(path, json={"reason": "looked at it", "digest": "0" * 64, **more})
        silent = await lea.post(path, json={"reason": "  ", "digest": "0" * 64, **more})
    assert (without.status_code, stale.status_code, silent.status_code) == (400, 409, 400)
    assert desk.business.paid == []


@pytest.mark.parametrize(
    ("more", "pointer"),
    [
        ({}, "#/decision"),
        ({"decision": SECRET}, "#/decision"),
        ({"decision": None}, "#/decision"),
        ({"decision": "edit"}, "#/changes"),
        ({"decision": "edit", "changes": {}}, "#/changes"),
        ({"decision": "approve", "changes": {"cents": 1}}, "#/changes"),
        ({"decision": "deny", "changes": None}, "#/changes"),
        ({"decision": "approve", "by": "lea"}, "#/by"),
    ],
)
async def test_a_decision_says_which_it_is_and_changes_stand_with_an_edit_alone(
    desk: Desk, more: dict[str, Any], pointer: str
) -> None:
    async with desk.person(ANN) as ann, desk.person(LEA) as lea:
        before = await seen(lea, (await held(ann))["approval_id"])
        body = {"digest": before["digest"], "reason": "looked at it", **more}
        answer = await lea.post(f"/v1/approvals/{before['approval_id']}/decision", json=body)
        after = await seen(lea, before["approval_id"])
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert SECRET not in answer.text
    assert (after["state"], after["digest"], after["votes"]) == ("pending", before["digest"], [])


@pytest.mark.req("X2.8")
async def test_whoever_asked_an_agent_and_a_stranger_decide_nothing(desk: Desk) -> None:
    async with desk.person(ANN) as ann, desk.person(LEA, agent="helper") as agent:
        call = await held(ann)
        digest = (await seen(ann, call["approval_id"]))["digest"]
        body = {"decision": "approve", "reason": "it is fine", "digest": digest}
        path = f"/v1/approvals/{call['approval_id']}/decision"
        assert (await ann.post(path, json=body)).status_code == 403
        assert (await agent.post(path, json=body)).status_code == 403
        async with desk.person(EVE) as eve:
            assert (await eve.post(path, json=body)).status_code == 404
        async with desk.person(BOB) as bob:
            assert (await bob.post(path, json=body)).status_code == 403
            assert (await bob.get(f"/v1/approvals/{call['approval_id']}")).status_code == 404


@pytest.mark.req("X2.8")
async def test_whoever_answers_for_an_agent_cannot_approve_what_it_asks_for(desk: Desk) -> None:
    async with desk.person(ANN, agent="helper", owner="lea") as helper, desk.person(LEA) as lea:
        call = await held(helper)
        answer = await decide(lea, call["approval_id"])
        own = await helper.post(f"/v1/calls/{call['call_id']}/withdraw", json={"reason": "a mistake"})
    assert answer.status_code == 403
    assert own.status_code == 200


@pytest.mark.req("X2.3")
async def test_an_edit_is_checked_shown_and_voids_what_was_said_before(desk: Desk) -> None:
    async with desk.person(ANN) as ann, desk.person(LEA) as lea, desk.person(MAX) as max_:
        call = await held(ann, cents=9000)
        path = f"/v1/approvals/{call['approval_id']}"
        before = await seen(lea, call["approval_id"])
        proposed = await lea.post(f"{path}/propose-edit", json={"changes": {"cents": 4000}})
        unfit = await lea.post(f"{path}/propose-edit", json={"changes": {"cents": 0}})
        less = {"decision": "edit", "changes": {"cents": 4000}, "reason": "less will do"}
        edited = await lea.post(f"{path}/decision", json={**less, "digest": before["digest"]})
        own = await decide(lea, call["approval_id"])
        other = await decide(max_, call["approval_id"])
        await desk.gateway.sweep()
        ended = await ann.get(f"/v1/calls/{call['call_id']}?wait=30")
    assert proposed.status_code == 200
    assert proposed.json()["differences"] == [{"path": "cents", "before": 9000, "after": 4000}]
    assert unfit.status_code == 422
    assert edited.status_code == 200, edited.text
    assert (edited.json()["revision"], edited.json()["edits"][0]["editor"]) == (2, "lea")
    assert edited.json()["digest"] != before["digest"]
    assert own.status_code == 403
    assert other.status_code == 200
    assert ended.json()["result"] == 4000
    assert desk.business.paid == [(1, 4000)]


@pytest.mark.req("M12.12")
async def test_revealing_tells_the_arguments_once_and_the_trail_keeps_who_looked(desk: Desk) -> None:
    async with desk.person(ANN) as ann, desk.person(LEA) as lea, desk.person(OLA) as ola:
        call = await held(ann, card=SECRET)
        body = {"digest": (await seen(lea, call["approval_id"]))["digest"], "reason": "looked at it"}
        answer = await lea.post(f"/v1/approvals/{call['approval_id']}/reveal", json=body)
        trail = await ola.get("/v1/audit?actor=lea")
    assert answer.json()["arguments"]["card"] == SECRET
    assert SECRET not in trail.text
    assert any("reveal" in str(event.get("transition")) for event in trail.json()["events"])


async def test_a_batch_says_of_each_item_what_became_of_it(desk: Desk) -> None:
    async with desk.person(ANN) as ann, desk.person(LEA) as lea:
        good, stale = await held(ann, order=1), await held(ann, order=2)
        items = [
            {"approval_id": good["approval_id"], "digest": (await seen(lea, good["approval_id"]))["digest"]},
            {"approval_id": stale["approval_id"], "digest": "0" * 64},
            {"approval_id": "appr_none", "digest": "0" * 64},
        ]
        answer = await lea.post(
            "/v1/approvals/decisions", json={"decision": "deny", "items": items, "reason": "not today"}
        )
    assert answer.status_code == 200
    decided = answer.json()["decided"]
    assert [item["why"] for item in decided] == [None, "conflict", "not_found"]
    assert decided[0]["approval"]["state"] == "denied"


async def test_the_list_holds_what_one_may_decide_and_pages_through_it(desk: Desk) -> None:
    async with desk.person(ANN) as ann, desk.person(LEA) as lea, desk.person(NIL) as nil:
        asked = [(await held(ann, order=order))["approval_id"] for order in range(1, 6)]
        found: list[str] = []
        path: str | None = "/v1/approvals?limit=2"
        while path is not None:
            page = await lea.get(path)
            found += [one["approval_id"] for one in page.json()["approvals"]]
            path = page.links["next"]["url"] if "next" in page.links else None
        assert found == asked
        assert (await nil.get("/v1/approvals")).json()["approvals"] == []
        assert (await ann.get("/v1/approvals")).json()["approvals"] == []
        mine = await ann.get("/v1/approvals?for_me=false")
        assert len(mine.json()["approvals"]) == 5
        await decide(lea, asked[0], "deny")
        denied = await lea.get("/v1/approvals?for_me=false&state=denied")
        assert [one["approval_id"] for one in denied.json()["approvals"]] == asked[:1]
        everything = await lea.get("/v1/approvals?for_me=false&open=false")
        assert [one["approval_id"] for one in everything.json()["approvals"]] == asked[::-1]


async def test_the_evidence_is_the_calls_before_it(desk: Desk) -> None:
    async with desk.person(ANN) as ann, desk.person(LEA) as lea:
        await ask(ann, "notes", customer="c")
        call = await held(ann)
        answer = await lea.get(f"/v1/approvals/{call['approval_id']}/evidence")
    assert [one["tool"] for one in answer.json()["calls"]] == ["notes"]


async def test_an_operator_stops_everything_that_waits(desk: Desk) -> None:
    async with desk.person(ANN) as ann, desk.person(OLA) as ola, desk.person(LEA) as lea:
        first, second = await held(ann, order=1), await held(ann, order=2)
        await decide(lea, second["approval_id"])
        assert (await lea.post("/v1/stop", json={"reason": "now"})).status_code == 403
        answer = await ola.post("/v1/stop", json={"reason": "something is wrong"})
        await desk.gateway.sweep()
        ends = [(await ann.get(f"/v1/calls/{call['call_id']}")).json() for call in (first, second)]
    assert answer.json() == {"approvals": 2, "grants": 0}
    assert [end["error_type"] for end in ends] == ["approval_expired", "approval_expired"]
    assert desk.business.paid == []


@pytest.mark.req("X7.2")
async def test_a_grant_lets_calls_through_within_its_bounds_until_it_is_revoked(desk: Desk) -> None:
    grant = {
        "tool": "refund",
        "bounds": {"cents": {"le": 5000}},
        "caller_id": "ann",
        "lasting": "8h",
        "uses": 5,
        "reason": "the sale of Friday",
    }
    async with desk.person(ANN) as ann, desk.person(LEA) as lea:
        made = await lea.post("/v1/grants", json=grant)
        assert made.status_code == 200, made.text
        through = await ask(ann, "refund", order=1, cents=5000)
        beyond = await ask(ann, "refund", order=2, cents=5001)
        listed = await lea.get("/v1/grants")
        ended = await lea.post(f"/v1/grants/{made.json()['grant_id']}/revoke", json={"reason": "over"})
        again = await ask(ann, "refund", order=3, cents=5000)
        own = await lea.post("/v1/grants", json=grant | {"caller_id": "lea"})
        odd = await lea.post("/v1/grants", json=grant | {"lasting": "12parsecs"})
        nothing = await lea.get("/v1/grants")
    assert (through.status_code, beyond.status_code, again.status_code) == (200, 202, 202)
    assert [(one["uses"], one["max_uses"]) for one in listed.json()["grants"]] == [(1, 5)]
    assert ended.json()["revoked_by"] == "lea"
    assert (own.status_code, odd.status_code) == (403, 422)
    assert nothing.json()["grants"] == []


@pytest.mark.req("X7.2")
async def test_an_approver_sees_grants_that_concern_them_and_an_operator_all(desk: Desk) -> None:
    grant = {
        "tool": "refund",
        "bounds": {},
        "caller_id": "ann",
        "lasting": "8h",
        "uses": 5,
        "reason": "a sale",
    }
    async with desk.person(LEA) as lea:
        made = [(await lea.post("/v1/grants", json=grant)).json()["grant_id"] for _ in range(3)][::-1]
    not_any_more = replace(LEA, roles=frozenset())
    for who, sees in ((LEA, made), (MAX, made), (not_any_more, made), (OLA, made), (AUD, made), (BOB, [])):
        async with desk.person(who) as somebody:
            found: list[str] = []
            pages = 0
            path: str | None = "/v1/grants?limit=2"
            while path is not None:
                page = await somebody.get(path)
                assert page.status_code == 200, page.text
                found += [one["grant_id"] for one in page.json()["grants"]]
                pages += 1
                path = page.links["next"]["url"] if "next" in page.links else None
        assert (found, pages) == (sees, 2), who
