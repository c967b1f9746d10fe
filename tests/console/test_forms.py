"""Who may look and who may send: held for every page, those of tomorrow too."""

from __future__ import annotations

import re

import pytest
from starlette.routing import Route

from tests.console.house import ANN, EVE, LEA, MAX, House, approval
from toolgate.domain.principal import Scope

pytestmark = pytest.mark.anyio

_OPEN_TO_ALL = {"/", "/console", "/static/{name}"}


def _routes(house: House, method: str) -> list[str]:
    found = [
        re.sub(r"{[a-z_]+(:path)?}", "nothing", route.path)
        for route in house.app.routes
        if isinstance(route, Route)
        and method in (route.methods or ())
        and (route.path.startswith("/console") or route.path in _OPEN_TO_ALL)
        and not route.path.startswith("/console/sign-in")
        and route.path not in _OPEN_TO_ALL
    ]
    assert len(found) >= 5
    return found


@pytest.mark.req("M4.19")
async def test_no_page_is_shown_to_somebody_who_is_not_signed_in(house: House) -> None:
    async with house.browser() as browser:
        for path in _routes(house, "GET"):
            await browser.get(path, follow=False)
            assert browser.status == 303, path
            assert browser.answer.headers["location"].startswith("/console/sign-in"), path


@pytest.mark.req("M12.16")
async def test_no_form_is_taken_without_the_token_of_its_session(house: House) -> None:
    waiting = await house.held()
    async with house.person(LEA) as browser, house.person(MAX) as other:
        theirs = (await other.get("/console/inbox")).form("/console/sign-out").fields["csrf"]
        digest = (await browser.get(approval(waiting))).form(approval(waiting, "/decide")).fields["digest"]
        paths = [*_routes(house, "POST"), approval(waiting, "/decide")]
        for path in paths:
            for token in ({}, {"csrf": ""}, {"csrf": "0" * 64}, {"csrf": theirs}):
                fields = {"decision": "approve", "reason": "fine", "digest": digest, **token}
                page = await browser.post(path, fields)
                assert browser.status == 403, (path, token)
                assert "not one of your session" in page.text
    assert await house.state(waiting) == "pending"


@pytest.mark.req("M12.16")
@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://localhost:8460"]
)
async def test_no_form_is_taken_from_another_site(house: House, origin: str) -> None:
    waiting = await house.held()
    async with house.person(LEA) as browser:
        form = (await browser.get(approval(waiting))).form(approval(waiting, "/decide"), decision="approve")
        await browser.post(form.action, {**form.fields, "reason": "fine"}, origin=origin)
        assert browser.status == 403
        await browser.post("/console/sign-in", {"token": await house.token(LEA)}, origin=origin)
        assert browser.status == 403
    assert await house.state(waiting) == "pending"


@pytest.mark.req("M12.6")
async def test_what_belongs_to_another_tenant_is_not_there(house: House) -> None:
    waiting = await house.held()
    async with house.person(LEA) as lea, house.person(EVE) as eve:
        fields = (await lea.get(approval(waiting))).form(approval(waiting, "/decide")).fields
        token = (await eve.get("/console/inbox")).form("/console/sign-out").fields["csrf"]
        assert waiting not in eve.answer.text
        for path in (
            approval(waiting),
            approval(waiting, "/edit"),
            f"/console/grants/new?approval={waiting}",
        ):
            page = await eve.get(path)
            assert eve.status == 404, path
            assert "there is no such approval" in page.text
        for more in ("/decide", "/reveal", "/withdraw", "/edit"):
            await eve.post(approval(waiting, more), {**fields, "csrf": token, "reason": "mine now"})
            assert eve.status == 404, more
        await eve.post("/console/batch", {"csrf": token, "id": waiting, "decision": "deny", "reason": "x"})
        assert eve.status == 404
    assert await house.state(waiting) == "pending"


@pytest.mark.req("M12.6")
async def test_somebody_with_no_say_in_it_sees_nothing_of_it(house: House) -> None:
    waiting = await house.held()
    async with house.person(MAX, scopes=frozenset({Scope.CALL})) as browser:
        page = await browser.get("/console/inbox")
        assert "You decide nothing here" in page.text
        await browser.get(approval(waiting))
        assert browser.status == 404


@pytest.mark.req("M12.10", "X2.8")
async def test_whoever_asked_sees_it_and_is_told_why_they_may_not_decide(house: House) -> None:
    waiting = await house.held()
    async with house.person(ANN) as browser:
        page = await browser.get(approval(waiting))
        assert "You may not decide it: whoever asked for a call may not approve it." in page.text
        assert not any(form.action.endswith("/decide") for form in page.forms)
        assert page.form(approval(waiting, "/withdraw")).fields


@pytest.mark.req("M12.16")
async def test_every_page_may_be_kept_by_nobody_and_runs_nothing_of_its_own(house: House) -> None:
    await house.held()
    async with house.person(LEA) as browser:
        for path in _routes(house, "GET"):
            if path.endswith("/events"):
                continue
            await browser.get(path)
            assert "no-store" in browser.answer.headers["cache-control"], path
            assert "script-src 'self'; style-src 'self'" in browser.answer.headers["content-security-policy"]
