"""The store that fails on demand: when it fails, how often, and what the inner store then holds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.ledger import rows as make
from toolgate import Caller, Gateway, StoreInDoubt, StoreUnavailable, Succeeded, Unknown, UsageError, tool
from toolgate.adapters.keys import Keyring
from toolgate.adapters.stores.memory import MemoryStore
from toolgate.domain.commands import Done, Intend, Record, Settle
from toolgate.domain.rows import ByCall
from toolgate.ports import CallFilter
from toolgate.testing import FakeClock, FaultyStore

if TYPE_CHECKING:
    from tests.stores.conftest import Hands

pytestmark = pytest.mark.req("X8.1", "M14.1")


@pytest.fixture
async def faulty(hands: Hands) -> FaultyStore:
    store = FaultyStore(MemoryStore(boot_id="boot_a", now=hands))
    await store.open()
    return store


async def there(store: FaultyStore, call_id: str) -> bool:
    return (await store.inner.find(ByCall(call_id))).call is not None


async def test_without_a_fault_it_does_as_the_inner_store_does(faulty: FaultyStore) -> None:
    command = make.record("call_1")

    assert await faulty.execute(command) == Done()

    assert await there(faulty, "call_1")
    assert faulty.executed == [command]
    assert [row.call_id for row in (await faulty.calls(CallFilter())).rows] == ["call_1"]
    assert len([record async for record in faulty.records()]) == 2


async def test_it_refuses_the_next_command_once(faulty: FaultyStore) -> None:
    fault = faulty.fail()

    with pytest.raises(StoreUnavailable):
        await faulty.execute(make.record("call_1"))

    assert await faulty.execute(make.record("call_2")) == Done()
    assert not await there(faulty, "call_1")
    assert fault.struck == 1


async def test_it_fails_at_the_nth_of_the_chosen_commands(faulty: FaultyStore) -> None:
    faulty.fail("refuse", Record, nth=2)

    assert isinstance(await faulty.execute(make.intend("call_0")), Done)
    assert await faulty.execute(make.record("call_1")) == Done()
    with pytest.raises(StoreUnavailable):
        await faulty.execute(make.record("call_2"))
    assert await faulty.execute(make.record("call_3")) == Done()


async def test_it_keeps_failing_until_it_is_mended(faulty: FaultyStore) -> None:
    fault = faulty.fail(times=None)
    for number in range(3):
        with pytest.raises(StoreUnavailable):
            await faulty.execute(make.record(f"call_{number}"))

    faulty.mend()

    assert await faulty.execute(make.record("call_9")) == Done()
    assert fault.struck == 3


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_lost_answer_leaves_the_command_written_or_not(faulty: FaultyStore, when: str) -> None:
    faulty.fail("doubt", when=when)  # type: ignore[arg-type]

    with pytest.raises(StoreInDoubt):
        await faulty.execute(make.record("call_1"))

    assert await there(faulty, "call_1") is (when == "after")


async def test_what_hangs_goes_on_when_it_is_released(faulty: FaultyStore) -> None:
    fault = faulty.fail("hang")
    waiting = asyncio.ensure_future(faulty.execute(make.record("call_1")))
    await asyncio.to_thread(fault.wait)
    assert not await there(faulty, "call_1")

    fault.release()

    assert await waiting == Done()
    assert await there(faulty, "call_1")


async def test_what_hangs_is_let_go_when_the_store_closes(faulty: FaultyStore) -> None:
    fault = faulty.fail("hang", when="after")
    waiting = asyncio.ensure_future(faulty.execute(make.record("call_1")))
    await asyncio.to_thread(fault.wait)

    await faulty.close()

    assert await waiting == Done()


async def test_look_ups_can_be_refused_too(faulty: FaultyStore) -> None:
    faulty.fail_reads()

    with pytest.raises(StoreUnavailable):
        await faulty.find(ByCall("call_1"))

    faulty.mend()
    assert (await faulty.find(ByCall("call_1"))).call is None


async def test_a_fault_that_never_strikes_is_not_waited_for_without_end(faulty: FaultyStore) -> None:
    with pytest.raises(TimeoutError, match="did not strike"):
        faulty.fail().wait(patience=0)


async def test_a_fault_that_no_store_could_have_is_refused(faulty: FaultyStore) -> None:
    with pytest.raises(UsageError, match="counted from 1"):
        faulty.fail(nth=0)
    with pytest.raises(UsageError, match="use 'doubt'"):
        faulty.fail("refuse", when="after")


async def test_an_author_sees_what_becomes_of_a_write_whose_outcome_cannot_be_recorded() -> None:
    sent: list[int] = []

    @tool(effect="write", roles="anyone", idempotency="send:{number}")
    async def send(number: int) -> int:
        """Send a number."""
        sent.append(number)
        return number

    clock = FakeClock()
    store = FaultyStore(MemoryStore(boot_id="boot_a", now=clock.now))
    async with Gateway(
        [send], store=store, keys=Keyring.ephemeral(), clock=clock, housekeeping=None
    ) as gateway:
        store.fail("refuse", Settle)
        told = await gateway.call("send", {"number": 7}, caller=Caller("u-maya"))
        await gateway.sweep()
        later = await gateway.get_call(told.call_id, caller=Caller("u-maya"))

    assert sent == [7]
    assert isinstance(told, Unknown)
    assert isinstance(later, Succeeded)
    assert [type(command) for command in store.executed[:2]] == [Intend, Settle]
