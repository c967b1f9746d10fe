"""The thread in which connections live: there and back, and its end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from tests.upstreams.connections.conftest import PATIENCE, evil, text, until
from toolgate.adapters.clock import SystemClock
from toolgate.adapters.upstreams.connection import Connection, Lost, NotSent, open_connection
from toolgate.adapters.upstreams.thread import Harbour

pytestmark = pytest.mark.req("M6.29")


@pytest.fixture
def harbour() -> Iterator[Harbour]:
    harbour = Harbour()
    yield harbour
    assert harbour.close()


async def test_work_is_done_in_a_thread_of_its_own_and_comes_back(harbour: Harbour) -> None:
    async def where() -> int:
        return threading.get_ident()

    assert await harbour.run(where()) != threading.get_ident()
    assert len({await harbour.run(where()) for _ in range(3)}) == 1


async def test_what_the_work_raises_comes_back(harbour: Harbour) -> None:
    async def fail() -> None:
        raise NotSent("no")

    with pytest.raises(NotSent, match="no"):
        await harbour.run(fail())


async def test_cancelling_the_wait_cancels_the_work(harbour: Harbour) -> None:
    began, ended = threading.Event(), threading.Event()

    async def hang() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    waiting = asyncio.ensure_future(harbour.run(hang()))
    await until(began.is_set)

    waiting.cancel()

    await until(ended.is_set)


async def test_many_errands_from_many_loops_each_get_their_own_answer(harbour: Harbour) -> None:
    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    async def many(start: int) -> list[int]:
        return await asyncio.gather(*(harbour.run(double(start + each)) for each in range(200)))

    answers = await asyncio.gather(
        *(asyncio.to_thread(asyncio.run, many(start)) for start in (0, 1000, 2000))
    )

    assert answers == [[2 * (start + each) for each in range(200)] for start in (0, 1000, 2000)]


async def test_work_under_way_when_it_closes_is_lost_and_later_work_is_not_begun() -> None:
    harbour = Harbour()
    began = threading.Event()

    async def hang() -> None:
        began.set()
        await asyncio.Event().wait()

    waiting = asyncio.ensure_future(harbour.run(hang()))
    await until(began.is_set)

    assert await asyncio.to_thread(harbour.close)

    with pytest.raises(Lost):
        await waiting
    with pytest.raises(NotSent):
        await harbour.run(hang())


async def test_a_loop_that_a_tool_blocks_holds_up_no_upstream(harbour: Harbour) -> None:
    async def open_there() -> Connection:
        return open_connection(evil(), name="up", on_tools_changed=lambda: None, clock=SystemClock())

    connection = await harbour.run(open_there())
    answered = threading.Event()

    async def ask() -> str:
        called = await connection.call("ok", {}, seconds=PATIENCE, meta={}, progress=None)
        answered.set()
        return text(called)

    asking = harbour.run(ask())
    # This very loop is blocked, as by a tool, until the upstream has answered in the other.
    assert answered.wait(PATIENCE)

    assert await asking == "ok"
    await harbour.run(connection.close())
