"""``python -m benchmarks.replica ADDRESS FIRST``: one gateway on a Postgres store.

Its standard input tells it how long to work.

Each line is a number of seconds; the answer is a line of JSON: calls, CPU, size of its groups. Run by ``postgres``.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
import time
from typing import TYPE_CHECKING, Any

from benchmarks import subjects
from toolgate import Gateway, Limits
from toolgate.adapters.keys import Keyring
from toolgate.adapters.stores.postgres.store import PostgresStore
from toolgate.domain.metrics import GROUP_SIZE, Distribution

if TYPE_CHECKING:
    from benchmarks.measure import Call

CALLERS = 128


async def work(call: Call, seconds: float, numbers: itertools.count[int]) -> tuple[int, float, float]:
    """Calls, wall and CPU seconds of ``CALLERS`` callers that each wait for their answer."""
    done = 0
    cpu, began = time.process_time(), time.perf_counter()
    until = began + seconds

    async def caller() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await call(next(numbers))
            done += 1

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return done, time.perf_counter() - began, time.process_time() - cpu


async def main(address: str, first: int) -> None:
    store = PostgresStore(address, boot_id=f"boot_bench{first}")
    numbers = itertools.count(first)
    limits = Limits(concurrency=4096)
    async with Gateway(
        [subjects.change_order], store=store, keys=Keyring.ephemeral(), limits=limits
    ) as gateway:
        call = subjects.governed_write(gateway)
        await call(next(numbers))
        _say({"ready": True})
        while line := await asyncio.to_thread(sys.stdin.readline):
            groups, commands = _groups(gateway)
            done, wall, cpu = await work(call, float(line), numbers)
            after, more = _groups(gateway)
            _say(
                {
                    "calls": done,
                    "wall": wall,
                    "cpu": cpu,
                    "groups": after - groups,
                    "commands": more - commands,
                }
            )


def _groups(gateway: Gateway) -> tuple[int, float]:
    assert gateway.world.meter is not None
    for reading in gateway.world.meter.readings():
        if reading.metric is GROUP_SIZE and isinstance(reading.value, Distribution):
            return reading.value.total, reading.value.sum
    return 0, 0.0


def _say(what: dict[str, Any]) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
