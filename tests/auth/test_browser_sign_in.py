"""A browser signs in at the issuer: code, PKCE, state, nonce, and nothing that another browser could use."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.auth.fake_issuer import (
    AUDIENCE,
    CLIENT,
    ISSUER,
    REDIRECT,
    FakeIssuer,
    access_token,
    id_token,
    private_key,
)
from toolgate import Gateway
from toolgate.domain.principal import EVERY_SCOPE, Declined, Principal
from toolgate.operations.sessions import session
from toolgate.operations.sign_in import (
    SignedIn,
    SignInBegun,
    begin_sign_in,
    finish_sign_in,
    issuer_name,
    own_page,
)
from toolgate.testing import FakeClock

pytestmark = pytest.mark.req("M4.25")


async def begun(gate: Gateway, return_to: str = "/console/approvals") -> tuple[SignInBegun, dict[str, str]]:
    answer = await gate.operate(begin_sign_in, redirect_uri=REDIRECT, return_to=return_to)
    assert isinstance(answer, SignInBegun), answer
    return answer, {name: values[0] for name, values in parse_qs(urlsplit(answer.url).query).items()}


def consents(issuer: FakeIssuer, asked: dict[str, str], **claims: Any) -> dict[str, str]:
    """The person agrees at the issuer, whose answer the browser carries back."""
    token = id_token(**({"nonce": asked["nonce"]} | claims))
    issuer.codes["c0de"] = {"challenge": asked["code_challenge"], "id_token": token}
    return {"code": "c0de", "state": asked["state"]}


async def finished(gate: Gateway, cookie: str, answer: dict[str, str]) -> SignedIn | Declined:
    return await gate.operate(finish_sign_in, cookie=cookie, answer=answer)


async def test_whoever_signs_in_has_a_session_with_the_roles_of_their_groups(
    gate: Gateway, issuer: FakeIssuer
) -> None:
    left, asked = await begun(gate)

    done = await finished(gate, left.cookie, consents(issuer, asked, groups=["grp-leads"]))
    assert isinstance(done, SignedIn)
    found = await gate.operate(session, done.session.secret)

    assert isinstance(found, Principal)
    assert (found.id, found.tenant, found.caller.roles) == ("u481", "acme", frozenset({"lead", "support"}))
    assert (found.scopes, found.agent) == (EVERY_SCOPE, None)
    assert done.return_to == "/console/approvals"
    assert done.session.row.expires_at - done.session.row.created_at == 8 * 3600 * 1_000_000


async def test_the_browser_is_sent_with_a_challenge_and_without_what_answers_it(gate: Gateway) -> None:
    left, asked = await begun(gate)
    again, asked_again = await begun(gate)

    assert left.url.startswith(f"{ISSUER}/authorize?")
    assert {name: asked[name] for name in ("response_type", "client_id", "redirect_uri", "scope")} == {
        "response_type": "code",
        "client_id": CLIENT.client_id,
        "redirect_uri": REDIRECT,
        "scope": "openid groups",
    }
    assert asked["code_challenge_method"] == "S256"
    assert not {asked[name] for name in ("state", "nonce", "code_challenge")} & set(asked_again.values())
    assert "verifier" not in left.url
    assert "cl1ent-s3cret" not in left.url + left.cookie + repr(left)
    assert left.cookie != again.cookie
    assert len(left.cookie) < 2_000


async def test_the_issuer_is_asked_for_its_description_once_however_many_sign_in(
    gate: Gateway, issuer: FakeIssuer
) -> None:
    for _ in range(20):
        await begun(gate)

    assert issuer.times_asked("/.well-known/openid-configuration") == 1


@pytest.mark.parametrize(
    "spoil",
    [
        lambda answer, other: answer | {"state": other["state"]},
        lambda answer, _: answer | {"state": ""},
        lambda answer, _: {"code": answer["code"]},
        lambda answer, _: answer | {"code": "guessed"},
        lambda answer, _: answer | {"code": ""},
        lambda answer, _: {"state": answer["state"]},
        lambda answer, _: answer | {"error": "access_denied"},
        lambda answer, _: answer | {"iss": "https://evil.example.com"},
        lambda answer, _: answer | {"padding": "x" * 10_000},
    ],
    ids=[
        "other state",
        "no state",
        "only code",
        "guessed",
        "empty",
        "no code",
        "denied",
        "other issuer",
        "long",
    ],
)
async def test_an_answer_to_another_question_signs_nobody_in(
    gate: Gateway, issuer: FakeIssuer, spoil: Any
) -> None:
    left, asked = await begun(gate)
    _, other = await begun(gate)

    assert isinstance(await finished(gate, left.cookie, spoil(consents(issuer, asked), other)), Declined)


async def test_an_answer_is_taken_only_from_the_browser_that_asked_and_only_once(
    gate: Gateway, issuer: FakeIssuer, clock: FakeClock
) -> None:
    left, asked = await begun(gate)
    somebody_else, _ = await begun(gate)
    answer = consents(issuer, asked)

    for cookie in ("", "x", "A" * 5_000, "é", somebody_else.cookie, left.cookie[:-6] + "AAAAAA"):
        assert isinstance(await finished(gate, cookie, answer), Declined)
    first = await finished(gate, left.cookie, answer)
    second = await finished(gate, left.cookie, answer)

    assert isinstance(first, SignedIn)
    assert isinstance(second, Declined)


async def test_whoever_comes_back_after_ten_minutes_begins_again(
    gate: Gateway, issuer: FakeIssuer, clock: FakeClock
) -> None:
    left, asked = await begun(gate)
    answer = consents(issuer, asked, exp=2_000_000_000)

    clock.advance(600.0)

    assert isinstance(await finished(gate, left.cookie, answer), Declined)
    assert issuer.times_asked("/token") == 0


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"without": ("nonce",)},
        {"aud": AUDIENCE},
        {"aud": [CLIENT.client_id, "other"]},
        {"aud": [CLIENT.client_id, "other"], "azp": "other"},
        {"azp": "other"},
        {"iss": "https://evil.example.com"},
        {"exp": 1_700_000_000},
        {"headers": {"typ": "at+jwt"}},
        {"without": ("org_id",)},
        {"without": ("sub",)},
        {"act": {"sub": "support_assistant"}},
        {"key": private_key("RSA", 1)},
    ],
    ids=lambda claims: str(claims) if "key" not in claims else "another key",
)
async def test_an_id_token_that_does_not_say_what_it_has_to_signs_nobody_in(
    gate: Gateway, issuer: FakeIssuer, claims: dict[str, Any]
) -> None:
    left, asked = await begun(gate)

    assert isinstance(await finished(gate, left.cookie, consents(issuer, asked, **claims)), Declined)


async def test_an_id_token_for_several_is_taken_where_it_was_issued_to_us(
    gate: Gateway, issuer: FakeIssuer
) -> None:
    left, asked = await begun(gate)
    answer = consents(issuer, asked, aud=[CLIENT.client_id, "other"], azp=CLIENT.client_id)

    assert isinstance(await finished(gate, left.cookie, answer), SignedIn)


@pytest.mark.req("M4.20")
async def test_an_id_token_is_no_bearer_though_the_same_issuer_signed_it(issuer: FakeIssuer) -> None:
    side = issuer.gate_side()

    assert isinstance(await side.principal(id_token(nonce="n")), Declined)
    assert isinstance(await side.principal(id_token(nonce="n", aud=[AUDIENCE, CLIENT.client_id])), Declined)


async def test_an_issuer_that_promises_to_name_itself_has_to(gate: Gateway, issuer: FakeIssuer) -> None:
    issuer.description["authorization_response_iss_parameter_supported"] = True
    left, asked = await begun(gate)
    silent = await finished(gate, left.cookie, consents(issuer, asked))
    left, asked = await begun(gate)

    named = await finished(gate, left.cookie, consents(issuer, asked) | {"iss": ISSUER})

    assert isinstance(silent, Declined)
    assert isinstance(named, SignedIn)


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/console/calls?tool=refund", "/console/calls?tool=refund"),
        ("//evil.example.com", "/"),
        ("/\\evil.example.com", "/"),
        ("https://evil.example.com", "/"),
        ("javascript:alert(1)", "/"),
        ("/a\r\nSet-Cookie: x=y", "/"),
        ("/" + "x" * 2_000, "/"),
        ("", "/"),
    ],
)
def test_nobody_is_sent_elsewhere_afterwards(path: str, page: str) -> None:
    assert own_page(path) == page


async def test_an_issuer_that_cannot_be_reached_signs_nobody_in_and_says_nothing_internal(
    gate: Gateway, issuer: FakeIssuer, clock: FakeClock
) -> None:
    issuer.down = True
    at_start = await gate.operate(begin_sign_in, redirect_uri=REDIRECT)
    issuer.down = False
    clock.advance(11.0)
    left, asked = await begun(gate)
    answer = consents(issuer, asked)
    issuer.down = True

    at_the_end = await finished(gate, left.cookie, answer)

    assert at_start == at_the_end == Declined("forbidden", "the sign-in did not succeed; begin it again")


async def test_a_public_client_shows_no_secret_and_one_of_forms_puts_it_there(issuer: FakeIssuer) -> None:
    public = type(CLIENT)(client_id="gate-cli")
    await issuer.gate_side(client=public).finish(
        {"code": "c"}, redirect_uri=REDIRECT, nonce="n", code_verifier="v"
    )
    issuer.description["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    await issuer.gate_side().finish({"code": "c"}, redirect_uri=REDIRECT, nonce="n", code_verifier="v")

    first, second = [request for request in issuer.asked if request.url.path == "/token"]

    assert "authorization" not in first.headers
    assert b"client_id=gate-cli" in first.content
    assert "authorization" not in second.headers
    assert b"client_secret=cl1ent-s3cret" in second.content


@pytest.mark.parametrize(
    "answer",
    [{}, {"id_token": 7}, {"id_token": access_token()}, ["id_token"]],
    # Named: a token is signed anew in each process, and every process has to call its tests alike.
    ids=["nothing", "a number", "an access token", "no object"],
)
async def test_an_answer_without_an_id_token_signs_nobody_in(
    gate: Gateway, issuer: FakeIssuer, answer: Any
) -> None:
    left, asked = await begun(gate)
    came_back = consents(issuer, asked)
    issuer.answer = lambda _: httpx.Response(200, json=answer)

    assert isinstance(await finished(gate, left.cookie, came_back), Declined)


async def test_without_a_client_nobody_signs_in_with_an_issuer(tmp_path: object) -> None:
    async with Gateway([], housekeeping=None) as gateway:
        assert await gateway.operate(issuer_name) is None
        left = await gateway.operate(begin_sign_in, redirect_uri=REDIRECT)
        back = await gateway.operate(finish_sign_in, cookie="x", answer={})

    assert isinstance(left, Declined)
    assert left == back
    assert left.why == "not_found"


async def test_the_button_names_the_issuers_host(gate: Gateway) -> None:
    assert await gate.operate(issuer_name) == "login.example.com"


@pytest.mark.req("M11.1")
async def test_the_trail_says_which_issuer_vouched_and_keeps_no_secret(
    gate: Gateway, issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    left, asked = await begun(gate)
    answer = consents(issuer, asked)
    done = await finished(gate, left.cookie, answer)
    await finished(gate, left.cookie, answer)
    assert isinstance(done, SignedIn)

    records = b"".join([record.record async for record in gate.store.records()])
    told = [json.loads(record.record) async for record in gate.store.records()]
    (opened,) = [record for record in told if record["event"] == "session_opened"]

    assert (opened["user.id"], opened["toolgate.actor"]) == ("u481", f"oidc:{ISSUER}")
    secrets = (done.session.secret, "cl1ent-s3cret", "c0de", asked["state"], asked["nonce"], left.cookie)
    assert not [secret for secret in secrets if secret.encode() in records]
    assert not [secret for secret in secrets if secret in caplog.text + repr(done) + repr(left)]
