"""Servers of other makers, put behind the gate by its own commands: added, reviewed, pinned, and called."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.mcp.node import provide
from tests.mcp.peers.operator import PATIENCE, Operator
from toolgate import Caller, Failed, Gateway, Outcome, PendingApproval, Refused, Succeeded
from toolgate.domain.content import Content, ImageBlock, TextBlock

SERVERS = Path(__file__).with_name("servers")
ANA = Caller("u-ana", roles={"support"}, tenant="acme")
BOB = Caller("u-bob", roles=(), tenant="acme")


def reference(name: str, *arguments: str) -> tuple[str, ...]:
    """The command of one of the reference servers."""
    program = provide.package(f"@modelcontextprotocol/server-{name}", "dist", "index.js")
    return (provide.node(), str(program), *arguments)


@asynccontextmanager
async def behind_the_gate(
    operator: Operator, name: str, tools: Mapping[str, str], *how: str
) -> AsyncIterator[Gateway]:
    """The gateway of ``operator`` once it has added ``name``, opened ``tools`` and pinned them."""
    await operator.runs("upstreams", "add", name, *how)
    operator.opens(name, tools)
    await operator.runs("upstreams", "pin", name, *tools, "--yes")
    async with Gateway.from_config(operator.config) as gateway:
        yield gateway


async def call(gateway: Gateway, tool: str, caller: Caller = ANA, **arguments: Any) -> Outcome[Any]:
    return await gateway.call(tool, arguments, caller=caller, workflow="w1")


def text_of(outcome: Outcome[Any]) -> str:
    """The text blocks of a content result."""
    content = outcome.unwrap()
    assert isinstance(content, Content)
    return "\n".join(block.text for block in content.content if isinstance(block, TextBlock))


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(folder=tmp_path)


@pytest.mark.req("X3.33")
async def test_the_reference_server_for_everything_answers_in_each_kind_of_content(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_GATE", "canary-4711")
    opened = {
        "echo": "",
        "get-sum": "",
        "get-tiny-image": "",
        "get-structured-content": "",
        "get-env": "",
        "trigger-long-running-operation": "",
    }
    heard: list[tuple[float, float | None]] = []

    async with behind_the_gate(
        operator, "everything", opened, "--", *reference("everything", "stdio")
    ) as gateway:
        said = await call(gateway, "everything_echo", message="a lamp")
        added = await call(gateway, "everything_get_sum", a=2, b=0.5)
        image = await call(gateway, "everything_get_tiny_image")
        weather = await call(gateway, "everything_get_structured_content", location="Chicago")
        told = await call(gateway, "everything_get_env")
        slow = await gateway.request(
            "everything_trigger_long_running_operation",
            {"duration": 0.2, "steps": 2},
            caller=ANA,
            workflow=gateway.make_workflow("w1"),
            progress=lambda done, total, _: heard.append((done, total)),
        )

    assert text_of(said) == "Echo: a lamp"
    assert text_of(added) == "The sum of 2 and 0.5 is 2.5."
    assert [type(block) for block in image.unwrap().content] == [TextBlock, ImageBlock, TextBlock]
    assert weather.unwrap().keys() == {"temperature", "conditions", "humidity"}
    assert "PATH" in text_of(told)
    assert "canary-4711" not in text_of(told)
    assert text_of(slow).startswith("Long running operation completed")
    assert heard == [(1, 2), (2, 2)]


@pytest.mark.req("X3.33")
async def test_a_tool_of_an_upstream_is_as_strict_and_as_closed_as_one_of_the_house(
    operator: Operator,
) -> None:
    async with behind_the_gate(
        operator, "everything", {"get-sum": ""}, "--", *reference("everything", "stdio")
    ) as gateway:
        unknown_field = await call(gateway, "everything_get_sum", a=1, b=2, c=3)
        wrong_type = await call(gateway, "everything_get_sum", a="1", b=2)
        not_allowed = await call(gateway, "everything_get_sum", BOB, a=1, b=2)
        not_opened = await call(gateway, "everything_echo", message="a lamp")

    assert isinstance(unknown_field, Refused)
    assert isinstance(wrong_type, Refused)
    assert [unknown_field.error_type, wrong_type.error_type] == ["invalid_arguments"] * 2
    assert isinstance(not_allowed, Refused)
    assert isinstance(not_opened, Refused)
    assert not_opened.error_type == "unknown_tool"


@pytest.mark.req("X3.33")
async def test_the_reference_server_for_files_reads_at_once_and_writes_once_a_person_agreed(
    operator: Operator, tmp_path: Path
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "lamp.txt").write_text("a lamp", "utf-8")
    opened = {
        "read_text_file": "",
        "write_file": 'approval = { approvers = ["lead"] }',
        "create_directory": 'approval_waiver = "a folder of its own, empty"',
    }

    async with behind_the_gate(
        operator, "files", opened, "--", *reference("filesystem", str(files))
    ) as gateway:
        read = await call(gateway, "files_read_text_file", path=str(files / "lamp.txt"))
        outside = await call(gateway, "files_read_text_file", path="/etc/hostname")
        held = await call(gateway, "files_write_file", path=str(files / "new.txt"), content="x")
        made = await call(gateway, "files_create_directory", path=str(files / "folder"))

    assert read.unwrap() == {"content": "a lamp"}
    assert isinstance(outside, Failed)
    assert outside.code == "upstream_error"
    assert isinstance(held, PendingApproval)
    assert not (files / "new.txt").exists()
    assert isinstance(made, Succeeded)
    assert (files / "folder").is_dir()


@pytest.mark.req("X3.33")
async def test_the_reference_server_for_memory_keeps_what_was_written_through_the_gate(
    operator: Operator, tmp_path: Path
) -> None:
    opened = {
        "create_entities": 'approval_waiver = "it keeps notes of its own"\nidempotency = "{workflow_id}"',
        "search_nodes": "",
    }
    kept = f"MEMORY_FILE_PATH={tmp_path / 'memory.jsonl'}"
    lamp = {"name": "lamp", "entityType": "thing", "observations": ["it is broken"]}

    async with behind_the_gate(
        operator, "memory", opened, "--env", kept, "--", *reference("memory")
    ) as gateway:
        written = await call(gateway, "memory_create_entities", entities=[lamp])
        again = await call(gateway, "memory_create_entities", entities=[lamp])
        found = await call(gateway, "memory_search_nodes", query="lamp")

    assert written.unwrap()["entities"] == [lamp]
    assert again.replayed
    assert [entity["name"] for entity in found.unwrap()["entities"]] == ["lamp"]


@asynccontextmanager
async def fastmcp_server() -> AsyncIterator[str]:
    """The FastMCP server in a process of its own; gives its URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(SERVERS / "with_fastmcp.py"),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            yield (await process.stdout.readline()).decode().strip()
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.req("X3.34")
async def test_a_fastmcp_server_over_http_answers_in_structure_and_tells_how_far_it_has_come(
    operator: Operator,
) -> None:
    opened = {
        "balance": "",
        "book": 'approval_waiver = "entries of a test"\nidempotency = "{account}"',
        "audit": "",
    }
    heard: list[tuple[float, float | None]] = []

    async with (
        fastmcp_server() as url,
        behind_the_gate(operator, "ledger", opened, "--url", url) as gateway,
    ):
        balance = await call(gateway, "ledger_balance", account="a1")
        booked = await call(gateway, "ledger_book", account="a1", cents=500)
        again = await call(gateway, "ledger_book", account="a1", cents=500)
        audited = await gateway.request(
            "ledger_audit",
            {},
            caller=ANA,
            workflow=gateway.make_workflow("w1"),
            progress=lambda done, total, _: heard.append((done, total)),
        )

    assert balance.unwrap() == {"account": "a1", "cents": 4200}
    assert booked.unwrap() == {"result": "booked as number 1"}
    assert (again.replayed, again.unwrap()) == (True, booked.unwrap())
    assert audited.unwrap() == {"result": 1}
    assert heard == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.req("X3.34")
async def test_a_server_of_the_sdk_over_stdio_reports_an_error_that_proves_nothing_of_a_write(
    operator: Operator,
) -> None:
    opened = {
        "read_note": 'effect = "read"',
        "write_note": 'approval_waiver = "entries of a test"\neffect = "write"',
    }
    program = str(SERVERS / "with_sdk.py")

    async with behind_the_gate(operator, "desk", opened, "--", sys.executable, program) as gateway:
        missing = await call(gateway, "desk_read_note", number=1)
        written = await call(gateway, "desk_write_note", text="a lamp")
        read = await call(gateway, "desk_read_note", number=1)

    assert isinstance(missing, Failed)
    assert (missing.code, missing.effect) == ("upstream_error", "none")
    assert written.unwrap() == {"number": 1, "text": "a lamp"}
    assert read.unwrap() == {"number": 1, "text": "a lamp"}
