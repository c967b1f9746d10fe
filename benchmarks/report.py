"""Figures as tables; the targets beside what was seen. × ST: CPU over that of ``StructuredTool.ainvoke``.

Of MCP servers CPU is that of the server's process, × that of the ungoverned one.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import mcp
from benchmarks.jobs import Pace
from benchmarks.measure import Sample
from benchmarks.postgres import Rate

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
    if name == "jobs":
        _show_jobs(console, found)
        return
    if name == "postgres":
        _show_replicas(console, found)
        return
    if name == "past":
        _show_past(console, found)
        return
    if name in {"mcp", "proxy"}:
        _show_mcp(console, name, found)
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


def _show_replicas(console: Console, found: dict[str, Any]) -> None:
    rates: dict[str, Rate] = found["rates"]
    one, *more = (rate for name, rate in rates.items() if name.startswith("gate"))
    beside = {name: rate for name, rate in rates.items() if name.startswith("pgbench")}
    title = (
        f"governed writes on Postgres, {found['cores']} cores, about {found['bytes']:,} bytes of rows a write"
    )
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("subject", no_wrap=True)
    for column in ("writes/s", "least", "most", "a transaction", "CPU µs a write"):
        table.add_column(column, justify="right", no_wrap=True)
    for name, rate in rates.items():
        table.add_row(
            name,
            f"{rate.writes:,.0f}",
            f"{rate.least:,.0f}",
            f"{rate.most:,.0f}",
            "-" if rate.group is None else f"{rate.group:.0f}",
            "-" if rate.cpu_us is None else f"{rate.cpu_us:,.0f}",
        )
    console.print(table)
    best = max(rate.writes for rate in (one, *more))
    for name, rate in beside.items():
        ratio = best / rate.writes
        console.print(_line(f"best of the gate × {name}", ratio, "≥ 0.5", met=ratio >= 0.5), markup=False)
    for number, rate in enumerate(more, start=2):
        ratio = rate.writes / one.writes
        console.print(_line(f"{number} gateways × one", ratio, "≥ 1", met=ratio >= 1), markup=False)


def _show_past(console: Console, found: dict[str, Any]) -> None:
    title = f"medians with {found['events']:,} events behind, and without"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("what", no_wrap=True)
    for column in ("empty", "full", "×"):
        table.add_column(column, justify="right", no_wrap=True)
    ratios = {}
    for what, median in found["medians"].items():
        ratios[what] = median["full"] / median["empty"]
        table.add_row(what, f"{median['empty']:,.0f}", f"{median['full']:,.0f}", f"{ratios[what]:.2f}")
    console.print(table)
    for what, ratio in ratios.items():
        console.print(_line(f"{what}, full × empty", ratio, "≤ 1.2", met=ratio <= 1.2), markup=False)


def _show_jobs(console: Console, found: dict[str, dict[str, Pace]]) -> None:
    for database, paces in found.items():
        bare, *ours = paces.values()
        table = Table(title=f"empty jobs, {database}", title_justify="left", box=None, pad_edge=False)
        table.add_column("subject", no_wrap=True)
        for column in ("jobs/s", "enqueued/s", "CPU µs a job", "× DBOS"):
            table.add_column(column, justify="right", no_wrap=True)
        for name, pace in paces.items():
            table.add_row(
                name,
                f"{pace.jobs:,.0f}",
                f"{pace.enqueued:,.0f}",
                f"{pace.cpu_us:,.0f}",
                f"{pace.jobs / bare.jobs:.2f}",
            )
        console.print(table)
        ratio = min(pace.jobs for pace in ours) / bare.jobs
        console.print(_line(f"jobs on {database} × DBOS", ratio, "≥ 0.8", met=ratio >= 0.8), markup=False)


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


def _show_mcp(console: Console, name: str, found: dict[str, dict[str, Sample]]) -> None:
    for title, samples in found.items():
        console.print(_beside(title, samples, mcp.SDK if name == "mcp" else mcp.RAW))
        if not title.startswith("tools/call") or "handshake" in title:
            continue
        ours = next(sample for subject, sample in samples.items() if subject.startswith(mcp.GATE))
        for line in _served(ours, samples) if name == "mcp" else _proxied(ours, samples):
            console.print(line, markup=False)


def _beside(title: str, samples: dict[str, Sample], other: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("subject", no_wrap=True)
    for column in ("req/s", "CPU µs", "× CPU", "× req/s", "spread"):
        table.add_column(column, justify="right", no_wrap=True)
    beside = samples[other]
    for subject, sample in samples.items():
        table.add_row(
            subject,
            f"{sample.per_second:,.0f}",
            f"{sample.cpu_us:,.0f}",
            f"{sample.cpu_us / beside.cpu_us:.2f}",
            f"{sample.per_second / beside.per_second:.2f}",
            f"{sample.spread:.0%}",
        )
    return table


def _served(ours: Sample, samples: dict[str, Sample]) -> list[str]:
    cpu = ours.cpu_us / samples[mcp.SDK].cpu_us
    times = ours.per_second / samples[mcp.FASTMCP].per_second
    return [
        _line("a governed read, CPU over the SDK's ungoverned server", cpu, "≤ 1.3 ×", met=cpu <= 1.3),
        _line("a governed read, requests/s over FastMCP", times, "≥ 3 ×", met=times >= 3),
    ]


def _proxied(ours: Sample, samples: dict[str, Sample]) -> list[str]:
    times = ours.per_second / samples[mcp.PROXY].per_second
    return [_line("a governed read, requests/s over create_proxy", times, "≥ 10 ×", met=times >= 10)]


def _line(what: str, seen: float, target: str, *, met: bool) -> str:
    return f"{'met   ' if met else 'MISSED'}  {what}: {seen:,.2f} (target {target})"
