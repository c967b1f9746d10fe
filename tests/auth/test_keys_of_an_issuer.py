"""The issuer's keys: found, kept, rotated, and never asked for more often than is good."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from tests.auth.fake_issuer import ISSUER, TRUST, FakeIssuer, access_token, private_key, public_jwk, segment
from toolgate.adapters.identity import OidcIssuer, Trust, fetch
from toolgate.adapters.identity.fetch import MAX_DOCUMENT, url_problem
from toolgate.domain.principal import Declined, Principal
from toolgate.testing import FakeClock

pytestmark = pytest.mark.req("M4.21")

OLD = public_jwk(private_key("RSA"), "RS256", kid="k1")
NEW = public_jwk(private_key("RSA", 1), "RS256", kid="k2")


def of_new_key() -> str:
    return access_token(key=private_key("RSA", 1), headers={"kid": "k2"})


async def believed(side: OidcIssuer, token: str) -> bool:
    return isinstance(await side.principal(token), Principal)


async def test_keys_are_discovered_once_and_kept(issuer: FakeIssuer) -> None:
    side = issuer.gate_side()

    assert [await believed(side, access_token()) for _ in range(5)] == [True] * 5
    assert [request.url.path for request in issuer.asked] == ["/.well-known/openid-configuration", "/keys"]


async def test_where_the_keys_are_may_be_configured(issuer: FakeIssuer) -> None:
    side = issuer.gate_side(jwks_url=f"{ISSUER}/keys")

    assert await believed(side, access_token())
    assert [request.url.path for request in issuer.asked] == ["/keys"]


async def test_a_new_key_is_believed_when_it_shows_up_and_the_old_one_until_it_goes(
    issuer: FakeIssuer,
) -> None:
    side = issuer.gate_side()
    await believed(side, access_token())
    issuer.clock.advance(11.0)

    issuer.keys.append(NEW)
    both = await believed(side, of_new_key()), await believed(side, access_token())
    issuer.keys.pop(0)
    issuer.clock.advance(601.0)
    later = await side.principal(access_token(exp=2_000_000_000)), await believed(side, of_new_key())

    assert both == (True, True)
    assert isinstance(later[0], Declined)
    assert issuer.times_asked("/keys") == 3


async def test_a_storm_of_made_up_key_ids_asks_the_issuer_once(issuer: FakeIssuer) -> None:
    side = issuer.gate_side()
    await believed(side, access_token())
    issuer.clock.advance(11.0)
    made_up = [access_token(headers={"kid": f"no-{number}"}) for number in range(50)]

    answers = await asyncio.gather(*(believed(side, token) for token in made_up))
    again = [await believed(side, token) for token in made_up]

    assert not any(answers + again)
    assert issuer.times_asked("/keys") == 2
    assert await believed(side, access_token())


async def test_all_who_come_at_the_start_share_one_request(issuer: FakeIssuer) -> None:
    side = issuer.gate_side()

    assert all(await asyncio.gather(*(believed(side, access_token()) for _ in range(20))))
    assert len(issuer.asked) == 2


async def test_whoever_asked_first_may_go_away_and_the_others_still_get_the_answer(
    issuer: FakeIssuer,
) -> None:
    side = issuer.gate_side()
    first = asyncio.create_task(side.principal(access_token()))
    await asyncio.sleep(0)
    second = asyncio.create_task(side.principal(access_token()))
    await asyncio.sleep(0)

    first.cancel()

    assert isinstance(await second, Principal)
    assert issuer.times_asked("/keys") == 1


async def test_while_the_issuer_cannot_be_reached_at_the_start_nobody_is_believed(issuer: FakeIssuer) -> None:
    side, issuer.down = issuer.gate_side(), True
    answer = await side.principal(access_token())
    while_down = [await believed(side, access_token()) for _ in range(10)]
    asked = len(issuer.asked)

    issuer.down = False
    at_once = await believed(side, access_token())
    issuer.clock.advance(11.0)
    later = await believed(side, access_token())

    assert isinstance(answer, Declined)
    assert answer.why == "conflict"
    assert while_down == [False] * 10
    assert asked == 1
    assert (at_once, later) == (False, True)


async def test_known_keys_go_on_for_a_day_while_the_issuer_cannot_be_reached(issuer: FakeIssuer) -> None:
    side = issuer.gate_side()
    token = access_token(exp=2_000_000_000)
    await believed(side, token)

    issuer.down = True
    issuer.clock.advance(86_000.0)
    within = await believed(side, token), await believed(side, of_new_key())
    issuer.clock.advance(500.0)
    beyond = await believed(side, token)

    assert within == (True, False)
    assert beyond is False


async def test_keys_that_cannot_be_read_take_nothing_away(issuer: FakeIssuer) -> None:
    side = issuer.gate_side()
    token = access_token(exp=2_000_000_000)
    await believed(side, token)
    issuer.answer = lambda _: httpx.Response(200, text="<html>maintenance</html>")

    issuer.clock.advance(700.0)

    assert await believed(side, token)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(302, headers={"location": "https://evil.example.com/keys"}),
        httpx.Response(307, headers={"location": "http://169.254.169.254/"}),
        httpx.Response(500),
        httpx.Response(204),
        httpx.Response(200, text="not json"),
        httpx.Response(200, text="[" * 100_000),
        httpx.Response(200, json=["keys"]),
        httpx.Response(200, json={"keys": {}}),
        httpx.Response(200, content=json.dumps({"keys": [OLD]}).encode() + b" " * MAX_DOCUMENT),
    ],
    ids=["redirect", "redirect inside", "error", "nothing", "words", "deep", "list", "no list", "huge"],
)
async def test_an_answer_that_is_no_key_set_is_none(issuer: FakeIssuer, answer: httpx.Response) -> None:
    issuer.answer = lambda _: answer

    assert not await believed(issuer.gate_side(jwks_url=f"{ISSUER}/keys"), access_token())
    assert {request.url.host for request in issuer.asked} == {"login.example.com"}


@pytest.mark.parametrize(
    "description",
    [
        {"issuer": "https://login.example.com/"},
        {"issuer": "https://evil.example.com"},
        {"issuer": None},
        {"jwks_uri": None},
        {"jwks_uri": 7},
        {"jwks_uri": "http://login.example.com/keys"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": "https://user:secret@login.example.com/keys"},
        {"jwks_uri": "https://[oops/keys"},
        {"jwks_uri": ""},
    ],
    ids=str,
)
async def test_a_description_of_another_issuer_or_with_odd_addresses_leads_nowhere(
    description: dict[str, Any],
) -> None:
    issuer = FakeIssuer(description=description)

    assert not await believed(issuer.gate_side(), access_token())
    assert issuer.times_asked("/keys") == 0


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("https://login.example.com", True),
        ("http://127.0.0.1:8080/keys", True),
        ("http://[::1]:8080/keys", True),
        ("http://localhost/keys", True),
        ("http://localhost.example.com/keys", False),
        ("http://127.0.0.1.example.com/keys", False),
        ("http://10.0.0.1/keys", False),
        ("ftp://login.example.com", False),
        ("login.example.com", False),
        ("https://", False),
        ("https://a b", False),
        ("https://login.example.com#x", False),
    ],
)
def test_only_https_is_spoken_except_on_this_machine(url: str, *, fine: bool) -> None:
    assert (url_problem(url) is None) == fine


async def test_the_log_says_why_without_a_byte_of_the_answer(
    issuer: FakeIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    issuer.answer = lambda _: httpx.Response(200, text="s3cret page of somebody else")

    await believed(issuer.gate_side(), access_token())

    assert "no JSON" in caplog.text
    assert "s3cret" not in caplog.text


class _Served(BaseHTTPRequestHandler):
    documents: dict[str, str] = {}  # noqa: RUF012 - filled by the test
    asked: list[str] = []  # noqa: RUF012 - as documents

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = self.documents.get(self.path, "").encode()
        self.send_response(200 if body else 302)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Served)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def test_an_issuer_is_asked_over_a_real_connection_and_its_redirects_are_not_followed() -> None:
    jwks = httpx.Response(200, json={"keys": [public_jwk(private_key("RSA"), "RS256", kid="k1")]}).text
    with served() as url:
        _Served.documents = {
            "/.well-known/openid-configuration": f'{{"issuer": "{url}", "jwks_uri": "{url}/keys"}}',
            "/keys": jwks,
        }
        trust = Trust(issuer=url, audience=TRUST.audience)
        found = await OidcIssuer(trust, clock=FakeClock()).principal(access_token(iss=url))
        _Served.documents = {}
        _Served.asked.clear()
        none = await OidcIssuer(trust, clock=FakeClock()).principal(access_token(iss=url))

    assert isinstance(found, Principal)
    assert isinstance(none, Declined)
    assert _Served.asked == ["/.well-known/openid-configuration"]


async def test_an_algorithm_word_never_chooses_the_key_from_the_token_itself(issuer: FakeIssuer) -> None:
    own = public_jwk(private_key("RSA", 1), "RS256", kid="k1")
    embedded = access_token(
        key=private_key("RSA", 1),
        headers={"jwk": own, "jku": "https://evil.example.com/keys", "x5c": [segment(b"x")]},
    )

    assert not await believed(issuer.gate_side(), embedded)
    assert {request.url.host for request in issuer.asked} == {"login.example.com"}


async def test_an_issuer_that_never_answers_is_not_waited_for(
    issuer: FakeIssuer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def never(_: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        return httpx.Response(200)

    monkeypatch.setattr(fetch, "SECONDS", 0.01)
    side = OidcIssuer(TRUST, clock=issuer.clock, transport=httpx.MockTransport(never))

    assert not await believed(side, access_token())
    assert "did not answer within" in caplog.text
