"""The demo: an agent's day at the support desk, through the real gate, on real databases.

`run_demo` plays the scenes, prints the trail of them and verifies it, compares the gate's ledger with the desk's
own tables, and says what to try next. It answers 1 if anything that it showed was not so.

Does not belong here: what happens in the scenes (`scenes`), how it looks (`stage`), the command line.
"""

from __future__ import annotations

import asyncio
import json
import shlex
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from toolgate import Gateway, Status
from toolgate.domain.audit import StoredRecord, verify_chains
from toolgate.domain.trail import TOOL_CALL, flat_line
from toolgate.examples.support_desk.actions import Day
from toolgate.examples.support_desk.books import all_calls, balances
from toolgate.examples.support_desk.scenes import SCENES
from toolgate.examples.support_desk.stage import Stage
from toolgate.examples.support_desk.tools import callers, deps, personas, tools
from toolgate.examples.support_desk.world import DEFAULT_NAME, World
from toolgate.ports import ApprovalFilter

LEDGER = "toolgate.db"
CONFIGURATION = "toolgate.toml"
_WIDE = 100
_LOOK = (
    "toolgate tools",
    "toolgate check toolgate.examples.support_desk:tools",
    "toolgate calls list",
    "toolgate audit tail",
    "toolgate approvals list",
    "toolgate jobs list",
)
_Column = tuple[str, Callable[[Mapping[str, Any]], object]]


def _who(line: Mapping[str, Any]) -> str:
    """Who did it. A gateway that did it by itself is known by the name of its boot, which says nothing here."""
    actor = str(line.get("actor", line["user_id"]))
    return "a worker" if actor.startswith("boot_") else actor


_COLUMNS: tuple[_Column, ...] = (
    ("time", lambda line: datetime.fromtimestamp(line["time"] / 1e6, UTC).strftime("%H:%M:%S")),
    ("who", _who),
    ("tool", lambda line: line["tool"]),
    ("what", lambda line: line["transition"]),
    ("status", lambda line: line["status"]),
    ("effect", lambda line: line["effect"]),
    ("ms", lambda line: line["duration_ms"]),
)
"""A line of the trail in columns; the last two only where there is room."""

