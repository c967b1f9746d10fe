"""How a figure is taken: callers that each wait for their answer, rounds that alternate, medians."""

from __future__ import annotations

import asyncio
import gc
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

Call = Callable[[int], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One subject at one number of callers: medians over the rounds. CPU is that of the whole process, all threads."""

    calls: int
    wall_us: float
    cpu_us: float
    spread: float

    @property
    def per_second(self) -> float:
        return 1e6 / self.wall_us


async def load(call: Call, *, callers: int, calls: int, first: int) -> tuple[float, float]:
    """``calls`` calls by ``callers`` waiting callers: wall and CPU seconds."""
    numbers = iter(range(first, first + calls))

    async def caller() -> None:
        for number in numbers:
            await call(number)

    gc.collect()
    cpu, wall = time.process_time(), time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return time.perf_counter() - wall, time.process_time() - cpu


async def side_by_side(
    subjects: Mapping[str, Call], *, callers: int, calls: int, rounds: int, note: Callable[[str], None]
) -> dict[str, Sample]:
    """Every subject, round after round in turn, so that a noisy moment hits all of them alike."""
    # What all these libraries have loaded would make each collection dearer for whoever allocates; a program has one.
    gc.collect()
    gc.freeze()
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in subjects}
    first = 0
    for number in range(rounds + 1):
        for name, call in subjects.items():
            # The first round warms caches, connections and prepared statements, and does not count.
            count = max(calls // 10, callers) if number == 0 else calls
            note(f"{name}, {callers} callers, round {number}/{rounds}")
            wall, cpu = await load(call, callers=callers, calls=count, first=first)
            first += count
            if number:
                taken[name].append((wall / count * 1e6, cpu / count * 1e6))
    return {name: _median(rows, calls) for name, rows in taken.items()}


def _median(rows: list[tuple[float, float]], calls: int) -> Sample:
    walls = [wall for wall, _ in rows]
    return Sample(
        calls=calls * len(rows),
        wall_us=statistics.median(walls),
        cpu_us=statistics.median(cpu for _, cpu in rows),
        spread=(max(walls) - min(walls)) / statistics.median(walls),
    )
