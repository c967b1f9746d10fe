"""The SDK's own client, as an application uses it: it holds each result against the schema that it was listed with.

Not here: what it cannot say, because its own JSON is strict (``over_mcp`` sends bytes).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from tests.surfaces.over_mcp import MODERN, meta_of, outcome_in
from tests.surfaces.stage import Ask, Heard, Stage
from tests.surfaces.table import CASES, Asked
from toolgate.domain.canonical import UnfitJson, parse_json

if TYPE_CHECKING:
    from mcp_types import RequestParamsMeta


@asynccontextmanager
async def modern(stage: Stage, asked: Asked) -> AsyncIterator[Ask]:
    """A client that speaks 2026-07-28."""
    async with _over_http(stage, asked, mode=MODERN) as ask:
        yield ask


@asynccontextmanager
async def handshake(stage: Stage, asked: Asked) -> AsyncIterator[Ask]:
    """A client that opens a session."""
    async with _over_http(stage, asked, mode="legacy") as ask:
        yield ask


@asynccontextmanager
async def _over_http(stage: Stage, asked: Asked, *, mode: str) -> AsyncIterator[Ask]:
    token = await stage.token(asked.caller, asked.agent)
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=stage.app),
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    ) as http:
        transport = streamable_http_client(f"{stage.office.settings.public_url}/mcp", http_client=http)
        async with Client(transport, mode=mode) as client:

            async def ask(arguments: str) -> Heard:
                return await called(client, asked, arguments)

            yield ask


async def called(client: Client, asked: Asked, arguments: str) -> Heard:
    """What ``client`` is told."""
    given, meta = parse_json(arguments), meta_of(asked)
    assert isinstance(given, dict)
    try:
        result = await client.call_tool(asked.tool, dict(given), meta=_typed(meta))
    except MCPError as refused:
        return Heard(outcome=None, error=refused.error.code)
    return Heard(outcome=outcome_in(result.model_dump(mode="json", by_alias=True, exclude_none=True)))


def _typed(meta: dict[str, Any]) -> RequestParamsMeta:
    return meta  # type: ignore[return-value]


def _says(arguments: str) -> bool:
    try:
        return isinstance(parse_json(arguments), dict)
    except UnfitJson:
        return False


UNSAID: Final = {
    name: "its client takes a dict and writes strict JSON"
    for name, asked in CASES.items()
    if not all(map(_says, asked.arguments))
}
