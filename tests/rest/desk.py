"""A gate on SQLite behind the real application, the people around it, and the tools that behave in every way.

Not here: what is expected of any of it; each test says that.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import httpx
from pydantic import BaseModel, Field
from starlette.applications import Starlette

from toolgate import (
    Approval,
    BusinessRule,
    Caller,
    Denied,
    Gateway,
    Sensitive,
    Tool,
    ToolContext,
    tool,
)
from toolgate.domain.principal import EVERY_SCOPE, Scope
from toolgate.operations.tokens import create_token
from toolgate.surfaces.http.app import build_app
from toolgate.surfaces.http.office import Office, open_office
from toolgate.surfaces.http.settings import ServerSettings
from toolgate.surfaces.rest.endpoints import ENDPOINTS, routes
from toolgate.testing import FakeClock

HOST = "127.0.0.1:8460"
SETTINGS = ServerSettings(
    host="127.0.0.1", port=8460, public_url=f"http://{HOST}", names=frozenset({HOST}), local=True
)
DAY = 86_400.0

ANN = Caller("ann", {"clerk"}, "acme")
BOB = Caller("bob", {"clerk"}, "acme")
LEA = Caller("lea", {"lead"}, "acme")
MAX = Caller("max", {"lead"}, "acme")
OLA = Caller("ola", {"operator"}, "acme")
AUD = Caller("aud", {"auditor"}, "acme")
ADA = Caller("ada", {"admin"}, "acme")
ALL = Caller("all", {"clerk", "lead", "operator", "auditor", "admin"}, "acme")
EVE = Caller("eve", {"clerk", "lead", "operator", "auditor", "admin"}, "globex")
NIL = Caller("nil", set(), "acme")

CLOSED = 999_999
"""The order that nobody may refund."""
SECRET = "4242424242424242"


class Refund(BaseModel):
    """What is paid back."""

    order: int = Field(ge=1, le=1_000_000)
    cents: int = Field(default=500, ge=1, le=1_000_000)
    card: Annotated[str, Sensitive()] = Field(default="0000", max_length=19)


class Business:
    """The business: what happened, and how the next attempts end."""

    def __init__(self) -> None:
        self.paid: list[tuple[int, int]] = []
        self.entered = threading.Event()
        self.proceed = threading.Event()
        self.proceed.set()

    def tools(self) -> list[Tool[Any, Any]]:
        """One tool for each way in which a call may end."""
        return [
            self._refund(),
            self._notes(),
            self._never(),
            self._lost(),
            self._closed(),
            self._big(),
            self._rarely(),
        ]

    def _refund(self) -> Tool[Any, Any]:
        def is_open(context: ToolContext[Any], args: Refund) -> bool | Denied:
            return args.order != CLOSED or Denied("the order is closed")

        @tool(
            effect="write",
            roles={"clerk"},
            authorize=is_open,
            timeout=5,
            idempotency="refund:{order}:{workflow_id}",
            approval=Approval(approvers={"lead"}, when={"cents": {"gt": 1000}}, expires_in="1h", risk="high"),
            title="Refund",
            tags={"money"},
        )
        async def refund(args: Refund) -> int:
            """Pay an order back to the card."""
            self.entered.set()
            await asyncio.to_thread(self.proceed.wait, 10)
            self.paid.append((args.order, args.cents))
            return args.cents

        return refund

    def _notes(self) -> Tool[Any, Any]:
        @tool(effect="read", roles={"clerk"}, timeout=5)
        async def notes(
            customer: Annotated[str, Field(min_length=1, max_length=64)],
            hint: Annotated[str, Sensitive(), Field(max_length=19)] = "",
        ) -> str:
            """Read what is noted about a customer."""
            return f"{customer} is kind"

        return notes

    def _never(self) -> Tool[Any, Any]:
        @tool(effect="read", roles={"clerk"}, timeout=0.05)
        async def never() -> str:
            """Never come back."""
            self.entered.set()
            await asyncio.Event().wait()
            return "never"

        return never

    def _lost(self) -> Tool[Any, Any]:
        @tool(effect="write", roles={"clerk"}, timeout=5, idempotency="lost:{order}")
        async def lost(order: Annotated[int, Field(ge=1, le=1_000_000)]) -> str:
            """Lose the answer of what it called."""
            raise RuntimeError("the connection broke")

        return lost

    def _closed(self) -> Tool[Any, Any]:
        @tool(effect="write", roles={"clerk"}, timeout=5, idempotency="closed:{order}", raises={BusinessRule})
        async def closed(order: Annotated[int, Field(ge=1, le=1_000_000)]) -> str:
            """Be refused by the business."""
            raise BusinessRule("the customer is closed")

        return closed

    def _rarely(self) -> Tool[Any, Any]:
        @tool(effect="read", roles={"clerk"}, timeout=5, rate_limit="2/minute")
        async def rarely() -> str:
            """Be asked twice a minute."""
            return "here"

        return rarely

    def _big(self) -> Tool[Any, Any]:
        @tool(effect="read", roles={"clerk"}, timeout=5, result_size=1000)
        async def big() -> str:
            """Answer with more than a model may see."""
            return "x" * 5000

        return big


async def only_described(response: httpx.Response) -> None:
    """Whatever a test of this folder is told, the description says that it may be told."""
    path, method = response.request.url.path, response.request.method
    if method == "HEAD":
        return
    for row in ENDPOINTS:
        if method == row.method and re.fullmatch(re.sub(r"{\w+}", "[^/]+", row.path), path):
            assert response.status_code in row.statuses(), f"{method} {row.path}: {response.status_code}"
            return
    assert response.status_code in {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A running office, and who comes to it."""

    gateway: Gateway
    office: Office
    app: Starlette
    clock: FakeClock
    business: Business
    folder: Path

    async def token(self, caller: Caller, **given: Any) -> str:
        """A credential of ``caller``."""
        return (await self.made(caller, **given))[1]

    async def made(
        self,
        caller: Caller,
        *,
        scopes: frozenset[Scope] = EVERY_SCOPE,
        agent: str | None = None,
        owner: str = "dev-owner",
        lasting: float = DAY,
    ) -> tuple[str, str]:
        """The id of a credential, and its secret."""
        world = self.gateway.world

        async def make(_: Any) -> tuple[str, str]:
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
            return new.row.token_id, new.secret

        return await self.gateway.operate(make)

    async def watched(self, count: int = 1) -> None:
        """Until so many watch what happens."""
        while len(self.office.feed) < count:  # noqa: ASYNC110 - the feed tells nobody who watches it
            await asyncio.sleep(0)

    @asynccontextmanager
    async def client(self, token: str | None) -> AsyncIterator[httpx.AsyncClient]:
        """Somebody with ``token``."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        async with httpx.AsyncClient(
            event_hooks={"response": [only_described]},
            transport=transport,
            base_url=self.office.settings.public_url,
            headers=headers,
            timeout=60,
        ) as client:
            yield client

    @asynccontextmanager
    async def person(self, caller: Caller, **given: Any) -> AsyncIterator[httpx.AsyncClient]:
        """``caller`` with a credential of their own."""
        async with self.client(await self.token(caller, **given)) as client:
            yield client


@asynccontextmanager
async def opened(
    folder: Path, *, served_as: ServerSettings = SETTINGS, **settings: Any
) -> AsyncIterator[Desk]:
    """The desk over ``folder/gate.db``; it keeps house only when a test calls ``sweep``."""
    clock, business = settings.pop("clock", None) or FakeClock(), Business()
    given: dict[str, Any] = {
        "clock": clock,
        "housekeeping": None,
        "store": f"sqlite:///{folder / 'gate.db'}",
    } | settings
    tools = given.pop("tools", None) or business.tools()
    async with Gateway(tools, **given) as gateway:
        office = open_office(gateway, served_as, monotonic=clock.monotonic)
        app = build_app(office, routes=routes(office))
        try:
            yield Desk(gateway=gateway, office=office, app=app, clock=clock, business=business, folder=folder)
        finally:
            business.proceed.set()
            office.closing.begin()


def calls_of(tool: str) -> str:
    """Where a call of ``tool`` is asked for."""
    return f"/v1/tools/{quote(tool, safe='')}/calls"


def request(workflow: str = "wf", **arguments: Any) -> dict[str, Any]:
    """The body of a call."""
    return {"arguments": arguments, "workflow_id": workflow}


async def ask(
    client: httpx.AsyncClient,
    tool: str,
    workflow: str = "wf",
    *,
    headers: dict[str, str] | None = None,
    more: dict[str, Any] | None = None,
    **arguments: Any,
) -> httpx.Response:
    """Ask for a call, with ``more`` members in its body."""
    body = {**request(workflow, **arguments), **(more or {})}
    return await client.post(calls_of(tool), json=body, headers=headers)


async def held(client: httpx.AsyncClient, order: int = 1, cents: int = 5000, **given: Any) -> dict[str, Any]:
    """A refund that waits for a person."""
    answer = await ask(client, "refund", order=order, cents=cents, **given)
    assert answer.status_code == 202, answer.text
    return dict(answer.json())


async def seen(client: httpx.AsyncClient, approval_id: str) -> dict[str, Any]:
    """An approval as somebody looks at it."""
    answer = await client.get(f"/v1/approvals/{approval_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def decide(client: httpx.AsyncClient, approval_id: str, word: str = "approve") -> httpx.Response:
    """A decision about what is seen now."""
    body = {"decision": word, "digest": (await seen(client, approval_id))["digest"], "reason": "looked at it"}
    return await client.post(f"/v1/approvals/{approval_id}/decision", json=body)
