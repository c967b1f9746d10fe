"""The same business as an MCP server that knows no rule, on loopback, in a thread; and a gate in front of it.

The contracts are given to it from outside: an overlay for each tool says what ``business`` says in Python, as far as an
overlay can. Not here: what is expected of it (``test_through_an_upstream``).
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import uvicorn
from mcp.server.lowlevel import Server
from mcp_types import (
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
)
from mcp_types import Tool as ListedTool
from pydantic import BaseModel

from tests.surfaces.business import BLINK, TOOLS, business
from toolgate import Content
from toolgate.bootstrap.upstreams import LOCK_FILE
from toolgate.domain.upstream.definition import Definition
from toolgate.domain.upstream.lock import Lock, PinnedTool

PREFIX: Final = "back_"
"""What the gate in front puts before the name of each tool."""

OVERLAYS: Final[dict[str, dict[str, Any]]] = {
    "refund": {
        "effect": "write",
        "idempotency": "refund:{order}:{workflow_id}",
        "approval": {
            "approvers": ["lead"],
            "when": {"cents": {"gt": 1000}},
            "expires_in": "1h",
            "risk": "high",
        },
    },
    "move": {"effect": "write", "idempotency": "move:{order}", "sensitive": ["card"]},
    "lost": {"effect": "write", "idempotency": "lost:{order}"},
    "stuck": {"effect": "write", "idempotency": "stuck:{order}", "timeout": BLINK},
    "closed": {"effect": "write", "idempotency": "closed:{order}", "error_effect": "none"},
    "charge": {"effect": "write", "idempotency": "charge:{order}", "error_effect": "none"},
    "wrongly": {"effect": "write", "idempotency": "wrongly:{order}"},
    "notes": {"effect": "read"},
    "look": {"effect": "read"},
    "never": {"effect": "read", "timeout": BLINK},
    "broken": {"effect": "read"},
    "wrong": {"effect": "read"},
    "big": {"effect": "read", "result_size": 1000},
    "leaky": {"effect": "read"},
    "picture": {"effect": "read"},
    "film": {"effect": "read", "result_size": 1000},
    "rarely": {"effect": "read", "rate_limit": "2/minute"},
    "survey": {"effect": "read", "timeout": 60, "job": True},
    "restock": {
        "effect": "write",
        "timeout": 60,
        "job": True,
        "idempotency": "restock:{order}:{workflow_id}",
        "approval": {"approvers": ["lead"], "when": {"cents": {"gt": 1000}}, "expires_in": "1h"},
    },
}
"""What the gate in front is told of each tool."""
DEFAULTS: Final = {
    "roles": ["clerk"],
    "timeout": 5,
    "external": False,
    "result_trust": "trusted",
}


def mcp_server() -> Server[Any]:
    """The business over MCP. It validates nothing, and answers whoever asks."""

    async def list_tools(context: Any, params: Any) -> ListToolsResult:
        listed = [ListedTool.model_validate(_listed(each.contract)) for each in TOOLS]
        return ListToolsResult(tools=listed)

    async def call_tool(context: Any, params: CallToolRequestParams) -> CallToolResult:
        given = dict(params.arguments or {})
        try:
            answer = await getattr(business, params.name)(**given)
        except Exception as fault:  # noqa: BLE001 - as every SDK tells it
            return CallToolResult(content=[TextContent(text=str(fault))], is_error=True)
        return CallToolResult.model_validate(_answered(answer))

    server: Server[Any] = Server("business", version="1")
    server.add_request_handler("tools/list", PaginatedRequestParams, list_tools)
    server.add_request_handler("tools/call", CallToolRequestParams, call_tool)
    return server


def _listed(contract: Any) -> dict[str, Any]:
    own = {"name": contract.name, "description": contract.description}
    given = _plain(contract.input_schema)
    if contract.name in {"picture", "film"}:
        return own | {"inputSchema": given}
    return own | {"inputSchema": given, "outputSchema": _plain(contract.output_schema)}


def _plain(schema: Any) -> Any:
    return json.loads(json.dumps(schema, default=dict))


def _answered(answer: Any) -> dict[str, Any]:
    if isinstance(answer, Content):
        return {"content": answer.model_dump(mode="json")["content"]}
    body = answer.model_dump(mode="json") if isinstance(answer, BaseModel) else answer
    return {"content": [{"type": "text", "text": json.dumps(body)}], "structuredContent": body}


@contextmanager
def served() -> Iterator[str]:
    """The server, at its address, until the block ends."""
    ready: Future[str] = Future()
    stop = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serving(ready, stop)), name="business")
    thread.start()
    try:
        yield ready.result(60)
    finally:
        stop.set()
        thread.join(60)


async def _serving(ready: Future[str], stop: threading.Event) -> None:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    app = mcp_server().streamable_http_app(json_response=True)
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1)
    )
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started:  # noqa: ASYNC110 - it sets a flag and no event
        await asyncio.sleep(0)
    ready.set_result(f"http://127.0.0.1:{listening.getsockname()[1]}/mcp")
    await asyncio.to_thread(stop.wait)
    server.should_exit = True
    await serving


def configured(url: str, folder: Path) -> Path:
    """A configuration whose only tools are those at ``url``, all of them pinned."""
    config = folder / "toolgate.toml"
    sections = [
        'store = "sqlite:///gate.db"',
        f"[upstreams.{PREFIX.rstrip('_')}]",
        f"url = {json.dumps(url)}",
        f"defaults = {_inline(DEFAULTS)}",
        *(
            f"[upstreams.{PREFIX.rstrip('_')}.tools.{name}]\n"
            + "\n".join(f"{key} = {_inline(value)}" for key, value in said.items())
            for name, said in OVERLAYS.items()
        ),
    ]
    config.write_text("\n".join(sections), encoding="utf-8")
    (folder / LOCK_FILE).write_text(_lock(), encoding="utf-8")
    return config


@cache
def _lock() -> str:
    """Everything that the server lists, pinned as it is."""
    definitions = [Definition.of(_listed(each.contract)) for each in TOOLS]
    pinned = [PinnedTool(definition=made) for made in definitions if isinstance(made, Definition)]
    assert len(pinned) == len(TOOLS)
    return Lock().with_tools(PREFIX.rstrip("_"), pinned).text()


def _inline(value: Any) -> str:
    """A value of TOML on one line."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_inline(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)
