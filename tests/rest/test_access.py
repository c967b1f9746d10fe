"""Every endpoint × every kind of credential, in `tests/golden/access.txt`: the unauthorised-access matrix.

The rows come from the table of endpoints, and what is lacking from `domain.principal.ACCESS`. To write the file anew
after a change, and then to read every line that moved:

    UPDATE_GOLDEN=1 .venv/bin/python -m pytest tests/rest/test_access.py

`own` says that the answer was good and held nothing of the tenant that was not theirs; `-` that nothing can be lacking.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.long_work import Stock
from tests.rest.desk import ADA, ALL, ANN, EVE, LEA, Business, Desk, ask, held, opened, request, seen
from tests.rest.listening import listening
from toolgate import Caller
from toolgate.domain.principal import ACCESS, EVERY_SCOPE, Scope
from toolgate.surfaces.rest.endpoint import Endpoint
from toolgate.surfaces.rest.endpoints import ENDPOINTS
from toolgate.surfaces.rest.events import STREAM

pytestmark = pytest.mark.req("M4.19", "M4.31")

GOLDEN = Path(__file__).parent.parent / "golden" / "access.txt"
COLUMNS = ("nobody", "wrong", "expired", "revoked", "tenant", "agent", "scope", "role", "right")
HEAD = (
    "# nobody: no credential; wrong: a made-up one; tenant: everything, in another tenant; agent: everything, through\n"
    "# an agent; scope: everything but the scope that is needed; role: every scope and no role; right: everything.\n"
)
NO_ROLES = Caller("rob", set(), "acme")


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """What a request is about: an id for the path, and the body that would be good."""

    id: str = ""
    body: dict[str, Any] | None = None
    form: dict[str, Any] | None = None


Make = Callable[[Desk, int], Awaitable[Thing]]


async def _call(desk: Desk, turn: int) -> Thing:
    async with desk.person(ANN) as ann:
        answer = await ask(ann, "refund", order=turn)
    return Thing(id=answer.json()["call_id"])


async def _lost(desk: Desk, turn: int) -> Thing:
    async with desk.person(ANN) as ann:
        answer = await ask(ann, "lost", order=turn)
    return Thing(id=answer.json()["outcome"]["call_id"], body={"applied": True, "reason": "found it"})


async def _waits(desk: Desk, turn: int) -> dict[str, Any]:
    async with desk.person(ANN) as ann, desk.person(LEA) as lea:
        return await seen(lea, (await held(ann, order=turn))["approval_id"])


async def _approval(desk: Desk, turn: int) -> Thing:
    shown = await _waits(desk, turn)
    return Thing(id=shown["approval_id"], body={"digest": shown["digest"], "reason": "looked at it"})


async def _withdrawn(desk: Desk, turn: int) -> Thing:
    return Thing(id=(await _waits(desk, turn))["approval_id"], body={"reason": "a mistake"})


async def _withdrawn_call(desk: Desk, turn: int) -> Thing:
    return Thing(id=(await _waits(desk, turn))["call_id"], body={"reason": "a mistake"})


async def _decision(desk: Desk, turn: int) -> Thing:
    seen_now = await _approval(desk, turn)
    return Thing(id=seen_now.id, body={**(seen_now.body or {}), "decision": "approve"})


async def _proposal(desk: Desk, turn: int) -> Thing:
    return Thing(id=(await _waits(desk, turn))["approval_id"], body={"changes": {"cents": 3000}})


async def _batch(desk: Desk, turn: int) -> Thing:
    shown = await _waits(desk, turn)
    items = [{"approval_id": shown["approval_id"], "digest": shown["digest"]}]
    return Thing(body={"decision": "deny", "items": items, "reason": "looked at it"})


GRANT = {"tool": "refund", "bounds": {}, "caller_id": "ann", "lasting": "1h", "uses": 1, "reason": "the sale"}


async def _grant(desk: Desk, turn: int) -> Thing:
    async with desk.person(LEA) as lea:
        return Thing(
            id=(await lea.post("/v1/grants", json=GRANT)).json()["grant_id"], body={"reason": "over"}
        )


async def _token(desk: Desk, turn: int) -> Thing:
    return Thing(id=(await desk.made(ANN))[0])


async def _exchange(desk: Desk, turn: int) -> Thing:
    form = {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "actor_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_token": await desk.token(ANN),
        "actor_token": await desk.token(ADA, agent="helper"),
    }
    return Thing(form=form)


def _only(body: dict[str, Any] | None = None, id_: str = "") -> Make:
    async def make(desk: Desk, turn: int) -> Thing:
        return Thing(id=id_, body=body)

    return make


async def _job(desk: Desk, turn: int) -> Thing:
    """A job that waits: nobody runs any here."""
    async with desk.person(ANN) as ann:
        answer = await ask(ann, "count", shelves=turn % 99 + 1, workflow=f"wf-{turn}")
    return Thing(id=answer.json()["job_id"], body={"reason": "not needed any more"})


async def _fresh(desk: Desk, turn: int) -> Thing:
    return Thing(id="refund", body=request(order=turn))


THINGS: dict[str, Make] = {
    "GET /v1/calls": _call,
    "GET /v1/calls/{id}": _call,
    "GET /v1/calls/{id}/events": _call,
    "GET /v1/calls/{id}/story": _call,
    "POST /v1/calls/{id}/resolve": _lost,
    "POST /v1/calls/{id}/withdraw": _withdrawn_call,
    "POST /v1/tools/{name}/calls": _fresh,
    "GET /v1/jobs": _job,
    "GET /v1/jobs/{id}": _job,
    "GET /v1/jobs/{id}/events": _job,
    "POST /v1/jobs/{id}/cancel": _job,
    "GET /v1/tools": _only(),
    "GET /v1/tools/{name}": _only(id_="refund"),
    "GET /v1/approvals": _approval,
    "POST /v1/approvals/decisions": _batch,
    "GET /v1/approvals/{id}": _approval,
    "GET /v1/approvals/{id}/evidence": _approval,
    "POST /v1/approvals/{id}/decision": _decision,
    "POST /v1/approvals/{id}/propose-edit": _proposal,
    "POST /v1/approvals/{id}/reveal": _approval,
    "POST /v1/approvals/{id}/withdraw": _withdrawn,
    "POST /v1/stop": _only({"reason": "something is wrong"}),
    "GET /v1/grants": _grant,
    "POST /v1/grants": _only(GRANT),
    "POST /v1/grants/{id}/revoke": _grant,
    "GET /v1/tokens": _token,
    "POST /v1/tokens": _only({"caller_id": "zoe", "scopes": ["call"], "lasting": "1h"}),
    "POST /v1/tokens/{id}/revoke": _token,
    "POST /v1/token": _exchange,
    "GET /v1/audit": _call,
    "GET /v1/audit/verify": _only(),
    "GET /v1/audit/export": _call,
    "GET /v1/events": _only(),
    "GET /v1/notifications": _only(),
    "POST /v1/notifications/{id}/retry": _only({"sink": "slack"}, id_="ntc_none"),
    "GET /openapi.json": _only(),
}


def name_of(row: Endpoint) -> str:
    return f"{row.method} {row.path}"


async def credential(desk: Desk, row: Endpoint, column: str) -> str | None:
    """The credential of one column; "" where nothing can be lacking."""
    match column:
        case "nobody":
            return None
        case "wrong":
            return "tgt_made-up"
        case "expired":
            token = await desk.token(ALL, lasting=60)
            desk.clock.advance(61)
            return token
        case "revoked":
            token_id, token = await desk.made(ALL)
            async with desk.client(token) as own:
                assert (await own.post(f"/v1/tokens/{token_id}/revoke")).status_code == 200
            return token
        case "tenant":
            return await desk.token(EVE)
        case "agent":
            return await desk.token(ALL, agent="helper")
        case "scope":
            # Where a credential alone is enough to ask, one that is good for nothing but tokens.
            lacking = {ACCESS[action].scope for action in row.needs} or EVERY_SCOPE - {Scope.ADMIN}
            return await desk.token(ALL, scopes=EVERY_SCOPE - lacking) if row.login else ""
        case "role":
            return await desk.token(NO_ROLES) if row.login else ""
        case _:
            return await desk.token(ALL)


async def answer(desk: Desk, row: Endpoint, thing: Thing, token: str | None, address: str) -> httpx.Response:
    """What somebody with ``token`` is told."""
    path = row.path.replace("{id}", thing.id).replace("{name}", thing.id)
    if any(says.content == STREAM for says in row.answers.values()):
        async with listening(desk, path, token, address=address) as stream:
            return httpx.Response(stream.status)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    transport = httpx.ASGITransport(app=desk.app, client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url=desk.office.settings.public_url) as client:
        return await client.request(row.method, path, json=thing.body, data=thing.form, headers=headers)


async def cell(desk: Desk, row: Endpoint, column: str, turn: int) -> str:
    token = await credential(desk, row, column)
    if token == "":
        return "-"
    thing = await THINGS[name_of(row)](desk, turn)
    # Each guess comes from an address of its own, so that nobody is slowed down here.
    found = await answer(desk, row, thing, token, f"10.1.{turn // 250}.{turn % 250 + 1}")
    assert found.status_code < 500, f"{name_of(row)}: {found.text}"
    if column == "tenant" and row.login and found.status_code < 300:
        assert "acme" not in found.text
        assert not thing.id or row.parameter == "name" or thing.id not in found.text
        return "own"
    return str(found.status_code)


def test_every_endpoint_is_in_the_matrix() -> None:
    assert sorted(THINGS) == sorted(name_of(row) for row in ENDPOINTS)


@pytest.fixture
async def with_jobs(tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk with a tool that is a job, and nobody who runs it."""
    tools = [*Business().tools(), *Stock().tools()]
    async with opened(tmp_path, tools=tools, jobs=False) as desk:
        yield desk


async def test_every_endpoint_answers_every_credential_as_the_matrix_says(with_jobs: Desk) -> None:
    desk = with_jobs
    lines = [HEAD, " " * 38 + "".join(f"{column:<9}" for column in COLUMNS).rstrip()]
    turn = 0
    for row in ENDPOINTS:
        cells = []
        for column in COLUMNS:
            turn += 1
            cells.append(await cell(desk, row, column, turn))
        lines.append(f"{name_of(row):<38}" + "".join(f"{each:<9}" for each in cells).rstrip())
    text = "\n".join(lines) + "\n"
    if os.environ.get("UPDATE_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text.splitlines() == GOLDEN.read_text(encoding="utf-8").splitlines()


async def test_what_is_lacking_is_said_and_nothing_happens(desk: Desk) -> None:
    for row in ENDPOINTS:
        if not row.login:
            continue
        for column in ("nobody", "wrong", "expired", "revoked"):
            line = next(
                line for line in GOLDEN.read_text().splitlines() if line.startswith(f"{name_of(row)} ")
            )
            assert line[38:].split()[COLUMNS.index(column)] == "401"
    async with desk.client(None) as nobody:
        refused = await nobody.get("/v1/calls")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert refused.headers["content-type"] == "application/problem+json"
