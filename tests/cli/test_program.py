"""The program itself: its exit codes, its words, what it loads, and that it never shows a traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Shop, run
from toolgate.cli.app import COMMANDS
from toolgate.cli.exits import MEANINGS, Exit

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.req("M14.11")


def process(*words: str, cwd: Path, token: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the program as a process of its own, as a shell would."""
    extra = {"PYTHONPATH": str(ROOT), "COLUMNS": "80"} | ({"TOOLGATE_TOKEN": token} if token else {})
    return subprocess.run(
        [sys.executable, "-m", "toolgate", *words],
        cwd=cwd,
        env=os.environ | extra,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


async def test_each_exit_code_means_one_thing_and_is_written_down(shop: Shop) -> None:
    await shop("migrate")
    maya = await shop.token("u-maya", "support")
    seen = {
        (await shop("tools")).code,
        (await shop("approvals", "show", "appr_none")).code,
        (await shop("approvals", "show")).code,
        (await shop("call", "delete_order", "--args", '{"order_id": 1}', token=maya)).code,
        (await shop("call", "drop_reply", "--args", '{"order_id": 1}', token=maya)).code,
    }

    assert seen == {Exit.OK, Exit.NO, Exit.USAGE, Exit.HELD, Exit.UNKNOWN}
    assert set(MEANINGS) == set(Exit)


def test_the_processes_exit_code_is_that_of_the_command(shop: Shop) -> None:
    made = process("migrate", cwd=shop.folder)
    token = process(
        "tokens", "create", "--id", "u-maya", "--roles", "support", cwd=shop.folder
    ).stdout.strip()
    good = process("call", "read_order", "--args", '{"order_id": 1}', "--json", cwd=shop.folder, token=token)
    refused = process("call", "no_such_tool", cwd=shop.folder, token=token)
    misused = process("call", "read_order", cwd=shop.folder)

    assert (made.returncode, good.returncode, refused.returncode, misused.returncode) == (0, 0, 1, 2)
    assert json.loads(good.stdout)["result"]["order_id"] == 1
    assert "no such tool" in refused.stdout
    assert misused.stderr.startswith("toolgate: set TOOLGATE_TOKEN")


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["audit", "nonsense"],
        ["audit", "tail", "--lines", "many"],
        ["audit", "tail", "--nonsense"],
        ["audit", "tail", "--config", "/nowhere/toolgate.toml"],
        ["audit", "verify", "--file", "/nowhere/export.jsonl"],
        ["calls", "list", "--since", "yesterday"],
        ["tokens", "create"],
    ],
)
def test_wrong_words_are_told_so_in_one_line_of_words(words: list[str]) -> None:
    ran = run(*words)

    assert ran.code == 2
    assert ran.err.startswith("toolgate: ")
    assert "Traceback" not in ran.err
    assert ran.out == ""


def test_without_words_the_program_says_what_it_can_do(tmp_path: Path) -> None:
    ran, asked = process(cwd=tmp_path), process("--help", cwd=tmp_path)

    assert (ran.returncode, asked.returncode) == (2, 0)
    for name in COMMANDS:
        assert name in asked.stdout
        assert name in ran.stdout + ran.stderr
    assert max(len(line) for line in asked.stdout.splitlines()) <= 80


def test_every_command_and_subcommand_explains_itself() -> None:
    groups = {
        "approvals": ["list", "show", "approve", "deny"],
        "calls": ["list", "show", "resolve"],
        "audit": ["tail", "search", "verify", "export"],
        "tokens": ["create", "list", "revoke"],
    }
    for words in [[name] for name in COMMANDS] + [
        [group, name] for group in groups for name in groups[group]
    ]:
        ran = run(*words, "--help")

        assert ran.code == 0, words
        assert "Usage: toolgate" in ran.out


def test_help_loads_no_command_no_driver_and_no_terminal_library(tmp_path: Path) -> None:
    listing = (
        "import sys; from toolgate.cli.app import code; before = set(sys.modules); code(['--help']); "
        "print([name for name in set(sys.modules) - before if name.startswith('toolgate')], file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", listing], capture_output=True, text=True, cwd=tmp_path, check=True
    )

    assert ran.stderr.strip() == "[]"


async def test_a_missing_configuration_is_said_and_not_invented(tmp_path: Path) -> None:
    ran = process("tools", cwd=tmp_path)

    assert ran.returncode == 2
    assert "toolgate.toml: there is no such file" in ran.stderr


async def test_a_reading_command_makes_no_database(shop: Shop) -> None:
    for words in (
        ("audit", "tail"),
        ("audit", "verify"),
        ("calls", "list"),
        ("approvals", "list"),
        ("tokens", "list"),
    ):
        ran = await shop(*words)

        assert ran.code == 2, words
        assert "toolgate migrate" in ran.err
    assert sorted(path.name for path in shop.folder.iterdir()) == ["toolgate.toml"]


