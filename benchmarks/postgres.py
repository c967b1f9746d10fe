"""Governed writes on Postgres by one, two and three processes, beside ``pgbench`` writing the same rows.

The server is a real one of its own (``fsync`` on, its data in the measured folder), and shares the machine's cores with
all that load it. Not here: rows and scripts (``pgbench``), and the process that writes (``replica``).
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import pgbench
from tests.postgres.server import PostgresServer, binaries

CLIENTS: Final = 128
REPLICAS: Final = (1, 2, 3)
SERVER: Final = {"max_connections": "200", "shared_buffers": "512MB", "max_wal_size": "8GB"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Medians over the rounds. ``cpu_us``: of the gateways' processes, a write; None where nobody has measured it."""

    writes: float
    least: float
    most: float
    cpu_us: float | None = None
    group: float | None = None


@asynccontextmanager
async def server(folder: Path) -> AsyncIterator[PostgresServer]:
    """A Postgres of its own that survives a crash of the machine."""
    made = await asyncio.to_thread(lambda: PostgresServer(folder / "pg", fsync=True, settings=SERVER).start())
    try:
        yield made
    finally:
        await asyncio.to_thread(made.remove)


async def replicas(folder: Path, *, quick: bool, note: Callable[[str], None]) -> dict[str, Any]:
    """Rounds in turn: the gate with one, two and three processes, then pgbench in both ways."""
    rounds, seconds = (2, 3.0) if quick else (5, 8.0)
    taken: dict[str, list[tuple[float, float | None, float | None]]] = {}
    async with server(folder) as postgres, AsyncExitStack() as stack:
        address = await asyncio.to_thread(postgres.create, "gate")
        processes = [
            await stack.enter_async_context(replica(address, 10**9 * (number + 1)))
            for number in range(max(REPLICAS))
        ]
        rows = await pgbench.example(address)
        await pgbench.prepare(address, CLIENTS)
        for number in range(rounds + 1):
            group = 1.0
            for count in REPLICAS:
                note(f"{count} gateways, round {number}/{rounds}")
                figures = await together(processes[:count], seconds)
                group = max(group, figures[2] or 1.0)
                _keep(taken, f"gate, {count} processes", figures, counts=number > 0)
            size = max(2, round(group))
            for turn, (name, script, each) in enumerate(
                (
                    ("pgbench, one by one", pgbench.single(rows), 1),
                    ("pgbench, in groups", pgbench.grouped(rows, size), size),
                )
            ):
                note(f"{name}, round {number}/{rounds}")
                rate = await beaten(folder, address, script, seconds, number=number * 2 + turn)
                _keep(taken, name, (rate * each, None, float(each)), counts=number > 0)
    return {
        "cores": os.cpu_count(),
        "bytes": rows.bytes,
        "rates": {name: _median(found) for name, found in taken.items()},
    }


def _keep(taken: dict[str, Any], name: str, figures: Any, *, counts: bool) -> None:
    """The first round warms connections and prepared statements, and does not count."""
    if counts:
        taken.setdefault(name, []).append(figures)


def _median(found: Sequence[tuple[float, float | None, float | None]]) -> Rate:
    rates = [rate for rate, _, _ in found]
    cpu = [used for _, used, _ in found if used is not None]
    groups = [size for _, _, size in found if size is not None]
    return Rate(
        writes=statistics.median(rates),
        least=min(rates),
        most=max(rates),
        cpu_us=statistics.median(cpu) if cpu else None,
        group=statistics.median(groups) if groups else None,
    )


async def beaten(folder: Path, address: str, script: str, seconds: float, *, number: int) -> float:
    """Scripts a second that pgbench runs."""
    file = folder / f"script-{number}.sql"
    file.write_text(script)
    program = binaries() / "pgbench"
    return await pgbench.run(program, address, file, clients=CLIENTS, seconds=seconds, number=number + 1)


@asynccontextmanager
async def replica(address: str, first: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """A gateway in a process of its own, ready."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.replica", address, str(first)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        await _heard(process)
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def together(
    processes: Sequence[asyncio.subprocess.Process], seconds: float
) -> tuple[float, float, float | None]:
    """All of ``processes`` at the same time: writes a second, CPU µs a write, commands a group."""
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(f"{seconds}\n".encode())
        await process.stdin.drain()
    told = [await _heard(process) for process in processes]
    calls = sum(each["calls"] for each in told)
    groups = sum(each["groups"] for each in told)
    return (
        sum(each["calls"] / each["wall"] for each in told),
        sum(each["cpu"] for each in told) / calls * 1e6,
        sum(each["commands"] for each in told) / groups if groups else None,
    )


async def _heard(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    assert line, "a replica ended"
    found: dict[str, Any] = json.loads(line)
    return found
