"""Work handed to another thread's loop: in order, and what one turn has at once."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from toolgate.adapters.mailbox import Turns


@pytest.mark.req("X3.49")
async def test_what_one_turn_has_leaves_together_and_in_order_as_it_ends() -> None:
    handed: list[list[Any]] = []
    turns = Turns(handed.append)

    async def ask(number: int) -> list[list[Any]]:
        turns.add(number)
        return list(handed)

    seen = await asyncio.gather(*(ask(number) for number in range(3)))
    turns.add(3)
    await asyncio.sleep(0)

    assert seen == [[], [], []]
    assert handed == [[0, 1, 2], [3]]


@pytest.mark.req("X3.49")
def test_a_loop_that_ended_before_its_turn_did_holds_up_no_later_one() -> None:
    handed: list[list[Any]] = []
    turns = Turns(handed.append)
    ended = asyncio.new_event_loop()
    ended.call_soon(turns.add, "left behind")
    ended.call_soon(ended.stop)
    ended.run_forever()
    ended.close()

    async def ask() -> None:
        turns.add("asked")
        await asyncio.sleep(0)

    asyncio.run(ask())

    assert handed == [["asked"]]


@pytest.mark.req("X3.49")
def test_loops_of_two_threads_gather_apart() -> None:
    handed: list[list[Any]] = []
    turns = Turns(handed.append)
    both = threading.Barrier(2)

    async def ask(who: str) -> None:
        turns.add(who)
        both.wait()
        turns.add(who)
        await asyncio.sleep(0)

    threads = [threading.Thread(target=asyncio.run, args=(ask(who),)) for who in ("ann", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(handed) == [["ann", "ann"], ["bob", "bob"]]
