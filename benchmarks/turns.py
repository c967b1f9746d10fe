"""How a server's figure is taken: requests over kept connections, servers taking turns round after round, medians.

CPU is that of the server's process alone, all its threads; what it asks of others is theirs. Not here: which servers.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from benchmarks.measure import Sample
from benchmarks.wire import Peer

Asked = Callable[[int], tuple[str, dict[str, Any]]]
"""Number → method and params."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A server, what it is asked, and how often in a round: a slow one less, so that a round is not all its own."""

    peer: Peer
    process: psutil.Process
    asked: Asked
    calls: int


async def taking_turns(
    subjects: Mapping[str, Subject], *, connections: int, rounds: int, note: Callable[[str], None]
) -> dict[str, Sample]:
    """Every subject, round after round in turn, so that a noisy moment hits all of them alike."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in subjects}
    first = 1
    for subject in subjects.values():
        await subject.peer.open(connections)
    for number in range(rounds + 1):
        for name, subject in subjects.items():
            # The first round warms caches, connections and prepared statements, and does not count.
            count = max(subject.calls // 10, connections) if number == 0 else subject.calls
            note(f"{name}, {connections} connections, round {number}/{rounds}")
            cpu, wall = _cpu(subject.process), time.perf_counter()
            await subject.peer.load(subject.asked, calls=count, first=first)
            if number:
                spent = time.perf_counter() - wall, _cpu(subject.process) - cpu
                taken[name].append((spent[0] / count * 1e6, spent[1] / count * 1e6))
            first += count
    return {name: _median(rows, subjects[name].calls) for name, rows in taken.items()}


def _cpu(process: psutil.Process) -> float:
    used = process.cpu_times()
    return float(used.user + used.system)


def _median(rows: list[tuple[float, float]], calls: int) -> Sample:
    walls = [wall for wall, _ in rows]
    return Sample(
        calls=calls * len(rows),
        wall_us=statistics.median(walls),
        cpu_us=statistics.median(cpu for _, cpu in rows),
        spread=(max(walls) - min(walls)) / statistics.median(walls),
    )
