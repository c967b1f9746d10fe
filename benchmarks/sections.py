"""What is measured, section by section. Each returns plain figures; ``report`` shows them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import psutil

from benchmarks import history, jobs, mcp, past, postgres, subjects
from benchmarks.measure import Call, load, side_by_side
from benchmarks.office import office

Note = Callable[[str], None]
Section = Callable[..., Coroutine[Any, Any, dict[str, Any]]]
CALLERS = (1, 16, 128)


async def calls(folder: Path, *, quick: bool, note: Note) -> dict[str, Any]:
    """The same function bare, validated, in two frameworks, and governed."""
    found = {}
    rounds = 3 if quick else 7
    async with subjects.gate(folder, name="calls") as gateway:
        beside: dict[str, Call] = {
            "bare function": subjects.bare(),
            "pydantic + function": subjects.validated(),
            "FunctionTool (openai-agents)": subjects.function_tool(),
            "StructuredTool (langchain-core)": subjects.structured_tool(),
            "governed read": subjects.governed_read(gateway),
            "governed write": subjects.governed_write(gateway),
        }
        for callers in CALLERS:
            count = (500 if quick else 2000) if callers == 1 else (2000 if quick else 8000)
            found[str(callers)] = await side_by_side(
                beside, callers=callers, calls=count, rounds=rounds, note=note
            )
    return found


async def tools(folder: Path, *, quick: bool, note: Note) -> dict[str, Any]:
    """The cost of a call with few and with many tools registered."""
    found: dict[str, Any] = {}
    count, rounds = (2000, 3) if quick else (8000, 5)
    for extra in (0, 98, 998):
        async with subjects.gate(folder, extra_tools=extra, name=f"tools-{extra}") as gateway:
            beside = {"read": subjects.governed_read(gateway), "write": subjects.governed_write(gateway)}
            found[str(extra + 2)] = await side_by_side(
                beside, callers=128, calls=count, rounds=rounds, note=note
            )
    return found


async def growth(folder: Path, *, quick: bool, note: Note) -> dict[str, Any]:
    """The cost of a call on a young and on an old ledger: both stores measured in turn, in one run."""
    young, old = 1000, 100_000 if quick else 1_000_000
    count, rounds = (2000, 3) if quick else (8000, 5)
    found: dict[str, Any] = {}
    for rows in (young, old):
        note(f"writing {rows} calls of history")
        await history.write(folder / f"history-{rows}.db", rows)
    async with (
        subjects.gate(folder, name=f"history-{young}") as small,
        subjects.gate(folder, name=f"history-{old}") as large,
    ):
        beside = {
            f"read after {young}": subjects.governed_read(small),
            f"read after {old}": subjects.governed_read(large),
            f"write after {young}": subjects.governed_write(small),
            f"write after {old}": subjects.governed_write(large),
        }
        found["128"] = await side_by_side(beside, callers=128, calls=count, rounds=rounds, note=note)
    return found


async def memory(folder: Path, *, quick: bool, note: Note) -> dict[str, Any]:
    """Resident memory while a million calls go by."""
    total, steps = (100_000, 10) if quick else (1_000_000, 20)
    process = psutil.Process()
    sizes = []
    async with subjects.gate(folder, name="memory") as gateway:
        read, write = subjects.governed_read(gateway), subjects.governed_write(gateway)

        async def mixed(number: int) -> object:
            return await (write if number % 10 == 0 else read)(number)

        await load(mixed, callers=128, calls=total // steps, first=0)
        for step in range(steps):
            note(f"memory, {step * total // steps} of {total} calls")
            await load(mixed, callers=128, calls=total // steps, first=(step + 1) * total)
            sizes.append(process.memory_info().rss / 2**20)
    half = len(sizes) // 2
    return {
        "calls": total,
        "rss_mib": [round(size, 1) for size in sizes],
        "first_half_median": statistics.median(sizes[:half]),
        "second_half_median": statistics.median(sizes[half:]),
    }


ALL: dict[str, Section] = {
    "calls": calls,
    "tools": tools,
    "history": growth,
    "memory": memory,
    "office": office,
    "mcp": mcp.served,
    "proxy": mcp.proxied,
    "postgres": postgres.replicas,
    "past": past.past,
    "jobs": jobs.jobs,
}
