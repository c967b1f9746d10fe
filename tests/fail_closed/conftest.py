"""A small shop behind the gate, with its ledger on disk: one read, one write, and a count of what really ran."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from toolgate import Caller, Gateway, tool
from toolgate.adapters.keys import Keyring
from toolgate.adapters.stores.sqlite import SqliteStore
from toolgate.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from toolgate import Outcome, Tool
    from toolgate.ports import Store

MAYA = Caller("u-maya", roles={"support"})
BUSY = 0.05
"""Seconds that the store waits for a lock: long enough to be real, short enough for a test."""


@dataclass
class Shop:
    """The business: what it shipped and what it was asked about, and what to do in the midst of shipping."""

    shipped: list[int] = field(default_factory=list)
    looked_up: list[int] = field(default_factory=list)
    while_shipping: Callable[[], None] = lambda: None
    while_looking: Callable[[], None] = lambda: None

    def tools(self) -> list[Tool[Any, Any]]:
        @tool(effect="write", roles={"support"}, idempotency="ship:{order}")
        async def ship(order: int) -> str:
            """Ship an order."""
            self.while_shipping()
            self.shipped.append(order)
            return f"shipped {order}"

        @tool(effect="read", roles={"support"})
        async def look_up(order: int) -> str:
            """Look up an order."""
            self.while_looking()
            self.looked_up.append(order)
            return f"secret of {order}"

        return [ship, look_up]


class Counter:
    """The shop's gateway and its ledger, in one hand."""

    def __init__(self, gateway: Gateway, shop: Shop, clock: FakeClock) -> None:
        self.gateway = gateway
        self.shop = shop
        self.clock = clock

    async def ship(self, order: int) -> Outcome[Any]:
        return await self.gateway.call("ship", {"order": order}, caller=MAYA)

    async def look_up(self, order: int) -> Outcome[Any]:
        return await self.gateway.call("look_up", {"order": order}, caller=MAYA)

    async def again(self, outcome: Outcome[Any]) -> Outcome[Any]:
        """What the ledger says of that call now."""
        return await self.gateway.get_call(outcome.call_id, caller=MAYA)


Opened = "Callable[[Store], AbstractAsyncContextManager[Counter]]"


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def counter_on(shop: Shop, clock: FakeClock) -> Callable[[Store], AbstractAsyncContextManager[Counter]]:
    """Opens the shop on a given store; it keeps house when a test calls ``sweep``."""

    @asynccontextmanager
    async def open_on(store: Store) -> AsyncIterator[Counter]:
        gateway = Gateway(shop.tools(), store=store, keys=Keyring.ephemeral(), clock=clock, housekeeping=None)
        async with gateway:
            yield Counter(gateway, shop, clock)

    return open_on


@pytest.fixture
def sqlite_store(tmp_path: Path, clock: FakeClock) -> SqliteStore:
    return SqliteStore(tmp_path / "toolgate.db", boot_id="boot_a", now=clock.now, busy_seconds=BUSY)


@pytest.fixture
async def counter(
    sqlite_store: SqliteStore, counter_on: Callable[[Store], AbstractAsyncContextManager[Counter]]
) -> AsyncIterator[Counter]:
    """The shop on a SQLite ledger that works so far."""
    async with counter_on(sqlite_store) as counter:
        yield counter
