"""Real clients of other makers, each reduced to one function: connect, list the tools, make these calls, and leave.

What each of them answers is brought into one form, so that a test can say once what all of them have to find. Not here:
what is served, and what is expected.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import fastmcp
import httpx2
from fastmcp.client.transports import StdioTransport as FastStdio
from fastmcp.client.transports import StreamableHttpTransport as FastHttp
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from tests.mcp.node import provide

SCRIPT: Final = Path(__file__).with_name("client.mjs")
PATIENCE: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Over:
    """How a server is reached: at ``url`` with ``token``, or as ``command`` with ``env``."""

    url: str | None = None
    token: str = ""
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call. ``heard``: whether it asks for progress."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)
    heard: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a client got: a result, or the code of a protocol error."""

    code: int | None = None
    is_error: bool = False
    structured: Any = None
    content: tuple[Mapping[str, Any], ...] = ()
    heard: tuple[tuple[float, float | None], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """One connection from its beginning to its end."""

    protocol: str | None
    tools: tuple[str, ...]
    answers: tuple[Answer, ...]


Speaks = Callable[[Over, list[Call]], Awaitable[Talk]]


def _sdk(mode: Any) -> Speaks:
    """``mcp.Client``."""

    async def speak(over: Over, calls: list[Call]) -> Talk:
        if over.url is None:
            command, *args = over.command
            server: Any = StdioServerParameters(command=command, args=args, env=dict(over.env))
            async with Client(server, mode=mode, read_timeout_seconds=PATIENCE) as client:
                return await _told(client, calls)
        async with (
            httpx2.AsyncClient(headers=over.headers, timeout=PATIENCE) as http,
            Client(
                streamable_http_client(over.url, http_client=http), mode=mode, read_timeout_seconds=PATIENCE
            ) as client,
        ):
            return await _told(client, calls)

    return speak


async def _told(client: Client, calls: list[Call]) -> Talk:
    tools = [tool.name for tool in (await client.list_tools()).tools]
    answers = []
    for call in calls:
        heard: list[tuple[float, float | None]] = []
        meta: Any = dict(call.meta) or None
        told = _keeping(heard) if call.heard else None
        try:
            result = await client.call_tool(
                call.name, dict(call.arguments), meta=meta, progress_callback=told
            )
        except MCPError as error:
            answers.append(Answer(code=error.error.code))
            continue
        answers.append(_read(result.model_dump(mode="json", by_alias=True, exclude_none=True), heard))
    return Talk(protocol=client.protocol_version, tools=tuple(tools), answers=tuple(answers))


def _keeping(heard: list[tuple[float, float | None]]) -> Any:
    """What both Python clients call with each progress notification."""

    async def keep(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, total))

    return keep


def _fastmcp(mode: Any) -> Speaks:
    """FastMCP's client."""

    async def speak(over: Over, calls: list[Call]) -> Talk:
        if over.url is None:
            command, *args = over.command
            way: Any = FastStdio(command, args, env=dict(over.env), keep_alive=False)
        else:
            way = FastHttp(over.url, headers=over.headers)
        async with fastmcp.Client(way, mode=mode, timeout=PATIENCE) as client:
            tools = [tool.name for tool in await client.list_tools()]
            answers = []
            for call in calls:
                heard: list[tuple[float, float | None]] = []
                told = _keeping(heard) if call.heard else None
                try:
                    result = await client.call_tool_mcp(
                        call.name, dict(call.arguments), progress_handler=told, meta=dict(call.meta) or None
                    )
                except MCPError as error:
                    answers.append(Answer(code=error.error.code))
                    continue
                answers.append(_read(result.model_dump(mode="json", by_alias=True, exclude_none=True), heard))
            return Talk(protocol=None, tools=tuple(tools), answers=tuple(answers))

    return speak


def _typescript(sdk: int, mode: str) -> Speaks:
    """The official TypeScript clients, in a process of their own."""

    async def speak(over: Over, calls: list[Call]) -> Talk:
        asked: dict[str, Any] = {"sdk": sdk, "mode": mode}
        if over.url is None:
            command, *args = over.command
            asked |= {"command": command, "args": args, "env": dict(over.env)}
        else:
            asked |= {"url": over.url, "headers": over.headers}
        asked["calls"] = [
            {
                "name": call.name,
                "arguments": dict(call.arguments),
                "progress": call.heard,
                **({"_meta": dict(call.meta)} if call.meta else {}),
            }
            for call in calls
        ]
        said = await run_node(str(SCRIPT), str(provide.INSTALLED), json.dumps(asked))
        found = json.loads(said)
        return Talk(
            protocol=found.get("protocol"),
            tools=tuple(tool["name"] for tool in found["tools"]),
            answers=tuple(_of_script(answer) for answer in found["answers"]),
        )

    return speak


def _of_script(answer: Mapping[str, Any]) -> Answer:
    if "error" in answer:
        return Answer(code=answer["error"]["code"])
    return _read(answer["result"], [(step["progress"], step.get("total")) for step in answer["heard"]])


def _read(result: Mapping[str, Any], heard: list[tuple[float, float | None]]) -> Answer:
    return Answer(
        is_error=result.get("isError", False),
        structured=result.get("structuredContent"),
        content=tuple(result["content"]),
        heard=tuple(heard),
    )


async def run_node(*arguments: str) -> str:
    """What a program on our Node printed; a failure shows what it complained of."""
    process = await asyncio.create_subprocess_exec(
        provide.node(),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=provide.environment(),
    )
    async with asyncio.timeout(PATIENCE):
        said, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    return said.decode()


CLIENTS: Final[Mapping[str, Speaks]] = {
    "mcp.Client": _sdk("auto"),
    "mcp.Client-handshake": _sdk("legacy"),
    "fastmcp.Client": _fastmcp("auto"),
    "fastmcp.Client-handshake": _fastmcp("legacy"),
    "typescript-v1": _typescript(1, "legacy"),
    "typescript-v2": _typescript(2, "auto"),
    "typescript-v2-handshake": _typescript(2, "legacy"),
}
"""Every client that is talked to, by name."""
