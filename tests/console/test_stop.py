"""The kill switch on a page."""

from __future__ import annotations

import pytest

from tests.console.house import LEA, OLA, House

pytestmark = pytest.mark.anyio


@pytest.mark.req("M12.14")
async def test_an_operator_cancels_everything_that_waits_with_a_reason(house: House) -> None:
    waiting = [await house.held(order=number, cents=5000) for number in (1, 2)]
    async with house.person(LEA) as lea, house.person(OLA) as browser:
        grant = (await lea.get(f"/console/grants/new?approval={waiting[0]}")).form("/console/grants")
        await lea.send(grant, reason="often asked")
        form = (await browser.get("/console/stop")).form("/console/stop")
        page = await browser.send(form, reason="the agent was hijacked", sure="1")
        assert "Requests cancelled: 2. Grants ended: 1." in page.text
        page = await lea.get("/console/inbox?view=decided")
        assert page.text.count("cancelled just now") == 2
    assert [await house.state(one) for one in waiting] == ["cancelled", "cancelled"]
    assert house.business.done == []


@pytest.mark.req("M12.14")
async def test_it_is_narrowed_to_a_tool_an_agent_or_a_caller(house: House) -> None:
    refund = await house.held()
    mail = await house.held("mail", to="x@example.com", body="Hello")
    async with house.person(OLA) as browser:
        form = (await browser.get("/console/stop")).form("/console/stop")
        await browser.send(
            form, reason="mails go astray", tool="mail", agent="helper", caller="ann", sure="1"
        )
    assert await house.state(mail) == "cancelled"
    assert await house.state(refund) == "pending"


@pytest.mark.req("M12.14")
@pytest.mark.parametrize("typed", [{"sure": "1", "reason": " "}, {"reason": "for no reason"}])
async def test_nothing_is_stopped_by_mistake(house: House, typed: dict[str, str]) -> None:
    waiting = await house.held()
    async with house.person(OLA) as browser:
        form = (await browser.get("/console/stop")).form("/console/stop")
        page = await browser.send(form, typed)
        assert browser.status == 422
        assert "Nothing was stopped" in page.text
    assert await house.state(waiting) == "pending"


@pytest.mark.req("M12.14")
async def test_whoever_is_no_operator_finds_no_switch(house: House) -> None:
    waiting = await house.held()
    async with house.person(LEA) as browser, house.person(OLA) as operator:
        page = await browser.get("/console/inbox")
        assert "Stop everything" not in page.text
        page = await browser.get("/console/stop")
        assert browser.status == 403
        assert "needs the role operator" in page.text
        form = (await operator.get("/console/stop")).form("/console/stop")
        await browser.send(form, reason="mine", sure="1", csrf=page.form("/console/sign-out").fields["csrf"])
        assert browser.status == 403
    assert await house.state(waiting) == "pending"
