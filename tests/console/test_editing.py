"""Changing what a held call would do."""

from __future__ import annotations

import pytest

from tests.console.house import CARD, LEA, LOCKED, MAX, House, approval, decide

pytestmark = pytest.mark.anyio


@pytest.mark.req("M12.10", "X2.3")
async def test_the_form_is_made_of_the_tools_schema_and_filled_with_what_is_shown(house: House) -> None:
    waiting = await house.held(order=7, cents=5000, parts=[1, 2], note="x")
    async with house.person(LEA) as browser:
        page = await browser.get(approval(waiting, "/edit"))
        fields = page.form(approval(waiting, "/edit")).fields
        shown = {
            name.removeprefix("field."): value for name, value in fields.items() if name.startswith("field.")
        }
        assert shown == {
            "order": "7",
            "cents": "5000",
            "currency": '"EUR"',
            "urgent": "false",
            "note": "x",
            "parts": "[\n  1,\n  2\n]",
            "card": "",
        }
        assert "In the smallest unit. At least 1, at most 500000." in page.text
        assert "masked" in page.text
        assert CARD not in browser.answer.text


@pytest.mark.req("X2.3")
async def test_checking_shows_what_it_comes_to_and_writes_nothing(house: House) -> None:
    waiting = await house.held(order=7, cents=5000)
    async with house.person(LEA) as browser:
        form = (await browser.get(approval(waiting, "/edit"))).form(approval(waiting, "/edit"))
        page = await browser.send(form, {"field.cents": "4500"}, step="check")
        assert "Pays 45.00 EUR for order 7." in page.text
        assert "before: 5000" in page.text
        assert "after: 4500" in page.text
        assert "Then needed 1 by lead" in page.text
        page = await browser.get(approval(waiting))
        assert "Pays 50.00 EUR" in page.text


@pytest.mark.req("M12.10", "X2.3")
async def test_saving_makes_a_revision_that_another_person_has_to_approve(house: House) -> None:
    waiting = await house.held(order=7, cents=5000)
    async with house.person(LEA) as lea, house.person(MAX) as other:
        form = (await lea.get(approval(waiting, "/edit"))).form(approval(waiting, "/edit"))
        page = await lea.send(
            form,
            {
                "field.cents": "4500",
                "field.currency": '"USD"',
                "field.urgent": "true",
                "field.parts": "[3]",
            },
            step="save",
            reason="the rest is kept",
        )
        assert "Saved as a new revision" in page.text
        assert "lea made revision 2" in page.text
        assert "the rest is kept" in page.text
        assert "cents before: 5000 after: 4500" in page.text
        assert 'currency before: "EUR" after: "USD"' in page.text
        assert "You may not approve it: whoever edited a call" in page.text
        await decide(other, waiting)
    assert await house.ended(waiting) == "succeeded"
    ran = house.business.done[0]
    assert (ran.cents, ran.currency, ran.urgent, ran.parts, ran.card) == (4500, "USD", True, [3], CARD)


@pytest.mark.req("M12.12", "X2.3")
async def test_a_masked_argument_stays_unless_something_is_written_over_it(house: House) -> None:
    waiting = await house.held(order=7, cents=5000)
    async with house.person(LEA) as lea, house.person(MAX) as other:
        form = (await lea.get(approval(waiting, "/edit"))).form(approval(waiting, "/edit"))
        await lea.send(form, {"field.card": "1111-2222"}, step="save", reason="the other card")
        assert lea.page.text.count("1111-2222") == 0
        await decide(other, waiting)
    assert await house.ended(waiting) == "succeeded"
    assert house.business.done[0].card == "1111-2222"


