"""MCP as a client on the wire speaks it: messages as bytes, because a client's own JSON would mend what is broken.

Here: both eras over HTTP, what a message looks like, and how a result is read back into what a model is told. Not here:
stdio (``over_stdio``), and the SDK's own client (``by_sdk``).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from mcp.shared.inbound import encode_header_value

from tests.surfaces.calling import MODEL, RATIONALE, calling
from tests.surfaces.stage import Ask, Heard, Stage
from tests.surfaces.table import Asked

if TYPE_CHECKING:
    import httpx

MODERN: Final = "2026-07-28"
HANDSHAKE: Final = "2025-11-25"
CLIENT: Final = {"name": "suite", "version": "1"}
_JSON: Final = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
_OUTCOME: Final = "dev.toolgate/outcome"


@asynccontextmanager
async def modern(stage: Stage, asked: Asked) -> AsyncIterator[Ask]:
    """A client of 2026-07-28: no session, everything in each request."""
    headers = {
        **_JSON,
        "MCP-Protocol-Version": MODERN,
        "Mcp-Method": "tools/call",
        "Mcp-Name": encode_header_value(asked.tool),
    }

    async def ask(arguments: str) -> Heard:
        message = call_message(asked, arguments, number=1, envelope=True)
        return heard(answer_in(await client.post("/mcp", content=message, headers=headers)))

    async with calling(stage, await stage.token(asked.caller, asked.agent)) as client:
        yield ask


@asynccontextmanager
async def handshake(stage: Stage, asked: Asked) -> AsyncIterator[Ask]:
    """A client of 2025-11-25: a session, opened once and ended when it leaves."""
    async with calling(stage, await stage.token(asked.caller, asked.agent)) as client:
        opening = await client.post("/mcp", content=initialize_message(), headers=_JSON)
        assert answer_in(opening)["result"]["protocolVersion"] == HANDSHAKE
        session = {
            **_JSON,
            "Mcp-Session-Id": opening.headers["Mcp-Session-Id"],
            "MCP-Protocol-Version": HANDSHAKE,
        }
        told = await client.post("/mcp", content=INITIALIZED, headers=session)
        assert told.status_code == 202
        number = 1

        async def ask(arguments: str) -> Heard:
            nonlocal number
            number += 1
            message = call_message(asked, arguments, number=number, envelope=False)
            return heard(answer_in(await client.post("/mcp", content=message, headers=session)))

        yield ask
        await client.delete("/mcp", headers=session)


INITIALIZED: Final = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'


def initialize_message() -> bytes:
    """The first word of a client of the handshake era."""
    params = {"protocolVersion": HANDSHAKE, "capabilities": {}, "clientInfo": CLIENT}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params}).encode()


def call_message(asked: Asked, arguments: str, *, number: int, envelope: bool) -> bytes:
    """``tools/call`` with ``arguments`` as they are."""
    meta = json.dumps(meta_of(asked) | (ENVELOPE if envelope else {}))
    return (
        f'{{"jsonrpc":"2.0","id":{number},"method":"tools/call",'
        f'"params":{{"name":{json.dumps(asked.tool)},"arguments":{arguments},"_meta":{meta}}}}}'
    ).encode()


ENVELOPE: Final = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": CLIENT,
    "io.modelcontextprotocol/clientCapabilities": {},
}


def meta_of(asked: Asked) -> dict[str, Any]:
    """What the host application says beside a call."""
    workflow = {} if asked.workflow is None else {"dev.toolgate/workflow_id": asked.workflow}
    return workflow | {"dev.toolgate/model": MODEL, "dev.toolgate/rationale": RATIONALE}


def answer_in(response: httpx.Response) -> dict[str, Any]:
    """The one JSON-RPC answer in a response, which is JSON or a stream of events."""
    if response.headers["Content-Type"].startswith("application/"):
        answer = response.json()
    else:
        said = [line[len("data:") :] for line in response.text.splitlines() if line.startswith("data:")]
        (answer,) = [json.loads(data) for data in said if data.strip()]
    assert isinstance(answer, dict), answer
    return answer


def heard(answer: Mapping[str, Any]) -> Heard:
    """What a JSON-RPC answer tells."""
    if "error" in answer:
        return Heard(outcome=None, error=answer["error"]["code"])
    if "result" not in answer:
        # Problem details (RFC 9457): the message went no further than the HTTP server.
        return Heard(outcome=None, error=answer["status"])
    return Heard(outcome=outcome_in(answer["result"]))


def outcome_in(result: Mapping[str, Any]) -> dict[str, Any]:
    """The outcome that a ``CallToolResult`` tells, in each of the ways that it tells it.

    A client may read either of ``structuredContent`` and text, and shows ``isError`` as it likes: all say the same.
    """
    told: dict[str, Any]
    if _OUTCOME in result.get("_meta", {}):
        told = {**result["_meta"][_OUTCOME], "result": {"content": result["content"]}}
        assert "structuredContent" not in result
    else:
        (block,) = result["content"]
        told = json.loads(block["text"])
        assert block["type"] == "text"
        assert result["structuredContent"] == told
    assert result.get("isError", False) == (told["status"] in {"refused", "failed", "unknown"})
    return told
