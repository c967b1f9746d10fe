"""The gate's connection to upstreams, as the client under test; the suite plays a server for each scenario.

What is done here is what the gate does with an upstream: connect, read the list, call tools of the list. Only where a
scenario takes a person is one played. Not here: the suite itself (``suite``), and how a person signs in (``sign_in``).
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from tests.mcp.conformance.sign_in import SignsIn
from toolgate.adapters.clock import SystemClock
from toolgate.adapters.upstreams.connection import (
    ConnectionFailure,
    ListOutdated,
    RpcError,
    open_connection,
)
from toolgate.domain.upstream.settings import HttpSettings

SECONDS: Final = 60.0
"""Real seconds that a scenario has, beside all the others."""
ASKS_A_PERSON: Final = frozenset({"elicitation-sep1034-client-defaults", "sep-2322-client-request-state"})
"""Where the server asks something of our user. The gate has none and declines; here somebody fills in a form."""


async def agreeing(method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
    """Somebody who leaves each form as it is and sends it."""
    fields = params.get("requestedSchema", {}).get("properties", {})
    filled = {name: field["default"] for name, field in fields.items() if "default" in field}
    return {"action": "accept", "content": filled}


def arguments_for(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that a tool has to have, of the right type."""
    made = {
        "string": "text",
        "number": 1.5,
        "integer": 1,
        "boolean": True,
        "array": [],
        "object": {},
        "null": None,
    }
    fields = schema.get("properties", {})
    return {name: made[fields[name].get("type", "string")] for name in schema.get("required", [])}


def calls(
    context: Mapping[str, Any], listed: Iterable[Mapping[str, Any]]
) -> list[tuple[str, dict[str, Any]]]:
    """What is called: what the suite asks for, or else every tool that is usable."""
    if "toolCalls" in context:
        return [(call["name"], call["arguments"]) for call in context["toolCalls"]]
    return [(tool["name"], arguments_for(tool["inputSchema"])) for tool in listed]


async def play(url: str, scenario: str, context: Mapping[str, Any]) -> str | None:
    """Do as the gate does with the upstream at ``url``. What went wrong, in words; None where nothing did."""
    asked = scenario in ASKS_A_PERSON
    connection = open_connection(
        HttpSettings(url=url, connect_timeout=SECONDS),
        name=scenario,
        on_tools_changed=lambda: None,
        clock=SystemClock(),
        authorizer=SignsIn(url, context) if scenario.startswith("auth/") else None,
        answering=agreeing if asked else None,
        capabilities={"elicitation": {}} if asked else None,
    )
    try:
        for name, arguments in calls(context, await connection.tools()):
            try:
                try:
                    await connection.call(name, arguments, seconds=SECONDS, meta={}, progress=None)
                except ListOutdated:
                    await connection.tools()
                    await connection.call(name, arguments, seconds=SECONDS, meta={}, progress=None)
            except RpcError as refused:
                print(f"{scenario}: {name}: {refused}", file=sys.stderr)  # noqa: T201 - for whoever reads a failure
    except ConnectionFailure as failure:
        return f"{failure}; {connection.state()}"
    finally:
        await connection.close()
    return None


class Players:
    """Plays every client that the suite starts, all of them in this loop; ``command`` is what the suite starts."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self.command = f"{sys.executable} -S {Path(__file__).with_name('ask.py')} {socket}"

    @asynccontextmanager
    async def playing(self) -> AsyncIterator[str]:
        """Take requests during the block; gives the command."""
        server = await asyncio.start_unix_server(self._asked, self._socket)
        async with server:
            yield self.command

    async def _asked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = json.loads(await reader.readline())
        said = await play(asked["url"], asked["scenario"], json.loads(asked["context"]))
        writer.write(json.dumps({"code": int(said is not None), "said": said or ""}).encode() + b"\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
