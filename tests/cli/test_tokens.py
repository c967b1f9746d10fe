"""Tokens: made by whoever owns the key file, shown once, and the only way to be somebody."""

from __future__ import annotations

import os
import pwd
import stat

import pytest

from tests.cli.conftest import MAYA, Shop
from toolgate.cli.app import app


@pytest.mark.req("M4.14")
async def test_the_first_token_can_be_made_on_a_fresh_store_and_is_printed_once(shop: Shop) -> None:
    made = await shop(
        "tokens", "create", "--id", "u-omar", "--roles", "billing_admin,lead", "--tenant", "acme"
    )
    secret = made.out.strip()

    assert made.code == 0
    assert secret.startswith("tgt_")
    assert "shown once" in made.err
    assert secret not in (await shop("tokens", "list")).out
    assert secret.encode() not in b"".join(path.read_bytes() for path in shop.folder.iterdir())
    assert stat.S_IMODE((shop.folder / "gate.db.keys").stat().st_mode) == 0o600


@pytest.mark.req("M4.14")
async def test_a_token_lists_with_whom_it_stands_for_and_its_state(shop: Shop) -> None:
    await shop("tokens", "create", "--id", "u-omar", "--roles", "b", "--roles", "a", "--tenant", "acme")

    (row,) = (await shop("tokens", "list", "--json")).json

    assert (row["caller"], row["tenant"], row["roles"], row["state"]) == (
        "u-omar",
        "acme",
        ["a", "b"],
        "works",
    )
    assert "u-omar" in (await shop("tokens", "list")).out


@pytest.mark.req("M4.14")
async def test_a_revoked_token_opens_nothing(shop: Shop) -> None:
    token = await shop.token("u-maya", "support")
    before = await shop("call", "read_order", "--args", '{"order_id": 1}', token=token)
    (row,) = (await shop("tokens", "list", "--json")).json

    revoked = await shop("tokens", "revoke", row["token_id"])
    after = await shop("call", "read_order", "--args", '{"order_id": 1}', token=token)

    assert (before.code, revoked.code, after.code) == (0, 0, 1)
    assert "revoked" in after.err
    assert (await shop("tokens", "revoke", "tok_none")).code == 1


@pytest.mark.req("M4.14")
async def test_an_expired_token_opens_nothing(shop: Shop) -> None:
    made = await shop(
        "tokens", "create", "--id", "u-maya", "--roles", "support", "--tenant", "acme", "--json"
    )
    async with shop.gateway() as gateway:
        # The gateway's clock stands many years later; what it records is the store's time from then on.
        await gateway.call("read_order", {"order_id": 1}, caller=MAYA)

        ran = await shop("call", "read_order", "--args", '{"order_id": 1}', token=made.json["secret"])

    assert ran.code == 1
    assert "expired" in ran.err


