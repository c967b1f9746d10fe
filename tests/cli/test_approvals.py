"""Approvals from the command line: what waits, exactly what would run, and the decision, which only records."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tests.cli import desk
from tests.cli.conftest import MAYA, Shop, run, until
from toolgate import Caller, Gateway, PendingApproval, Succeeded
from toolgate.adapters.stores.sqlite.presence import is_served

pytestmark = pytest.mark.req("M12.9")

BIG = {"order_id": 7, "amount_cents": 9000, "card_hint": "4242", "note": "she asked"}


async def hold(gateway: Gateway, caller: Caller = MAYA, **arguments: object) -> PendingApproval:
    outcome = await gateway.call(
        "refund", {**BIG, **arguments}, caller=caller, workflow="case-1", agent="assistant", model="m-1"
    )
    assert isinstance(outcome, PendingApproval)
    return outcome


async def test_what_waits_is_listed_whole_at_80_columns(shop: Shop) -> None:
    async with shop.gateway() as gateway:
        held = await hold(gateway)

        ran = await shop("approvals", "list")

    assert ran.code == 0
    assert held.approval_id in ran.out
    assert all(
        part in ran.out for part in ("u-maya of acme", "refund", "1d 0h", "high", "pending: 1 more approval")
    )
    assert max(len(line) for line in ran.out.splitlines()) <= 80


async def test_an_approval_shows_exactly_what_would_run_and_no_sensitive_value(shop: Shop) -> None:
    async with shop.gateway() as gateway:
        held = await hold(gateway)

        ran = await shop("approvals", "show", held.approval_id)
        data = (await shop("approvals", "show", held.approval_id, "--json")).json

    for part in (
        "Pay an order back.",
        "write",
        "high",
        "amount_cents > 5000",
        "u-maya of acme",
        "assistant, m-1",
        '"order_id": 7',
        '"note": "she asked"',
        "1 by billing_admin",
        "1d 0h",
        data["digest"][:16],
    ):
        assert part in ran.out, part
    assert "4242" not in ran.out
    assert data["arguments"]["card_hint"].startswith("hmac:")
    assert {"tool", "risk", "reason", "arguments", "requires_role", "expires_at", "votes", "missing"} <= set(
        data
    )
    assert (data["requires_role"], data["state"], data["votes"]) == ("billing_admin", "pending", [])


async def test_words_of_an_agent_cannot_move_the_cursor_or_turn_the_text(shop: Shop) -> None:
    async with shop.gateway() as gateway:
        outcome = await gateway.call(
            "refund",
            {**BIG, "note": "fine\x1b[2K\u202eevil"},
            caller=MAYA,
            workflow="case-2",
            agent="bot",
            rationale="trust\x9bme\rok",
        )
        assert isinstance(outcome, PendingApproval)

        shown = await shop("approvals", "show", outcome.approval_id)

    assert not [char for char in shown.out if not (char.isprintable() or char == "\n")]
    assert "\\u202e" in shown.out


async def succeeded(gateway: Gateway, held: PendingApproval) -> bool:
    return isinstance(await gateway.get_call(held.call_id, caller=MAYA), Succeeded)


@pytest.mark.req("X2.17", "X2.6")
async def test_an_approval_is_recorded_here_and_run_once_by_the_gateway(shop: Shop) -> None:
    omar = await shop.token("u-omar", "billing_admin")
    async with shop.gateway(keeps_house=True) as gateway:
        held = await hold(gateway)
        shown = (await shop("approvals", "show", held.approval_id, "--json")).json

        decided = await shop(
            *(
                "approvals",
                "approve",
                held.approval_id,
                "--reason",
                "receipt seen",
                "--digest",
                shown["digest"][:16],
            ),
            token=omar,
        )
        await gateway.sweep()
        await until(lambda: succeeded(gateway, held))
        await gateway.sweep()

    assert decided.code == 0
    assert "approved. The gateway runs it." in decided.out
    assert desk.refunds == [7]


@pytest.mark.req("X2.17")
async def test_the_command_says_so_when_no_gateway_is_there_to_run_it(shop: Shop) -> None:
    omar = await shop.token("u-omar", "billing_admin")
    async with shop.gateway() as gateway:
        held = await hold(gateway)

    decided = await shop("approvals", "approve", held.approval_id, "--reason", "receipt seen", token=omar)
    shown = await shop("approvals", "show", held.approval_id)
    data = await shop("approvals", "show", held.approval_id, "--json")

    assert decided.code == 0
    assert "no gateway is running on this store" in decided.out
    assert "no gateway is running on this store" in shown.out
    assert data.json["gateway_running"] is False
    assert desk.refunds == []


@pytest.mark.req("X2.17")
async def test_a_gateway_that_was_closed_counts_as_gone_and_one_that_does_not_keep_house_as_none(
    shop: Shop,
) -> None:
    omar = await shop.token("u-omar", "billing_admin")
    async with shop.gateway(keeps_house=True) as gateway:
        held = await hold(gateway)
        await shop("approvals", "approve", held.approval_id, "--reason", "receipt seen", token=omar)
        while_open = (await shop("approvals", "show", held.approval_id, "--json")).json["gateway_running"]
    closed = (await shop("approvals", "show", held.approval_id, "--json")).json["gateway_running"]
    async with shop.gateway():
        without_house = (await shop("approvals", "show", held.approval_id, "--json")).json["gateway_running"]

    assert (while_open, closed, without_house) == (True, False, False)


@pytest.mark.req("M12.6", "M12.7")
async def test_a_denial_is_final_and_its_reason_is_kept(shop: Shop) -> None:
    omar = await shop.token("u-omar", "billing_admin")
    async with shop.gateway() as gateway:
        held = await hold(gateway)

        denied = await shop("approvals", "deny", held.approval_id, "--reason", "no receipt", token=omar)
        late = await shop("approvals", "approve", held.approval_id, "--reason", "oh well", token=omar)
        await gateway.sweep()
        events = (await shop("calls", "show", held.call_id, "--json")).json["events"]

    assert (denied.code, late.code) == (0, 1)
    assert "It does not run" in denied.out
    assert "denied already" in late.err
    assert desk.refunds == []
    assert (events[-1]["actor"], events[-1]["reason"]) == ("u-omar", "no receipt")


@pytest.mark.req("M12.6", "X2.8")
@pytest.mark.parametrize(
    ("id", "roles", "tenant", "words"),
    [
        ("u-omar", ("support",), "acme", "needs the role billing_admin"),
        ("u-maya", ("billing_admin",), "acme", "may not approve it"),
        ("u-lena", ("billing_admin",), "umbra", "there is no approval"),
    ],
)
async def test_who_may_not_decide_is_told_why(
    shop: Shop, id: str, roles: tuple[str, ...], tenant: str, words: str
) -> None:
    token = await shop.token(id, *roles, tenant=tenant)
    async with shop.gateway() as gateway:
        held = await hold(gateway)

        ran = await shop("approvals", "approve", held.approval_id, "--reason", "please", token=token)
        state = (await shop("approvals", "show", held.approval_id, "--json")).json

    assert ran.code == 1
    assert words in ran.err
    assert (state["state"], state["votes"]) == ("pending", [])
    if tenant != "acme":
        assert "order_id" not in ran.out


@pytest.mark.req("X2.2")
async def test_a_digest_that_is_not_what_was_shown_decides_nothing(shop: Shop) -> None:
    omar = await shop.token("u-omar", "billing_admin")
    async with shop.gateway() as gateway:
        held, other = await hold(gateway), await hold(gateway, order_id=8)
        digest = (await shop("approvals", "show", other.approval_id, "--json")).json["digest"]

        for wrong in (digest[:16], digest, "ab", ""):
            ran = await shop(
                "approvals", "approve", held.approval_id, "--reason", "seen", "--digest", wrong, token=omar
            )
            assert ran.code == 1, wrong
            assert "look at it again" in ran.err

        state = (await shop("approvals", "show", held.approval_id, "--json")).json["state"]

    assert state == "pending"


@pytest.mark.req("X2.9")
async def test_a_quorum_says_what_is_still_missing(shop: Shop) -> None:
    omar, ines = await shop.token("u-omar", "billing_admin"), await shop.token("u-ines", "billing_admin")
    async with shop.gateway() as gateway:
        held = await gateway.call("delete_order", {"order_id": 3}, caller=MAYA)
        assert isinstance(held, PendingApproval)

        first = await shop("approvals", "approve", held.approval_id, "--reason", "first", token=omar)
        again = await shop("approvals", "approve", held.approval_id, "--reason", "again", token=omar)
        second = await shop(
            "approvals", "approve", held.approval_id, "--reason", "second", "--json", token=ines
        )

    assert (first.code, again.code, second.code) == (0, 1, 0)
    assert "Still missing: 1 more approval." in first.out
    assert "another person is needed" in again.err
    assert {vote["voter"] for vote in second.json["votes"]} == {"u-omar", "u-ines"}
    assert second.json["state"] == "approved"


async def test_a_decision_needs_a_reason(shop: Shop) -> None:
    omar = await shop.token("u-omar", "billing_admin")
    async with shop.gateway() as gateway:
        held = await hold(gateway)

        without = await shop("approvals", "approve", held.approval_id, token=omar)
        blank = await shop("approvals", "approve", held.approval_id, "--reason", "  ", token=omar)

    assert (without.code, blank.code) == (2, 1)
    assert "--reason" in without.err
    assert "say why" in blank.err


async def test_an_expired_approval_cannot_be_approved(shop: Shop) -> None:
    omar = await shop.token("u-omar", "billing_admin")
    async with shop.gateway() as gateway:
        held = await hold(gateway)
        shop.clock.advance(25 * 3600)
        # Any record moves the store's time on; the approval itself is not touched by it.
        await gateway.call("read_order", {"order_id": 1}, caller=MAYA)

        ran = await shop("approvals", "approve", held.approval_id, "--reason", "late", token=omar)
        listed = await shop("approvals", "list", "--all", "--json")

    assert ran.code == 1
    assert "expired" in ran.err
    assert listed.json[0]["state"] == "expired"


async def test_nothing_waiting_and_no_such_approval_are_said(shop: Shop) -> None:
    await shop("migrate")

    assert (await shop("approvals", "list")).out.strip() == "Nothing waits for a person."
    assert (await shop("approvals", "list", "--json")).json == []
    assert (await shop("approvals", "show", "appr_none")).code == 1


@pytest.mark.req("X2.16", "X2.17")
async def test_a_call_that_waits_runs_itself_what_was_approved_meanwhile(shop: Shop) -> None:
    maya, omar = await shop.token("u-maya", "support"), await shop.token("u-omar", "billing_admin")
    arguments = '{"order_id": 7, "amount_cents": 9000}'
    first = await shop("call", "refund", "--args", arguments, "--workflow", "case-9", "--json", token=maya)
    decided = await shop("approvals", "approve", first.json["approval_id"], "--reason", "seen", token=omar)

    words = ("call", "refund", "--args", arguments, "--workflow", "case-9", "--wait", "30s", "--json")
    waited = await asyncio.to_thread(run, *shop.with_config(words), token=maya)

    assert (first.code, decided.code, waited.code) == (4, 0, 0)
    assert waited.json["call_id"] == first.json["call_id"]
    assert desk.refunds == [7]


@pytest.mark.req("X2.17")
async def test_a_gateway_that_was_killed_leaves_no_sign_of_itself(shop: Shop) -> None:
    await shop("migrate")
    serving = (
        "import sys, time; from pathlib import Path; from toolgate.adapters.stores.sqlite.presence import Presence; "
        "sign = Presence(Path(sys.argv[1])); sign.announce(); print('up', flush=True); time.sleep(60)"
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", serving, str(shop.database), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    await child.stdout.readline()
    alive = is_served(shop.database)
    child.kill()
    await child.wait()

    assert (alive, is_served(shop.database)) == (True, False)
