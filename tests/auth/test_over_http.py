"""The same credentials through the whole server: a bearer, an exchange for an agent, a browser and its issuer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.auth.conftest import agent_token, read_order, token
from tests.auth.fake_issuer import FakeIssuer, access_token, id_token
from toolgate import Gateway
from toolgate.bootstrap.server import all_routes
from toolgate.operations.exchange_token import ACCESS_TOKEN, GRANT_TYPE
from toolgate.operations.sessions import one_time_link
from toolgate.surfaces.http.app import build_app
from toolgate.surfaces.http.metrics import Metrics
from toolgate.surfaces.http.office import open_office
from toolgate.surfaces.http.settings import ServerSettings
from toolgate.testing import FakeClock

BASE = "https://gate.example.com"
SETTINGS = ServerSettings(
    host="127.0.0.1", port=8080, public_url=BASE, names=frozenset({"gate.example.com"}), local=False
)


@pytest.fixture
async def gateway(clock: FakeClock, issuer: FakeIssuer) -> AsyncIterator[Gateway]:
    side = issuer.gate_side()
    async with Gateway([read_order], clock=clock, housekeeping=None, issuer=side, sign_in=side) as opened:
        yield opened


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    office = open_office(gateway, SETTINGS)
    app = build_app(office, routes=all_routes(office), metrics=Metrics())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as made:
        yield made


def bearing(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.mark.req("M4.19")
async def test_a_program_is_known_by_a_token_or_a_jwt_and_by_nothing_else(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    made = await token(gateway, "u-maya", "support")
    good = [made.secret, access_token()]
    bad = ["tgt_made-up", access_token(aud="other"), access_token(exp=1_700_000_000), "x"]

    seen = [await client.get("/v1/tools", headers=bearing(secret)) for secret in good]
    refused = [await client.get("/v1/tools", headers=bearing(secret)) for secret in bad]
    posing = await client.get("/v1/tools", headers={"X-User": "u-maya", "X-Agent": "a"})

    assert [answer.status_code for answer in seen] == [200, 200]
    assert "read_order" in seen[1].text
    assert {answer.status_code for answer in (*refused, posing)} == {401}
    assert len({answer.json()["detail"] for answer in refused}) == 1


@pytest.mark.req("M4.21")
async def test_an_issuer_that_cannot_be_asked_is_nobodys_failed_guess(
    client: httpx.AsyncClient, issuer: FakeIssuer, clock: FakeClock
) -> None:
    issuer.down = True
    while_down = [await client.get("/v1/tools", headers=bearing(access_token(jti=str(n)))) for n in range(20)]
    issuer.down = False
    clock.advance(11.0)

    after = await client.get("/v1/tools", headers=bearing(access_token()))

    assert {answer.status_code for answer in while_down} == {401}
    assert "cannot be asked now" in while_down[0].text
    assert after.status_code == 200


@pytest.mark.req("M4.22")
async def test_an_agent_acts_for_a_user_with_the_token_of_the_two(
    gateway: Gateway, client: httpx.AsyncClient
) -> None:
    form = {
        "grant_type": GRANT_TYPE,
        "subject_token": access_token(),
        "subject_token_type": ACCESS_TOKEN,
        "actor_token": (await agent_token(gateway)).secret,
        "actor_token_type": ACCESS_TOKEN,
    }
    answer = await client.post("/v1/token", data=form)
    exchanged = answer.json()["access_token"]

    listed = await client.get("/v1/tools", headers=bearing(exchanged))
    asked = await client.get("/v1/approvals", headers=bearing(exchanged))
    again = await client.post("/v1/token", data=form | {"subject_token": exchanged})

    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert (listed.status_code, asked.status_code) == (200, 403)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_request")


@pytest.mark.req("M4.21", "M4.27")
async def test_an_exchange_while_the_issuer_cannot_be_asked_is_nobodys_failed_guess(
    gateway: Gateway, client: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    form = {
        "grant_type": GRANT_TYPE,
        "subject_token": access_token(),
        "subject_token_type": ACCESS_TOKEN,
        "actor_token": (await agent_token(gateway)).secret,
        "actor_token_type": ACCESS_TOKEN,
    }
    issuer.down = True
    while_down = [await client.post("/v1/token", data=form) for _ in range(20)]

    assert {answer.status_code for answer in while_down} == {400}
    assert "cannot be asked now" in while_down[-1].text


@pytest.mark.req("M4.25")
async def test_a_browser_goes_to_the_issuer_and_comes_back_signed_in(
    client: httpx.AsyncClient, issuer: FakeIssuer
) -> None:
    leaving = await client.get("/console/sign-in/issuer")
    asked = {
        name: values[0] for name, values in parse_qs(urlsplit(leaving.headers["location"]).query).items()
    }
    cookie = leaving.headers["set-cookie"]
    issuer.codes["c0de"] = {
        "challenge": asked["code_challenge"],
        "id_token": id_token(nonce=asked["nonce"], groups=["grp-leads"]),
    }
    came_back = {"code": "c0de", "state": asked["state"]}

    back = await client.get(urlsplit(asked["redirect_uri"]).path, params=came_back)
    inside = await client.get("/console/inbox")

    assert leaving.status_code in {302, 303, 307}
    assert asked["redirect_uri"] == f"{BASE}/console/sign-in/back"
    assert all(word in cookie.lower() for word in ("httponly", "secure", "samesite=lax"))
    assert back.status_code == 200, back.text
    assert inside.status_code == 200


@pytest.mark.req("M4.25")
async def test_a_browser_that_never_left_is_not_let_in(client: httpx.AsyncClient) -> None:
    back = await client.get("/console/sign-in/back", params={"code": "c0de", "state": "s"})

    assert back.status_code == 401
    assert (await client.get("/console/inbox")).status_code in {302, 303}


@pytest.mark.req("M4.23")
async def test_a_link_signs_one_browser_in_and_no_second(gateway: Gateway, client: httpx.AsyncClient) -> None:
    link = await gateway.operate(one_time_link)
    form, headers = {"token": link.secret}, {"Origin": BASE}

    first = await client.post("/console/sign-in", data=form, headers=headers)
    inside = await client.get("/console/inbox")
    client.cookies.clear()
    second = await client.post("/console/sign-in", data=form, headers=headers)

    assert (first.status_code, inside.status_code, second.status_code) == (303, 200, 401)
