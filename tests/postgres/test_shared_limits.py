"""What replicas on one database count together: rates exactly, breakers within a second."""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.postgres.replicas import replicas, until
from toolgate import Caller, ErrorType, Gateway, Refused, Succeeded, Tool, TransientError, tool
from toolgate.adapters.stores.postgres.store import PostgresStore
from toolgate.domain.errors import StoreUnavailable
from toolgate.domain.limits import Breaker, Limits, Rate

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from tests.postgres.server import PostgresServer

ANN, BOB = Caller("ann", {"clerk"}, "acme"), Caller("bob", {"clerk"}, "acme")
HOURLY = "25/hour"


def rated() -> list[Tool[Any, Any]]:
    @tool(effect="read", roles={"clerk"}, rate_limit=HOURLY)
    async def look_up(order: int) -> int:
        """Look an order up."""
        return order

    return [look_up]


@pytest.mark.req("M6.40", "M6.9")
async def test_three_gateways_allow_together_exactly_what_the_rate_says(
    postgres_dsn: str, tmp_path: Path
) -> None:
    limits = Limits(per_tenant=Rate(40, 3600.0))
    async with replicas(3, postgres_dsn, tmp_path, rated, limits=limits) as gateways:
        told = await asyncio.gather(
            *(
                gateway.call("look_up", {"order": order}, caller=caller, workflow=f"{caller.id}{order}")
                for gateway in gateways
                for caller in (ANN, BOB)
                for order in range(20)
            )
        )

    allowed = [outcome for outcome in told if isinstance(outcome, Succeeded)]
    refused = [outcome for outcome in told if isinstance(outcome, Refused)]
    assert len(allowed) == 40
    assert len(refused) == 80
    assert {outcome.error_type for outcome in refused} == {ErrorType.RATE_LIMITED}
    assert all((outcome.retry_after or 0) > 0 for outcome in refused)


@pytest.mark.req("M6.40")
async def test_each_key_has_its_own_allowance_and_a_burst_of_one_key_gets_exactly_its_share(
    postgres_dsn: str,
) -> None:
    stores = [PostgresStore(postgres_dsn, boot_id=f"boot_{name}") for name in "abc"]
    for store in stores:
        await store.open()
    rate = Rate(7, 3600.0)
    waits = await asyncio.gather(
        *((store.limits.spend((key,), rate)) for store in stores for _ in range(10) for key in "xyz")
    )
    keys = [key for _ in stores for _ in range(10) for key in "xyz"]
    granted = Counter(key for key, wait in zip(keys, waits, strict=True) if wait == 0.0)
    for store in stores:
        await store.close()

    assert granted == {"x": 7, "y": 7, "z": 7}
    assert all(0 < wait < 515 for wait in waits if wait)


@pytest.mark.req("M6.40")
async def test_an_allowance_comes_back_with_time_and_not_before(postgres_dsn: str) -> None:
    store = PostgresStore(postgres_dsn, boot_id="boot_a")
    await store.open()
    rate = Rate(2, 60.0)
    assert [await store.limits.spend(("k",), rate) for _ in range(2)] == [0.0, 0.0]
    wait = await store.limits.spend(("k",), rate)
    assert 29 < wait <= 30
    # The database's clock cannot be moved, so what it remembers is.
    back = "UPDATE limits SET arrival = arrival - $1::bigint * 1000000000"
    await store.link.read(lambda db: db.execute(back, 29))
    assert 0 < await store.limits.spend(("k",), rate) <= 1
    await store.link.read(lambda db: db.execute(back, 1))
    assert await store.limits.spend(("k",), rate) == 0.0
    assert await store.limits.spend(("k",), rate) > 0
    await store.close()


@pytest.mark.req("M6.40")
async def test_nothing_is_allowed_while_nobody_can_be_asked(private_postgres: PostgresServer) -> None:
    from toolgate.adapters.stores.postgres.link import Patience

    store = PostgresStore(private_postgres.create("ledger"), boot_id="boot_a", patience=Patience(outage=0.2))
    await store.open()
    assert await store.limits.spend(("k",), Rate(5, 60.0)) == 0.0
    await asyncio.to_thread(private_postgres.stop, "immediate")
    with pytest.raises(StoreUnavailable):
        await store.limits.spend(("k",), Rate(5, 60.0))
    await asyncio.to_thread(private_postgres.start)
    assert await store.limits.spend(("k",), Rate(5, 60.0)) == 0.0
    await store.close()


class Shop:
    """An upstream that is down until a test mends it."""

    def __init__(self) -> None:
        self.down = True
        self.asked = 0

    def tools(self) -> list[Tool[Any, Any]]:
        @tool(effect="read", roles={"clerk"}, breaker=Breaker(failures=3, cooldown=3600.0))
        async def look_up(order: int) -> int:
            """Look an order up."""
            self.asked += 1
            if self.down:
                raise TransientError("the shop is down")
            return order

        return [look_up]


def is_open(gateway: Gateway) -> bool:
    """Whether the tool's breaker lets nobody through here."""
    return isinstance(
        gateway.world.reservations.pass_breaker(gateway.world.registry["look_up"].contract), float
    )


@pytest.mark.req("M6.41", "M6.11")
async def test_a_breaker_that_opens_on_one_replica_opens_on_the_others_and_closes_there_too(
    postgres_dsn: str, tmp_path: Path
) -> None:
    shop = Shop()
    async with replicas(3, postgres_dsn, tmp_path, shop.tools) as (one, two, three):
        contract = one.world.registry["look_up"].contract
        for order in range(3):
            await one.call("look_up", {"order": order}, caller=ANN, workflow=f"w{order}")
        assert shop.asked >= 3
        for other in (two, three):
            await until(partial(is_open, other))
        asked = shop.asked
        outcome = await two.call("look_up", {"order": 9}, caller=ANN, workflow="w9")
        assert isinstance(outcome, Refused)
        assert outcome.error_type is ErrorType.CIRCUIT_OPEN
        assert shop.asked == asked

        # What the trial after the cooldown comes to is told by whoever made it.
        one.world.reservations.note(contract, healthy=True)
        await until(lambda: not is_open(three))
        shop.down = False
        assert isinstance(await three.call("look_up", {"order": 9}, caller=ANN, workflow="w"), Succeeded)
