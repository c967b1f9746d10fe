"""The pages Tools, Tokens and Notifications."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.console_pages.office import ADA, ANA, EVE, OLGA, RUTH, XSS, Shop, opened, words
from tests.machines.stage import Stage
from toolgate import Gateway, ToolContext, tool
from toolgate.domain.commands import MoveDelivery, PlanNotice
from toolgate.domain.principal import EVERY_SCOPE, Scope
from toolgate.domain.rows import ByToken
from toolgate.operations.tokens import create_token
from toolgate.testing import FakeClock, FakeUpstreams

if TYPE_CHECKING:
    from pathlib import Path

    from tests.console_pages.office import Browser, Office
    from toolgate.domain.rows import DeliveryRow

pytestmark = pytest.mark.anyio


# --- tools ----------------------------------------------------------------------------------------------------


@pytest.mark.req("M13.11")
async def test_each_contract_is_shown_with_its_eleven_answers_and_no_tool_is_run(office: Office) -> None:
    browser = await office.sign_in(OLGA)
    while "are being answered" in (listed := await browser.says("/console/tools")):
        await office.gateway.store.now()
    for name in ("refund", "read_order", "close_books"):
        assert name in listed
    told = await browser.says("/console/tools/refund")
    for part in (
        "The eleven questions",
        "Strict schema tried",
        "Sanitised audit tried",
        "Testable without a model tried",
        "sometimes, by lead",
        "refund:{order}:{workflow_id}",
        '"additionalProperties": false',
    ):
        assert part in told, part
    assert office.shop.paid == []
    assert [line async for line in office.gateway.store.records() if b"checklist" in line.record] == []


@pytest.mark.req("M13.11", "M11.21")
async def test_a_caller_sees_the_tools_that_they_may_use_and_no_other(office: Office) -> None:
    browser = await office.sign_in(ANA)
    listed = await browser.says("/console/tools")
    assert "refund" in listed
    assert "close_books" not in listed
    await browser.page("/console/tools/close_books", 404)
    await browser.page("/console/tools/nothing", 404)
    assert "Your roles open no tool" in await (await office.sign_in(ADA)).says("/console/tools")


@pytest.mark.req("M13.11", "X3.5")
async def test_a_tool_whose_upstream_changed_or_is_away_says_so_and_only_operators_read_why() -> None:
    shop = Shop()
    upstreams = FakeUpstreams(shop.tools())
    upstreams.changed["refund"] = "its description was <b>changed</b>"
    upstreams.down = "the process ended"
    clock = FakeClock()
    with pytest.warns(UserWarning, match="memory store"):
        gateway = Gateway([], upstreams=upstreams, clock=clock, housekeeping=None)
    async with gateway:
        office = opened(gateway, shop, clock)
        seen = {}
        for person in (OLGA, ANA):
            browser = await office.sign_in(person)
            seen[person.id] = await browser.says("/console/tools") + await browser.says(
                "/console/tools/refund"
            )

    for told in seen.values():
        assert "set aside: it changed" in told
        assert "its upstream is unavailable" in told
    assert "its description was <b>changed</b>" in seen["olga"]
    assert "the process ended" in seen["olga"]
    assert "changed</b>" not in seen["ana"]
    assert "the process ended" not in seen["ana"]


@pytest.mark.req("M13.11", "M13.8")
async def test_a_tool_that_is_switched_off_or_asks_nobody_says_so(tmp_path: Path) -> None:
    async def wipe(context: ToolContext[Any]) -> None:
        """Delete everything that is known."""

    made = tool(
        effect="destructive",
        roles={"clerk"},
        timeout=5,
        idempotency="wipe:{workflow_id}",
        approval_waiver="it is run by a person at a desk",
        tags={"night"},
    )(wipe)
    off = made.with_contract(replace(made.contract, enabled=False))
    stage = Stage(kind="sqlite", folder=tmp_path)
    async with stage.gateway(off) as gateway:
        browser = await opened(gateway, Shop(), stage.clock).sign_in(OLGA)
        for path in ("/console/tools", "/console/tools/wipe"):
            while "being answered" in (told := await browser.says(path)):
                await gateway.store.now()
            assert "switched off" in told
            assert "waived: it is run by a person at a desk" in told
        whole = await browser.says("/console/tools/wipe")
        assert "No person is asked, because: it is run by a person at a desk" in whole
        await browser.client.aclose()


# --- tokens ---------------------------------------------------------------------------------------------------

_SECRET = re.compile(r"tgt_[A-Za-z0-9_-]{20,}")
FORM: Final[dict[str, Any]] = {
    "caller": "nightly",
    "roles": "clerk, lead",
    "scope": ["call"],
    "lasting": "7",
    "label": "the night job",
}


async def made(browser: Browser) -> tuple[str, str]:
    """The secret and the id of a new token."""
    answer = await browser.post("/console/tokens", **FORM)
    assert answer.status_code == 200, answer.text[-500:]
    assert answer.headers["cache-control"] == "no-store"
    secret, token_id = _SECRET.search(answer.text), re.search(r"tok_\w+", answer.text)
    assert secret is not None
    assert token_id is not None
    assert secret[0] not in str(answer.url)
    return secret[0], token_id[0]


@pytest.mark.req("M4.30")
async def test_a_secret_stands_on_the_page_that_answers_its_making_and_on_no_other(office: Office) -> None:
    browser = await office.sign_in(ADA)
    secret, token_id = await made(browser)
    for path in ("/console/tokens", "/console/calls"):
        assert secret not in await browser.page(path)
    assert secret not in await (await office.sign_in(RUTH)).page("/console/audit")
    listed = await browser.says("/console/tokens")
    assert "the night job" in listed
    assert "clerk, lead" in listed
    row = (await office.gateway.store.find(ByToken(token_id))).token
    assert row is not None
    assert (row.caller_id, row.tenant, row.scopes) == ("nightly", "acme", frozenset({"call"}))


@pytest.mark.req("M4.30", "M4.24")
async def test_a_token_is_revoked_by_an_admin_of_its_tenant_alone(office: Office) -> None:
    browser = await office.sign_in(ADA)
    _, token_id = await made(browser)
    for who in (EVE, OLGA):
        answer = await (await office.sign_in(who)).post(f"/console/tokens/{token_id}/revoke")
        assert answer.status_code == 404
    answer = await browser.post(f"/console/tokens/{token_id}/revoke")
    assert answer.headers["location"].startswith("/console/tokens?done=revoked&")
    row = (await office.gateway.store.find(ByToken(token_id))).token
    assert row is not None
    assert row.revoked_at is not None
    assert token_id not in await (await office.sign_in(EVE)).page("/console/tokens")


@pytest.mark.req("M4.24", "M4.22")
async def test_each_token_says_whose_it_is_and_how_it_stands(office: Office) -> None:
    browser = await office.sign_in(ADA)
    await browser.post("/console/tokens", **(FORM | {"lasting": "1", "label": "of a day"}))
    agents = FORM | {"label": "of a program", "agent": "night_agent", "owner": "lea"}
    answer = await browser.post("/console/tokens", **agents)
    assert "night_agent, lea answers for it" in words(answer.text)
    assert "Good for call" in words(answer.text)
    _, token_id = await made(browser)
    await browser.post(f"/console/tokens/{token_id}/revoke")
    told = await browser.says("/console/tokens")
    assert "agent night_agent, lea answers for it" in told
    assert "revoked" in told
    office.clock.advance(2 * 86_400)
    told = await (await office.sign_in(ADA)).says("/console/tokens")
    assert "of a day" in told
    assert "expired" in told


@pytest.mark.req("M11.22")
async def test_many_tokens_stand_on_several_pages(office: Office) -> None:
    world = office.gateway.world
    for number in range(60):
        await create_token(
            world.store, world.keys, world.ids, caller=ANA, lasting=60, by="x", label=f"no {number}."
        )
    browser = await office.sign_in(ADA)
    first = await browser.page("/console/tokens")
    assert "no 59." in first
    assert "no 0." not in first
    further = re.search(r'href="([^"]+)" rel="next"', first)
    assert further is not None
    second = await browser.page(further[1])
    assert "no 0." in second
    assert "no 59." not in second


@pytest.mark.req("M4.24")
async def test_what_cannot_be_made_is_said_and_nothing_that_was_typed_is_lost(office: Office) -> None:
    browser = await office.sign_in(ADA)
    changes: tuple[dict[str, Any], ...] = (
        {"caller": ""},
        {"lasting": "100000"},
        {"scope": []},
        {"agent": "bot"},
        {"caller": "two\nlines"},
        {"scope": ["everything"]},
    )
    for change in changes:
        answer = await browser.post("/console/tokens", **(FORM | change))
        assert answer.status_code == 422, change
        assert "No token was made." in answer.text
        assert 'value="the night job"' in answer.text
        assert _SECRET.search(answer.text) is None
    narrow = await office.sign_in(ADA, scopes=EVERY_SCOPE - {Scope.APPROVE})
    wide = await narrow.post("/console/tokens", **(FORM | {"scope": ["approve"]}))
    assert wide.status_code == 403
    nobody = await (await office.sign_in(ANA)).post("/console/tokens", **FORM)
    assert nobody.status_code == 403
    forged = await browser.post("/console/tokens", csrf="made up", **FORM)
    assert forged.status_code == 403


@pytest.mark.req("M12.16")
async def test_a_label_and_a_name_are_text_on_the_page_of_tokens(office: Office) -> None:
    browser = await office.sign_in(ADA)
    answer = await browser.post("/console/tokens", **(FORM | {"label": XSS, "caller": XSS, "roles": XSS}))
    assert answer.status_code == 200
    assert XSS not in answer.text
    assert XSS not in await browser.page("/console/tokens")


# --- notifications --------------------------------------------------------------------------------------------


@pytest.mark.req("M12.13")
async def test_notifications_are_an_operators_and_each_state_says_what_would_stand_there(
    office: Office,
) -> None:
    browser = await office.sign_in(OLGA)
    for state, said in (
        ("dead", "Nothing was given up"),
        ("pending", "Nothing is on its way"),
        ("delivered", "Nothing was delivered yet"),
        ("nonsense", "Nothing was given up"),
    ):
        assert said in await browser.says("/console/notifications", state=state)
    await (await office.sign_in(ANA)).page("/console/notifications", 403)
    missing = await browser.post("/console/notifications/retry", notice="ntc_1", sink="ops")
    assert missing.status_code == 404


async def given_up(office: Office, error: str) -> DeliveryRow:
    """A notice to the sink ``ops`` that was given up because of ``error``."""
    store = office.gateway.store
    await office.ask(order=4, cents=5000)
    notice = (await store.unplanned())[0]
    await store.execute(PlanNotice(notice.notice_id, ("ops",)))
    ((planned, _),) = await store.deliveries(state="pending")
    dead = planned._replace(state="dead", attempts=30, last_error=error)
    await store.execute(MoveDelivery(dead, planned.attempts))
    return dead


@pytest.mark.req("M12.13")
async def test_what_was_given_up_is_shown_with_its_error_and_begun_anew(office: Office) -> None:
    dead = await given_up(office, f"the receiver said 500 {XSS}")
    browser = await office.sign_in(OLGA)
    source = await browser.page("/console/notifications")
    assert XSS not in source
    told = words(source)
    for part in ("approval.requested", "refund", "ops", "30 attempts", "the receiver said 500", "Try again"):
        assert part in told, part
    assert "Nothing was given up" in await (await office.sign_in(EVE)).says("/console/notifications")
    form = {"notice": dead.notice_id, "sink": "ops"}
    assert (await (await office.sign_in(EVE)).post("/console/notifications/retry", **form)).status_code == 404
    assert (
        await (await office.sign_in(RUTH)).post("/console/notifications/retry", **form)
    ).status_code == 403
    assert (await browser.post("/console/notifications/retry", csrf="made up", **form)).status_code == 403
    answer = await browser.post("/console/notifications/retry", **form)
    assert answer.headers["location"].startswith("/console/notifications?done=retried&")
    ((again, _),) = await office.gateway.store.deliveries(state="pending")
    assert (again.sink, again.attempts) == ("ops", 0)
    assert "ops" in await browser.says("/console/notifications", state="pending")
    assert (await browser.post("/console/notifications/retry", **form)).status_code == 409
