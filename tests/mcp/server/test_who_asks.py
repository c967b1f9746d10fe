"""Whose message it is: a credential on each of them, and sessions that are nobody else's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.auth.conftest import read_order
from tests.auth.fake_issuer import FakeIssuer, access_token
from tests.mcp.server.desk import LEGACY, MODERN, MODES, Desk, by_hand, meta, opened
from tests.rest.desk import ANN, BOB, EVE
from toolgate.domain.principal import Scope
from toolgate.operations.tokens import revoke_token
from toolgate.surfaces.mcp.sessions import Sessions
from toolgate.testing import FakeClock

pytestmark = pytest.mark.req("X3.11")

METHODS = ["GET", "POST", "DELETE", "PUT"]


@pytest.mark.parametrize("method", METHODS)
async def test_without_a_credential_nothing_is_read(desk: Desk, method: str) -> None:
    async with desk.raw(None) as http:
        answer = await http.request(method, "/mcp", content=b"{")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == (
        f'Bearer resource_metadata="{desk.url}/.well-known/oauth-protected-resource/mcp", scope="call"'
    )


async def test_a_credential_that_opens_nothing_is_told_so(desk: Desk) -> None:
    async with desk.raw("tgt_nonsense") as http:
        answer = await http.post("/mcp", content=b"{}")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token", resource_metadata=')


@pytest.mark.parametrize("method", METHODS)
async def test_a_credential_for_something_else_is_not_enough(desk: Desk, method: str) -> None:
    token = await desk.token(scopes=frozenset({Scope.APPROVE}))
    async with desk.raw(token) as http:
        answer = await http.request(method, "/mcp", content=b"{}")

    assert answer.status_code == 403
    said = answer.headers["www-authenticate"]
    assert said.startswith('Bearer error="insufficient_scope", resource_metadata=')
    assert said.endswith('scope="call"')


@pytest.mark.parametrize("path", ["/mcp", ""])
async def test_where_credentials_come_from_is_said_to_everybody(tmp_path: Path, path: str) -> None:
    async with (
        opened(tmp_path, issuers=("https://login.example.com",)) as desk,
        httpx.AsyncClient(base_url=desk.url) as http,
    ):
        answer = await http.get(f"/.well-known/oauth-protected-resource{path}")

    assert answer.status_code == 200
    assert answer.json() == {
        "resource": f"{desk.url}{path}",
        "authorization_servers": ["https://login.example.com"],
        "scopes_supported": ["call"],
        "bearer_methods_supported": ["header"],
        "resource_name": "Toolgate",
    }


async def test_where_no_issuer_is_configured_none_is_named(desk: Desk) -> None:
    async with httpx.AsyncClient(base_url=desk.url) as http:
        answer = await http.get("/.well-known/oauth-protected-resource/mcp")

    assert "authorization_servers" not in answer.json()


@pytest.mark.parametrize("mode", MODES)
async def test_the_caller_and_the_agent_are_the_credential_s_word(desk: Desk, mode: str) -> None:
    token = await desk.token(ANN, agent="assistant")
    said = meta("wf", **{"dev.toolgate/agent": "somebody", "agent": "else", "caller": "eve"})
    async with desk.client(token, mode) as client:
        await client.call_tool("notes", {"customer": "c"}, meta=said)

    (record,) = await desk.trail()
    assert (record["user.id"], record["gen_ai.agent.name"]) == ("ann", "assistant")


@pytest.mark.parametrize("other", [BOB, EVE, ANN])
async def test_a_session_is_nobody_else_s(desk: Desk, other: Any) -> None:
    """Not even another credential's of the same person."""
    async with by_hand(desk, "legacy", await desk.token()) as hand:
        headers = hand.headers()
        async with desk.raw(await desk.token(other)) as thief:
            posted = await thief.post(
                "/mcp", content=hand.call("notes", '{"customer": "c"}'), headers=headers
            )
            read = await thief.get("/mcp", headers=headers)
            ended = await thief.delete("/mcp", headers=headers)
        mine = await hand.ask("notes", '{"customer": "c"}')

    assert [answer.status_code for answer in (posted, read, ended)] == [404, 404, 404]
    assert mine["result"]["structuredContent"]["ok"] is True
    assert [record["user.id"] for record in await desk.trail()] == ["ann"]


