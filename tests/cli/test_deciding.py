"""Whatever the console decides, the command line can: edit, reveal, decide several, withdraw, stop everything."""

from __future__ import annotations

import pytest

from tests.cli import desk
from tests.cli.conftest import MAYA, Shop
from toolgate import Gateway, PendingApproval

pytestmark = pytest.mark.req("M12.9", "M12.22")

BIG = {"order_id": 7, "amount_cents": 9000, "card_hint": "4242", "note": "she asked"}
A_KEY = "see AKIAIOSFODNN7EXAMPLE for the account"


async def hold(gateway: Gateway, **arguments: object) -> PendingApproval:
    outcome = await gateway.call(
        "refund", {**BIG, **arguments}, caller=MAYA, workflow="case-1", agent="assistant", model="m-1"
    )
    assert isinstance(outcome, PendingApproval)
    return outcome


async def test_only_what_i_may_approve_is_listed_as_mine(shop: Shop) -> None:
    omar, ruth = await shop.token("u-omar", "billing_admin"), await shop.token("u-ruth", "operator")
    other = await shop.token("u-omar", "billing_admin", tenant="umbra")
    async with shop.gateway() as gateway:
        held = await hold(gateway)

        mine = await shop("approvals", "list", "--mine", "--json", token=omar)
        of_others = [
            (await shop("approvals", "list", "--mine", "--json", token=who)).json for who in (ruth, other)
        ]
        nobody = await shop("approvals", "list", "--mine")

    assert [one["approval_id"] for one in mine.json] == [held.approval_id]
    assert of_others == [[], []]
    assert nobody.code == 2


@pytest.mark.req("X2.3")
async def test_an_edit_shows_what_it_changes_and_binds_everybody_to_another_digest(shop: Shop) -> None:
    omar, ines = await shop.token("u-omar", "billing_admin"), await shop.token("u-ines", "billing_admin")
    async with shop.gateway() as gateway:
        held = await hold(gateway)
        before = (await shop("approvals", "show", held.approval_id, "--json")).json
        words = ("approvals", "edit", held.approval_id, "--set", "amount_cents=4500", "--set", 'note="half"')

        dry = await shop(*words, "--dry-run", token=omar)
        still = (await shop("approvals", "show", held.approval_id, "--json")).json
        edited = await shop(*words, "--reason", "half of it, as agreed", token=omar)
        shown = await shop("approvals", "show", held.approval_id)
        after = (await shop("approvals", "show", held.approval_id, "--json")).json
        approve = ("approvals", "approve", held.approval_id, "--reason", "seen", "--digest")
        own = await shop(*approve, after["digest"], token=omar)
        old = await shop(*approve, before["digest"], token=ines)
        new = await shop(*approve, after["digest"], token=ines)
        await gateway.sweep()

    assert (dry.code, edited.code, own.code, old.code, new.code) == (0, 0, 1, 1, 0)
    assert "amount_cents: 9000 -> 4500" in dry.out
    assert "Nothing was changed." in dry.out
    assert still["digest"] == before["digest"] != after["digest"]
    assert after["digest"][:16] in edited.out
    assert 'note: "she asked" -> "half"' in shown.out
    assert "u-omar made revision 2" in shown.out
    assert (after["revision"], after["arguments"]["amount_cents"], after["arguments"]["order_id"]) == (
        2,
        4500,
        7,
    )
    assert after["edits"][0]["reason"] == "half of it, as agreed"
    assert "another person is needed" in own.err
    assert max(len(line) for line in (edited.out + shown.out).splitlines()) <= 80
    assert "4242" not in dry.out + edited.out + shown.out


@pytest.mark.req("X2.3")
@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ("amount_cents=-1", 1, "greater than 0"),
        ("amount_cents=lots", 2, "no JSON"),
        ("note=lots", 2, "--set 'note=\"...\"'"),
        ('note="a","b"', 2, "no JSON"),
        ("amount_cents", 2, "FIELD=JSON"),
        ("caller=1", 1, "caller"),
        ("amount_cents=9000", 1, "nothing would change"),
        ("amount_cents=NaN", 2, "no JSON"),
    ],
)
async def test_an_edit_that_cannot_be_is_refused_in_words(
    shop: Shop, change: str, code: int, words: str
) -> None:
    omar = await shop.token("u-omar", "billing_admin")
    async with shop.gateway() as gateway:
        held = await hold(gateway)

        ran = await shop(
            "approvals", "edit", held.approval_id, "--set", change, "--reason", "better", token=omar
        )
        after = (await shop("approvals", "show", held.approval_id, "--json")).json

    assert ran.code == code
    assert words in ran.err
    assert after["revision"] == 1


