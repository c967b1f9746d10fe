"""`toolgate serve --stdio` as a client starts it: a process of its own, and nothing but the protocol on its output."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from mcp import Client, StdioServerParameters
from mcp.shared.exceptions import MCPError

from tests.mcp.server.desk import LEGACY, MODERN, MODES, PATIENCE, meta
from toolgate.cli.app import app, code
from toolgate.domain.canonical import UnfitJson
from toolgate.surfaces.mcp.wire import read

pytestmark = pytest.mark.req("X3.17")

TOOLS = '''
import os, sys
from pathlib import Path
from typing import Annotated
from pydantic import Field
from toolgate import Approval, ToolContext, tool

print("imported")
Order = Annotated[int, Field(gt=0, le=9)]

@tool(effect="write", roles={"support"}, timeout="30s", idempotency="hold:{order}:{workflow_id}")
def hold(order: Order) -> int:
    """Do something that takes as long as the test says."""
    Path("began").open("w").close()
    Path("may_end").open().close()
    return order

@tool(effect="read", roles={"support"}, timeout="30s")
def noisy(context: ToolContext[None]) -> list[str | None]:
    """Print, read standard input, and look for the credential."""
    print("noise")
    os.write(1, b"more noise\\n")
    context.progress(1, 2, "half")
    return [sys.stdin.readline(), os.environ.get("TOOLGATE_TOKEN")]

@tool(effect="write", roles={"support"}, idempotency="pay:{order}:{workflow_id}",
      approval=Approval(approvers={"lead"}, when={"order": {"gt": 5}}))
def pay(order: Order) -> int:
    """Pay."""
    with Path("paid").open("a") as file:
        file.write(f"{order}\\n")
    return order

tools = [hold, noisy, pay]
'''
PROGRAM = [sys.executable, "-m", "toolgate"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "wares.py").write_text(TOOLS)
    (tmp_path / "toolgate.toml").write_text('tools = ["wares:tools"]\nstore = "sqlite:///toolgate.db"\n')
    return tmp_path


def ran(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *words], cwd=folder, capture_output=True, text=True, timeout=PATIENCE * 2, check=False
    )


def token(folder: Path, *more: str) -> str:
    made = ran("tokens", "create", "--id", "ann", "--roles", "support", "--json", *more, folder=folder)
    return str(json.loads(made.stdout)["secret"])


@asynccontextmanager
async def client(folder: Path, mode: str = MODERN, *more: str, **given: Any) -> AsyncIterator[Client]:
    secret = await asyncio.to_thread(token, folder, *more)
    parameters = StdioServerParameters(
        command=sys.executable,
        args=["-m", "toolgate", "serve", "--stdio"],
        env={"TOOLGATE_TOKEN": secret},
        cwd=str(folder),
    )
    async with Client(parameters, mode=mode, read_timeout_seconds=PATIENCE * 2, **given) as opened:
        yield opened


def calls(folder: Path) -> list[dict[str, Any]]:
    return list(json.loads(ran("calls", "list", "--json", folder=folder).stdout))


class Process:
    """The server, spoken to line by line."""

    def __init__(self, folder: Path, secret: str) -> None:
        self.process = subprocess.Popen(
            [*PROGRAM, "serve", "--stdio"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"TOOLGATE_TOKEN": secret},
        )

    def send(self, *messages: dict[str, Any] | bytes) -> None:
        assert self.process.stdin is not None
        for message in messages:
            line = message if isinstance(message, bytes) else json.dumps(message).encode()
            self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        return dict(json.loads(self.process.stdout.readline()))

    def end(self) -> tuple[int, list[dict[str, Any]], str]:
        """Say no more; its exit code, what else it answers, and what it logs."""
        out, err = self.process.communicate(timeout=PATIENCE * 2)
        return self.process.returncode, [json.loads(line) for line in out.splitlines()], err.decode()


@contextmanager
def process(folder: Path, *more: str) -> Iterator[Process]:
    started = Process(folder, token(folder, *more))
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait(PATIENCE)
        for pipe in (started.process.stdin, started.process.stdout, started.process.stderr):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


def begin() -> tuple[dict[str, Any], dict[str, Any]]:
    params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
    return (
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
    )


def call(id: int, name: str, arguments: Any, said: Any = None) -> dict[str, Any]:
    params = {"name": name, "arguments": arguments, "_meta": meta() if said is None else said}
    return {"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params}


@pytest.mark.parametrize("mode", MODES)
async def test_a_client_gets_what_it_gets_over_http(folder: Path, mode: str) -> None:
    heard: list[float] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        heard.append(progress)

    async with client(folder, mode, "--agent", "desk", "--owner", "olga") as opened:
        names = [each.name for each in (await opened.list_tools()).tools]
        paid = await opened.call_tool("pay", {"order": 1}, meta=meta())
        again = await opened.call_tool("pay", {"order": 1}, meta=meta())
        unnamed = await opened.call_tool("pay", {"order": 2})
        held = await opened.call_tool("pay", {"order": 9}, meta=meta())
        seen = await opened.call_tool("get_call", {"call_id": (held.structured_content or {})["call_id"]})
        noise = await opened.call_tool("noisy", progress_callback=hear)
        with pytest.raises(MCPError, match="Unknown tool"):
            await opened.call_tool("nothing", {})

    assert names == ["hold", "noisy", "pay", "get_call"]
    assert (paid.structured_content or {})["result"] == 1
    assert (again.structured_content or {})["replayed"] is True
    assert (unnamed.structured_content or {})["error_type"] == "invalid_arguments"
    assert seen.structured_content == held.structured_content
    # Neither the input of the protocol nor the credential is a tool's to read.
    assert (noise.structured_content or {})["result"] == ["", None]
    assert heard == [1]
    assert (folder / "paid").read_text() == "1\n"
    records = await asyncio.to_thread(calls, folder)
    assert {(record["surface"], record["caller"], record["agent"]) for record in records} == {
        ("mcp-stdio", "ann", "desk")
    }


def test_whoever_has_sent_everything_is_answered_before_the_end(folder: Path) -> None:
    with process(folder) as server:
        server.send(*begin(), call(2, "pay", {"order": 1}), call(3, "noisy", {}))
        ended, answers, log = server.end()

    assert ended == 0
    assert {answer["id"] for answer in answers} == {1, 2, 3}
    assert all("result" in answer for answer in answers)
    assert "noise" in log
    assert "more noise" in log
    assert "tgt_" not in log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_what_was_begun_is_settled(folder: Path, number: int) -> None:
    for name in ("began", "may_end"):
        os.mkfifo(folder / name)
    with process(folder) as server:
        server.send(*begin(), call(2, "hold", {"order": 1}))
        server.hear()
        with (folder / "began").open():
            pass
        server.process.send_signal(number)
        with (folder / "may_end").open("w"):
            pass
        ended, _, log = server.end()

    assert ended == 0, log
    (record,) = calls(folder)
    assert (record["status"], record["effect_state"], record["surface"]) == (
        "succeeded",
        "applied",
        "mcp-stdio",
    )


def test_a_client_that_is_gone_takes_no_effect_with_it(folder: Path) -> None:
    for name in ("began", "may_end"):
        os.mkfifo(folder / name)
    with process(folder) as server:
        server.send(*begin(), call(2, "hold", {"order": 1}))
        server.hear()
        with (folder / "began").open():
            pass
        assert server.process.stdout is not None
        assert server.process.stdin is not None
        server.process.stdout.close()
        server.process.stdin.close()
        with (folder / "may_end").open("w"):
            pass
        assert server.process.wait(PATIENCE * 2) == 0

    assert [(each["tool"], each["status"]) for each in calls(folder)] == [("hold", "succeeded")]


def test_nonsense_is_answered_as_nonsense_and_the_next_message_is_heard(folder: Path) -> None:
    twice = b'{"jsonrpc": "2.0", "id": 5, "id": 6, "method": "ping"}'
    with process(folder) as server:
        server.send(*begin())
        server.hear()
        found = []
        for line in (b"nonsense", b"\xff", b"{", b"[]", b"7", twice, b"{" + b" " * 1_100_000):
            server.send(line)
            answer = server.hear()
            assert answer["id"] is None
            found.append(answer["error"]["code"])
        server.send(b"", {"jsonrpc": "2.0", "id": 9, "method": "ping"})
        pong = server.hear()
        ended, _, _ = server.end()

    assert found == [-32700, -32700, -32700, -32600, -32600, -32700, -32700]
    assert pong == {"jsonrpc": "2.0", "id": 9, "result": {}}
    assert ended == 0


def test_a_credential_that_is_revoked_opens_nothing_more(folder: Path) -> None:
    with process(folder) as server:
        server.send(*begin())
        server.hear()
        (listed,) = json.loads(ran("tokens", "list", "--json", folder=folder).stdout)
        revoked = ran("tokens", "revoke", listed["token_id"], folder=folder)
        server.send(call(2, "pay", {"order": 1}))
        answer = server.hear()
        server.end()

    assert revoked.returncode == 0, revoked.stderr
    assert (answer["id"], answer["error"]["code"]) == (2, -32600)
    assert "revoked" in answer["error"]["message"]
    assert not (folder / "paid").exists()


def test_arguments_reach_the_gate_as_they_were_sent(folder: Path) -> None:
    line = (
        b'{"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "pay", "_meta": '
        b'{"dev.toolgate/workflow_id": "w"}, "arguments": {"order": 1, "order": 2}}}'
    )
    with process(folder) as server:
        server.send(*begin(), line, line.replace(b'"order": 2', b'"other": 1.0'))
        server.hear()
        answers = [server.hear(), server.hear()]
        server.end()

    words = [answer["result"]["structuredContent"]["message"] for answer in answers]
    assert any("order" in each and "twice" in each for each in words), words
    assert not (folder / "paid").exists()


def test_a_message_keeps_everything_but_arguments_that_cannot_be_read() -> None:
    kept = read(b'{"id": 1, "method": "tools/call", "params": {"name": "n", "arguments": {"a": 1.0}}}')
    cut = read(b'{"id": 1, "method": "tools/call", "params": {"name": "n", "arguments": {"a": NaN}}}')

    assert (kept.arguments, b"1.0" in kept.raw) == ({"a": 1.0}, True)
    assert cut.arguments == b'{"a": NaN}'
    assert json.loads(cut.raw) == {"id": 1, "method": "tools/call", "params": {"name": "n", "arguments": {}}}
    with pytest.raises(UnfitJson):
        read(b'{"id": 1, "params": {"a": 1, "a": 2}}')


def test_without_a_credential_nobody_is_served(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    without = CliRunner().invoke(app, ["serve", "--stdio"])
    monkeypatch.setenv("TOOLGATE_TOKEN", "tgt_nonsense")
    with_an_address = CliRunner().invoke(app, ["serve", "--stdio", "--listen", "127.0.0.1:0"])

    assert "set TOOLGATE_TOKEN to the token of whoever asks" in without.output + str(without.exception)
    assert "--stdio listens nowhere" in with_an_address.output + str(with_an_address.exception)
    (folder / "toolgate.toml").write_text('tools = ["wares:tools"]\n')
    assert code(["serve", "--stdio"]) == 2


@pytest.mark.parametrize(
    ("more", "words"), [((), "unknown, expired or revoked"), (("--scope", "approve"), "scope call")]
)
def test_a_credential_that_is_not_enough_ends_it_with_a_word(
    folder: Path, more: tuple[str, ...], words: str
) -> None:
    secret = token(folder, *more) if more else "tgt_nonsense"
    server = Process(folder, secret)
    ended, answers, log = server.end()

    assert (ended, answers) == (1, [])
    assert words in log


@pytest.mark.req("X3.12")
def test_a_host_that_starts_the_process_may_name_the_piece_of_work_of_calls_that_name_none(
    folder: Path,
) -> None:
    secret = token(folder)
    asked = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "pay", "arguments": {"order": 1}}},
        {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {
            "name": "pay", "arguments": {"order": 1}, "_meta": meta("another")}},
    ]  # fmt: skip
    served = subprocess.run(
        [*PROGRAM, "serve", "--stdio", "--workflow", "req_7"],
        cwd=folder,
        input="".join(json.dumps(message) + "\n" for message in asked),
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
        env=os.environ | {"TOOLGATE_TOKEN": secret},
        check=True,
    )

    answers = {said["id"]: said for said in map(json.loads, served.stdout.splitlines()) if "id" in said}
    assert [answers[id]["result"]["structuredContent"]["status"] for id in (2, 3)] == ["succeeded"] * 2
    assert sorted(row["workflow_id"] for row in calls(folder)) == ["another", "req_7"]


@pytest.mark.req("X3.12")
@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["serve", "--workflow", "req_7"], "--workflow is for --stdio"),
        (["serve", "--stdio", "--workflow", "a\nb"], "--workflow"),
    ],
)
def test_a_piece_of_work_that_cannot_be_named_so_is_refused_before_anything_is_served(
    words: list[str], why: str, folder: Path
) -> None:
    refused = ran(*words, folder=folder)

    assert refused.returncode == 2
    assert why in refused.stderr
    assert refused.stdout == ""
