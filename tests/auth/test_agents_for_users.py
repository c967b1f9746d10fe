"""Token exchange: the user's token and the agent's own become one, for a while, for calls alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.auth.conftest import agent_token, principal, token
from tests.auth.fake_issuer import access_token
from toolgate import Gateway, Succeeded
from toolgate.domain.principal import Declined, Principal, Scope
from toolgate.operations.authenticate import REFUSED, authenticate
from toolgate.operations.exchange_token import (
    ACCESS_TOKEN,
    GRANT_TYPE,
    JWT,
    Exchange,
    Exchanged,
    exchange_token,
)
from toolgate.operations.sessions import one_time_link, open_session
from toolgate.operations.tokens import NewToken, revoke_token
from toolgate.testing import FakeClock

pytestmark = pytest.mark.req("M4.22")


def asked(subject: str, actor: str, **changed: Any) -> Exchange:
    said = {
        "grant_type": GRANT_TYPE,
        "subject_token": subject,
        "subject_token_type": ACCESS_TOKEN,
        "actor_token": actor,
        "actor_token_type": ACCESS_TOKEN,
    } | changed
    return Exchange(**said)


async def exchanged(gate: Gateway, subject: str, actor: str) -> NewToken:
    answer = await gate.operate(exchange_token, asked(subject, actor))
    assert isinstance(answer, Exchanged), answer
    return answer.token


async def revoked(gate: Gateway, made: NewToken) -> None:
    async def end(world: object) -> None:
        await revoke_token(gate.store, made.row.token_id, by="test")

    await gate.operate(end)


async def test_the_two_become_one_that_acts_for_the_user_as_the_agent_and_may_only_ask(gate: Gateway) -> None:
    user, agent = await token(gate, "u-maya", "support", "lead"), await agent_token(gate)

    made = await exchanged(gate, user.secret, agent.secret)
    found = await principal(gate, made.secret)
    outcome = await gate.request(
        "read_order",
        {"order_id": 7},
        caller=found.caller,
        workflow=gate.make_workflow(None, agent=found.agent),
        actor=found,
    )

    assert (found.id, found.agent, found.owner) == ("u-maya", "support_assistant", "u7")
    assert (found.caller.roles, found.granted) == (frozenset({"support", "lead"}), frozenset({Scope.CALL}))
    assert isinstance(outcome, Succeeded)
    assert made.row.expires_at - made.row.created_at == 3_600_000_000


async def test_an_exchange_of_an_issuers_token_lasts_no_longer_than_that(
    gate: Gateway, clock: FakeClock
) -> None:
    made = await exchanged(gate, access_token(), (await agent_token(gate)).secret)
    found = await principal(gate, made.secret)

    clock.advance(300.0)

    assert (found.id, found.tenant, found.agent, found.owner) == ("u481", "acme", "support_assistant", "u7")
    assert found.caller.roles == {"support"}
    assert made.row.expires_at - made.row.created_at == 300_000_000
    assert await gate.operate(authenticate, made.secret) == REFUSED


async def test_the_answer_is_that_of_the_specification(gate: Gateway) -> None:
    user, agent = await token(gate), await agent_token(gate)

    answer = await gate.operate(exchange_token, asked(user.secret, agent.secret, scope="call"))

    assert isinstance(answer, Exchanged)
    assert answer.response == {
        "access_token": answer.token.secret,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": 3600,
        "scope": "call",
    }


@pytest.mark.parametrize("which", [0, 1], ids=["the user's", "the agent's"])
async def test_it_lasts_no_longer_than_either_and_ends_with_either(
    gate: Gateway, clock: FakeClock, which: int
) -> None:
    user = await token(gate, lasting=600.0 if which == 0 else 86_400.0)
    agent = await agent_token(gate, lasting=600.0 if which == 1 else 86_400.0)
    short, long = (
        await exchanged(gate, user.secret, agent.secret),
        await exchanged(gate, (await token(gate)).secret, (await agent_token(gate)).secret),
    )
    ended = await exchanged(gate, user.secret, agent.secret)
    before = await gate.operate(authenticate, ended.secret)

    await revoked(gate, (user, agent)[which])
    after = await gate.operate(authenticate, ended.secret)

    assert short.row.expires_at - short.row.created_at == 600_000_000
    assert isinstance(before, Principal)
    assert after == REFUSED
    assert isinstance(await gate.operate(authenticate, long.secret), Principal)


@pytest.mark.parametrize(
    "changed",
    [
        {"grant_type": "client_credentials"},
        {"grant_type": ""},
        {"subject_token_type": "urn:ietf:params:oauth:token-type:id_token"},
        {"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"},
        {"actor_token_type": JWT},
        {"requested_token_type": JWT},
        {"scope": "call approve"},
        {"scope": "admin"},
        {"audience": "elsewhere"},
        {"resource": "https://elsewhere.example.com"},
    ],
    ids=str,
)
async def test_a_request_of_another_form_is_answered_with_what_would_be_right(
    gate: Gateway, changed: dict[str, Any]
) -> None:
    user, agent = await token(gate), await agent_token(gate)

    refused = await gate.operate(exchange_token, asked(user.secret, agent.secret, **changed))

    assert isinstance(refused, Declined)
    assert refused.why == "invalid"


async def test_no_other_two_go_together(gate: Gateway, clock: FakeClock) -> None:
    user, agent = await token(gate), await agent_token(gate)
    made = await exchanged(gate, user.secret, agent.secret)
    session = await gate.operate(open_session, user.secret)
    assert isinstance(session, NewToken)
    link = await gate.operate(one_time_link, tenant="acme")
    gone, gone_agent = await token(gate), await agent_token(gate)
    await revoked(gate, gone)
    await revoked(gate, gone_agent)
    only_approves = await token(gate, scopes=[Scope.APPROVE])
    delegated = access_token(act={"sub": "crawler"})
    pairs = {
        "the agent's token as the user's": (agent.secret, agent.secret),
        "the user's token as the agent's": (user.secret, user.secret),
        "the two the other way round": (agent.secret, user.secret),
        "a session as the user's": (session.secret, agent.secret),
        "a link as the user's": (link.secret, agent.secret),
        "an exchanged token as the user's": (made.secret, agent.secret),
        "an exchanged token as the agent's": (user.secret, made.secret),
        "a signed token as the agent's": (user.secret, access_token(act={"sub": "support_assistant"})),
        "a signed token that an actor uses already": (delegated, agent.secret),
        "a revoked one of the user": (gone.secret, agent.secret),
        "a revoked one of the agent": (user.secret, gone_agent.secret),
        "users of another tenant": ((await token(gate, tenant="globex")).secret, agent.secret),
        "agents of another tenant": (user.secret, (await agent_token(gate, tenant="globex")).secret),
        "signed tokens of another tenant": (access_token(org_id="globex"), agent.secret),
        "one that may not call": (only_approves.secret, agent.secret),
        "made-up ones": ("tgt_made-up", agent.secret),
        "made-up agents": (user.secret, "tgt_made-up"),
        "an expired signed one": (access_token(exp=1_700_000_000), agent.secret),
        "one within the skew only": (access_token(exp=clock.now() // 1_000_000 - 30), agent.secret),
        "nothing": ("", ""),
    }

    answers = {name: await gate.operate(exchange_token, asked(*pair)) for name, pair in pairs.items()}

    assert answers == dict.fromkeys(pairs, REFUSED)


async def test_an_agents_token_alone_acts_for_the_caller_it_was_made_for(gate: Gateway) -> None:
    found = await principal(gate, (await agent_token(gate)).secret)

    assert (found.id, found.agent, found.scopes) == (
        "svc-assistant",
        "support_assistant",
        frozenset({Scope.CALL}),
    )


@pytest.mark.req("M11.1")
async def test_the_trail_names_the_user_the_agent_and_both_credentials(gate: Gateway) -> None:
    user, agent = await token(gate), await agent_token(gate)

    made = await exchanged(gate, user.secret, agent.secret)
    records = [json.loads(record.record) async for record in gate.store.records()]
    (record,) = [record for record in records if record["event"] == "token_exchanged"]

    assert (record["user.id"], record["gen_ai.agent.name"]) == ("u-maya", "support_assistant")
    assert record["toolgate.actor"] == agent.row.token_id
    assert record["toolgate.token.parent"].split(" ") == [user.row.token_id, agent.row.token_id]
    assert made.secret not in str(records)
    assert user.secret not in repr(asked(user.secret, agent.secret))