@pytest.mark.req("M14.11")
async def test_an_edit_says_why_or_only_looks(shop: Shop) -> None:
    omar = await shop.token("u-omar", "billing_admin")
    async with shop.gateway() as gateway:
        held = await hold(gateway)
        words = ("approvals", "edit", held.approval_id, "--set", "amount_cents=4500")

        neither = await shop(*words, token=omar)
        dry = await shop(*words, "--dry-run", "--json", token=omar)
        elsewhere = await shop("approvals", "edit", "appr_none", "--set", "a=1", "--reason", "x", token=omar)

    assert (neither.code, dry.code, elsewhere.code) == (2, 0, 1)
    assert dry.json["differences"] == [{"path": "amount_cents", "before": 9000, "after": 4500}]


@pytest.mark.req("M12.12")
async def test_what_only_looks_like_a_secret_is_revealed_before_it_is_approved(shop: Shop) -> None:
    omar = await shop.token("u-omar", "billing_admin")
    async with shop.gateway() as gateway:
        held = await hold(gateway, note=A_KEY)

        shown = await shop("approvals", "show", held.approval_id)
        blind = await shop("approvals", "approve", held.approval_id, "--reason", "fine", token=omar)
        revealed = await shop("approvals", "reveal", held.approval_id, "--reason", "which one?", token=omar)
        data = (await shop("approvals", "show", held.approval_id, "--json")).json
        seeing = await shop("approvals", "approve", held.approval_id, "--reason", "fine", token=omar)
        events = (await shop("calls", "show", held.call_id, "--json")).json["events"]

    assert "note: it looks like a secret" in shown.out
    assert "card_hint: sensitive" in shown.out
    assert A_KEY not in shown.out
    assert (blind.code, revealed.code, seeing.code) == (1, 0, 0)
    assert "reveal it first" in blind.err
    assert A_KEY in revealed.out
    assert '"card_hint": "4242"' in revealed.out
    assert [one["viewer"] for one in data["reveals"]] == ["u-omar"]
    told = next(event for event in events if event["transition"] == "approval_revealed")
    assert (told["actor"], told["reason"]) == ("u-omar", "which one?")


@pytest.mark.req("M12.12", "X2.8")
async def test_only_who_has_a_say_in_it_sees_what_is_masked(shop: Shop) -> None:
    tokens = [
        await shop.token("u-ruth", "operator"),
        await shop.token("u-maya", "billing_admin"),
        await shop.token("u-omar", "billing_admin", tenant="umbra"),
    ]
    async with shop.gateway() as gateway:
        held = await hold(gateway)

        ran = [
            await shop("approvals", "reveal", held.approval_id, "--reason", "let me", token=token)
            for token in tokens
        ]

    assert [one.code for one in ran] == [1, 1, 1]
    assert not any("4242" in one.out + one.err for one in ran)


@pytest.mark.req("M12.14")
async def test_several_are_decided_at_once_and_a_stale_digest_keeps_only_its_own_back(shop: Shop) -> None:
    omar = await shop.token("u-omar", "billing_admin")
    async with shop.gateway() as gateway:
        first, second, third = [await hold(gateway, order_id=order) for order in (7, 8, 9)]
        seen = (await shop("approvals", "show", second.approval_id, "--json")).json["digest"]
        edited = await shop(
            *("approvals", "edit", second.approval_id, "--set", "amount_cents=6000"),
            *("--reason", "less"),
            token=await shop.token("u-ines", "billing_admin"),
        )

        ran = await shop(
            *("approvals", "decide", "--approve", first.approval_id, f"{second.approval_id}={seen[:16]}"),
            *(third.approval_id, "--reason", "all alike"),
            token=omar,
        )
        await gateway.sweep()
        states = {
            one["approval_id"]: one for one in (await shop("approvals", "list", "--all", "--json")).json
        }

    assert edited.code == 0, edited.err
    assert ran.code == 1
    assert ran.out.count(": approved") == 2
    assert f"{second.approval_id}: it changed since it was shown" in ran.out
    assert "no gateway is running on this store" in ran.out
    assert states[second.approval_id]["state"] == "pending"
    assert max(len(line) for line in ran.out.splitlines()) <= 80


