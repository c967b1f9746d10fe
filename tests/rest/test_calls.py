"""Calls over REST: what an answer says, who somebody is, waiting, and asking again."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.rest.desk import (
    ALL,
    ANN,
    BOB,
    EVE,
    LEA,
    OLA,
    SECRET,
    Desk,
    ask,
    calls_of,
    decide,
    held,
    request,
)
from toolgate.domain.rows import ByCall
from toolgate.surfaces.http.streams import MOST_WAITS_OF_ONE

pytestmark = pytest.mark.req("X3.4")


async def test_a_call_that_succeeded_answers_the_json_a_model_gets(desk: Desk) -> None:
    async with desk.person(ANN) as ann:
        answer = await ask(ann, "refund", order=1)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert body == {
        "ok": True,
        "status": "succeeded",
        "result": 500,
        "advice": "none",
        "effect": "applied",
        "call_id": body["call_id"],
    }


async def test_a_held_call_says_where_to_look_and_asking_again_answers_the_same_call(desk: Desk) -> None:
    async with desk.person(ANN) as ann:
        first = await ask(ann, "refund", order=1, cents=5000)
        again = await ask(ann, "refund", order=1, cents=5000)
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.headers["location"] == f"/v1/calls/{first.json()['call_id']}"
    assert again.headers["location"] == first.headers["location"]
    assert again.json()["approval_id"] == first.json()["approval_id"]
    assert desk.business.paid == []


async def test_a_refused_call_answers_problem_details_that_hold_the_whole_outcome(desk: Desk) -> None:
    async with desk.person(ANN) as ann:
        answer = await ask(ann, "refund", order=0)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["type"], body["status"]) == ("/problems/invalid_arguments", 422)
    assert body["outcome"]["error_type"] == "invalid_arguments"
    assert body["outcome"]["effect"] == "none"
    assert body["detail"] == body["outcome"]["message"]


@pytest.mark.parametrize(
    "name",
    ["", "refunds", "refund/calls", "../refund", "re fund?", "refund\n", "a\x00b", "\u202eg", "x" * 5000],
)
async def test_whatever_the_path_calls_a_tool_is_answered_and_kept_as_an_unknown_one(
    desk: Desk, name: str
) -> None:
    async with desk.person(ANN) as ann:
        answer = await ask(ann, name, order=1)
        none = await ask(ann, "none", order=1)
        listed = (await ann.get("/v1/calls?error_type=unknown_tool")).json()["calls"]
    assert (answer.status_code, answer.json()["type"]) == (404, "/problems/unknown_tool")
    assert answer.json()["detail"] == none.json()["detail"]
    assert answer.json()["outcome"] | {"call_id": ""} == none.json()["outcome"] | {"call_id": ""}
    assert [call["call_id"] for call in listed] == [
        none.json()["outcome"]["call_id"],
        answer.json()["outcome"]["call_id"],
    ]
    assert len(listed[1]["tool"]) <= 256
    assert desk.business.paid == []


async def test_the_names_that_were_left_behind_lead_nowhere(desk: Desk) -> None:
    async with desk.person(ALL) as somebody:
        assert (await somebody.post("/v1/calls", json=request(order=1))).status_code == 405
        for path in ("/v1/approvals/decide", "/v1/approvals/a/approve", "/v1/approvals/a/edit"):
            assert (await somebody.post(path, json={})).status_code in {404, 405}
        assert (await somebody.get("/v1/openapi.json")).status_code == 404


@pytest.mark.req("M10.18")
async def test_what_may_have_happened_has_a_status_that_no_client_repeats_by_itself(desk: Desk) -> None:
    async with desk.person(ANN) as ann:
        answer = await ask(ann, "lost", order=1)
    assert answer.status_code == 409
    assert answer.json()["status"] == 409
    assert answer.json()["outcome"]["effect"] == "unknown"
    assert "retry-after" not in answer.headers


@pytest.mark.parametrize(
    "member",
    ["tool", "caller", "caller_id", "agent", "roles", "tenant", "idempotency_key", "approval_id", "call_id"],
)
async def test_no_member_of_the_body_sets_the_tool_who_calls_or_the_key(desk: Desk, member: str) -> None:
    async with desk.person(ANN) as ann:
        answer = await ask(ann, "refund", order=1, more={member: "lea"})
        calls = await ann.get("/v1/calls")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["pointer"] == f"#/{member}"
    assert calls.json()["calls"] == []


async def test_the_caller_and_the_agent_come_from_the_credential_alone(desk: Desk) -> None:
    headers = {"X-Agent": "other", "X-User": "lea", "X-Toolgate-Agent": "other", "Idempotency-Key": "k"}
    async with desk.person(ANN, agent="helper") as helper:
        answer = await ask(helper, "refund", order=1, headers=headers)
    call = (await desk.gateway.store.find(ByCall(answer.json()["call_id"]))).call
    assert call is not None
    assert (call.caller_id, call.tenant, call.agent, call.surface) == ("ann", "acme", "helper", "rest")


async def test_the_request_id_and_a_wellformed_traceparent_are_kept_for_tracing(desk: Desk) -> None:
    good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with desk.person(ANN) as ann:
        sent = {"X-Request-Id": "req-12345678", "traceparent": good}
        traced = await ask(ann, "notes", customer="c", headers=sent)
        malformed = {"traceparent": "00-" + "0" * 32 + "-x"}
        broken = await ask(ann, "notes", customer="c", headers=malformed)
        story = (await ann.get(f"/v1/calls/{traced.json()['call_id']}/story")).json()
        other = (await ann.get(f"/v1/calls/{broken.json()['call_id']}/story")).json()
    assert (story["call"]["request_id"], story["call"]["trace"]) == ("req-12345678", good)
    assert traced.headers["x-request-id"] == "req-12345678"
    assert other["call"]["trace"] is None


@pytest.mark.req("X3.8")
async def test_a_waiting_client_is_answered_as_soon_as_a_person_decided(desk: Desk) -> None:
    async with desk.person(ANN) as ann, desk.person(LEA) as lea:
        call = await held(ann)
        waiting = asyncio.ensure_future(ann.get(f"/v1/calls/{call['call_id']}?wait=30"))
        await desk.watched()
        looks = desk.office.feed.looks
        assert (await decide(lea, call["approval_id"])).status_code == 200
        await desk.gateway.sweep()
        answer = await waiting
    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["result"]) == ("succeeded", 5000)
    assert desk.business.paid == [(1, 5000)]
    assert desk.office.feed.looks - looks < 50
    assert not len(desk.office.feed)


@pytest.mark.req("X3.8")
async def test_a_wait_that_sees_no_end_answers_how_the_call_stands(desk: Desk) -> None:
    async with desk.person(ANN) as ann:
        call = await held(ann)
        answer = await ann.get(f"/v1/calls/{call['call_id']}?wait=1")
    assert answer.status_code == 200
    assert answer.json()["status"] == "pending_approval"


@pytest.mark.req("X3.8")
async def test_a_wait_ends_with_the_server(desk: Desk) -> None:
    async with desk.person(ANN) as ann:
        call = await held(ann)
        waiting = asyncio.ensure_future(ann.get(f"/v1/calls/{call['call_id']}?wait=30"))
        await desk.watched()
        desk.office.closing.begin()
        answer = await asyncio.wait_for(waiting, 5)
    assert answer.json()["status"] == "pending_approval"


@pytest.mark.req("X3.8", "M6.14")
async def test_nobody_takes_the_connections_of_everybody_by_waiting(desk: Desk) -> None:
    async with desk.person(ANN) as ann, desk.person(LEA) as lea:
        call = await held(ann)
        path = f"/v1/calls/{call['call_id']}"
        waiting = [asyncio.ensure_future(ann.get(f"{path}?wait=30")) for _ in range(MOST_WAITS_OF_ONE)]
        await desk.watched(MOST_WAITS_OF_ONE)
        refused = await ann.get(f"{path}?wait=30")
        looked = await ann.get(path)
        other = await lea.get("/v1/calls/call_0000?wait=1")
        desk.office.closing.begin()
        answers = await asyncio.gather(*waiting)
    assert (refused.status_code, refused.json()["type"]) == (429, "/problems/too_many_streams")
    assert int(refused.headers["retry-after"]) >= 1
    assert (looked.status_code, other.status_code) == (200, 404)
    assert {answer.status_code for answer in answers} == {200}
    assert not len(desk.office.waits)


async def test_a_call_of_somebody_else_is_answered_like_one_that_never_was(desk: Desk) -> None:
    async with desk.person(ANN) as ann, desk.person(BOB) as bob, desk.person(EVE) as eve:
        call = (await ask(ann, "refund", order=1)).json()
        missing = await bob.get("/v1/calls/call_0000")
        for other in (bob, eve):
            for path in ("", "/story", "/events"):
                answer = await other.get(f"/v1/calls/{call['call_id']}{path}")
                assert answer.status_code == 404
                assert answer.json()["detail"] == missing.json()["detail"]


@pytest.mark.req("M11.21")
async def test_an_operator_sees_how_a_call_of_the_tenant_ended_but_not_its_result(desk: Desk) -> None:
    async with desk.person(ANN) as ann, desk.person(OLA) as ola:
        call = (await ask(ann, "refund", order=1)).json()
        answer = await ola.get(f"/v1/calls/{call['call_id']}")
    assert answer.status_code == 200
    assert answer.json() == {
        "ok": True,
        "status": "succeeded",
        "effect": "applied",
        "call_id": call["call_id"],
    }


async def test_an_agent_sees_only_what_it_asked_for_itself(desk: Desk) -> None:
    async with desk.person(ANN) as ann, desk.person(ANN, agent="helper") as helper:
        hers = (await ask(ann, "refund", order=1)).json()["call_id"]
        its = (await ask(helper, "refund", order=2)).json()["call_id"]
        assert (await helper.get(f"/v1/calls/{hers}")).status_code == 404
        assert [call["call_id"] for call in (await helper.get("/v1/calls")).json()["calls"]] == [its]
        assert len((await ann.get("/v1/calls")).json()["calls"]) == 2


@pytest.mark.req("M11.22")
async def test_cursors_lead_through_every_call_once(desk: Desk) -> None:
    async with desk.person(ANN) as ann:
        answers = [await ask(ann, "refund", order=order) for order in range(1, 8)]
        asked = [answer.json()["call_id"] for answer in answers]
        found: list[str] = []
        path: str | None = "/v1/calls?limit=3&tool=refund"
        pages = 0
        while path is not None:
            page = await ann.get(path)
            found += [call["call_id"] for call in page.json()["calls"]]
            link = page.links.get("next")
            assert (link is None) == (page.json()["next"] is None)
            path = None if link is None else link["url"]
            pages += 1
    assert found == asked[::-1]
    assert pages in {3, 4}


@pytest.mark.parametrize("cursor", ["AAAA", "-", "Y2FsbCA", "x" * 128])
async def test_a_cursor_that_was_not_given_out_is_refused(desk: Desk, cursor: str) -> None:
    async with desk.person(ALL) as ola:
        for path in ("/v1/calls", "/v1/approvals?for_me=false", "/v1/grants", "/v1/audit"):
            answer = await ola.get(path, params={"cursor": cursor})
            assert answer.status_code == 400, path
            assert answer.json()["errors"][0]["pointer"] == "?cursor"


async def test_calls_are_found_by_what_they_are(desk: Desk) -> None:
    async with desk.person(ANN) as ann, desk.person(OLA) as ola:
        await ask(ann, "refund", order=1)
        await ask(ann, "notes", customer="c", workflow="other")
        await ask(ann, "lost", order=1)
        await ask(ann, "refund", order=0)

        async def names(query: str) -> list[str]:
            answer = await ola.get(f"/v1/calls?{query}")
            assert answer.status_code == 200, answer.text
            return [call["tool"] for call in answer.json()["calls"]]

        assert await names("tool=notes") == ["notes"]
        assert await names("status=succeeded&caller=ann") == ["notes", "refund"]
        assert await names("error_type=invalid_arguments") == ["refund"]
        assert await names("unresolved=true") == ["lost"]
        assert await names("caller=bob") == []
        assert await names("since=2100-01-01T00:00:00Z") == []
        assert await names("until=1971-01-01T00:00:00%2B02:00") == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=x",
        "unknown=1",
        "tool=a&tool=b",
        "since=yesterday",
        "until=0.5",
        "status=gone",
    ],
)
async def test_a_query_that_does_not_fit_is_refused_by_name(desk: Desk, query: str) -> None:
    async with desk.person(ANN) as ann:
        answer = await ann.get(f"/v1/calls?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"nothing",
        b"{}",
        b'{"workflow_id": "w", "workflow_id": "v", "arguments": {}}',
        b'{"arguments": {}} x',
        b'{"arguments": {}, }',
        b'{"workflow_id": 1, "arguments": {}}',
        b'{"arguments": {}, "workflow_id": "a\\u0000b"}',
        b'{"arguments": {}, "workflow_id": "a\\u202eb"}',
        b'\xff{"arguments": {}}',
        b'{"arguments": {}, "workflow_id": ' + b"9" * 5000 + b"}",
    ],
)
async def test_a_body_that_does_not_fit_is_no_call(desk: Desk, body: bytes) -> None:
    async with desk.person(ANN) as ann:
        headers = {"Content-Type": "application/json"}
        answer = await ann.post(calls_of("notes"), content=body, headers=headers)
        calls = await ann.get("/v1/calls")
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert calls.json()["calls"] == []


async def test_a_body_of_another_type_is_not_read(desk: Desk) -> None:
    async with desk.person(ANN) as ann:
        answer = await ann.post(calls_of("refund"), content=json.dumps(request(order=1)))
    assert answer.status_code == 415


async def test_a_secret_in_a_wrong_member_does_not_come_back(desk: Desk) -> None:
    async with desk.person(ANN) as ann:
        answer = await ask(ann, "refund", order=1, more={"model": ["sk-live-" + SECRET]})
    assert answer.status_code == 400
    assert SECRET not in answer.text


async def test_the_story_of_a_call_tells_each_step_and_no_secret(desk: Desk) -> None:
    async with desk.person(ANN) as ann, desk.person(LEA) as lea:
        call = await held(ann, card=SECRET)
        await decide(lea, call["approval_id"])
        await desk.gateway.sweep()
        await ann.get(f"/v1/calls/{call['call_id']}?wait=30")
        answer = await ann.get(f"/v1/calls/{call['call_id']}/story")
    assert SECRET not in answer.text
    story = answer.json()
    assert story["call"]["status"] == "succeeded"
    assert story["outcome"]["result"] == 5000
    assert story["approval"]["votes"][0]["voter"] == "lea"
    assert story["arguments"]["order"] == 1
    assert len(story["events"]) >= 3


async def test_an_unknown_effect_is_resolved_by_an_operator_alone(desk: Desk) -> None:
    async with desk.person(ANN) as ann, desk.person(OLA) as ola:
        lost = (await ask(ann, "lost", order=1)).json()["outcome"]["call_id"]
        body = {"applied": True, "reason": "found it in the books"}
        assert (await ann.post(f"/v1/calls/{lost}/resolve", json=body)).status_code == 403
        answer = await ola.post(f"/v1/calls/{lost}/resolve", json=body)
        again = await ola.post(f"/v1/calls/{lost}/resolve", json=body)
        replayed = await ask(ann, "lost", order=1)
    assert (answer.status_code, answer.json()["effect_state"]) == (200, "applied")
    assert again.status_code == 409
    assert (replayed.status_code, replayed.json()["replayed"]) == (200, True)


async def test_whoever_asked_may_withdraw_what_waits(desk: Desk) -> None:
    async with desk.person(ANN) as ann:
        call = await held(ann)
        answer = await ann.post(f"/v1/calls/{call['call_id']}/withdraw", json={"reason": "a mistake"})
        after = await ann.get(f"/v1/calls/{call['call_id']}")
        done = (await ask(ann, "notes", customer="c")).json()["call_id"]
        none = await ann.post(f"/v1/calls/{done}/withdraw", json={"reason": "a mistake"})
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert after.json()["error_type"] == "approval_expired"
    assert none.status_code == 409


async def test_a_call_that_runs_still_says_so_and_is_not_repeated(desk: Desk) -> None:
    desk.business.proceed.clear()
    async with desk.person(ANN) as ann:
        first = asyncio.ensure_future(ask(ann, "refund", order=1))
        await asyncio.to_thread(desk.business.entered.wait, 10)
        call_id = (await ann.get("/v1/calls")).json()["calls"][0]["call_id"]
        running = await ann.get(f"/v1/calls/{call_id}")
        second = await ask(ann, "refund", order=1)
        desk.business.proceed.set()
        assert (await first).status_code == 200
    assert (running.status_code, running.json()["effect"]) == (200, "unknown")
    assert (second.status_code, second.headers["retry-after"]) == (409, "1")
    assert desk.business.paid == [(1, 500)]
