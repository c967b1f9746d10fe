"""A gate on SQLite for tests that look at one rule, and what such tests read afterwards."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from toolgate import Caller, Gateway
from toolgate.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from toolgate import Tool

ANA = Caller("u-ana", roles={"support"}, tenant="acme")
BEN = Caller("u-ben", roles={"support"}, tenant="acme")
GIL = Caller("u-ana", roles={"support"}, tenant="globex")
NOBODY = Caller("u-zoe", roles=(), tenant="acme")


@asynccontextmanager
async def opened(tools: Iterable[Tool[Any, Any]], folder: Path, **settings: Any) -> AsyncIterator[Gateway]:
    """A gateway over ``folder/gate.db`` that keeps house only when a test calls ``sweep``."""
    settings = {"clock": FakeClock(), "housekeeping": None} | settings
    async with Gateway(tools, store=f"sqlite:///{folder / 'gate.db'}", **settings) as gateway:
        yield gateway


async def trail(gateway: Gateway, call_id: str | None = None) -> list[dict[str, Any]]:
    """The records of one call, or of all calls, oldest first."""
    records = [json.loads(row.record) async for row in gateway.store.records(call_id=call_id)]
    return [record for record in records if record["event"] == "llm_tool_call"]