@pytest.mark.req("M12.14")
async def test_several_are_denied_at_once_and_nonsense_decides_nothing(shop: Shop) -> None:
    omar = await shop.token("u-omar", "billing_admin")
    async with shop.gateway() as gateway:
        first, second = await hold(gateway), await hold(gateway, order_id=8)
        both = (first.approval_id, second.approval_id)

        neither = await shop("approvals", "decide", *both, "--reason", "no", token=omar)
        nowhere = await shop("approvals", "decide", "--deny", *both, "appr_x", "--reason", "no", token=omar)
        twice = await shop("approvals", "decide", "--deny", *both, *both, "--reason", "no", token=omar)
        short = await shop("approvals", "decide", "--deny", f"{both[0]}=ab", "--reason", "no", token=omar)
        waiting = (await shop("approvals", "list", "--json")).json
        denied = await shop("approvals", "decide", "--deny", *both, "--reason", "no", "--json", token=omar)

    assert [one.code for one in (neither, nowhere, twice, short, denied)] == [2, 1, 1, 2, 0]
    assert len(waiting) == 2
    assert [one["state"] for one in denied.json] == ["denied", "denied"]


@pytest.mark.req("M9.10")
async def test_whoever_asked_may_withdraw_and_ask_again(shop: Shop) -> None:
    maya, other = await shop.token("u-maya", "support"), await shop.token("u-zoe", "support")
    async with shop.gateway() as gateway:
        held = await hold(gateway)

        by_other = await shop("approvals", "withdraw", held.approval_id, "--reason", "no", token=other)
        withdrawn = await shop("approvals", "withdraw", held.approval_id, "--reason", "no need", token=maya)
        again = await hold(gateway)

    assert (by_other.code, withdrawn.code) == (1, 0)
    assert "there is no such approval" in by_other.err
    assert "cancelled" in withdrawn.out
    assert again.approval_id != held.approval_id
    assert desk.refunds == []


@pytest.mark.req("M12.14")
async def test_the_kill_switch_takes_an_operator_and_ends_what_waits(shop: Shop) -> None:
    omar, ruth = await shop.token("u-omar", "billing_admin"), await shop.token("u-ruth", "operator")
    async with shop.gateway() as gateway:
        waiting, approved = await hold(gateway), await hold(gateway, order_id=8)
        await shop("approvals", "approve", approved.approval_id, "--reason", "fine", token=omar)
        granted = await shop(
            *("grants", "create", "refund", "--agent", "assistant", "--for", "8h", "--uses", "3"),
            *("--reason", "small ones"),
            token=omar,
        )

        refused = await shop("approvals", "stop", "--reason", "odd", token=omar)
        elsewhere = await shop("approvals", "stop", "--reason", "odd", "--tool", "drop_reply", token=ruth)
        stopped = await shop("approvals", "stop", "--reason", "odd", "--json", token=ruth)
        await gateway.sweep()
        states = [one["state"] for one in (await shop("approvals", "list", "--all", "--json")).json]

    assert granted.code == 0, granted.err
    assert refused.code == 1
    assert "0 approvals cancelled, 0 grants revoked" in elsewhere.out
    assert stopped.json == {"approvals": 2, "grants": 1}
    assert states == ["cancelled", "cancelled"]
    assert desk.refunds == []
    assert waiting.approval_id != approved.approval_id


@pytest.mark.req("M12.6")
async def test_the_applications_own_rule_holds_on_the_command_line_too(shop: Shop) -> None:
    omar, ines = await shop.token("u-omar", "billing_admin"), await shop.token("u-ines", "billing_admin")
    shop.write('may_decide = "tests.cli.desk:only_small_ones"\n')
    async with shop.gateway() as gateway:
        held = await hold(gateway)
        name = held.approval_id

        refused = [
            await shop("approvals", "approve", name, "--reason", "fine", token=omar),
            await shop("approvals", "decide", "--approve", name, "--reason", "fine", token=omar),
            await shop("approvals", "edit", name, "--set", "amount_cents=1", "--reason", "less", token=omar),
            await shop(
                *("grants", "create", "refund", "--agent", "assistant", "--for", "8h", "--uses", "3"),
                *("--reason", "small ones"),
                token=omar,
            ),
        ]
        allowed = await shop("approvals", "approve", name, "--reason", "fine", token=ines)

    assert [one.code for one in refused] == [1, 1, 1, 1], [one.err for one in refused]
    assert all("no refunds this week" in one.out + one.err for one in refused)
    assert allowed.code == 0
