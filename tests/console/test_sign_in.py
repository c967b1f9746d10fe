"""In and out of the console."""

from __future__ import annotations

from http.cookies import SimpleCookie
from pathlib import Path

import pytest

from tests.console.house import ANN, LEA, MAX, OVER_TLS, House, approval, opened, sign_in
from toolgate import Caller
from toolgate.domain.principal import Declined, Principal
from toolgate.operations.sessions import one_time_link

pytestmark = pytest.mark.anyio


@pytest.mark.req("M12.10", "M4.19")
async def test_a_pasted_token_opens_a_session_that_no_script_and_no_other_site_can_use(house: House) -> None:
    async with house.browser() as browser:
        page = await browser.get("/console/sign-in")
        await browser.send(page.form("/console/sign-in"), token=await house.token(LEA), follow=False)
        assert browser.status == 303
        cookie = SimpleCookie(browser.answer.headers["set-cookie"])["toolgate"]
        assert cookie["httponly"]
        assert cookie["samesite"].lower() == "strict"
        assert cookie["path"] == "/"
        page = await browser.get(browser.answer.headers["location"])
        assert "Inbox" in page.text
        assert "lea" in page.text


@pytest.mark.req("M12.10", "M4.19")
async def test_over_tls_the_cookie_is_secure_and_bound_to_this_host(tmp_path: Path) -> None:
    async with opened(tmp_path, served_as=OVER_TLS) as house, house.browser() as browser:
        page = await browser.get("/console/sign-in")
        await browser.send(page.form("/console/sign-in"), token=await house.token(LEA), follow=False)
        cookie = SimpleCookie(browser.answer.headers["set-cookie"])["__Host-toolgate"]
        assert cookie["secure"]
        assert not cookie["domain"]


@pytest.mark.req("M4.19")
@pytest.mark.parametrize("secret", ["tgt_nobody-has-made-this", "hunter2", "", "x" * 9000])
async def test_a_credential_that_opens_nothing_is_answered_in_words(house: House, secret: str) -> None:
    async with house.browser() as browser:
        page = await sign_in(browser, secret)
        assert browser.status in {401, 422}
        assert "That did not work" in page.text
        assert secret not in browser.answer.text or not secret


@pytest.mark.req("M4.19")
async def test_an_agents_token_opens_no_session(house: House) -> None:
    async with house.browser() as browser:
        page = await sign_in(browser, await house.token(ANN, agent="helper"))
        assert browser.status == 401
        assert "agents do not sign in" in page.text


@pytest.mark.req("M4.19")
async def test_whoever_guesses_has_to_wait_and_is_told_how_long(house: House) -> None:
    async with house.browser() as browser:
        for _ in range(5):
            await sign_in(browser, "tgt_guess")
            assert browser.status == 401
        await sign_in(browser, "tgt_guess")
        assert browser.status == 429
        assert int(browser.answer.headers["retry-after"]) >= 1
        await sign_in(browser, await house.token(LEA))
        assert browser.status == 429, "a good token is not tried either, or the wait would tell nothing"
        house.clock.advance(600)
        await sign_in(browser, await house.token(LEA))
        assert browser.status == 200


@pytest.mark.req("M4.19")
async def test_a_one_time_link_opens_one_session_and_is_not_used_up_by_looking_at_its_page(
    house: House,
) -> None:
    link = await house.gateway.operate(one_time_link, id="first", tenant="acme", roles={"lead"})
    async with house.browser() as browser, house.browser() as second:
        await browser.get("/console/sign-in")
        await browser.get("/console/sign-in")
        page = await sign_in(browser, link.secret)
        assert "first" in page.text
        await sign_in(second, link.secret)
        assert second.status == 401


@pytest.mark.req("M12.18")
@pytest.mark.parametrize("path", ["/console/inbox?view=decided", "/console/grants", "/console/calls"])
async def test_whoever_is_not_signed_in_comes_back_to_the_page_that_they_wanted(
    house: House, path: str
) -> None:
    async with house.browser() as browser:
        await browser.get(path, follow=False)
        assert browser.status == 303
        page = await browser.get(path)
        await browser.send(page.form("/console/sign-in"), token=await house.token(LEA))
        assert browser.path == path