async def test_a_credential_that_is_revoked_opens_nothing_more(desk: Desk) -> None:
    token = await desk.token()
    async with by_hand(desk, "legacy", token) as hand:
        await revoke_all(desk)
        answer = await hand.post(hand.call("notes", '{"customer": "c"}'))

    assert answer.status_code == 401
    assert not await desk.trail()


async def revoke_all(desk: Desk) -> None:
    """Revoke every token."""

    async def revoke(world: Any) -> None:
        for row in await world.store.tokens(tenant=ANN.tenant, live_at=None):
            await revoke_token(world.store, row.token_id, by="test")

    await desk.gateway.operate(revoke)


@pytest.mark.parametrize("mode", MODES)
async def test_the_credential_reaches_no_record(desk: Desk, mode: str) -> None:
    token = await desk.token()
    async with desk.client(token, mode) as client:
        await client.call_tool("refund", {"order": 1}, meta=meta())

    held = b"".join(path.read_bytes() for path in desk.folder.iterdir() if path.is_file())
    assert token.encode() not in held
    assert token not in json.dumps(await desk.trail())


async def test_whoever_opens_too_many_sessions_loses_the_oldest(desk: Desk) -> None:
    params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    begin = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}
    async with by_hand(desk, "legacy", await desk.token(BOB)) as other, desk.raw(await desk.token()) as http:
        opened = [(await http.post("/mcp", json=begin)).headers["mcp-session-id"] for _ in range(101)]
        ping = {"jsonrpc": "2.0", "id": 2, "method": "ping"}
        statuses = [
            (await http.post("/mcp", json=ping, headers={"Mcp-Session-Id": session})).status_code
            for session in (opened[0], opened[1], opened[-1])
        ]
        unharmed = await other.ask("notes", '{"customer": "c"}')

    assert statuses == [404, 200, 200]
    assert unharmed["result"]["isError"] is False


def test_a_session_that_is_used_is_not_the_oldest() -> None:
    sessions: Sessions[int] = Sessions(most_of_one=2)
    sessions.opened("ann", "a", 1)
    sessions.opened("ann", "b", 2)
    sessions.used("ann", "a")

    assert sessions.opened("bob", "x", 3) is None
    assert sessions.opened("ann", "c", 4) == ("b", 2)


async def test_a_modern_message_makes_no_session(desk: Desk) -> None:
    async with by_hand(desk, MODERN, await desk.token()) as hand:
        answer = await hand.post(hand.call("notes", '{"customer": "c"}'), name="notes")

    assert answer.status_code == 200
    assert "mcp-session-id" not in answer.headers


async def test_a_token_of_the_issuer_is_good_for_this_server_alone(tmp_path: Path) -> None:
    clock = FakeClock()
    issuer = FakeIssuer(clock).gate_side()
    async with opened(tmp_path, clock=clock, tools=[read_order], issuer=issuer) as desk:
        async with desk.client(access_token()) as client:
            listed = [each.name for each in (await client.list_tools()).tools]
        for secret in (access_token(aud="other"), access_token(exp=1_700_000_000)):
            async with desk.raw(secret) as http:
                refused = await http.post("/mcp", content=b"{}")
            assert refused.status_code == 401

    assert listed == ["read_order"]


async def test_a_session_opened_by_one_token_of_somebody_goes_on_with_their_next(tmp_path: Path) -> None:
    """Tokens of an issuer are short-lived, and whoever they stand for is the same."""
    clock = FakeClock()
    issuer = FakeIssuer(clock).gate_side()
    async with (
        opened(tmp_path, clock=clock, tools=[read_order], issuer=issuer) as desk,
        by_hand(desk, "legacy", access_token(jti="1")) as hand,
    ):
        fresh = {"Authorization": f"Bearer {access_token(jti='2')}"}
        other = {"Authorization": f"Bearer {access_token(sub='u-somebody')}"}
        mine = await hand.ask("read_order", '{"order_id": 1}', headers=fresh)
        theirs = await hand.post(hand.call("read_order", '{"order_id": 1}'), headers=other)

    assert mine["result"]["structuredContent"]["ok"] is True
    assert theirs.status_code == 404
