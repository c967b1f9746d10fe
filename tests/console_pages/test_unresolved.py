"""Effects in doubt at the console: what is known of them, and what a person's word does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.console_pages.office import ANA, CARD, EVE, OLGA, RUTH
from toolgate.domain.commands import LateEvidence
from toolgate.domain.lifecycle import EffectState
from toolgate.domain.rows import ByCall

if TYPE_CHECKING:
    from tests.console_pages.office import Office
    from toolgate.domain.rows import CallRow

pytestmark = pytest.mark.anyio
WHY = "I looked at the list of the bank"


async def row_of(office: Office, call_id: str) -> CallRow:
    """The call as it lies in the ledger."""
    row = (await office.gateway.store.find(ByCall(call_id))).call
    assert row is not None
    return row


@pytest.mark.req("X1.26")
async def test_the_evidence_stands_beside_what_each_answer_means(office: Office) -> None:
    call_id = await office.in_doubt(order=7, note="arrived open")
    source = await (await office.sign_in(OLGA)).page("/console/unresolved")
    told = await (await office.sign_in(OLGA)).says("/console/unresolved")
    assert f"/console/calls/{call_id}" in source
    assert CARD not in source
    for part in (
        '"order": 7',
        '"note": "arrived open"',
        "ana through desk_agent",
        "ran out",
        "only a person can find out",
        "Intent written, then dispatched",
        "Settled: unknown",
        "Its key stays used: whoever asks again gets this answer, and nothing is repeated.",
        "Its key becomes free, so that the same action may be asked for and done again",
    ):
        assert part in told, part


@pytest.mark.req("X1.26", "X1.7")
@pytest.mark.parametrize(
    ("outcome", "state", "said"),
    [
        ("applied", EffectState.APPLIED, "Recorded: it happened."),
        ("not_applied", EffectState.NOT_APPLIED, "Recorded: it did not happen."),
    ],
)
async def test_an_operators_word_is_recorded_with_its_reason(
    office: Office, outcome: str, state: EffectState, said: str
) -> None:
    call_id = await office.in_doubt()
    browser = await office.sign_in(OLGA)
    answer = await browser.post(
        f"/console/calls/{call_id}/resolve", outcome=outcome, reason=WHY, back="/console/unresolved"
    )
    assert answer.status_code == 303
    assert (await row_of(office, call_id)).effect_state is state
    told = await browser.says(answer.headers["location"])
    assert said in told
    assert "Nothing is in doubt" in told
    assert WHY in await browser.says(f"/console/calls/{call_id}")


@pytest.mark.req("X1.26")
async def test_without_a_reason_nothing_is_recorded_and_the_page_says_so(office: Office) -> None:
    call_id = await office.in_doubt()
    browser = await office.sign_in(OLGA)
    for data in (
        {"outcome": "applied", "reason": "  "},
        {"outcome": "perhaps", "reason": WHY},
        {"reason": WHY},
    ):
        answer = await browser.post(f"/console/calls/{call_id}/resolve", **data)
        assert answer.status_code == 422
        assert "Nothing was changed." in answer.text
    assert (await row_of(office, call_id)).effect_state is EffectState.UNKNOWN


@pytest.mark.req("X1.8", "X1.26")
async def test_while_an_attempt_may_still_run_nobody_can_say_that_nothing_happened(office: Office) -> None:
    office.shop.ends.append(ConnectionResetError("the reply was lost"))
    outcome = await office.ask(order=7)
    browser = await office.sign_in(OLGA)
    path = f"/console/calls/{outcome.call_id}"
    assert "Not yet. An attempt may still be running until" in await browser.says(path)
    refused = await browser.post(f"{path}/resolve", outcome="not_applied", reason=WHY)
    assert refused.status_code == 409
    assert "an attempt may still be running" in refused.text
    assert WHY in refused.text
    assert (await row_of(office, outcome.call_id)).effect_state is EffectState.UNKNOWN


@pytest.mark.req("X1.26", "M11.21")
async def test_only_an_operator_of_the_tenant_resolves(office: Office) -> None:
    call_id = await office.in_doubt()
    for who, status in ((ANA, 403), (RUTH, 403), (EVE, 404)):
        browser = await office.sign_in(who)
        answer = await browser.post(f"/console/calls/{call_id}/resolve", outcome="applied", reason=WHY)
        assert answer.status_code == status
    assert (await row_of(office, call_id)).effect_state is EffectState.UNKNOWN
    await (await office.sign_in(ANA)).page("/console/unresolved", 403)
    assert "needs the role operator" in await (await office.sign_in(RUTH)).says("/console/unresolved")
    assert "Nothing is in doubt" in await (await office.sign_in(EVE)).says("/console/unresolved")


@pytest.mark.req("X1.26", "M4.26")
async def test_a_form_without_the_sessions_token_or_of_another_site_resolves_nothing(office: Office) -> None:
    call_id = await office.in_doubt()
    browser, other = await office.sign_in(OLGA), await office.sign_in(RUTH)
    path = f"/console/calls/{call_id}/resolve"
    for token in ("", "made up", await other.csrf()):
        answer = await browser.post(path, csrf=token, outcome="applied", reason=WHY)
        assert answer.status_code == 403
    token = await browser.csrf()
    for headers in ({"origin": "http://evil.test"}, {"origin": "null"}, {}):
        answer = await browser.client.post(
            path, data={"csrf": token, "outcome": "applied", "reason": WHY}, headers=headers
        )
        assert answer.status_code == 403
    assert (await row_of(office, call_id)).effect_state is EffectState.UNKNOWN


@pytest.mark.req("X1.26")
async def test_somebody_who_comes_second_is_told_so(office: Office) -> None:
    call_id = await office.in_doubt()
    browser = await office.sign_in(OLGA)
    path = f"/console/calls/{call_id}/resolve"
    assert (await browser.post(path, outcome="applied", reason=WHY)).status_code == 303
    second = await browser.post(path, outcome="not_applied", reason=WHY)
    assert second.status_code == 409
    assert "only unknown ones are resolved" in second.text
    assert (await row_of(office, call_id)).effect_state is EffectState.APPLIED


@pytest.mark.req("X1.10", "X1.26")
async def test_an_incident_shows_both_witnesses_until_a_person_says_which_is_true(office: Office) -> None:
    call_id = await office.in_doubt()
    browser = await office.sign_in(OLGA)
    path = f"/console/calls/{call_id}"
    assert (await browser.post(f"{path}/resolve", outcome="not_applied", reason=WHY)).status_code == 303
    owner = (await row_of(office, call_id)).owner
    late = LateEvidence(call_id, owner, applied=True, detail="the reply came late", result=None)
    await office.gateway.store.execute(late)
    for page in ("/console/unresolved", path):
        told = await browser.says(page)
        assert "a late result says applied, but it was resolved as not_applied" in told
        assert WHY in told
        assert "How do you know?" in told
    assert "not known whether it happened" in await browser.says(path)
    assert "incident" in await browser.says("/console/calls")
    closed = await browser.post(f"{path}/resolve", outcome="applied", reason="the bank has it")
    assert closed.status_code == 303
    row = await row_of(office, call_id)
    assert (row.effect_state, row.incident) == (EffectState.APPLIED, None)
    assert "Nothing is in doubt" in await browser.says("/console/unresolved")
