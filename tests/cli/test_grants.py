"""Grants from the command line: given within bounds, seen, spent, revoked."""

from __future__ import annotations

import pytest

from tests.cli import desk
from tests.cli.conftest import MAYA, Ran, Shop
from toolgate import Gateway, PendingApproval, Succeeded

pytestmark = pytest.mark.req("X7.1", "M12.22")

GRANT = (
    *("grants", "create", "refund", "--bound", "amount_cents<=6000", "--bound", "order_id in 1,2,3"),
    *("--agent", "assistant", "--reason", "small ones today"),
)


async def refund(gateway: Gateway, order: int, cents: int = 5500) -> object:
    return await gateway.call(
        "refund",
        {"order_id": order, "amount_cents": cents},
        caller=MAYA,
        workflow="case-1",
        agent="assistant",
    )


async def given(shop: Shop, token: str, *more: str) -> Ran:
    made = await shop(*GRANT, "--for", "8h", "--uses", "2", *more, "--json", token=token)
    assert made.code == 0, made.err
    return made


@pytest.mark.req("X7.2")
async def test_a_grant_lets_through_what_lies_within_it_until_it_is_used_up(shop: Shop) -> None:
    omar = await shop.token("u-omar", "billing_admin")
    async with shop.gateway() as gateway:
        # Any record moves the store's time on to the gateway's.
        await gateway.call("read_order", {"order_id": 1}, caller=MAYA)
        grant = (await given(shop, omar)).json

        outcomes = [await refund(gateway, 1), await refund(gateway, 2), await refund(gateway, 3)]
        shown = await shop("grants", "show", grant["grant_id"])
        active = (await shop("grants", "list", "--json", token=omar)).json
        everything = (await shop("grants", "list", "--all", "--tenant", "acme", "--json")).json

    assert [type(outcome) for outcome in outcomes] == [Succeeded, Succeeded, PendingApproval]
    assert desk.refunds == [1, 2]
    assert (grant["uses"], grant["max_uses"], grant["caller"], grant["agent"]) == (0, 2, None, "assistant")
    assert all(part in shown.out for part in ("used up", "2 of 2", "u-omar", "small ones today"))
    assert active == []
    assert [one["grant_id"] for one in everything] == [grant["grant_id"]]


async def test_bounds_are_written_as_people_write_them(shop: Shop) -> None:
    omar = await shop.token("u-omar", "billing_admin")
    await shop("migrate")

    made = await given(shop, omar, "--bound", 'note="a, b"', "--bound", "amount_cents>10")
    table = await shop("grants", "list", token=omar)

    assert made.json["bounds"] == {
        "amount_cents": {"gt": 10, "le": 6000},
        "order_id": {"in": [1, 2, 3]},
        "note": {"eq": "a, b"},
    }
    assert "agent assistant" in table.out
    assert "0 of 2" in table.out
    assert max(len(line) for line in table.out.splitlines()) <= 80


@pytest.mark.req("X7.2")
async def test_a_revoked_grant_lets_nothing_through(shop: Shop) -> None:
    omar, zoe = await shop.token("u-omar", "billing_admin"), await shop.token("u-zoe", "support")
    async with shop.gateway() as gateway:
        grant_id = (await given(shop, omar)).json["grant_id"]

        by_other = await shop("grants", "revoke", grant_id, "--reason", "no", token=zoe)
        revoked = await shop("grants", "revoke", grant_id, "--reason", "that was enough", token=omar)
        again = await shop("grants", "revoke", grant_id, "--reason", "that was enough", token=omar)
        outcome = await refund(gateway, 1)
        events = (await shop("audit", "search", "--json")).out

    assert (by_other.code, revoked.code, again.code) == (1, 0, 1)
    assert "is revoked" in revoked.out
    assert isinstance(outcome, PendingApproval)
    assert "that was enough" in events


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--uses", "2"), 2, "--for DURATION or --until TIME"),
        (("--uses", "2", "--for", "8h", "--until", "2100-01-02"), 2, "--for DURATION or --until TIME"),
        (("--for", "8h"), 2, "--uses"),
        (("--uses", "2", "--until", "tomorrow"), 2, "no moment"),
        (("--uses", "2", "--until", "2099-01-01"), 1, "a grant lasts"),
        (("--uses", "2", "--for", "40d"), 1, "a grant lasts"),
        (("--uses", "2", "--for", "8h", "--bound", "amount_cents"), 2, "amount_cents<=5000"),
        (("--uses", "2", "--for", "8h", "--bound", "amount_cents<=1"), 2, "twice"),
        (("--uses", "2", "--for", "8h", "--bound", "card_hint=1"), 1, "sensitive"),
        (("--uses", "2", "--for", "8h", "--bound", "no_such=1"), 1, "no argument"),
        (("--uses", "2", "--for", "8h", "--caller", "u-omar"), 1, "may not approve it"),
    ],
)
async def test_a_grant_that_cannot_be_is_refused_in_words(
    shop: Shop, words: tuple[str, ...], code: int, said: str
) -> None:
    omar = await shop.token("u-omar", "billing_admin")
    async with shop.gateway() as gateway:
        # Any record moves the store's time on to the gateway's.
        await gateway.call("read_order", {"order_id": 1}, caller=MAYA)

        ran = await shop(*GRANT, *words, token=omar)

    assert ran.code == code
    assert said in ran.err


async def test_what_is_not_there_is_said(shop: Shop) -> None:
    omar = await shop.token("u-omar", "billing_admin")
    await shop("migrate")

    shown = await shop("grants", "show", "grnt_none")
    revoked = await shop("grants", "revoke", "grnt_none", "--reason", "no", token=omar)
    listed = await shop("grants", "list", "--tenant", "acme")
    whose = await shop("grants", "list")

    assert (shown.code, revoked.code, listed.code, whose.code) == (1, 1, 0, 2)
    assert listed.out.strip() == "No grant can be used."
    assert "--tenant" in whose.err