@pytest.mark.req("M12.16")
@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/console/",
        "//evil.example/console/",
        "/\\evil.example",
        "/console/\\evil",
        "/console/..//evil.example",
        "javascript:alert(1)",
        "/consolevil",
        "/console/inbox\r\nSet-Cookie: a=b",
    ],
)
async def test_nobody_is_sent_to_another_site_after_signing_in(house: House, path: str) -> None:
    async with house.browser() as browser:
        page = await browser.get("/console/sign-in")
        form = page.form("/console/sign-in")
        await browser.send(form, token=await house.token(LEA), next=path, follow=False)
        assert browser.status == 303
        assert browser.answer.headers["location"] == "/console/inbox"


@pytest.mark.req("M12.18")
async def test_what_was_typed_when_the_session_had_ended_is_offered_again_and_not_sent_by_itself(
    house: House,
) -> None:
    waiting = await house.held()
    async with house.person(LEA) as browser:
        page = await browser.get(approval(waiting))
        form = page.form(approval(waiting, "/decide"), decision="approve")
        house.clock.advance(1900)
        page = await browser.send(form, reason="the customer <b>proved</b> it")
        assert browser.status == 401
        assert "nothing that you typed is lost" in page.text
        page = await browser.send(page.form("/console/sign-in"), token=await house.token(LEA))
        assert browser.status == 200
        assert "the customer <b>proved</b> it" in page.text
        assert await house.state(waiting) == "pending"
        page = await browser.send(page.form(approval(waiting, "/decide")))
        assert "Approved" in page.text
        assert await house.state(waiting) == "approved"


@pytest.mark.req("M12.18")
async def test_what_somebody_typed_is_not_offered_to_a_decision_on_something_else(house: House) -> None:
    """The digest travels with the words: what changed in between is refused."""
    waiting = await house.held()
    async with house.person(LEA) as browser, house.person(MAX) as other:
        page = await browser.get(approval(waiting))
        form = page.form(approval(waiting, "/decide"), decision="approve")
        page = await other.get(approval(waiting, "/edit"))
        await other.send(
            page.form(approval(waiting, "/edit")),
            {"field.cents": "4000"},
            step="save",
            reason="less is enough",
        )
        house.clock.advance(1900)
        page = await browser.send(form, reason="fine")
        page = await browser.send(page.form("/console/sign-in"), token=await house.token(LEA))
        page = await browser.send(page.form(approval(waiting, "/decide")))
        assert browser.status == 409
        assert await house.state(waiting) == "pending"


@pytest.mark.req("M4.19")
async def test_signing_out_ends_the_session_on_the_server(house: House) -> None:
    async with house.person(LEA) as browser:
        cookie = browser.client.cookies["toolgate"]
        page = await browser.get("/console/inbox")
        await browser.send(page.form("/console/sign-out"))
        assert browser.path.startswith("/console/sign-in")
        browser.client.cookies.set("toolgate", cookie)
        await browser.get("/console/inbox", follow=False)
        assert browser.status == 303


@pytest.mark.req("M4.19")
async def test_whoever_is_in_already_is_not_asked_again(house: House) -> None:
    async with house.person(LEA) as browser:
        await browser.get("/console/sign-in?next=/console/grants")
        assert browser.path == "/console/grants"


class _Vouching:
    """An issuer that sends back whoever it was told to, without a network."""

    name = "Acme <ID>"

    async def begin(self, *, redirect_uri: str, state: str, nonce: str, code_verifier: str) -> str | Declined:
        return f"https://issuer.example/go?state={state}&redirect_uri={redirect_uri}"

    async def finish(
        self, answer: object, *, redirect_uri: str, nonce: str, code_verifier: str
    ) -> Principal | Declined:
        assert isinstance(answer, dict)
        if answer["code"] != "good":
            return Declined("forbidden", "the issuer said no")
        return Principal(caller=Caller("lea", {"lead"}, "acme"), credential="jwt:issuer")


