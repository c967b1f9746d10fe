"""Several like requests at once."""

from __future__ import annotations

import pytest

from tests.console.house import LEA, MAX, House, approval, decide

pytestmark = pytest.mark.anyio


@pytest.mark.req("M12.14")
async def test_only_like_requests_can_be_marked_to_be_decided_together(house: House) -> None:
    like = [await house.held(order=number, cents=5000) for number in (1, 2)]
    alone = await house.held("mail", to="x@example.com", body="Hello")
    async with house.person(LEA) as browser:
        page = await browser.get("/console/inbox")
        boxes = {
            given.get("value") for tag, given in page.tags if tag == "input" and given.get("form") == "batch"
        }
        assert boxes == set(like)
        page = await browser.get(f"/console/batch?id={like[0]}&id={alone}")
        assert browser.status == 422
        assert "they are not alike" in page.text


@pytest.mark.req("M12.14")
async def test_each_is_shown_with_its_arguments_and_decided_with_one_reason(house: House) -> None:
    first, second = [await house.held(order=number, cents=4000 + number) for number in (1, 2)]
    async with house.person(LEA) as browser:
        page = await browser.get(f"/console/batch?id={first}&id={second}")
        assert '"cents": 4001' in page.text
        assert '"cents": 4002' in page.text
        form = page.form("/console/batch")
        fields = {**form.fields, "id": [first, second], "decision": "approve", "reason": "late parcels"}
        page = await browser.post("/console/batch", fields)
        assert "All of them were approved, each as it was shown." in page.text
    assert await house.ended(first) == "succeeded"
    assert await house.ended(second) == "succeeded"
    assert sorted(args.cents for args in house.business.done) == [4001, 4002]


@pytest.mark.req("M12.14", "X2.2")
async def test_one_that_changed_meanwhile_is_left_alone_and_named(house: House) -> None:
    first, second = [await house.held(order=number, cents=4000) for number in (1, 2)]
    async with house.person(LEA) as lea, house.person(MAX) as other:
        form = (await lea.get(f"/console/batch?id={first}&id={second}")).form("/console/batch")
        edit = (await other.get(approval(second, "/edit"))).form(approval(second, "/edit"))
        await other.send(edit, {"field.cents": "9000"}, step="save", reason="they paid more")
        fields = {**form.fields, "id": [first, second], "decision": "approve", "reason": "late parcels"}
        page = await lea.post("/console/batch", fields)
        assert lea.status == 409
        assert "1 were approved" in page.text or "1 was approved" in page.text
        assert f"{second} it changed since it was shown" in page.text
    assert await house.state(first) == "approved"
    assert await house.state(second) == "pending"


@pytest.mark.req("M12.14")
async def test_without_a_reason_none_of_them_is_decided(house: House) -> None:
    ids = [await house.held(order=number, cents=4000) for number in (1, 2)]
    async with house.person(LEA) as browser:
        form = (await browser.get(f"/console/batch?id={ids[0]}&id={ids[1]}")).form("/console/batch")
        page = await browser.post(
            "/console/batch", {**form.fields, "id": ids, "decision": "deny", "reason": " "}
        )
        assert browser.status == 422
        assert "say why" in page.text
    assert [await house.state(one) for one in ids] == ["pending", "pending"]


@pytest.mark.req("M12.14")
async def test_what_one_may_not_decide_has_no_box(house: House) -> None:
    first, second = [await house.held(order=number, cents=4000) for number in (1, 2)]
    async with house.person(LEA) as browser:
        form = (await browser.get(approval(first, "/edit"))).form(approval(first, "/edit"))
        await browser.send(form, {"field.cents": "3000"}, step="save", reason="less")
        page = await browser.get(f"/console/batch?id={first}&id={second}")
        boxes = [given.get("value") for tag, given in page.tags if given.get("type") == "checkbox"]
        assert boxes == [second]
        await decide(browser, second)
        page = await browser.get(f"/console/batch?id={second}")
        assert "None of these can be decided by you here." in page.text
