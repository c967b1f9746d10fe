"""Each surface, as a way to send the same bytes and to hear what comes of them.

A way is opened for one case, with the credential of its caller, and answers with a function that asks once. Here: the
list, and the ways in the same process and over REST. Not here: what the suite expects of any of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from tests.surfaces import by_sdk, over_cli, over_mcp, over_stdio
from tests.surfaces.calling import MODEL, RATIONALE, calling
from tests.surfaces.stage import Ask, Heard, Stage
from tests.surfaces.table import Asked
from toolgate.domain.canonical import UnfitJson, parse_json

_JSON: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A surface that takes calls.

    Attributes:
        surface: what the trail calls it.
        open: opens it for the caller of a case.
        shut: cases that never reach the gate, because the surface bounds what a message may be before it is read; with
            the reason. Their senders are told so, nothing runs, and the trail knows no call.
        unsaid: cases that its clients cannot send, with the reason.
        by_its_clock: members of an outcome that hang on the clock, where the surface has one of its own.
    """

    surface: str
    open: Callable[[Stage, Asked], AbstractAsyncContextManager[Ask]]
    shut: Mapping[str, str] = field(default_factory=dict)
    unsaid: Mapping[str, str] = field(default_factory=dict)
    by_its_clock: frozenset[str] = frozenset()


@asynccontextmanager
async def in_process(stage: Stage, asked: Asked) -> AsyncIterator[Ask]:
    """A program in the same process, that hands on a dict where it has one."""

    async def ask(arguments: str) -> Heard:
        outcome = await stage.gateway.call(asked.tool, _read(arguments), **_said(asked))
        return Heard(outcome=dict(outcome.to_model()))

    yield ask


@asynccontextmanager
async def in_process_sync(stage: Stage, asked: Asked) -> AsyncIterator[Ask]:
    """A program without an event loop, in a thread of its own."""

    async def ask(arguments: str) -> Heard:
        outcome = await asyncio.to_thread(
            lambda: stage.gateway.call_sync(asked.tool, _read(arguments), **_said(asked))
        )
        return Heard(outcome=dict(outcome.to_model()))

    yield ask


def _said(asked: Asked) -> dict[str, Any]:
    return {
        "caller": asked.caller,
        "workflow": asked.workflow,
        "agent": asked.agent,
        "model": MODEL,
        "rationale": RATIONALE,
    }


def _read(arguments: str) -> Any:
    try:
        said = parse_json(arguments)
    except UnfitJson:
        return arguments.encode()
    return said if isinstance(said, dict) else arguments.encode()


@asynccontextmanager
async def over_rest(stage: Stage, asked: Asked) -> AsyncIterator[Ask]:
    """A client of the endpoints under ``/v1``."""
    workflow = "" if asked.workflow is None else f'"workflow_id": "{asked.workflow}", '
    address = f"/v1/tools/{quote(asked.tool, safe='')}/calls"

    async def ask(arguments: str) -> Heard:
        body = f'{{{workflow}"model": "{MODEL}", "rationale": "{RATIONALE}", "arguments": {arguments}}}'
        answer = await client.post(address, content=body.encode(), headers=_JSON)
        said = answer.json()
        if answer.status_code < 400:
            return Heard(outcome=said)
        return Heard(outcome=said.get("outcome"), error=answer.status_code)

    async with calling(stage, await stage.token(asked.caller, asked.agent)) as client:
        yield ask


REFERENCE: Final = Way(surface="python", open=in_process)
"""What all others are measured by."""

_LARGE: Final = {"larger than a message may be": "a body has at most 1 MiB (413)"}
_DEEP: Final = {
    "deeper than a message may be": "a body has at most 66 levels, counted before anything parses it (400)"
}
_DEEPER: Final = {
    "too deep": "with the two levels that JSON-RPC puts around arguments it has more than 66 (400)"
}

WAYS: Final[dict[str, Way]] = {
    "in process, without a loop": Way(surface="python", open=in_process_sync),
    "REST": Way(surface="rest", open=over_rest, shut=_LARGE | _DEEP),
    "command line": Way(
        surface="cli",
        open=over_cli.commands,
        unsaid=over_cli.UNSAID,
        by_its_clock=frozenset({"expires_at"}),
    ),
    "MCP over HTTP, 2026-07-28": Way(surface="mcp", open=over_mcp.modern, shut=_LARGE | _DEEP | _DEEPER),
    "MCP over HTTP, 2025-11-25": Way(surface="mcp", open=over_mcp.handshake, shut=_LARGE | _DEEP | _DEEPER),
    "MCP by the SDK's client, 2026-07-28": Way(surface="mcp", open=by_sdk.modern, unsaid=by_sdk.UNSAID),
    "MCP by the SDK's client, 2025-11-25": Way(surface="mcp", open=by_sdk.handshake, unsaid=by_sdk.UNSAID),
    "MCP over stdio, 2026-07-28": Way(
        surface="mcp-stdio",
        open=over_stdio.modern,
        shut={"larger than a message may be": "a line has at most 1 MiB (-32700)"},
    ),
    "MCP over stdio, 2025-11-25": Way(
        surface="mcp-stdio",
        open=over_stdio.handshake,
        shut={"larger than a message may be": "a line has at most 1 MiB (-32700)"},
    ),
}
"""Every surface that takes calls, beside the reference."""