async def test_a_store_that_is_no_database_is_a_fault_in_words(shop: Shop) -> None:
    await shop("migrate")
    for path in shop.folder.glob("gate.db-*"):
        path.unlink()
    shop.database.write_bytes(b"no database at all, whatever its name says" * 100)

    for words in (("audit", "tail"), ("calls", "list"), ("tokens", "list"), ("migrate",)):
        ran = await shop(*words)

        assert ran.code in {Exit.USAGE, Exit.FAULT}, words
        assert ran.err.startswith("toolgate: ")
        assert "Traceback" not in ran.err


async def test_keys_that_are_missing_are_not_made_anew(shop: Shop) -> None:
    await shop("migrate")
    (shop.folder / "gate.db.keys").unlink()

    ran = await shop("audit", "tail")

    assert ran.code == 2
    assert "put them back" in ran.err
    assert not (shop.folder / "gate.db.keys").exists()


@pytest.mark.req("M14.11", "X1.19")
async def test_migrate_says_what_it_did_and_then_that_there_is_nothing_to_do(shop: Shop) -> None:
    first, second = await shop("migrate"), await shop("migrate")
    data = (await shop("migrate", "--json")).json

    assert (first.code, second.code) == (0, 0)
    assert "made" in first.out
    assert "applied 0001_" in first.out
    assert second.out.startswith("nothing to do")
    assert (data["created"], data["applied"]) == (False, [])


async def test_tools_are_listed_for_people_and_for_programs(shop: Shop) -> None:
    table, data = await shop("tools"), (await shop("tools", "--json")).json
    (refund,) = [tool for tool in data if tool["name"] == "refund"]

    assert all(name in table.out for name in ("read_order", "refund", "billing_admin", "destructive"))
    assert max(len(line) for line in table.out.splitlines()) <= 80
    assert refund["inputSchema"]["additionalProperties"] is False
    assert refund["annotations"]["readOnlyHint"] is False
    assert refund["contract"]["approval"]["approvers"] == ["billing_admin"]


async def test_overrides_are_what_tools_shows(shop: Shop) -> None:
    shop.write('[overrides.refund]\nrate_limit = "1/minute"\n[overrides.delete_order]\nenabled = false\n')

    table, data = await shop("tools"), (await shop("tools", "--json")).json

    assert "1/minute each" in table.out
    assert "switched off" in table.out
    assert {tool["name"]: tool["contract"]["enabled"] for tool in data}["delete_order"] is False


async def test_a_defect_in_an_authors_module_is_named_without_a_traceback(shop: Shop) -> None:
    (shop.folder / "spoiled_tools.py").write_text("def broken():\n    raise RuntimeError('oops')\nbroken()\n")
    shop.config.write_text('tools = ["spoiled_tools:tools"]\n')

    ran = await shop("tools")

    assert ran.code == 2
    assert "toolgate.toml:1: tools[0]: importing spoiled_tools failed at line 2 of broken" in ran.err
    assert "Traceback" not in ran.err


def test_a_reader_that_had_enough_is_no_fault(shop: Shop) -> None:
    words = [sys.executable, "-m", "toolgate", "tools", "--json"]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=shop.folder, env=env
    ) as child:
        assert child.stdout is not None
        child.stdout.close()
        _, err = child.communicate()

    assert (child.returncode, err) == (0, b"")


def test_following_the_tail_ends_with_the_keyboard(shop: Shop) -> None:
    run(*shop.with_config(("tokens", "create", "--id", "u-maya")))
    words = [sys.executable, "-m", "toolgate", "audit", "tail", "--follow", "--json"]
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    # A shell's background job ignores the keyboard, and so would what it starts.
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        started = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=shop.folder, env=env
        )
    finally:
        signal.signal(signal.SIGINT, ours)
    with started as child:
        assert child.stdout is not None
        first = [json.loads(child.stdout.readline())["event"] for _ in range(2)]
        run(*shop.with_config(("tokens", "create", "--id", "u-omar")))
        later = json.loads(child.stdout.readline())["event"]
        child.send_signal(signal.SIGINT)
        _, err = child.communicate()

    assert first == ["chain_opened", "token_created"]
    assert later == "chain_opened"
    assert child.returncode == Exit.INTERRUPTED
    assert b"Traceback" not in err


async def test_a_commands_own_writes_are_a_chain_of_their_own_beside_a_live_gateway(shop: Shop) -> None:
    async with shop.gateway():
        await shop.token("u-maya", "support")
        await shop.token("u-omar", "billing_admin")

        report = (await shop("audit", "verify", "--json")).json

    assert report["intact"] is True
    assert [chain.partition("_")[0] for chain in report["heads"]] == ["cli", "cli"]
