"""A gate with its office around it, played through by one case; and what is compared of what it told and wrote.

Not here: how a surface is asked (``ways`` and what it names), nor which cases there are (``table``).
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette

from tests.surfaces.business import PAID, TOOLS, Business, business
from tests.surfaces.table import ANN, LEA, Asked
from toolgate import Caller, Gateway
from toolgate.bootstrap.server import all_routes
from toolgate.domain.outcome import Outcome, PendingApproval, Started
from toolgate.domain.principal import EVERY_SCOPE
from toolgate.operations.tokens import create_token
from toolgate.ports import Store
from toolgate.surfaces.http.app import build_app
from toolgate.surfaces.http.office import Office, open_office
from toolgate.surfaces.http.settings import ServerSettings
from toolgate.surfaces.mcp.http import McpHttp
from toolgate.testing import FakeClock

HOST: Final = "127.0.0.1:8460"
SETTINGS: Final = ServerSettings(
    host="127.0.0.1", port=8460, public_url=f"http://{HOST}", names=frozenset({HOST}), local=True
)
FAR: Final = 4_102_444_800_000_000
"""The first of January 2100 in microseconds. A process of its own has the machine's clock, and a store never goes back
before what it recorded, so there both read the time of the stage."""
OWNER: Final = "dev-owner"
"""Who answers for the agents."""

OF_THE_MOMENT: Final = {
    "time",
    "toolgate.call.id",
    "toolgate.approval.id",
    "toolgate.replay.id",
    "toolgate.job.id",
    "toolgate.request.id",
    "toolgate.duration_ms",
    "toolgate.surface",
}
"""What differs between any two calls, and the name of the surface itself."""
_NAMED: Final = {"call_id", "approval_id", "job_id"}
_MARK: Final = re.compile(r"hmac:[0-9a-f]+:[0-9a-f]+")
_FRESH: Final = re.compile(r"flow_[0-9A-Z]{26}")

Ask = Callable[[str], Awaitable["Heard"]]
"""Sends one request of a case, its arguments byte for byte, and answers with what came back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a client is told.

    Attributes:
        outcome: the JSON that a model gets; None where the protocol has a word of its own instead.
        error: that word: the code of a JSON-RPC error, or the status of an HTTP answer.
    """

    outcome: dict[str, Any] | None
    error: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """An open gate in this process."""

    gateway: Gateway
    office: Office
    app: Starlette
    clock: FakeClock
    business: Business
    folder: Path

    async def token(self, caller: Caller, agent: str | None = None) -> str:
        """A credential of ``caller``, or of the agent that acts for them."""
        world = self.gateway.world

        async def make(_: Any) -> str:
            made = await create_token(
                world.store,
                world.keys,
                world.ids,
                caller=caller,
                lasting=86_400.0,
                by="setup",
                scopes=EVERY_SCOPE,
                agent=agent,
                owner=None if agent is None else OWNER,
            )
            return made.secret

        return await self.gateway.operate(make)


Front = Callable[[Path, FakeClock], Gateway]
"""Makes the gate of a stage, over ``gate.db`` in its folder."""


def own_tools(folder: Path, clock: FakeClock) -> Gateway:
    """A gate with the business's own contracts."""
    return Gateway(TOOLS, store=f"sqlite:///{folder / 'gate.db'}", clock=clock, housekeeping=None, jobs=False)


@asynccontextmanager
async def opened(folder: Path, front: Front = own_tools) -> AsyncIterator[Stage]:
    """The gate that ``front`` makes, with an office around it."""
    clock = FakeClock(now=FAR)
    business.begin(folder)
    async with front(folder, clock) as gateway:
        office = open_office(gateway, SETTINGS, monotonic=clock.monotonic)
        mcp = McpHttp(office)
        app = build_app(office, routes=[*mcp.routes(), *all_routes(office)])
        async with mcp.running():
            try:
                yield Stage(
                    gateway=gateway, office=office, app=app, clock=clock, business=business, folder=folder
                )
            finally:
                business.proceed.set()
                office.closing.begin()


async def play(stage: Stage, asked: Asked, ask: Ask) -> list[Heard]:
    """Ask as the case says, and do meanwhile what it says."""
    stage.business.entered.clear()
    if asked.at_once:
        return await _at_once(stage, asked, ask)
    told = []
    for number, arguments in enumerate(asked.arguments):
        if number == 1 and asked.between is not None:
            await _decide(stage, asked.between)
        asking = asyncio.ensure_future(ask(arguments))
        if asked.overdue:
            # Only once the tool runs: a deadline that passes before is another case.
            assert await asyncio.to_thread(stage.business.entered.wait, 30)
            stage.clock.advance(1)
        told.append(await asking)
    return told


async def _at_once(stage: Stage, asked: Asked, ask: Ask) -> list[Heard]:
    stage.business.proceed.clear()
    first = asyncio.ensure_future(ask(asked.arguments[0]))
    assert await asyncio.to_thread(stage.business.entered.wait, 30)
    others = [await ask(arguments) for arguments in asked.arguments[1:]]
    stage.business.proceed.set()
    return [await first, *others]


async def _decide(stage: Stage, decision: str) -> None:
    """A person decides, and what was approved has run."""
    ((call_id, approval_id),) = {
        (record["toolgate.call.id"], record["toolgate.approval.id"])
        for record in await _records(stage.gateway.store)
        if "toolgate.approval.id" in record
    }
    gateway = stage.gateway
    waiting: Outcome[Any] = await gateway.get_call(call_id, caller=ANN)
    decide = gateway.approve if decision == "approve" else gateway.deny
    said = await decide(approval_id, by=LEA, reason="looked at it")
    assert not isinstance(said, str), said
    await gateway.sweep()
    while isinstance(now := await gateway.get_call(call_id, caller=ANN), PendingApproval):  # noqa: ASYNC110
        await asyncio.sleep(0)
    if isinstance(now, Started):
        # It has its place in a queue, and no worker comes to a stage.
        return
    ended = await gateway.wait_for(waiting, caller=ANN, timeout=30)
    assert ended.ok == (decision == "approve")


async def _records(store: Store) -> list[dict[str, Any]]:
    # Each ledger has keys of its own, so equal secrets have unequal marks; and makes up names of its own.
    texts = [_MARK.sub("hmac", row.record.decode()) async for row in store.records()]
    return [json.loads(_FRESH.sub("flow", text)) for text in texts]


async def audited(store: Store) -> list[dict[str, Any]]:
    """What the trail says of calls, without what differs between any two."""
    return [
        {name: value for name, value in record.items() if name not in OF_THE_MOMENT}
        for record in await _records(store)
        if record["event"] == "llm_tool_call"
    ]


async def surfaces(store: Store) -> set[str]:
    """The surfaces that the trail knows calls from."""
    return {
        record["toolgate.surface"] for record in await _records(store) if record["event"] == "llm_tool_call"
    }


def comparable(outcome: dict[str, Any], but: frozenset[str] = frozenset()) -> dict[str, Any]:
    """An outcome without what differs between any two, and without ``but``."""
    return {name: value for name, value in outcome.items() if name not in _NAMED | but}


def money(folder: Path) -> str:
    """What went out."""
    paid = folder / PAID
    return paid.read_text() if paid.exists() else ""
