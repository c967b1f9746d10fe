"""Credentials over REST: made, listed, revoked, exchanged."""

from __future__ import annotations

import pytest

from tests.rest.desk import ADA, ANN, EVE, Desk, ask

pytestmark = pytest.mark.req("M4.22", "M4.24")

EXCHANGE = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "subject_token_type": "urn:ietf:params:oauth:token-type:access_token",
    "actor_token_type": "urn:ietf:params:oauth:token-type:access_token",
}


async def test_an_admin_makes_a_token_whose_secret_is_told_once(desk: Desk) -> None:
    body = {"caller_id": "zoe", "roles": ["clerk"], "scopes": ["call"], "lasting": "1d", "label": "laptop"}
    async with desk.person(ADA) as ada:
        made = await ada.post("/v1/tokens", json=body)
        assert made.status_code == 200, made.text
        listed = await ada.get("/v1/tokens")
        async with desk.client(made.json()["secret"]) as zoe:
            assert (await ask(zoe, "refund", order=1)).status_code == 200
            ended = await ada.post(f"/v1/tokens/{made.json()['token']['token_id']}/revoke")
            assert (await zoe.get("/v1/calls")).status_code == 401
    assert made.json()["secret"] not in listed.text
    assert [token["label"] for token in listed.json()["tokens"]].count("laptop") == 1
    assert ended.json()["revoked_at"] is not None


async def test_nobody_reaches_the_tokens_of_another_tenant(desk: Desk) -> None:
    token_id, _ = await desk.made(ANN)
    async with desk.person(EVE) as eve:
        assert token_id not in (await eve.get("/v1/tokens")).text
        assert (await eve.post(f"/v1/tokens/{token_id}/revoke")).status_code == 404


async def test_whoever_is_no_admin_sees_and_ends_their_own_tokens(desk: Desk) -> None:
    token_id, secret = await desk.made(ANN)
    await desk.made(ADA)
    async with desk.client(secret) as ann:
        assert [token["token_id"] for token in (await ann.get("/v1/tokens")).json()["tokens"]] == [token_id]
        assert (await ann.post(f"/v1/tokens/{token_id}/revoke")).status_code == 200
        assert (await ann.get("/v1/tokens")).status_code == 401


async def test_a_users_and_an_agents_token_become_one_of_the_two(desk: Desk) -> None:
    user, agent = await desk.token(ANN), await desk.token(ADA, agent="helper")
    async with desk.client(None) as anybody:
        answer = await anybody.post(
            "/v1/token", data={**EXCHANGE, "subject_token": user, "actor_token": agent, "unheard_of": "1"}
        )
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert (answer.json()["token_type"], answer.json()["scope"]) == ("Bearer", "call")
    async with desk.client(answer.json()["access_token"]) as both:
        assert (await ask(both, "refund", order=1)).status_code == 200
        call = (await both.get("/v1/calls")).json()["calls"][0]
        assert (await both.get("/v1/grants")).status_code == 403
    assert (call["caller_id"], call["agent"]) == ("ann", "helper")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"grant_type": "password"}, 400),
        ({"subject_token": "tgt_nothing"}, 400),
        ({"actor_token": ""}, 400),
        ({"scope": "approve"}, 400),
        ({"subject_token": ["a", "b"]}, 400),
    ],
)
async def test_an_exchange_that_cannot_be_is_refused_in_the_form_of_oauth(
    desk: Desk, change: dict[str, str], status: int
) -> None:
    user, agent = await desk.token(ANN), await desk.token(ADA, agent="helper")
    async with desk.client(None) as anybody:
        form = {**EXCHANGE, "subject_token": user, "actor_token": agent} | change
        answer = await anybody.post("/v1/token", data=form)
        wrong = await anybody.post("/v1/token", json=form)
    assert answer.status_code == status
    assert answer.json()["error"] == "invalid_request"
    assert user not in answer.text
    assert wrong.status_code == 415


async def test_whoever_guesses_at_tokens_has_to_wait(desk: Desk) -> None:
    agent = await desk.token(ADA, agent="helper")
    async with desk.client(None) as anybody:
        form = {**EXCHANGE, "subject_token": "tgt_guess", "actor_token": agent}
        answers = [await anybody.post("/v1/token", data=form) for _ in range(7)]
    assert [answer.status_code for answer in answers][-1] == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
