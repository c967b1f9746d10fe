"""A gateway with an office before it, routes that a test brings, and a client that needs no socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import httpx
from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from toolgate import Approval, Caller, Gateway, Tool, tool
from toolgate.domain.principal import Principal
from toolgate.operations.tokens import create_token
from toolgate.surfaces.http.app import build_app
from toolgate.surfaces.http.metrics import Metrics
from toolgate.surfaces.http.office import Office, open_office
from toolgate.surfaces.http.problems import not_signed_in
from toolgate.surfaces.http.settings import ServerSettings
from toolgate.testing import FakeClock, FaultyStore, MemoryStore

ANA = Caller("u-ana", roles={"support"}, tenant="acme")
LEO = Caller("u-leo", roles={"lead"}, tenant="acme")
BASE = "http://127.0.0.1:8080"
SETTINGS = ServerSettings(
    host="127.0.0.1",
    port=8080,
    public_url=BASE,
    names=frozenset({"127.0.0.1:8080", "localhost:8080"}),
    local=True,
)


@tool(effect="read", roles={"support"}, timeout=5.0)
async def read_order(order_id: Annotated[int, Field(gt=0)]) -> int:
    """Read one order."""
    return order_id


@tool(effect="read", roles={"support"}, timeout=5.0, approval=Approval(approvers={"lead"}))
async def open_file(order_id: Annotated[int, Field(gt=0)]) -> int:
    """Open the file of one order, which a lead agrees to first."""
    return order_id


TOOLS: list[Tool[Any, Any]] = [read_order, open_file]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a test holds."""

    gateway: Gateway
    office: Office
    clock: FakeClock
    metrics: Metrics
    store: FaultyStore
    client: httpx.AsyncClient
    seen: list[Any] = field(default_factory=list)

    async def token(self, caller: Caller = ANA) -> str:
        """A token for `caller`."""
        world = self.gateway.world
        made = await create_token(
            world.store, world.keys, world.ids, caller=caller, lasting=3600.0, by="test"
        )
        return made.secret

    async def call(self, tool: str = "read_order", order_id: object = 1, caller: Caller = ANA) -> Any:
        """One call through the gate."""
        return await self.gateway.call(tool, {"order_id": order_id}, caller=caller, workflow="w1")


def routes_of(seen: list[Any]) -> list[BaseRoute]:
    """What a surface would bring: one route for each thing that can happen."""

    async def echo(request: Request) -> Response:
        seen.append(await request.body())
        return JSONResponse({"bytes": len(seen[-1])})

    async def broken(request: Request) -> Response:
        raise LookupError("the secret of /srv/internal is tgt_hidden")

    async def slow(request: Request) -> Response:
        seen.append("began")
        await asyncio.Event().wait()
        return JSONResponse({})

    async def who(request: Request) -> Response:
        found = await request.app.state.office.credentials.either(request)
        if not isinstance(found, Principal):
            return not_signed_in(found).response(request)
        return JSONResponse({"id": found.id})

    return [
        Route("/echo", echo, methods=["GET", "POST"]),
        Route("/broken", broken, methods=["GET", "POST"]),
        Route("/slow", slow),
        Route("/who", who, methods=["GET", "POST"]),
        Route("/static/{name}", cached),
    ]


async def cached(request: Request) -> Response:
    """A file that browsers may keep."""
    return Response("a{}", media_type="text/css", headers={"Cache-Control": "public, max-age=31536000"})


async def until(condition: Callable[[], object]) -> None:
    """Let the loop turn until `condition` holds."""
    async with asyncio.timeout(20.0):
        while not condition():  # noqa: ASYNC110 - what a test waits for tells nobody that it happened
            await asyncio.sleep(0)


@asynccontextmanager
async def open_desk(
    *,
    tools: Iterable[Tool[Any, Any]] = TOOLS,
    routes: Iterable[BaseRoute] = (),
    pages: Any = None,
    **changed: Any,
) -> AsyncIterator[Desk]:
    """A desk whose settings are `SETTINGS` but for what is `changed`."""
    clock = FakeClock()
    store = FaultyStore(MemoryStore(boot_id="boot_http", now=clock.now))
    seen: list[Any] = []
    async with Gateway(tools, store=store, clock=clock, housekeeping=None) as gateway:
        # The first record of a trail opens its chain, which is an event of its own.
        await gateway.call("read_order", {"order_id": 1}, caller=LEO)
        office = open_office(gateway, replace(SETTINGS, **changed), monotonic=clock.monotonic)
        metrics = Metrics()
        app = build_app(
            office,
            routes=[*routes_of(seen), *routes],
            pages=pages,
            metrics=metrics,
            monotonic=clock.monotonic,
        )
        app.state.office = office
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("127.0.0.1", 50_000))
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            yield Desk(
                gateway=gateway,
                office=office,
                clock=clock,
                metrics=metrics,
                store=store,
                client=client,
                seen=seen,
            )
