"""What each response carries, and what an error says: enough to mend it, nothing of what lies behind it."""

from __future__ import annotations

import logging

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from tests.http.desk import Desk, open_desk
from toolgate.domain.commands import Append
from toolgate.domain.outcome import ErrorType
from toolgate.domain.principal import Declined
from toolgate.domain.rows import Event
from toolgate.domain.trail import plain_record
from toolgate.gateway.world import World
from toolgate.surfaces.console.refusals import refusal_page
from toolgate.surfaces.http.problems import KINDS, declined

REQUESTS = [
    ("GET", "/echo", {}, 200),
    ("GET", "/healthz", {}, 200),
    ("GET", "/nowhere", {}, 404),
    ("DELETE", "/echo", {}, 405),
    ("GET", "/broken", {}, 500),
    ("GET", "/who", {}, 401),
    ("GET", "/echo", {"host": "evil.example"}, 421),
    ("POST", "/echo", {"origin": "https://evil.example"}, 403),
    ("POST", "/echo", {"content-length": "9999999"}, 413),
]


@pytest.mark.req("M4.28")
@pytest.mark.parametrize(("method", "path", "headers", "status"), REQUESTS)
async def test_each_response_tells_browsers_to_run_nothing_that_is_not_ours(
    desk: Desk, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = await desk.client.request(method, path, headers=headers)

    assert answer.status_code == status
    said = answer.headers
    assert said["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert "frame-ancestors 'none'" in said["content-security-policy"]
    assert said["x-content-type-options"] == "nosniff"
    assert said["referrer-policy"] == "no-referrer"
    assert said["cross-origin-opener-policy"] == "same-origin"
    assert said["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in said["permissions-policy"]
    assert said["cache-control"] == "no-store"
    assert "strict-transport-security" not in said
    assert "server" not in said


@pytest.mark.req("M4.28")
async def test_browsers_are_told_to_insist_on_tls_where_there_is_tls() -> None:
    names = frozenset({"gate.example.com"})
    async with open_desk(public_url="https://gate.example.com", names=names, local=False) as desk:
        answer = await desk.client.get("/nowhere", headers={"host": "gate.example.com"})

    assert answer.headers["strict-transport-security"] == "max-age=31536000"


@pytest.mark.req("M4.28")
async def test_only_what_is_the_same_for_everybody_may_be_kept(desk: Desk) -> None:
    answer = await desk.client.get("/static/console.css")

    assert answer.headers["cache-control"] == "public, max-age=31536000"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.req("M10.17")
@pytest.mark.parametrize(("method", "path", "headers", "status"), [row for row in REQUESTS if row[3] >= 400])
async def test_each_refusal_is_told_as_problem_details(
    desk: Desk, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = await desk.client.request(method, path, headers=headers)

    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["instance"] == path
    assert problem["request_id"] == answer.headers["x-request-id"]
    explained = await desk.client.get(problem["type"])
    assert explained.status_code == 200
    assert problem["title"] in explained.text


@pytest.mark.req("M10.17")
async def test_a_401_asks_for_a_bearer_and_a_405_names_what_is_allowed(desk: Desk) -> None:
    assert (await desk.client.get("/who")).headers["www-authenticate"].startswith("Bearer")
    assert (await desk.client.delete("/broken")).headers["allow"].split(", ") == ["GET", "HEAD", "POST"]


@pytest.mark.req("M10.17")
async def test_a_defect_says_nothing_of_itself_and_the_log_says_only_where(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    answer = await desk.client.get("/broken", headers={"x-request-id": "req_12345678"})

    assert answer.json() == {
        "type": "/problems/server_failed",
        "title": "The server failed",
        "status": 500,
        "detail": "the server failed, and whoever runs it finds why under the request_id",
        "instance": "/broken",
        "request_id": "req_12345678",
    }
    told = "\n".join(record.getMessage() for record in caplog.records)
    assert "request req_12345678 failed: LookupError at desk.py:" in told
    assert "tgt_hidden" not in told
    assert "/srv/internal" not in told


@pytest.mark.req("M10.17")
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("req_12345678", True),
        ("4bf92f3577b34da6a3ce929d0e0e4736", True),
        ("short", False),
        ("x" * 129, False),
        ("has space in it", False),
        ("id=1\x7fforged", False),
    ],
)
async def test_a_senders_own_id_is_kept_if_it_is_well_formed(desk: Desk, sent: str, kept: bool) -> None:
    said = (await desk.client.get("/echo", headers={"x-request-id": sent})).headers["x-request-id"]

    assert (said == sent) is kept
    assert said.startswith("req_") or kept


@pytest.mark.req("M10.17")
async def test_a_store_that_cannot_be_used_is_503(desk: Desk) -> None:
    token = await desk.token()
    desk.store.fail_reads()

    answer = await desk.client.get("/who", headers={"authorization": f"Bearer {token}"})

    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
    assert answer.headers["retry-after"] == "5"


@pytest.mark.req("M10.17")
async def test_a_write_in_doubt_has_no_status_that_clients_repeat_by_themselves() -> None:
    async def write(request: Request) -> Response:
        await desk.office.gate.operate(a_write)
        return Response()

    async with open_desk(routes=[Route("/write", write)]) as desk:
        desk.store.fail("doubt")
        answer = await desk.client.get("/write")

    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/in_doubt")
    assert "retry-after" not in answer.headers


async def a_write(world: World) -> None:
    record = plain_record("trail_probed", at=world.clock.now(), fields={})
    await world.store.execute(Append((Event(None, world.clock.now(), record),)))


@pytest.mark.req("M10.17")
def test_every_error_type_of_a_call_and_every_way_to_decline_has_its_status() -> None:
    assert {error.value for error in ErrorType} <= KINDS.keys()
    statuses = {
        why: declined(Declined(why, "because")).status
        for why in ("not_found", "forbidden", "conflict", "invalid")
    }
    assert statuses == {"not_found": 404, "forbidden": 403, "conflict": 409, "invalid": 422}


@pytest.mark.req("M11.20")
async def test_the_log_has_one_line_a_request_and_neither_its_path_nor_its_query(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="toolgate.http")

    await desk.client.get("/echo?link=tgt_hidden", headers={"x-request-id": "req_12345678"})
    await desk.client.get("/nowhere/tgt_hidden")

    first, second = [record.getMessage() for record in caplog.records if record.name == "toolgate.http"]
    assert first == "method=GET route=/echo status=200 ms=0 client=127.0.0.1 request_id=req_12345678"
    assert second.startswith("method=GET route=unmatched status=404 ms=0 client=127.0.0.1 request_id=req_")


@pytest.mark.req("M10.17")
async def test_a_browser_is_shown_a_page_and_a_program_is_not() -> None:
    async with open_desk(
        pages=lambda _, problem: HTMLResponse(f"<p>{problem.detail}", problem.status)
    ) as desk:
        answers = [
            await desk.client.get(path, headers={"accept": accept})
            for path in ("/nowhere", "/broken")
            for accept in ("text/html,*/*;q=0.8", "*/*")
        ]

    assert [answer.status_code for answer in answers] == [404, 404, 500, 500]
    assert [answer.headers["content-type"].partition(";")[0] for answer in answers] == [
        "text/html",
        "application/problem+json",
    ] * 2


@pytest.mark.req("M10.17", "M12.10")
async def test_the_console_shows_a_problem_as_a_page_of_its_own() -> None:
    async with open_desk(pages=refusal_page) as desk:
        answer = await desk.client.get("/console/nowhere", headers={"accept": "text/html"})

    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is no such thing" in answer.text
    assert "Nothing is under this address." in answer.text
