"""Sessions of people: opened by a credential, ended by time, idleness, the credential, or a sign-out."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.auth.conftest import agent_token, principal, token
from tests.auth.fake_issuer import access_token
from toolgate import Gateway
from toolgate.domain.principal import ADMIN, AUDITOR, EVERY_SCOPE, OPERATOR, Declined, Principal, Scope
from toolgate.operations.authenticate import REFUSED, authenticate
from toolgate.operations.sessions import csrf_of, end_session, one_time_link, open_session, session
from toolgate.operations.tokens import NewToken, revoke, revoke_token
from toolgate.testing import FakeClock

pytestmark = pytest.mark.req("M4.23")

HOUR = 3600.0


async def opened(gate: Gateway, credential: str) -> NewToken:
    made = await gate.operate(open_session, credential)
    assert isinstance(made, NewToken), made
    return made


async def whose(gate: Gateway, secret: str) -> Principal:
    found = await gate.operate(session, secret)
    assert isinstance(found, Principal), found
    return found


async def lives(gate: Gateway, secret: str) -> bool:
    found = await gate.operate(session, secret)
    assert isinstance(found, Principal) or found == REFUSED
    return isinstance(found, Principal)


async def test_a_session_is_its_credentials_person_with_the_same_roles_and_scopes(gate: Gateway) -> None:
    made = await token(gate, "u-omar", "lead", scopes=[Scope.APPROVE])

    found = await whose(gate, (await opened(gate, made.secret)).secret)

    assert (found.id, found.tenant, found.caller.roles, found.scopes) == (
        "u-omar",
        "acme",
        frozenset({"lead"}),
        frozenset({Scope.APPROVE}),
    )


async def test_a_session_ends_after_eight_hours_however_busy(gate: Gateway, clock: FakeClock) -> None:
    secret = (await opened(gate, (await token(gate)).secret)).secret
    for _ in range(31):
        clock.advance(HOUR / 4)
        assert await lives(gate, secret)

    clock.advance(HOUR / 4)

    assert not await lives(gate, secret)


async def test_a_session_ends_after_half_an_hour_without_a_request(gate: Gateway, clock: FakeClock) -> None:
    first = (await opened(gate, (await token(gate)).secret)).secret
    second = (await opened(gate, (await token(gate)).secret)).secret
    both = await lives(gate, first), await lives(gate, second)
    clock.advance(1799.0)
    busy = await lives(gate, first)

    clock.advance(1.0)
    after = await lives(gate, first), await lives(gate, second)
    clock.set_back(HOUR)

    assert (both, busy, after) == ((True, True), True, (True, False))
    assert not await lives(gate, second)


async def test_a_session_ends_with_the_token_that_opened_it(gate: Gateway, clock: FakeClock) -> None:
    made, short = await token(gate), await token(gate, lasting=HOUR / 4)
    secret, brief = (await opened(gate, made.secret)).secret, (await opened(gate, short.secret)).secret
    before = await lives(gate, secret), await lives(gate, brief)

    await gate.operate(revoke, made.row.token_id, by=await principal(gate, made.secret))
    revoked = await lives(gate, secret), await lives(gate, brief)
    clock.advance(HOUR / 4)

    assert before == (True, True)
    assert revoked == (False, True)
    assert not await lives(gate, brief)


async def test_whoever_signs_out_is_out_at_once_and_only_there(gate: Gateway) -> None:
    made = await token(gate)
    here, there = (await opened(gate, made.secret)).secret, (await opened(gate, made.secret)).secret

    await gate.operate(end_session, here)
    await gate.operate(end_session, here)
    await gate.operate(end_session, "tgt_made-up")

    assert (await lives(gate, here), await lives(gate, there)) == (False, True)
    assert isinstance(await gate.operate(authenticate, made.secret), Principal)


@pytest.mark.req("M4.22")
async def test_no_agent_has_a_session(gate: Gateway) -> None:
    assert await gate.operate(open_session, (await agent_token(gate)).secret) == REFUSED
    assert await gate.operate(open_session, access_token(act={"sub": "support_assistant"})) == REFUSED


async def test_nothing_but_a_token_of_ones_own_or_a_link_opens_a_session(gate: Gateway) -> None:
    in_session = (await opened(gate, (await token(gate)).secret)).secret

    for credential in ("", "tgt_made-up", in_session, access_token()):
        assert await gate.operate(open_session, credential) == REFUSED


@pytest.mark.req("M4.19")
async def test_a_cookies_secret_is_no_bearer_and_a_bearer_no_cookie(gate: Gateway) -> None:
    made = await token(gate)
    in_session = await opened(gate, made.secret)
    link = await gate.operate(one_time_link)

    assert await gate.operate(authenticate, in_session.secret) == REFUSED
    assert await gate.operate(authenticate, link.secret) == REFUSED
    assert not await lives(gate, made.secret)
    assert not await lives(gate, link.secret)


async def test_a_link_opens_one_session_and_no_second(gate: Gateway) -> None:
    link = await gate.operate(one_time_link, tenant="acme")

    found = await whose(gate, (await opened(gate, link.secret)).secret)
    again = await gate.operate(open_session, link.secret)

    assert again == REFUSED
    assert (found.id, found.tenant, found.scopes) == ("admin", "acme", EVERY_SCOPE)
    assert found.caller.roles >= {ADMIN, OPERATOR, AUDITOR}


async def test_of_many_who_show_one_link_at_once_one_gets_in(gate: Gateway) -> None:
    link = await gate.operate(one_time_link)

    answers = await asyncio.gather(*(gate.operate(open_session, link.secret) for _ in range(10)))
    got_in = [made for made in answers if isinstance(made, NewToken)]

    assert len(got_in) == 1
    assert await lives(gate, got_in[0].secret)
    assert [answer for answer in answers if answer == REFUSED] == [REFUSED] * 9


async def test_a_link_is_good_for_ten_minutes(gate: Gateway, clock: FakeClock) -> None:
    link = await gate.operate(one_time_link)

    clock.advance(600.0)

    assert await gate.operate(open_session, link.secret) == REFUSED


async def test_a_link_lets_its_holder_decide_what_the_tools_ask_unless_told_otherwise(gate: Gateway) -> None:
    approvers = frozenset(
        role
        for entry in gate.world.registry.values()
        if entry.contract.approval is not None
        for role in entry.contract.approval.approvers
    )
    link = await gate.operate(one_time_link)
    narrow = await gate.operate(one_time_link, id="u-ann", roles=["auditor"])

    assert link.row.roles == {ADMIN, OPERATOR, AUDITOR} | approvers
    assert (narrow.row.caller_id, narrow.row.roles) == ("u-ann", frozenset({"auditor"}))


async def test_the_token_of_a_form_is_the_sessions_own_and_always_the_same(gate: Gateway) -> None:
    made = await token(gate)
    one, two = await opened(gate, made.secret), await opened(gate, made.secret)

    first, again = await gate.operate(csrf_of, one.secret), await gate.operate(csrf_of, one.secret)
    other = await gate.operate(csrf_of, two.secret)

    assert first == again != other
    assert len(first) >= 32
    assert one.secret not in first
    assert first != one.row.token_hash


@pytest.mark.req("M11.1")
async def test_the_trail_says_who_came_by_which_credential_and_when_they_left(gate: Gateway) -> None:
    made = await token(gate, "u-omar")
    inside = await opened(gate, made.secret)
    await gate.operate(end_session, inside.secret)

    records = [record.record async for record in gate.store.records()]
    told = [json.loads(text) for text in records if inside.row.token_id.encode() in text]

    assert [(record["event"], record["toolgate.actor"]) for record in told] == [
        ("session_opened", made.row.token_id),
        ("token_revoked", "u-omar"),
    ]
    assert inside.secret.encode() not in b"".join(records)


async def test_idle_sessions_that_are_over_are_not_remembered_for_ever(
    gate: Gateway, clock: FakeClock
) -> None:
    made = await token(gate, lasting=60.0)
    for _ in range(3):
        await lives(gate, (await opened(gate, made.secret)).secret)
    gate.world.sessions_seen.update({f"tok_{number}": (0.0, clock.now() + 1) for number in range(1_000)})
    clock.advance(61.0)

    await lives(gate, (await opened(gate, (await token(gate)).secret)).secret)

    assert len(gate.world.sessions_seen) == 1


async def test_a_session_made_from_a_token_that_is_gone_is_refused(gate: Gateway) -> None:
    made = await token(gate)
    inside = await opened(gate, made.secret)

    async def end_by_key_holder(world: object) -> None:
        await revoke_token(gate.store, made.row.token_id, by="keyholder:test")

    await gate.operate(end_by_key_holder)

    assert isinstance(await gate.operate(session, inside.secret), Declined)
