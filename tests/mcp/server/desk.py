"""The desk of the REST tests, with ``/mcp`` beside REST, behind the server that ships, on a port of loopback.

Not here: what is expected of any of it; each test says that.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import httpx
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.inbound import encode_header_value

from tests.rest.desk import ANN, DAY, SETTINGS, Business
from toolgate import Caller, Gateway, Tool
from toolgate.domain.principal import EVERY_SCOPE, Scope
from toolgate.operations.tokens import create_token
from toolgate.surfaces.http.app import build_app
from toolgate.surfaces.http.office import Office, open_office
from toolgate.surfaces.http.server import Server
from toolgate.surfaces.mcp.handlers import Around
from toolgate.surfaces.mcp.http import McpHttp
from toolgate.surfaces.rest.endpoints import routes as rest_routes
from toolgate.testing import FakeClock

MODERN: Final = "2026-07-28"
LEGACY: Final = "2025-11-25"
MODES: Final = ("legacy", MODERN)
PATIENCE: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A server that takes requests at ``url``."""

    gateway: Gateway
    office: Office
    business: Business
    folder: Path
    url: str
    clock: FakeClock | None

    async def token(
        self,
        caller: Caller = ANN,
        *,
        agent: str | None = None,
        owner: str = "dev-owner",
        scopes: frozenset[Scope] = EVERY_SCOPE,
        lasting: float = DAY,
    ) -> str:
        """A credential of ``caller``."""
        return await token_of(self.gateway, caller, agent=agent, owner=owner, scopes=scopes, lasting=lasting)

    @asynccontextmanager
    async def client(
        self,
        caller: Caller | str = ANN,
        mode: str = MODERN,
        *,
        headers: dict[str, str] | None = None,
        **given: Any,
    ) -> AsyncIterator[Client]:
        """A real client with a credential of ``caller``, or with that token."""
        token = caller if isinstance(caller, str) else await self.token(caller)
        sent = {"Authorization": f"Bearer {token}", **(headers or {})}
        async with (
            httpx2.AsyncClient(headers=sent, timeout=PATIENCE) as http,
            Client(
                streamable_http_client(f"{self.url}/mcp", http_client=http),
                mode=mode,
                read_timeout_seconds=PATIENCE,
                **given,
            ) as client,
        ):
            yield client

    @asynccontextmanager
    async def raw(self, token: str | None) -> AsyncIterator[httpx.AsyncClient]:
        """Whoever speaks HTTP by hand."""
        headers = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        async with httpx.AsyncClient(base_url=self.url, headers=headers, timeout=PATIENCE) as client:
            yield client

    async def trail(self) -> list[dict[str, Any]]:
        """What the trail says of calls."""
        records = [json.loads(row.record) async for row in self.gateway.store.records()]
        return [record for record in records if record["event"] == "llm_tool_call"]


async def token_of(
    gateway: Gateway,
    caller: Caller,
    *,
    agent: str | None = None,
    owner: str = "dev-owner",
    scopes: frozenset[Scope] = EVERY_SCOPE,
    lasting: float = DAY,
) -> str:
    """A credential of ``caller``."""
    world = gateway.world

    async def make(_: Any) -> str:
        new = await create_token(
            world.store,
            world.keys,
            world.ids,
            caller=caller,
            lasting=lasting,
            by="setup",
            scopes=scopes,
            agent=agent,
            owner=None if agent is None else owner,
        )
        return new.secret

    return await gateway.operate(make)


