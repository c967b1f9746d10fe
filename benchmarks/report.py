"""Figures as tables; the targets beside what was seen. × ST: CPU over that of ``StructuredTool.ainvoke``."""

from __future__ import annotations

import dataclasses
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Sample

UNGOVERNED = "StructuredTool (langchain-core)"


def plain(value: object) -> object:
    """For ``json.dumps``."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(type(value).__name__)


def show(console: Console, name: str, found: dict[str, Any]) -> None:
    """One section."""
    if name == "memory":
        console.print(
            f"memory over {found['calls']:,} calls: median {found['first_half_median']:.0f} MiB in the first half, "
            f"{found['second_half_median']:.0f} MiB in the second"
        )
        return
    if name == "office":
        _show_office(console, found)
        return
    for key, samples in found.items():
        title = {
            "calls": f"{key} waiting callers",
            "tools": f"{key} tools, 128 callers",
            "history": "128 callers",
        }[name]
        console.print(_table(title, samples))
    for line in _targets(name, found):
        console.print(line, markup=False)


def _table(title: str, samples: dict[str, Sample]) -> Table:
    bare = samples.get("bare function")
    other = samples.get(UNGOVERNED)
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("subject", no_wrap=True)
    for column in ("calls/s", "wall µs", "CPU µs", *(("× bare", "× ST") if bare else ()), "spread"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, sample in samples.items():
        table.add_row(
            name,
            f"{sample.per_second:,.0f}",
            f"{sample.wall_us:.1f}",
            f"{sample.cpu_us:.1f}",
            *(
                (f"{sample.cpu_us / bare.cpu_us:.1f}", f"{sample.cpu_us / other.cpu_us:.2f}")
                if bare and other
                else ()
            ),
            f"{sample.spread:.0%}",
        )
    return table


def _targets(name: str, found: dict[str, Any]) -> list[str]:
    if name == "calls":
        at = found["128"]
        read, write, other = at["governed read"], at["governed write"], at[UNGOVERNED]
        return [
            _line("governed read, CPU a call", read.cpu_us, "≤ 80 µs", met=read.cpu_us <= 80),
            _line(
                "governed read, calls/s over StructuredTool",
                read.per_second / other.per_second,
                "≥ 2 ×",
                met=read.per_second >= 2 * other.per_second,
            ),
            _line("governed write, calls/s", write.per_second, "≥ 4000", met=write.per_second >= 4000),
        ]
    if name == "tools":
        few, many = found["2"], found["1000"]
        return [
            _line(
                f"{kind}, 1000 tools over 2",
                many[kind].cpu_us / few[kind].cpu_us,
                "≤ 1.2 ×",
                met=many[kind].cpu_us <= 1.2 * few[kind].cpu_us,
            )
            for kind in ("read", "write")
        ]
    samples = list(found["128"].values())
    pairs = (("read", samples[0], samples[1], 1.2), ("write", samples[2], samples[3], 1.5))
    return [
        _line(
            f"{kind}, long history over short (CPU)",
            long.cpu_us / short.cpu_us,
            f"≤ {bound} ×",
            met=long.cpu_us <= bound * short.cpu_us,
        )
        for kind, short, long, bound in pairs
    ]


def _show_office(console: Console, found: dict[str, Any]) -> None:
    console.print(
        f"{found['calls']:,} calls behind, {found['pending']:,} approvals open, over HTTP on loopback"
    )
    answers = {**found["pages"], **found["endpoints"]}
    table = Table(box=None, pad_edge=False)
    table.add_column("milliseconds", overflow="fold")
    for column in ("status", "median", "slowest", "KiB"):
        table.add_column(column, justify="right", no_wrap=True, min_width=len(column))
    for name, answer in answers.items():
        times = (f"{answer.median_ms:.1f}", f"{answer.slowest_ms:.1f}")
        table.add_row(name, str(answer.status), *times, f"{answer.bytes / 1024:.0f}")
    console.print(table)
    worst = max(answers.values(), key=lambda answer: answer.median_ms)
    console.print(
        _line(f"slowest median, {worst.path}, ms", worst.median_ms, "< 200 ms", met=worst.median_ms < 200),
        markup=False,
    )
    seen = found["watchers"]
    console.print(
        f"{seen['watchers']} watchers: {seen['idle_cpu_percent']} % CPU of the server while nothing happens; "
        f"{seen['decisions']} decisions, {seen['heard']} of {seen['expected']} events arrived, median "
        f"{seen['median_ms']} ms, 95th percentile {seen['p95_ms']} ms, {seen['cpu_ms_per_decision']} ms CPU a decision"
    )


def _line(what: str, seen: float, target: str, *, met: bool) -> str:
    return f"{'met   ' if met else 'MISSED'}  {what}: {seen:,.2f} (target {target})"