@pytest.mark.req("M12.18")
@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ({"field.cents": "4 500"}, "write a whole number"),
        ({"field.cents": "4500.0"}, "write a whole number"),
        ({"field.parts": "[1,"}, "this is not JSON"),
        ({"field.parts": '{"a": 1, "a": 2}'}, "this is not JSON"),
        ({"field.cents": "500001"}, "cents"),
        ({"field.parts": '["one"]'}, "parts"),
        ({"field.order": str(LOCKED)}, "order is locked"),
        ({}, "nothing is changed yet"),
    ],
)
async def test_what_does_not_fit_is_said_and_what_was_typed_stays(
    house: House, typed: dict[str, str], words: str
) -> None:
    waiting = await house.held(order=7, cents=5000)
    async with house.person(LEA) as browser:
        form = (await browser.get(approval(waiting, "/edit"))).form(approval(waiting, "/edit"))
        page = await browser.send(form, typed, step="check")
        assert 400 <= browser.status < 500
        assert words in page.text
        fields = page.form(approval(waiting, "/edit")).fields
        assert {name: fields[name] for name in typed} == typed


@pytest.mark.req("M12.18", "X2.2")
async def test_an_edit_of_what_changed_meanwhile_is_refused_and_kept_on_the_page(house: House) -> None:
    waiting = await house.held(order=7, cents=5000)
    async with house.person(LEA) as lea, house.person(MAX) as other:
        mine = (await lea.get(approval(waiting, "/edit"))).form(approval(waiting, "/edit"))
        theirs = (await other.get(approval(waiting, "/edit"))).form(approval(waiting, "/edit"))
        await other.send(theirs, {"field.cents": "3000"}, step="save", reason="first")
        page = await lea.send(mine, {"field.cents": "2000"}, step="save", reason="second")
        assert lea.status == 409
        assert "it changed since it was shown" in page.text
        assert page.form(approval(waiting, "/edit")).fields["field.cents"] == "2000"


@pytest.mark.req("M12.18")
async def test_a_reason_is_needed_to_save_and_what_was_typed_stays(house: House) -> None:
    waiting = await house.held(order=7, cents=5000)
    async with house.person(LEA) as browser:
        form = (await browser.get(approval(waiting, "/edit"))).form(approval(waiting, "/edit"))
        page = await browser.send(form, {"field.cents": "2000"}, step="save", reason="")
        assert browser.status == 422
        assert "say why" in page.text
        assert page.form(approval(waiting, "/edit")).fields["field.cents"] == "2000"


@pytest.mark.req("X2.3")
async def test_a_value_may_be_taken_away_where_the_schema_allows_none(house: House) -> None:
    waiting = await house.held(order=7, cents=5000, note="no hurry")
    async with house.person(LEA) as lea, house.person(MAX) as other:
        form = (await lea.get(approval(waiting, "/edit"))).form(approval(waiting, "/edit"))
        await lea.send(form, {"null.note": "1"}, step="save", reason="not needed")
        await decide(other, waiting)
    assert await house.ended(waiting) == "succeeded"
    assert house.business.done[0].note is None


@pytest.mark.req("M12.6")
async def test_what_is_decided_cannot_be_changed(house: House) -> None:
    waiting = await house.held()
    async with house.person(LEA) as browser:
        await decide(browser, waiting, "deny")
        page = await browser.get(approval(waiting, "/edit"))
        assert browser.status == 409
        assert "it is denied already" in page.text


@pytest.mark.req("M12.16", "X2.3")
async def test_a_text_with_characters_that_nobody_sees_is_edited_as_json_and_otherwise_left_as_it_is(
    house: House,
) -> None:
    body = "pay\u200b \u202eyojne\r\nnow\u00a0\u0000"
    waiting = await house.held("mail", to="x@example.com", body=body)
    async with house.person(LEA) as lea, house.person(MAX) as other:
        form = (await lea.get(approval(waiting, "/edit"))).form(approval(waiting, "/edit"))
        assert form.fields["field.body"] == '"pay\\u200b \\u202eyojne\\r\\nnow\\u00a0\\u0000"'
        page = await lea.send(form, {"field.to": "y@example.com"}, step="save", reason="the other address")
        assert "body before" not in page.text
        await decide(other, waiting)
    assert await house.ended(waiting) == "succeeded"
    assert house.business.done == [("y@example.com", body)]