@pytest.mark.req("M4.14", "M11.1")
async def test_the_trail_says_which_user_of_the_machine_made_and_revoked_a_token(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USER", "somebody-else")
    monkeypatch.setenv("LOGNAME", "somebody-else")
    await shop.token("u-omar", "billing_admin")
    (row,) = (await shop("tokens", "list", "--json")).json
    await shop("tokens", "revoke", row["token_id"])

    events = [
        line for line in (await shop("audit", "tail", "--json")).lines if line["event"].startswith("token")
    ]

    assert [event["event"] for event in events] == ["token_created", "token_revoked"]
    assert {event["actor"] for event in events} == {f"keyholder:{pwd.getpwuid(os.geteuid()).pw_name}"}
    assert {event["user_id"] for event in events} == {"u-omar"}


@pytest.mark.req("M4.15")
async def test_without_a_token_nobody_acts(shop: Shop) -> None:
    await shop("migrate")
    for words in (
        ("call", "read_order"),
        ("approvals", "approve", "appr_x", "--reason", "because"),
        ("approvals", "deny", "appr_x", "--reason", "because"),
        ("calls", "resolve", "call_x", "--applied", "--reason", "because"),
    ):
        ran = await shop(*words)

        assert ran.code == 2, words
        assert "TOOLGATE_TOKEN" in ran.err


@pytest.mark.req("M4.15")
async def test_a_token_that_nobody_made_is_refused_and_not_repeated(shop: Shop) -> None:
    await shop("migrate")

    ran = await shop("call", "read_order", token="tgt_made-up-by-myself")

    assert ran.code == 1
    assert "made-up" not in ran.out + ran.err


@pytest.mark.req("M4.15")
def test_no_option_of_an_acting_command_names_who_acts() -> None:
    telling = {
        "token",
        "as",
        "user",
        "caller",
        "voter",
        "actor",
        "by",
        "roles",
        "role",
        "tenant",
        "id",
        "as_user",
    }

    for path in (("call",), ("approvals", "approve"), ("approvals", "deny"), ("calls", "resolve")):
        command: object = app
        for name in path:
            command = command.get_command(None, name)  # type: ignore[attr-defined]
        options = {option.name for option in command.params}  # type: ignore[attr-defined]

        assert not options & telling, path


@pytest.mark.req("M4.15")
async def test_a_call_runs_as_the_tokens_caller_with_the_tokens_roles(shop: Shop) -> None:
    without_role = await shop.token("u-felix")
    with_role = await shop.token("u-maya", "support")

    refused = await shop("call", "read_order", "--args", '{"order_id": 1}', "--json", token=without_role)
    answered = await shop("call", "read_order", "--args", '{"order_id": 1}', "--json", token=with_role)
    rows = (await shop("calls", "list", "--json")).json

    assert (refused.code, answered.code) == (1, 0)
    assert [(row["caller"], row["tenant"], row["surface"]) for row in rows] == [
        ("u-maya", "acme", "cli"),
        ("u-felix", "acme", "cli"),
    ]


@pytest.mark.req("M4.15")
async def test_a_token_does_not_stay_in_the_environment_of_tools(shop: Shop) -> None:
    token = await shop.token("u-maya", "support")

    ran = await shop("call", "read_order", "--args", '{"order_id": 1}', "--json", token=token)

    assert ran.json["result"]["sees_token"] == 0


@pytest.mark.req("M4.14", "M11.9")
async def test_a_key_file_that_others_can_read_makes_no_token(shop: Shop) -> None:
    await shop("migrate")
    (shop.folder / "gate.db.keys").chmod(0o644)

    ran = await shop("tokens", "create", "--id", "u-eve", "--roles", "billing_admin")

    assert ran.code == 2
    assert "chmod 600" in ran.err


@pytest.mark.req("M4.22")
async def test_an_agents_token_names_the_agent_and_who_answers_for_it(shop: Shop) -> None:
    shop.write('[agents.assistant]\nowner = "u-ines"\n')

    made = await shop("tokens", "create", "--id", "svc", "--agent", "assistant", "--tenant", "acme", "--json")
    crawler = await shop("tokens", "create", "--id", "svc", "--agent", "crawler", "--owner", "u7", "--json")

    assert (made.json["agent"], made.json["owner"], made.json["scopes"]) == ("assistant", "u-ines", ["call"])
    assert (crawler.json["agent"], crawler.json["owner"]) == ("crawler", "u7")
    assert "(u-ines" in (await shop("tokens", "list")).out


@pytest.mark.req("M4.22")
@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("--agent", "crawler"), "answers for the agent"),
        (("--owner", "u7"), "name the agent"),
        (("--agent", "crawler", "--owner", "u7", "--scope", "approve"), "may only call"),
        (("--agent", "a\nb", "--owner", "u7"), "the agent"),
        (("--label", "a\x1b[2J"), "label"),
        (("--scope", "everything"), "everything"),
    ],
)
async def test_a_token_that_says_no_clear_thing_is_not_made(
    shop: Shop, words: tuple[str, ...], hint: str
) -> None:
    ran = await shop("tokens", "create", "--id", "svc", *words)

    assert ran.code == 2
    assert hint in ran.err
    assert "\x1b" not in ran.err
    assert not shop.database.exists()


@pytest.mark.req("M4.24")
async def test_a_token_is_good_for_what_it_was_made_for(shop: Shop) -> None:
    made = await shop(
        *(
            "tokens",
            "create",
            "--id",
            "u-maya",
            "--roles",
            "support",
            "--tenant",
            "acme",
            "--scope",
            "approve",
        ),
        *("--label", "the till", "--expires-in", "40000d", "--json"),
    )

    ran = await shop("call", "read_order", "--args", '{"order_id": 1}', token=made.json["secret"])
    listed = (await shop("tokens", "list")).out

    assert made.json["scopes"] == ["approve"]
    assert ran.code == 1
    assert "lacks the scope call" in ran.err
    assert "the till" in listed
    assert made.json["expires_at"][:4] in listed


@pytest.mark.req("M4.22")
async def test_a_call_by_an_agents_token_is_the_agents_and_no_option_renames_it(shop: Shop) -> None:
    made = await shop(
        *(
            "tokens",
            "create",
            "--id",
            "u-maya",
            "--roles",
            "support",
            "--tenant",
            "acme",
            "--agent",
            "assistant",
        ),
        *("--owner", "u7", "--expires-in", "40000d", "--json"),
    )
    secret = made.json["secret"]

    renamed = await shop("call", "read_order", "--args", '{"order_id": 1}', "--agent", "other", token=secret)
    ran = await shop("call", "read_order", "--args", '{"order_id": 1}', token=secret)
    (line,) = [
        line for line in (await shop("audit", "tail", "--json")).lines if line["event"] == "llm_tool_call"
    ]

    assert (renamed.code, ran.code) == (2, 0)
    assert (line["agent"], line["user_id"]) == ("assistant", "u-maya")
