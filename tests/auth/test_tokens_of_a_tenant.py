"""Tokens over a surface: who may make, see and end which."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.auth.conftest import agent_token, principal, token
from toolgate import Gateway
from toolgate.domain.principal import EVERY_SCOPE, Declined, Principal, Scope
from toolgate.operations.authenticate import REFUSED, authenticate
from toolgate.operations.tokens import NewToken, list_tokens, make_token, revoke

pytestmark = pytest.mark.req("M4.24")

DAY = 86_400.0


async def admin(gate: Gateway, *, tenant: str = "acme", scopes: frozenset[Scope] = EVERY_SCOPE) -> Principal:
    return await principal(gate, (await token(gate, "u-ada", "admin", tenant=tenant, scopes=scopes)).secret)


async def make(gate: Gateway, by: Principal, **changed: Any) -> NewToken | Declined:
    said: dict[str, Any] = {"caller_id": "u-omar", "roles": ["lead"], "lasting": DAY} | changed
    return await gate.operate(make_token, by=by, **said)


@pytest.mark.req("M4.14", "M4.19")
async def test_an_admin_makes_a_token_of_the_own_tenant_that_works_until_it_ends(gate: Gateway) -> None:
    made = await make(gate, await admin(gate), label="Omar's laptop", scopes=["call", "approve"])
    assert isinstance(made, NewToken)

    found = await principal(gate, made.secret)
    gate.world.clock.advance(DAY)  # type: ignore[attr-defined]

    assert (found.id, found.tenant, found.caller.roles) == ("u-omar", "acme", frozenset({"lead"}))
    assert found.scopes == {Scope.CALL, Scope.APPROVE}
    assert (found.credential, made.row.label) == (made.row.token_id, "Omar's laptop")
    assert await gate.operate(authenticate, made.secret) == REFUSED


async def test_nobody_but_an_admin_with_the_scope_for_it_makes_tokens(gate: Gateway) -> None:
    without_role = await principal(gate, (await token(gate, "u-eve", scopes=EVERY_SCOPE)).secret)
    without_scope = await principal(gate, (await token(gate, "u-ada", "admin")).secret)
    agent = await principal(
        gate, (await token(gate, "u-ada", "admin", scopes=EVERY_SCOPE, agent="a", owner="u7")).secret
    )

    for by in (without_role, without_scope, agent):
        refused = await make(gate, by)
        assert isinstance(refused, Declined)
        assert refused.why == "forbidden"


async def test_a_narrow_credential_makes_no_wide_one(gate: Gateway) -> None:
    narrow = await admin(gate, scopes=frozenset({Scope.ADMIN, Scope.CALL}))

    wide = await make(gate, narrow, scopes=["call", "approve"])
    fitting = await make(gate, narrow, scopes=["call"])

    assert isinstance(wide, Declined)
    assert "approve" in wide.reason
    assert isinstance(fitting, NewToken)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"scopes": []}, "scope"),
        ({"scopes": ["everything"]}, "everything"),
        ({"lasting": 0}, "366"),
        ({"lasting": 400 * DAY}, "366"),
        ({"lasting": float("nan")}, "366"),
        ({"caller_id": ""}, "id"),
        ({"caller_id": "two\nlines"}, "id"),
        ({"roles": "admin"}, "roles"),
        ({"roles": [""]}, "role"),
        ({"owner": "u7"}, "agent"),
        ({"agent": "crawler"}, "answers for"),
        ({"agent": "crawler", "owner": ""}, "owner"),
        ({"agent": "\x1b[2J", "owner": "u7"}, "agent"),
        ({"agent": "support_assistant", "owner": "u-eve"}, "u7"),
        ({"label": "x" * 101}, "label"),
        ({"label": "a\x1b[2J"}, "label"),
    ],
    ids=str,
)
async def test_a_token_that_could_not_be_told_from_others_is_not_made(
    gate: Gateway, changed: dict[str, Any], word: str
) -> None:
    refused = await make(gate, await admin(gate), **changed)

    assert isinstance(refused, Declined)
    assert refused.why == "invalid"
    assert word in refused.reason


@pytest.mark.req("M4.22")
async def test_an_agents_token_may_only_call_and_has_an_owner(gate: Gateway) -> None:
    by = await admin(gate)
    configured = await make(gate, by, agent="support_assistant", scopes=["call", "approve", "admin"])
    said = await make(gate, by, agent="crawler", owner="u9")
    assert isinstance(configured, NewToken)
    assert isinstance(said, NewToken)

    first, second = await principal(gate, configured.secret), await principal(gate, said.secret)

    assert (first.agent, first.owner, first.granted) == ("support_assistant", "u7", frozenset({Scope.CALL}))
    assert (second.agent, second.owner, second.scopes) == ("crawler", "u9", frozenset({Scope.CALL}))


@pytest.mark.req("M4.7")
async def test_a_list_ends_at_the_tenant_and_shows_others_only_to_an_admin(gate: Gateway) -> None:
    theirs = await token(gate, "u-maya", "support", tenant="globex")
    mine = await token(gate, "u-maya", "support")
    ada = await admin(gate)

    everything = await gate.operate(list_tokens, by=ada)
    own = await gate.operate(list_tokens, by=await principal(gate, mine.secret))
    by_agent = await gate.operate(list_tokens, by=await principal(gate, (await agent_token(gate)).secret))

    assert isinstance(everything, tuple)
    assert isinstance(own, tuple)
    assert isinstance(by_agent, Declined)
    assert {row.token_id for row in everything} == {mine.row.token_id, ada.credential}
    assert [row.token_id for row in own] == [mine.row.token_id]
    assert {row.token_hash for row in everything} == {""}
    assert theirs.row.token_id not in str(everything)


@pytest.mark.req("M4.7", "M4.14")
async def test_an_admin_ends_tokens_of_the_tenant_and_everybody_their_own(gate: Gateway) -> None:
    maya, omar = await token(gate, "u-maya"), await token(gate, "u-omar")
    theirs = await token(gate, "u-maya", tenant="globex")
    ada, as_maya = await admin(gate), await principal(gate, maya.secret)

    others = await gate.operate(revoke, omar.row.token_id, by=as_maya)
    elsewhere = await gate.operate(revoke, theirs.row.token_id, by=ada)
    unknown = await gate.operate(revoke, "tok_none", by=ada)
    by_admin = await gate.operate(revoke, omar.row.token_id, by=ada)
    own = await gate.operate(revoke, maya.row.token_id, by=as_maya)
    again = await gate.operate(revoke, maya.row.token_id, by=ada)

    assert others == elsewhere == unknown == Declined("not_found", "there is no such token")
    assert not isinstance(by_admin, Declined)
    assert not isinstance(own, Declined)
    assert own == again
    assert await gate.operate(authenticate, maya.secret) == REFUSED
    assert await gate.operate(authenticate, omar.secret) == REFUSED
    assert isinstance(await gate.operate(authenticate, theirs.secret), Principal)


@pytest.mark.req("M4.22")
async def test_an_agent_ends_its_own_credential_and_no_other_of_its_user(gate: Gateway) -> None:
    users = await token(gate, "svc-assistant")
    made = await agent_token(gate)
    agent = await principal(gate, made.secret)

    refused = await gate.operate(revoke, users.row.token_id, by=agent)
    own = await gate.operate(revoke, made.row.token_id, by=agent)

    assert isinstance(refused, Declined)
    assert not isinstance(own, Declined)


@pytest.mark.req("M4.14", "M11.1")
async def test_the_trail_says_who_made_a_token_for_whom_and_never_what_opens_it(gate: Gateway) -> None:
    made = await make(gate, await admin(gate), agent="crawler", owner="u9", label="nightly")
    assert isinstance(made, NewToken)

    records = [record.record async for record in gate.store.records()]
    (record,) = [json.loads(text) for text in records if made.row.token_id.encode() in text]

    assert record["event"] == "token_created"
    assert (record["toolgate.actor"], record["user.id"]) == ("u-ada", "u-omar")
    assert (record["gen_ai.agent.name"], record["toolgate.token.owner"]) == ("crawler", "u9")
    assert made.secret.encode() not in b"".join(records)
    assert made.row.token_hash.encode() not in b"".join(records)
    assert made.secret not in repr(made)


@pytest.mark.req("M4.19")
@pytest.mark.parametrize("bearer", ["tgt_", "tgt_" + "x" * 5000, "tgt_made-up", "tgt_\x00", "tgt_é", "TGT_x"])
async def test_what_only_looks_like_a_token_is_refused(gate: Gateway, bearer: str) -> None:
    assert await gate.operate(authenticate, bearer) == REFUSED