@pytest.mark.req("M4.19")
async def test_somebody_whom_an_issuer_vouches_for_is_in_and_lands_where_they_wanted(tmp_path: Path) -> None:
    async with opened(tmp_path, sign_in=_Vouching()) as house, house.browser() as browser:
        page = await browser.get("/console/grants")
        assert "Sign in with Acme <ID>" in page.text
        leave = next(
            given["href"] for tag, given in page.tags if tag == "a" and "/issuer" in (given.get("href") or "")
        )
        assert leave is not None
        await browser.get(leave, follow=False)
        assert browser.answer.headers["location"].startswith("https://issuer.example/go")
        state = browser.answer.headers["location"].partition("state=")[2].partition("&")[0]
        await browser.get(f"/console/sign-in/back?state={state}&code=good", follow=False)
        # Not a redirect: a browser that comes from another site would not send the strict cookie along.
        assert browser.status == 200
        assert 'content="0; url=/console/grants"' in browser.answer.text
        await browser.get("/console/grants")
        assert browser.path == "/console/grants"


@pytest.mark.req("M4.25")
async def test_over_tls_no_neighbouring_host_can_plant_the_sign_in_of_somebody_else(tmp_path: Path) -> None:
    async with (
        opened(tmp_path, served_as=OVER_TLS, sign_in=_Vouching()) as house,
        house.browser() as browser,
    ):
        await browser.get("/console/sign-in/issuer?next=/console/grants", follow=False)
        (sent,) = SimpleCookie(browser.answer.headers["set-cookie"]).values()
        state = browser.answer.headers["location"].partition("state=")[2].partition("&")[0]
        # What such a host could set has no prefix, and counts for nothing.
        planted = dict(browser.client.cookies)
        browser.client.cookies.clear()
        browser.client.cookies.set(sent.key.removeprefix("__Host-"), planted[sent.key])
        await browser.get(f"/console/sign-in/back?state={state}&code=good", follow=False)
        refused = browser.status
        browser.client.cookies.set(sent.key, planted[sent.key])
        await browser.get(f"/console/sign-in/back?state={state}&code=good", follow=False)

    assert sent.key.startswith("__Host-")
    assert (sent["path"], sent["secure"], sent["httponly"], sent["domain"]) == ("/", True, True, "")
    assert (refused, browser.status) == (401, 200)


@pytest.mark.req("M4.19")
async def test_an_issuer_that_says_no_opens_nothing_and_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path, sign_in=_Vouching()) as house, house.browser() as browser:
        await browser.get("/console/sign-in/issuer?next=/console/grants", follow=False)
        state = browser.answer.headers["location"].partition("state=")[2].partition("&")[0]
        page = await browser.get(f"/console/sign-in/back?state={state}&code=bad")
        assert browser.status == 401
        assert "the sign-in did not succeed" in page.text
        page = await browser.get(f"/console/sign-in/back?state={state}x&code=good")
        assert browser.status == 401
        await browser.get("/console/grants", follow=False)
        assert browser.status == 303


@pytest.mark.req("M4.19")
async def test_a_window_that_is_left_open_keeps_nobody_signed_in(house: House) -> None:
    by_itself = {"HX-Request": "true"}
    async with house.person(LEA) as browser:
        for _ in range(6):
            house.clock.advance(290)
            answer = await browser.client.get("/console/inbox?part=queue", headers=by_itself)
            assert answer.status_code == 200
        house.clock.advance(100)
        answer = await browser.client.get("/console/inbox?part=queue", headers=by_itself)
        assert (answer.status_code, answer.text) == (204, ""), (
            "the page stays as it is, with what was typed there"
        )
        answer = await browser.client.get("/console/events", headers={"Accept": "text/event-stream"})
        assert answer.status_code == 204
        await browser.get("/console/inbox", follow=False)
        assert browser.status == 303


@pytest.mark.req("M4.19")
async def test_whoever_uses_the_console_stays_signed_in(house: House) -> None:
    async with house.person(LEA) as browser:
        for _ in range(4):
            house.clock.advance(1500)
            await browser.get("/console/inbox", follow=False)
            assert browser.status == 200
