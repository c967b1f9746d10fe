"""The memory store: what it keeps when its gateway is thrown away, and what it says about effects."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pytest

from tests.ledger import rows as make
from toolgate import Caller, Gateway, Succeeded, tool
from toolgate.adapters.keys import Keyring
from toolgate.adapters.stores.memory import MemoryStore
from toolgate.domain.audit import verify_chains
from toolgate.domain.commands import Lapse
from toolgate.domain.rows import ByCall, ByKey
from toolgate.testing import FakeClock

if TYPE_CHECKING:
    from tests.stores.conftest import Hands

pytestmark = pytest.mark.req("X1.21")

MAYA = Caller("u-maya")


@tool(effect="write", roles="anyone", idempotency="count:{number}")
async def count(number: int) -> int:
    """Count up to a number."""
    return number


@tool(effect="write", roles="anyone", idempotency="again:{number}")
async def count_again(number: int) -> int:
    """Count up to a number, again."""
    return number


@tool(effect="read", roles="anyone")
async def look(number: int) -> int:
    """Look at a number."""
    return number


async def test_what_was_committed_survives_the_gateway_and_what_was_not_is_gone(hands: Hands) -> None:
    store = MemoryStore(boot_id="boot_a", now=hands)
    await store.open()
    await store.execute(make.intend(key=b"k"))

    again = store.reopen(boot_id="boot_b")
    await again.open()
    hands.at = make.LEASE
    await again.execute(Lapse("call_1", "boot_b"))

    found = await again.find(ByKey(b"k"))
    assert found.call is not None
    assert found.call.status == "unknown"
    assert await again.find(ByCall("call_2")) == await store.find(ByCall("call_2"))
    records = [record async for record in again.records()]
    assert verify_chains(records, known_heads=await again.heads()).problems == ()
    assert {record.chain_id for record in records} == {"boot_a", "boot_b"}


@pytest.mark.req("X1.23")
async def test_the_time_of_a_store_survives_its_gateway(hands: Hands) -> None:
    store = MemoryStore(boot_id="boot_a", now=hands)
    await store.open()
    hands.at = make.EXPIRY
    await store.execute(make.record())
    hands.at = make.NOW

    assert await store.reopen(boot_id="boot_b").now() == make.EXPIRY


@pytest.mark.req("M9.2")
async def test_a_second_gateway_on_the_same_store_replays_what_the_first_did() -> None:
    clock, keys = FakeClock(), Keyring.ephemeral()
    store = MemoryStore(boot_id="boot_a", now=clock.now)
    with pytest.warns(UserWarning, match="forgets them when this process ends"):
        first = Gateway([count], store=store, keys=keys, clock=clock, housekeeping=None)
    async with first as gateway:
        done = await gateway.call("count", {"number": 3}, caller=MAYA)
    with pytest.warns(UserWarning, match="count has effects"):
        second = Gateway(
            [count], store=store.reopen(boot_id="boot_b"), keys=keys, clock=clock, housekeeping=None
        )
    async with second as gateway:
        replayed = await gateway.call("count", {"number": 3}, caller=MAYA)

    assert isinstance(done, Succeeded)
    assert isinstance(replayed, Succeeded)
    assert (replayed.result, replayed.replayed, replayed.call_id) == (3, True, done.call_id)


def test_a_gateway_with_effects_in_memory_warns_once_and_says_what_to_write() -> None:
    with pytest.warns(UserWarning, match="sqlite:///toolgate.db") as said:
        Gateway([count, count_again, look])

    assert len(said) == 1


def test_a_gateway_that_only_reads_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Gateway([look])