@asynccontextmanager
async def opened(
    folder: Path,
    *,
    more: Iterable[Tool[Any, Any]] = (),
    around: Around | None = None,
    tools: Iterable[Tool[Any, Any]] | None = None,
    issuers: tuple[str, ...] = (),
    clock: FakeClock | None = None,
    **settings: Any,
) -> AsyncIterator[Desk]:
    """The desk over ``folder/gate.db``; it keeps house as a server does, but for a ``clock`` that stands still."""
    if clock is not None:
        settings |= {"clock": clock, "housekeeping": None}
    business = Business()
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    listening.setblocking(False)
    host = f"127.0.0.1:{listening.getsockname()[1]}"
    known = replace(SETTINGS, public_url=f"http://{host}", names=frozenset({host}), issuers=issuers)
    behind = [*business.tools(), *more] if tools is None else list(tools)
    async with Gateway(behind, store=f"sqlite:///{folder / 'gate.db'}", **settings) as gateway:
        office = open_office(gateway, known)
        mcp = McpHttp(office, around=around)
        app = build_app(office, routes=[*mcp.routes(), *rest_routes(office)])
        ready = asyncio.Event()
        server = Server(app, office.closing, when_open=ready.set)
        async with mcp.running():
            serving = asyncio.create_task(server.serve(sockets=[listening]))
            await ready.wait()
            try:
                yield Desk(
                    gateway=gateway,
                    office=office,
                    business=business,
                    folder=folder,
                    url=f"http://{host}",
                    clock=clock,
                )
            finally:
                business.proceed.set()
                server.should_exit = True
                await serving


def meta(workflow: str | None = "wf", **more: Any) -> Any:
    """The `_meta` of a call, of the type that the client wants it to be."""
    return {**({} if workflow is None else {"dev.toolgate/workflow_id": workflow}), **more}


class ByHand:
    """Messages as bytes, of one era, for what no well-behaved client sends."""

    def __init__(self, http: httpx.AsyncClient, mode: str) -> None:
        self.http = http
        self.mode = mode
        self._session: dict[str, str] = {}

    async def begin(self) -> None:
        """The handshake, where the era has one."""
        if self.mode != "legacy":
            return
        params = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        answer = await self.http.post("/mcp", json=_message("initialize", params))
        assert answer.status_code == 200, answer.text
        self._session = {"Mcp-Session-Id": answer.headers["mcp-session-id"], "MCP-Protocol-Version": LEGACY}
        done = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        assert (await self.http.post("/mcp", json=done, headers=self._session)).status_code == 202

    def headers(self, method: str = "tools/call", name: str | None = None) -> dict[str, str]:
        """What the era wants beside a message."""
        if self.mode == "legacy":
            return dict(self._session)
        named = {} if name is None else {"Mcp-Name": encode_header_value(name)}
        return {"MCP-Protocol-Version": MODERN, "Mcp-Method": method, **named}

    def call(self, name: str, arguments: str, said: dict[str, Any] | None = None, id: int = 7) -> bytes:
        """A call whose arguments are these bytes."""
        beside = {**(meta() if said is None else said), **(ENVELOPE if self.mode != "legacy" else {})}
        params = f'{{"name": {json.dumps(name)}, "_meta": {json.dumps(beside)}, "arguments": {arguments}}}'
        return f'{{"jsonrpc": "2.0", "id": {id}, "method": "tools/call", "params": {params}}}'.encode()

    async def ask(
        self,
        name: str,
        arguments: str,
        said: dict[str, Any] | None = None,
        *,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """The JSON-RPC answer to a call."""
        answer = await self.post(self.call(name, arguments, said), name=name, headers=headers)
        return told(answer)

    async def post(
        self, body: bytes, name: str | None = None, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Send a call's bytes."""
        sent = {**self.headers(name=name), **(headers or {})}
        return await self.http.post("/mcp", content=body, headers=sent)


ENVELOPE: Final = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


def _message(method: str, params: dict[str, Any]) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def told(answer: httpx.Response) -> dict[str, Any]:
    """The one JSON-RPC answer, as JSON or as the last event of a stream."""
    if answer.headers["content-type"].startswith("text/event-stream"):
        events = [
            line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")
        ]
        return dict(json.loads(events[-1]))
    return dict(answer.json())


@asynccontextmanager
async def by_hand(desk: Desk, mode: str, token: str) -> AsyncIterator[ByHand]:
    """Somebody who speaks the protocol by hand."""
    async with desk.raw(token) as http:
        hand = ByHand(http, mode)
        await hand.begin()
        yield hand
