"""What the clients of other makers find, over HTTP and over stdio: all of them the same, and the same in the trail."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mcp.peers.clients import CLIENTS, Answer, Call, Over, Talk
from tests.mcp.peers.shop import ANA, TOOLS
from tests.mcp.served import Served
from toolgate import Gateway
from toolgate.operations.tokens import create_token

ROOT = Path(__file__).parent.parent.parent.parent
CALLS = [
    Call(name="read_order", arguments={"order_id": 7}, meta={"dev.toolgate/workflow_id": "case-9"}),
    Call(name="read_order", arguments={"order_id": 0, "more": True}),
    Call(name="refund", arguments={"order_id": 7}),
    Call(name="count", heard=True),
    Call(name="fail"),
    Call(name="close_shop"),
    Call(name="never_was"),
]
ERAS: dict[str, str] = {
    "mcp.Client": "2026-07-28",
    "mcp.Client-handshake": "2025-11-25",
    "typescript-v1": "2025-11-25",
    "typescript-v2": "2026-07-28",
    "typescript-v2-handshake": "2025-11-25",
}
"""What each client agrees upon with us; FastMCP's does not say."""
FRESH = {"call_id", "approval_id", "expires_at", "message"}
"""What is new in each answer, or put in words."""
FOUND: list[dict[str, Any]] = [
    {"ok": True, "status": "succeeded", "effect": "none", "result": {"order_id": 7, "lines": ["a lamp"]}},
    {"ok": False, "status": "refused", "effect": "none", "error_type": "invalid_arguments", "isError": True},
    {"ok": False, "status": "pending_approval", "effect": "none"},
    {"ok": True, "status": "succeeded", "effect": "none", "result": 3},
    {
        "ok": False,
        "status": "failed",
        "effect": "none",
        "error_type": "tool_error",
        "code": "closed",
        "isError": True,
    },
    # What one may not see and what never was are answered alike.
    {"error": -32602},
    {"error": -32602},
]


def plain(answer: Answer) -> dict[str, Any]:
    """An answer without what is new in each, and without advice, which follows from the rest."""
    if answer.code is not None:
        return {"error": answer.code}
    known = {key: value for key, value in answer.structured.items() if key not in FRESH | {"advice"}}
    return {**known, "isError": True} if answer.is_error else known


def calls_in(records: list[bytes]) -> list[tuple[str, str, str, str]]:
    """Of each call in the trail: its tool, its surface, whose it was, and what became of it."""
    found: dict[str, tuple[str, str, str, str]] = {}
    for row in map(json.loads, records):
        if row["event"] == "llm_tool_call":
            what = row["gen_ai.tool.name"], row["toolgate.surface"], row["user.id"], row["toolgate.status"]
            found[row["toolgate.call.id"]] = what
    return list(found.values())


def judge(talk: Talk, records: list[bytes], *, surface: str) -> None:
    """What every client has to find, and what the trail has to say of it."""
    assert talk.tools == ("count", "fail", "read_order", "refund", "get_call")
    assert [plain(answer) for answer in talk.answers] == FOUND
    # The TypeScript clients drop what they read in one piece with the result; what is heard is in order and true.
    heard = list(talk.answers[3].heard)
    assert heard == sorted(set(heard) & {(1, 3), (2, 3), (3, 3)})
    assert [json.loads(block["text"]) for block in talk.answers[0].content] == [talk.answers[0].structured]
    assert calls_in(records) == [
        (call.name, surface, ANA.id, found.get("status", "refused"))
        for call, found in zip(CALLS, FOUND, strict=True)
    ]


async def records_of(gateway: Gateway) -> list[bytes]:
    return [row.record async for row in gateway.store.records()]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with Served(tmp_path, TOOLS) as served:
        yield served


@pytest.mark.req("X3.35")
@pytest.mark.parametrize("name", CLIENTS)
async def test_over_http_a_client_of_another_maker_finds_what_every_client_finds(
    name: str, served: Served
) -> None:
    talk = await CLIENTS[name](Over(url=served.url, token=served.token(ANA)), CALLS)

    judge(talk, served.run(lambda: records_of(served.gateway)), surface="mcp")
    assert talk.protocol == ERAS.get(name)


@pytest.fixture
async def command(tmp_path: Path) -> Over:
    """``toolgate serve --stdio`` before the shop, as ``ANA``, who is known by her token alone."""
    config = tmp_path / "toolgate.toml"
    config.write_text(
        f'tools = ["tests.mcp.peers.shop:TOOLS"]\nstore = "sqlite:///{tmp_path}/gate.db"\n', "utf-8"
    )
    async with Gateway.from_config(config) as gateway:
        world = gateway.world
        made = await create_token(world.store, world.keys, world.ids, caller=ANA, lasting=3600.0, by="test")
    return Over(
        command=(sys.executable, "-m", "toolgate", "serve", "--stdio", "--config", str(config)),
        env={"TOOLGATE_TOKEN": made.secret, "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
    )


@pytest.mark.req("X3.36")
@pytest.mark.parametrize("name", CLIENTS)
async def test_over_stdio_a_client_of_another_maker_finds_what_every_client_finds(
    name: str, command: Over, tmp_path: Path
) -> None:
    talk = await CLIENTS[name](command, CALLS)

    async with Gateway.from_config(tmp_path / "toolgate.toml") as gateway:
        judge(talk, await records_of(gateway), surface="mcp-stdio")