_TOML = f"""\
# Left by `toolgate demo --keep`. Run the commands in this folder: the paths are relative to it.
tools   = ["toolgate.examples.support_desk:tools"]
deps    = "toolgate.examples.support_desk:deps"
callers = "toolgate.examples.support_desk:callers"
store   = "sqlite:///{LEDGER}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _LeftOver:
    """What the day leaves for people: a request for consent, and a call that nobody knows the end of."""

    approval_id: str
    call_id: str


def run_demo(*, keep: Path | None, console: Console) -> int:
    """Play the day. 0 if everything shown was so, 1 if not.

    Args:
        keep: an absent or empty folder to leave the databases, their keys and a `toolgate.toml` in; None leaves
            nothing.
        console: where to print; it decides on width and colour.

    Raises:
        FileExistsError: `keep` has something in it. Nothing is touched.
    """
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="toolgate-demo-") as folder:
            return asyncio.run(_play(Path(folder), Stage(console=console), kept=False))
    _prepare(keep)
    return asyncio.run(_play(keep, Stage(console=console), kept=True))


def _prepare(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty; name a folder that is, or that does not exist")


async def _play(folder: Path, stage: Stage, *, kept: bool) -> int:
    stage.title(
        "A day at the support desk", "A model may ask. The gate decides, and can prove it afterwards."
    )
    with World.create(folder / DEFAULT_NAME).use() as world:
        # No housekeeping by the clock: the demo calls for each round, so that each scene shows one thing. Nor does it
        # run jobs itself: they have workers of their own.
        async with Gateway(
            tools,
            store=f"sqlite:///{folder / LEDGER}",
            deps=deps,
            callers=callers,
            housekeeping=None,
            jobs=False,
        ) as gateway:
            day = Day(stage=stage, world=world, gateway=gateway)
            for scene in SCENES:
                await scene(day)
            await _show_trail(day)
            await _show_books(day)
            left = await _left_over(day)
    if kept:
        (folder / CONFIGURATION).write_text(_TOML, encoding="utf-8")
    _what_next(stage, folder if kept else None, left)
    return _verdict(stage)


async def _show_trail(day: Day) -> None:
    records = [record async for record in day.gateway.store.records()]
    lines = [line for record in records if (line := _line(record))["event"] == TOOL_CALL]
    day.stage.scene(
        "The trail of all that", f"{len(lines)} lines, one for each durable step; a call has one or several."
    )
    columns = _COLUMNS if day.stage.console.width >= _WIDE else _COLUMNS[:-2]
    day.stage.table(
        [title for title, _ in columns],
        [[str(show(line)) for _, show in columns] for line in lines],
    )
    day.stage.say("\nOne line in full; what is sensitive was replaced before it was written:")
    day.stage.say(
        json.dumps(
            next((line for line in lines if line["transition"] == "held"), lines[-1]), ensure_ascii=False
        )
    )
    _verify(day.stage, records)


def _verify(stage: Stage, records: list[StoredRecord]) -> None:
    report = verify_chains(records)
    stage.check(
        f"{report.records} records verified: every record and every link of the chain", holds=report.intact
    )
    victim = len(records) // 2
    forged = replace(records[victim], record=records[victim].record.replace(b"u-maya", b"u-omar"))
    broken = verify_chains([*records[:victim], forged, *records[victim + 1 :]])
    named = [problem for problem in broken.problems if problem.seq == forged.seq]
    stage.check(
        f"one name changed in a copy of record {forged.seq}: found, as {named[0].kind if named else 'nothing'}",
        holds=not broken.intact and bool(named),
    )


async def _show_books(day: Day) -> None:
    day.stage.scene("Two sets of books", "Counted from the gate's ledger and from the desk's own tables.")
    rows = await balances(day.gateway.store, day.world)
    day.stage.table(
        ("effects", "ledger: applied", "ledger: unknown", "desk: rows", "agree"),
        [
            (row.what, str(row.applied), str(row.unknown), str(row.rows), "yes" if row.agrees else "NO")
            for row in rows
        ],
        numbers=True,
    )
    statuses = Counter(call.status for call in await all_calls(day.gateway.store))
    day.stage.say(
        "\nCalls: " + ", ".join(f"{number} {status}" for status, number in sorted(statuses.items()))
    )
    day.stage.check(
        "nothing happened twice, and nothing was said that did not happen",
        holds=all(row.agrees for row in rows),
    )


async def _left_over(day: Day) -> _LeftOver | None:
    approvals = await day.gateway.store.approvals(ApprovalFilter(open_only=True))
    unknown = [call for call in await all_calls(day.gateway.store) if call.status == Status.UNKNOWN]
    as_told = (len(approvals), len(unknown)) == (1, 1)
    day.stage.check("one approval and one unknown call are left for people", holds=as_told)
    return _LeftOver(approval_id=approvals[0].approval_id, call_id=unknown[0].call_id) if as_told else None


def _what_next(stage: Stage, folder: Path | None, left: _LeftOver | None) -> None:
    stage.heading("What to try next")
    tenant = personas["ines"].caller.tenant
    if folder is None:
        stage.say("Nothing was kept. Keep the databases, and decide about what waits in a browser:")
        stage.lines(
            [
                *_put_on_the_path(),
                "toolgate demo --keep desk-day",
                f"cd desk-day && toolgate serve --tenant {tenant}",
            ]
        )
        return
    stage.say("Look around:")
    stage.lines([*_put_on_the_path(), f"cd {shlex.quote(str(folder))}", *_LOOK])
    stage.say("\nServe it, and open the link that it prints, to see what waits and what is unresolved:")
    stage.lines([f"toolgate serve --tenant {tenant}"])
    if left is not None:
        _decide_next(stage, left)


def _put_on_the_path() -> list[str]:
    """What has to be said first where the demo was started by its path, as `make demo` does."""
    if shutil.which("toolgate") is not None:
        return []
    activate = Path(sys.prefix, "bin", "activate")
    near = activate.relative_to(Path.cwd()) if activate.is_relative_to(Path.cwd()) else activate
    return [f". {shlex.quote(str(near))}"]


def _decide_next(stage: Stage, left: _LeftOver) -> None:
    stage.say("\nOr by commands. Be Ines: cast the second vote, and say what became of the mail:")
    stage.lines(
        [
            f"toolgate approvals show {left.approval_id}",
            *_be("ines", "operator"),
            f"toolgate approvals approve {left.approval_id} \\",
            '    --reason "She asked in writing."',
            f"toolgate calls resolve {left.call_id} --applied \\",
            '    --reason "It lies in the outbox."',
        ]
    )
    stage.say("\nBe Priya: ask again in the same case; the gate carries out what was approved:")
    stage.lines(
        [
            *_be("priya"),
            "toolgate call delete_customer --workflow case-108 --wait 10s \\",
            """    --args '{"customer_id": "cus_1005", "ground": "customer_request"}'""",
            "toolgate audit verify",
        ]
    )


def _be(who: str, *more: str) -> tuple[str, str]:
    caller = personas[who].caller
    roles = ",".join(sorted({*caller.roles, *more}))
    return (
        "export TOOLGATE_TOKEN=$(toolgate tokens create \\",
        f"    --id {caller.id} --tenant {caller.tenant} --roles {roles})",
    )


def _verdict(stage: Stage) -> int:
    stage.heading("Result")
    for failure in stage.failed:
        stage.say(f"NOT SO, {failure}")
    stage.say(f"{stage.checks - len(stage.failed)} of {stage.checks} checks hold.")
    return 1 if stage.failed else 0


def _line(record: StoredRecord) -> dict[str, Any]:
    return flat_line(json.loads(record.record))
