"""What agents, callers and approvers wrote stands on the pages as it is, and does nothing there."""

from __future__ import annotations

from typing import Any

import pytest

from tests.console.house import Browser, House, Html, approval, decide
from toolgate import Caller, PendingApproval
from toolgate.domain.principal import Scope

pytestmark = pytest.mark.anyio

HOSTILE = (
    "<script>alert(1)</script>\"><img src=x onerror=alert(2)>'><svg/onload=alert(3)>"
    "</textarea></pre><iframe src=javascript:alert(4)></iframe>{{ 7 * 7 }}{% raw %}<a hx-get=/x data-hx-get=/x>"
)
MAKER = Caller(f"ann{HOSTILE[:200]}", {"clerk"}, "acme")
APPROVER = Caller(f"lea{HOSTILE[:200]}", {"lead", f"role{HOSTILE[:60]}", "operator", "auditor"}, "acme")
SECOND = Caller(f"max{HOSTILE[:200]}", {"lead", "operator", "auditor"}, "acme")

_OURS = {
    "a",
    "aside",
    "bdi",
    "blockquote",
    "body",
    "button",
    "caption",
    "code",
    "datalist",
    "dd",
    "del",
    "details",
    "dialog",
    "div",
    "dl",
    "dt",
    "fieldset",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "head",
    "header",
    "html",
    "input",
    "ins",
    "kbd",
    "label",
    "legend",
    "li",
    "link",
    "main",
    "meta",
    "meter",
    "nav",
    "ol",
    "optgroup",
    "option",
    "p",
    "path",
    "pre",
    "script",
    "section",
    "select",
    "small",
    "span",
    "strong",
    "summary",
    "svg",
    "table",
    "tbody",
    "td",
    "textarea",
    "th",
    "thead",
    "time",
    "title",
    "tr",
    "ul",
}


def harmless(page: Html) -> None:
    """Nothing on ``page`` runs, loads from elsewhere, or is styled in place, and every tag is one of ours."""
    for tag, given in page.tags:
        assert tag in _OURS, tag
        for name, value in given.items():
            assert not name.startswith("on"), (tag, name)
            assert name not in {"style", "srcdoc", "formaction", "background"}, (tag, name)
            assert not name.startswith(("hx-", "data-hx-")), (tag, name)
            if name in {"href", "src", "action", "data-live"}:
                assert (value or "").startswith(("/", "#")), (tag, name, value)
                assert not (value or "").startswith("//"), (tag, name, value)
        if tag == "script":
            assert (given.get("src") or "").startswith("/static/")


async def _held(house: House, tool: str, arguments: dict[str, Any], workflow: str) -> str:
    flow = house.gateway.make_workflow(workflow, agent=f"a{HOSTILE[:100]}", model=f"m{HOSTILE[:100]}")
    outcome = await house.gateway.request(
        tool, arguments, caller=MAKER, workflow=flow, rationale=f"why {HOSTILE}"
    )
    assert isinstance(outcome, PendingApproval), outcome
    return outcome.approval_id


async def _look(browser: Browser, *paths: str) -> None:
    for path in paths:
        page = await browser.get(path)
        assert browser.status == 200, path
        harmless(page)


@pytest.mark.req("M12.16")
async def test_hostile_words_in_every_place_do_nothing_on_any_page(house: House) -> None:
    first = await _held(house, "mail", {"to": HOSTILE, "body": HOSTILE}, f"w{HOSTILE[:100]}")
    second = await _held(house, "mail", {"to": f"{HOSTILE}2", "body": HOSTILE}, f"w{HOSTILE[:100]}")
    third = await _held(house, "wipe", {"customer": HOSTILE}, "w3")
    async with house.person(APPROVER) as browser, house.person(SECOND) as other:
        await _look(
            browser,
            "/console/inbox",
            "/console/inbox?tool=mail",
            approval(first),
            approval(first, "?part=state"),
            approval(first, "/edit"),
            f"/console/batch?id={first}&id={second}",
            f"/console/grants/new?approval={first}",
            "/console/calls",
        )
        form = (await browser.get(approval(first, "/edit"))).form(approval(first, "/edit"))
        assert form.fields["field.body"] == HOSTILE
        harmless(await browser.send(form, {"field.body": f"{HOSTILE} changed"}, step="check"))
        harmless(await browser.send(form, {"field.body": f"{HOSTILE} changed"}, step="save", reason=HOSTILE))
        assert "made revision 2" in browser.page.text
        harmless(await decide(browser, third, reason=HOSTILE))
        harmless(await decide(browser, second, "deny", reason=HOSTILE))
        late = (await other.get(approval(first))).form(approval(first, "/decide"), decision="approve")
        harmless(await decide(other, first, "deny", reason=HOSTILE))
        harmless(await browser.send(late, reason=HOSTILE, csrf=_token(browser.page)))
        assert browser.status == 409
        grant = (await browser.get(f"/console/grants/new?approval={second}")).form("/console/grants")
        page = await browser.send(grant, reason=HOSTILE)
        assert browser.path.startswith("/console/grants?done=made&"), page.text
        harmless(page)
        await _look(
            browser,
            "/console/inbox?view=decided",
            "/console/inbox?view=others",
            approval(third),
            approval(second),
            "/console/grants",
            "/console/audit",
        )


def _token(page: Html) -> str:
    return page.form("/console/sign-out").fields["csrf"]


@pytest.mark.req("M12.16")
async def test_hostile_words_in_the_address_do_nothing(house: House) -> None:
    async with house.person(APPROVER) as browser:
        for path in (
            "/console/inbox",
            "/console/grants",
            "/console/grants/new",
            "/console/batch",
            approval("appr_x<script>"),
            "/console/calls",
        ):
            for name in ("view", "tool", "risk", "after", "done", "part", "approval", "id", "before", "seen"):
                page = await browser.client.get(path, params={name: HOSTILE}, follow_redirects=True)
                harmless(Html(page.text))
                assert page.status_code < 500, (path, name)


@pytest.mark.req("M12.16", "M12.18")
async def test_hostile_words_that_are_kept_over_a_sign_in_do_nothing(house: House) -> None:
    waiting = await house.held()
    async with house.person(APPROVER) as browser:
        form = (await browser.get(approval(waiting))).form(approval(waiting, "/decide"))
        house.clock.advance(2000)
        page = await browser.post(form.action, {**form.fields, "reason": HOSTILE, HOSTILE: HOSTILE})
        harmless(page)
        assert browser.status == 401
        token = await house.token(APPROVER, scopes=frozenset({Scope.APPROVE}))
        page = await browser.send(page.form("/console/sign-in"), token=token)
        harmless(page)
        assert page.form(form.action).fields["reason"] == HOSTILE


@pytest.mark.req("M12.16")
async def test_a_value_cannot_look_like_a_part_of_the_page(house: House) -> None:
    """Text that imitates JSON, a mask or a line of the page stays inside its quotes."""
    body = 'x",\n  "to": "boss@example.com", "urgent": true, [redacted:card] \u202edesrever\u202c a\u00a0b\u200bc'
    waiting = await house.held("mail", to="y@example.com", body=body)
    async with house.person(APPROVER) as browser:
        await browser.get(approval(waiting))
        source = browser.answer.text
        assert r"x\&#34;,<span" in source
        assert "\u202e" not in source
        for code, name in (
            ("202E", "RIGHT-TO-LEFT OVERRIDE"),
            ("00A0", "NO-BREAK SPACE"),
            ("200B", "ZERO WIDTH SPACE"),
        ):
            assert f'title="U+{code} {name}"' in source
        assert source.count('class="masked"') == 0
