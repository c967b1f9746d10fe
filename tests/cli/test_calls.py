"""Calls from the command line: through the whole gate, listed, shown, and resolved by a person."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.cli import desk
from tests.cli.conftest import FAR, MAYA, Shop, until
from toolgate import Gateway, Unknown
from toolgate.domain.lifecycle import EffectState
from toolgate.domain.rows import ByCall
from toolgate.ports import CallFilter
from toolgate.testing.clock import FakeClock


async def lose_a_reply(gateway: Gateway, order_id: int = 5) -> Unknown:
    outcome = await gateway.call("drop_reply", {"order_id": order_id}, caller=MAYA, agent="assistant")
    assert isinstance(outcome, Unknown)
    return outcome


# --- call -----------------------------------------------------------------------------------------------------


@pytest.mark.req("M14.3")
async def test_a_tool_is_called_through_the_gate_and_its_answer_is_what_a_model_gets(shop: Shop) -> None:
    maya = await shop.token("u-maya", "support")

    for_programs = await shop("call", "read_order", "--args", '{"order_id": 4}', "--json", token=maya)
    for_people = await shop("call", "read_order", "--args", '{"order_id": 4}', token=maya)

    assert for_programs.code == for_people.code == 0
    assert for_programs.json["ok"] is True
    assert for_programs.json["result"]["order_id"] == 4
    assert "succeeded" in for_people.out
    assert '"order_id": 4' in for_people.out


@pytest.mark.req("M14.3")
async def test_arguments_come_from_the_line_a_file_or_standard_input(shop: Shop, tmp_path: Path) -> None:
    maya = await shop.token("u-maya", "support")
    file = tmp_path / "args.json"
    file.write_text('{"order_id": 2}')

    from_file = await shop("call", "read_order", "--args", f"@{file}", "--json", token=maya)
    from_stdin = await shop(
        "call", "read_order", "--args", "-", "--json", token=maya, stdin='{"order_id": 3}'
    )
    from_nowhere = await shop("call", "read_order", "--args", f"@{tmp_path}/none", token=maya)

    assert from_file.json["result"]["order_id"] == 2
    assert from_stdin.json["result"]["order_id"] == 3
    assert from_nowhere.code == 2


@pytest.mark.req("M14.3", "M3.6", "M2.3")
@pytest.mark.parametrize(
    "arguments",
    ['{"order_id": "4"}', '{"order_id": 4, "order_id": 5}', '{"order_id": NaN}', "{", "[]", "4", '{"x": 1}'],
)
async def test_the_command_line_is_no_more_lenient_than_any_other_door(shop: Shop, arguments: str) -> None:
    maya = await shop.token("u-maya", "support")

    ran = await shop("call", "read_order", "--args", arguments, "--json", token=maya)

    assert ran.code == 1
    assert (ran.json["error_type"], ran.json["effect"]) == ("invalid_arguments", "none")


@pytest.mark.req("M14.3", "M14.11")
async def test_the_exit_code_of_a_call_tells_its_outcomes_apart(shop: Shop) -> None:
    maya = await shop.token("u-maya", "support")
    big = '{"order_id": 1, "amount_cents": 9000}'
    small = '{"order_id": 1, "amount_cents": 900}'

    codes = [
        (await shop("call", name, "--args", arguments, "--workflow", workflow, token=maya)).code
        for name, arguments, workflow in (
            ("refund", small, "w1"),
            ("refund", small, "w1"),
            ("refund", big, "w1"),
            ("refund", big, "w2"),
            ("drop_reply", '{"order_id": 5}', "w3"),
            ("no_such_tool", "{}", "w4"),
        )
    ]

    assert codes == [0, 0, 1, 4, 5, 1]
    assert desk.refunds == [1, 5]


@pytest.mark.req("M14.3", "M9.6")
async def test_no_workflow_is_invented_where_the_key_needs_one(shop: Shop) -> None:
    maya = await shop.token("u-maya", "support")

    ran = await shop("call", "refund", "--args", '{"order_id": 1, "amount_cents": 900}', "--json", token=maya)

    assert ran.code == 1
    assert "workflow" in ran.json["message"]
    assert "--workflow ID" in ran.err
    assert desk.refunds == []


@pytest.mark.req("M14.3", "X5.4")
async def test_a_call_whose_record_cannot_be_written_runs_nothing_and_is_a_fault(shop: Shop) -> None:
    maya = await shop.token("u-maya", "support")
    shop.database.chmod(0o444)
    shop.database.write_bytes(b"this is no database any more" * 200)

    ran = await shop(
        "call", "refund", "--args", '{"order_id": 1, "amount_cents": 1}', "--workflow", "w", token=maya
    )

    assert ran.code in {2, 3}
    assert "Traceback" not in ran.err
    assert desk.refunds == []


@pytest.mark.req("M4.15", "X7.1")
async def test_no_option_makes_somebody_an_agent_that_their_token_is_not(shop: Shop) -> None:
    maya, omar = await shop.token("u-maya", "support"), await shop.token("u-omar", "billing_admin")
    made = await shop(
        *("tokens", "create", "--id", "u-maya", "--tenant", "acme", "--roles", "support", "--agent", "bot"),
        *("--owner", "u-ines", "--expires-in", "40000d", "--json"),
    )
    await shop(
        *("grants", "create", "refund", "--agent", "bot", "--for", "8h", "--uses", "9", "--reason", "small"),
        token=omar,
    )
    words = ("call", "refund", "--args", '{"order_id": 1, "amount_cents": 9000}', "--workflow", "w")

    by_hand = await shop(*words, "--agent", "bot", token=maya)
    in_person = await shop(*words, token=maya)
    nothing_yet = list(desk.refunds)
    other = await shop(*words, "--agent", "crawler", token=made.json["secret"])
    as_bot = await shop(
        "call",
        "refund",
        "--args",
        '{"order_id": 2, "amount_cents": 9000}',
        "--workflow",
        "w",
        "--agent",
        "bot",
        token=made.json["secret"],
    )

    assert (by_hand.code, in_person.code, other.code, as_bot.code) == (2, 4, 2, 0), as_bot.err
    assert "this token is a person's" in by_hand.err
    assert (nothing_yet, desk.refunds) == ([], [2])


# --- list and show --------------------------------------------------------------------------------------------


@pytest.mark.req("M11.14")
async def test_calls_are_listed_newest_first_whole_at_80_columns_and_can_be_narrowed(shop: Shop) -> None:
    async with shop.gateway() as gateway:
        first = await gateway.call("read_order", {"order_id": 1}, caller=MAYA, agent="assistant")
        second = await lose_a_reply(gateway)

        table = await shop("calls", "list")
        everything = (await shop("calls", "list", "--json")).json
        unresolved = (await shop("calls", "list", "--unresolved", "--json")).json
        of_nobody = (await shop("calls", "list", "--caller", "u-nobody", "--json")).json
        page = (await shop("calls", "list", "--before", second.call_id, "--json")).json

    assert first.call_id in table.out
    assert second.call_id in table.out
    assert max(len(line) for line in table.out.splitlines()) <= 80
    assert [row["call_id"] for row in everything] == [second.call_id, first.call_id]
    assert [row["call_id"] for row in unresolved] == [second.call_id]
    assert (of_nobody, [row["call_id"] for row in page]) == ([], [first.call_id])


@pytest.mark.req("M11.14")
async def test_a_call_is_shown_with_its_events_and_no_sensitive_value(shop: Shop) -> None:
    async with shop.gateway() as gateway:
        outcome = await gateway.call(
            "refund",
            {"order_id": 6, "amount_cents": 100, "card_hint": "4242"},
            caller=MAYA,
            workflow="case-6",
            agent="assistant",
        )

        shown = await shop("calls", "show", outcome.call_id)
        data = (await shop("calls", "show", outcome.call_id, "--json")).json

    assert all(
        part in shown.out for part in ("refund", "u-maya of acme", "case-6", "applied", "intended", "settled")
    )
    assert "4242" not in shown.out + json.dumps(data)
    assert [event["transition"] for event in data["events"]] == ["intended", "settled"]
    assert (await shop("calls", "show", "call_none")).code == 1


@pytest.mark.req("M11.14")
async def test_calls_are_narrowed_by_agent_error_and_time_and_collected_page_by_page(shop: Shop) -> None:
    async with shop.gateway() as gateway:
        for order in range(1, 9):
            agent = "assistant" if order == 1 else "other"
            await gateway.call("read_order", {"order_id": order}, caller=MAYA, agent=agent)
        refused = await gateway.call("read_order", {"order_id": -1}, caller=MAYA, agent="other")

        by_agent = (await shop("calls", "list", "--agent", "assistant", "--json")).json
        by_error = (await shop("calls", "list", "--error", "invalid_arguments", "--json")).json
        before = (await shop("calls", "list", "--until", "2099-01-01T00:00:00Z", "--json")).json
        some = await shop("calls", "list", "--limit", "2")
        (last,) = [word for word in some.out.split() if word.startswith("call_")][-1:]
        rest = (await shop("calls", "list", "--before", last, "--json")).json

    assert len(by_agent) == 1
    assert [row["call_id"] for row in by_error] == [refused.call_id]
    assert before == []
    assert f"--before {last}" in some.out
    assert len(rest) == 7


@pytest.mark.req("X1.8")
async def test_what_is_about_to_become_unknown_is_said_beside_what_is(shop: Shop) -> None:
    later = Shop(shop.folder, FakeClock(now=FAR + 60_000_000))
    async with shop.gateway(lease=1.0) as gateway, later.gateway() as other:
        calling = asyncio.ensure_future(gateway.call("send_mail", {"to": "ada"}, caller=MAYA))
        await asyncio.to_thread(shop.clock.wait_for_alarm, within=5.0)
        await until(lambda: intended(gateway))
        before = await shop("calls", "list", "--unresolved")
        # Any record moves the store's time on, past the lease.
        await other.call("read_order", {"order_id": 1}, caller=MAYA)
        lapsed = await shop("calls", "list", "--unresolved")
        of_others = await shop("calls", "list", "--unresolved", "--tenant", "umbra")
        desk.mail_may_go.set()
        await calling

    assert "ran past" not in before.out + of_others.out
    assert "1 call ran past the time that its gateway had for it, and becomes unknown" in " ".join(
        lapsed.out.split()
    )
    assert "none is running" in " ".join(lapsed.out.split())


@pytest.mark.req("M11.14")
async def test_long_words_of_an_event_are_wrapped(shop: Shop) -> None:
    ruth = await shop.token("u-ruth", "operator")
    async with shop.gateway() as gateway:
        unknown = await lose_a_reply(gateway)
        words = "seen in the books of the carrier, " * 6
        await shop("calls", "resolve", unknown.call_id, "--applied", "--reason", words, token=ruth)

        shown = await shop("calls", "show", unknown.call_id)

    assert max(len(line) for line in shown.out.splitlines()) <= 80
    assert words.strip() in " ".join(shown.out.split())


# --- resolve --------------------------------------------------------------------------------------------------


@pytest.mark.req("X1.7")
async def test_a_person_says_once_how_an_unknown_call_ended(shop: Shop) -> None:
    ruth = await shop.token("u-ruth", "operator")
    async with shop.gateway() as gateway:
        unknown = await lose_a_reply(gateway)

        resolved = await shop(
            "calls", "resolve", unknown.call_id, "--applied", "--reason", "seen", "--json", token=ruth
        )
        again = await shop("calls", "resolve", unknown.call_id, "--not-applied", "--reason", "no", token=ruth)
        events = (await shop("calls", "show", unknown.call_id, "--json")).json["events"]

    assert (resolved.code, again.code) == (0, 1)
    assert (resolved.json["status"], resolved.json["effect_state"]) == ("succeeded", "applied")
    assert (events[-1]["transition"], events[-1]["actor"], events[-1]["reason"]) == (
        "resolved",
        "u-ruth",
        "seen",
    )


@pytest.mark.req("X1.7", "M4.7")
@pytest.mark.parametrize(
    ("roles", "tenant", "words"),
    [(("support",), "acme", "needs the role operator"), (("operator",), "umbra", "there is no such call")],
)
async def test_resolving_takes_the_role_and_the_tenant(
    shop: Shop, roles: tuple[str, ...], tenant: str, words: str
) -> None:
    token = await shop.token("u-ruth", *roles, tenant=tenant)
    async with shop.gateway() as gateway:
        unknown = await lose_a_reply(gateway)

        ran = await shop("calls", "resolve", unknown.call_id, "--applied", "--reason", "seen", token=token)
        row = (await gateway.store.find(ByCall(unknown.call_id))).call

    assert ran.code == 1
    assert words in ran.err
    assert row is not None
    assert row.status == "unknown"


@pytest.mark.req("X1.7", "M14.11")
async def test_resolving_says_which_way_and_why(shop: Shop) -> None:
    ruth = await shop.token("u-ruth", "operator")

    neither = await shop("calls", "resolve", "call_x", "--reason", "seen", token=ruth)
    no_reason = await shop("calls", "resolve", "call_x", "--applied", token=ruth)

    assert (neither.code, no_reason.code) == (2, 2)
    assert "--not-applied" in neither.err


@pytest.mark.req("X1.22", "X1.8")
async def test_not_applied_is_refused_while_a_live_gateway_may_still_be_running_it(shop: Shop) -> None:
    ruth = await shop.token("u-ruth", "operator")
    async with shop.gateway(lease=3600.0) as gateway:
        calling = asyncio.ensure_future(gateway.call("send_mail", {"to": "ada"}, caller=MAYA))
        await asyncio.to_thread(shop.clock.wait_for_alarm, within=5.0)
        await until(lambda: intended(gateway))
        (row,) = (await shop("calls", "list", "--json")).json
        running = await shop(
            "calls", "resolve", row["call_id"], "--not-applied", "--reason", "no", token=ruth
        )
        shop.clock.advance(6.0)
        unknown = await calling

        refused = await shop(
            "calls", "resolve", unknown.call_id, "--not-applied", "--reason", "no", token=ruth
        )
        desk.mail_may_go.set()
        await until(lambda: is_known(gateway, unknown.call_id))
        ended = await effect_of(gateway, unknown.call_id)

    assert isinstance(unknown, Unknown)
    assert (running.code, refused.code) == (1, 1)
    assert "only unknown ones are resolved" in running.err
    assert "may still be running" in refused.err
    assert (ended, desk.mails) == (EffectState.APPLIED, ["ada"])


async def intended(gateway: Gateway) -> bool:
    return bool((await gateway.store.calls(CallFilter(status="running"))).rows)


async def is_known(gateway: Gateway, call_id: str) -> bool:
    return await effect_of(gateway, call_id) is not EffectState.UNKNOWN


async def effect_of(gateway: Gateway, call_id: str) -> EffectState | None:
    row = (await gateway.store.find(ByCall(call_id))).call
    assert row is not None
    return row.effect_state


@pytest.mark.req("X1.7", "X1.22", "M9.9")
async def test_not_applied_frees_the_key_once_no_attempt_can_be_running(shop: Shop) -> None:
    ruth = await shop.token("u-ruth", "operator")
    async with shop.gateway() as gateway:
        unknown = await lose_a_reply(gateway)
        blocked = await gateway.call("drop_reply", {"order_id": 5}, caller=MAYA)

        words = ("calls", "resolve", unknown.call_id, "--not-applied", "--reason", "checked")
        leased = await shop(*words, token=ruth)
        shop.clock.advance(60.0)
        # Any record moves the store's time on, past the lease.
        await gateway.call("read_order", {"order_id": 1}, caller=MAYA)
        resolved = await shop(*words, token=ruth)
        again = await gateway.call("drop_reply", {"order_id": 5}, caller=MAYA)

    assert (leased.code, resolved.code) == (1, 0), resolved.err
    assert "may still be running" in leased.err
    assert blocked.call_id == unknown.call_id
    assert again.call_id != unknown.call_id
    assert desk.refunds == [5, 5]


@pytest.mark.req("M14.11")
async def test_words_that_no_call_can_have_are_a_misuse(shop: Shop) -> None:
    maya = await shop.token("u-maya", "support")

    ran = await shop("call", "read_order", "--workflow", "w" * 300, token=maya)

    assert ran.code == 2
    assert "workflow id" in ran.err
