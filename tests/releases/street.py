"""Where releases come and go on one database. Not here: their tools, and what is expected of them."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.releases.desk import ANA
from toolgate import Gateway, PendingApproval, Tool
from toolgate.adapters.keys import Keyring
from toolgate.adapters.stores.postgres.store import PostgresStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from toolgate.testing import FakeClock


class Street:
    """A database, a clock for all, and releases that come and go."""

    def __init__(self, dsn: str, clock: FakeClock) -> None:
        self.clock = clock
        self.ran: list[str] = []
        self._dsn = dsn
        self._keys = Keyring.ephemeral()
        self._boots = 0

    @asynccontextmanager
    async def release(
        self, *tools: Callable[[list[str]], Tool[Any, Any]], **given: Any
    ) -> AsyncIterator[Gateway]:
        """One gateway with these tools."""
        self._boots += 1
        self.clock.advance(1.0)
        store = PostgresStore(self._dsn, boot_id=f"boot_{self._boots}", now=self.clock.now)
        made = [make(self.ran) for make in tools]
        async with Gateway(
            made, store=store, keys=self._keys, clock=self.clock, housekeeping=None, **given
        ) as gateway:
            self.clock.advance(1.0)
            yield gateway

    async def held(self, gateway: Gateway, order_id: int, name: str = "refund") -> PendingApproval:
        """A call of `gateway` that waits for a person."""
        given = {"order_id": order_id} if name == "refund" else {}
        outcome = await gateway.call(name, given, caller=ANA, workflow=f"w{order_id}")
        assert isinstance(outcome, PendingApproval), outcome
        return outcome
