"""``toolgate audit``: read the trail, search it, verify it, take it elsewhere.

What is shown was redacted before it was written. Verifying and searching read the store or an export and write
nothing. The files of exports are in ``export_file``.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from toolgate.cli.exits import Exit, misused
from toolgate.cli.export_file import ExportBrokenError, ExportFile, written_to
from toolgate.cli.ledger import reading
from toolgate.cli.options import DurationType, as_json, asynchronous, configured
from toolgate.cli.plain import instant, print_json, printable
from toolgate.cli.tables import console, print_rows, progress
from toolgate.config import Settings, load_settings
from toolgate.domain.audit import Head, verify_chains
from toolgate.domain.audit_export import FinalHeads, heads_line, record_line
from toolgate.domain.duration import MICRO
from toolgate.domain.trail import flat_line
from toolgate.operations.search_audit import Wanted, said_values, search_audit
from toolgate.operations.verify_audit import verify_audit

if TYPE_CHECKING:
    from toolgate.domain.audit import ChainReport
    from toolgate.ports import Store

_HASH = 32
_FOLLOW_EVERY = 1.0
_SHOWN_HEADS = 4


@click.group()
def audit() -> None:
    """Read, search, verify and export the trail."""


# --- reading --------------------------------------------------------------------------------------------------


@audit.command()
@configured
@click.option(
    "-n", "--lines", type=click.IntRange(1, 1_000_000), default=20, show_default=True, help="How many."
)
@click.option("--follow", is_flag=True, help="Go on with what is written from now on.")
@as_json
@asynchronous
async def tail(settings: Settings, lines: int, follow: bool, as_json: bool) -> None:  # noqa: FBT001 - click's parameters
    """Print the newest events; with --json one flat object a line."""
    async with reading(settings) as ledger:
        shown = [_flat(item.record) async for item in ledger.store.records(newest=lines)]
        _print_events(shown, as_json=as_json)
        if follow:
            async for line in _following(ledger.store):
                _print_events([line], as_json=as_json, again=True)


async def _following(store: Store) -> AsyncIterator[dict[str, Any]]:
    """What every writer commits from now on, found by the growth of the chains."""
    known = await store.heads()
    while True:
        await asyncio.sleep(_FOLLOW_EVERY)
        heads = await store.heads()
        grown = sum(seq - known.get(chain, (0, b""))[0] for chain, (seq, _) in heads.items())
        known = heads
        if grown:
            async for item in store.records(newest=grown):
                yield _flat(item.record)


@audit.command()
@configured
@click.option("--caller", metavar="ID")
@click.option("--tool", metavar="NAME")
@click.option("--decision", type=click.Choice(["allow", "deny", "hold"]))
@click.option("--call", "call_id", metavar="CALL")
@click.option("--status", metavar="STATUS", help="succeeded, refused, failed, unknown, ...")
@click.option("--since", type=DurationType(), metavar="DURATION", help="Only the last 24h, 30m, ...")
@click.option(
    "--value",
    "values",
    multiple=True,
    metavar="FIELD=VALUE",
    help="An argument's value, also of a sensitive field; FIELD=- reads it from stdin. It is stored nowhere.",
)
@as_json
@asynchronous
async def search(
    settings: Settings,
    caller: str | None,
    tool: str | None,
    decision: str | None,
    call_id: str | None,
    status: str | None,
    since: float | None,
    values: tuple[str, ...],
    as_json: bool,  # noqa: FBT001 - click's parameter
) -> int:
    """Find events. Exit code 1 if there is none."""
    exact = {"user_id": caller, "tool": tool, "decision": decision, "status": status}
    looked_for = dict(_value(text) for text in values)
    async with reading(settings) as ledger:
        earliest = None if since is None else await ledger.store.now() - round(since * MICRO)
        wanted = Wanted(
            exact={name: value for name, value in exact.items() if value is not None},
            call_id=call_id,
            since=earliest,
            values=looked_for,
        )
        found = [line async for line in search_audit(ledger.store, ledger.keys, wanted)]
    _print_events(found, as_json=as_json)
    return Exit.OK if found else Exit.NO


def _value(text: str) -> tuple[str, tuple[Any, ...]]:
    path, equals, value = text.partition("=")
    if not path or not equals:
        misused("--value: write FIELD=VALUE, for example card_hint=4242")
    if value == "-":
        value = sys.stdin.readline().rstrip("\r\n")
    return path, said_values(value)


def _flat(record: bytes) -> dict[str, Any]:
    try:
        value = json.loads(record)
    except ValueError:
        return {"event": "unreadable"}
    return flat_line(value) if isinstance(value, dict) else {"event": "unreadable"}


def _print_events(lines: list[dict[str, Any]], *, as_json: bool, again: bool = False) -> None:
    if as_json:
        for line in lines:
            print_json(line)
    elif again:
        for line in lines:
            click.echo("  ".join(printable(f"{above} {below}") for above, below in _row(line)))
    else:
        print_rows(
            (("call or event", "who"), ("when (UTC)", "what"), ("tool", "status, effect")),
            (_row(line) for line in lines),
            empty="Nothing.",
        )


def _row(line: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    who = str(line.get("actor") or line.get("user_id") or "")
    what = str(line.get("transition", ""))
    status = ", ".join(str(line[name]) for name in ("status", "effect") if name in line)
    return (
        (str(line.get("call_id") or line["event"]), who),
        (instant(line["time"]) if isinstance(line.get("time"), int) else "", what),
        (str(line.get("tool", "")), status),
    )


# --- verifying ------------------------------------------------------------------------------------------------


@audit.command()
@click.option(
    "--config", "config", multiple=True, metavar="FILE", help="As everywhere; not needed with --file."
)
@click.option(
    "--file", "file", type=click.Path(path_type=Path, dir_okay=False), metavar="EXPORT", help="An export."
)
@click.option(
    "--head",
    "heads",
    multiple=True,
    metavar="CHAIN=SEQ:HEX",
    help="A head that an earlier run printed and you kept elsewhere: it must still be there.",
)
@as_json
def verify(config: tuple[str, ...], file: Path | None, heads: tuple[str, ...], as_json: bool) -> int:  # noqa: FBT001
    """Check every record, every link and every known head; exit code 1 and what broke, if anything did.

    Of an export it needs the file alone: no store, no keys, no configuration.
    """
    kept = [_kept(head) for head in heads]
    report = _verified_store(load_settings(*config), kept) if file is None else _verified_file(file, kept)
    if as_json:
        print_json(_described(report))
    else:
        _print_report(report)
    return Exit.OK if report.intact else Exit.NO


@asynchronous
async def _verified_store(settings: Settings, kept: list[tuple[str, Head]]) -> ChainReport:
    async with reading(settings) as ledger:
        total = sum(seq for seq, _ in (await ledger.store.heads()).values())
        with progress("verifying") as bar:
            task = bar.add_task("", total=total)
            return await verify_audit(
                ledger.store, kept_heads=kept, progress=lambda count: bar.update(task, completed=count)
            )


def _verified_file(path: Path, kept: list[tuple[str, Head]]) -> ChainReport:
    try:
        export = ExportFile(path)
        with progress("verifying") as bar:
            task = bar.add_task("", total=export.final.records)
            return verify_chains(
                export,
                known_heads=export.final.heads,
                kept_heads=kept,
                progress=lambda count: bar.update(task, completed=count),
            )
    except ExportBrokenError as broken:
        raise click.exceptions.Exit(_broken(broken)) from None


def _broken(broken: ExportBrokenError) -> int:
    click.echo(f"toolgate: {printable(str(broken))}", err=True)
    return Exit.NO


def _kept(text: str) -> tuple[str, Head]:
    chain, _, place = text.rpartition("=")
    seq, _, link = place.partition(":")
    try:
        head = int(seq), bytes.fromhex(link)
    except ValueError:
        head = 0, b""
    if not chain or len(head[1]) != _HASH:
        misused(f"--head: {text!r} is no head; write CHAIN=SEQ:HEX as `toolgate audit verify` prints it")
    return chain, head


def _print_report(report: ChainReport) -> None:
    many = f"{_count(report.records, 'record')} in {_count(len(report.heads), 'chain')}"
    if report.intact:
        click.echo(f"Intact: {many}. Every record, every link and every known head fits.")
        if report.removed_records:
            gone = _count(report.removed_records, "older record")
            click.echo(
                f"Retention removed {gone} of {_count(len(report.removed), 'chain')}, and the trail says so."
            )
    else:
        click.echo(f"BROKEN: {_count(report.problem_count, 'problem')} in {many}.\n")
        print_rows(
            (("chain", "record"), ("what", ""), ("how", "")),
            (
                (
                    (found.chain_id, f"record {found.seq}" if found.seq else ""),
                    (found.kind.value, ""),
                    (found.message, ""),
                )
                for found in report.problems
            ),
            empty="",
        )
    # An id ends in the time of its making, so that the newest chains are those that say most.
    newest = sorted(report.heads, key=lambda chain: chain.rpartition("_")[2], reverse=True)
    if newest and report.intact:
        # The heads of a broken trail would bless it.
        click.echo("\nKeep these elsewhere; with them a trail that is cut or written anew shows:")
        for chain in newest[:_SHOWN_HEADS]:
            seq, link = report.heads[chain]
            console().print(f"  --head {printable(chain)}={seq}:{link.hex()}", soft_wrap=True)
        if len(newest) > _SHOWN_HEADS:
            click.echo(f"  and {len(newest) - _SHOWN_HEADS} more, which are older: --json prints all")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _described(report: ChainReport) -> dict[str, Any]:
    return {
        "intact": report.intact,
        "records": report.records,
        "problem_count": report.problem_count,
        "problems": [
            {
                "kind": problem.kind.value,
                "chain": problem.chain_id,
                "seq": problem.seq,
                "message": problem.message,
            }
            for problem in report.problems
        ],
        "removed_records": report.removed_records,
        "removed": {chain: seq for chain, (seq, _) in sorted(report.removed.items())},
        "heads": {chain: f"{seq}:{link.hex()}" for chain, (seq, link) in sorted(report.heads.items())},
    }


# --- exporting ------------------------------------------------------------------------------------------------


@audit.command()
@configured
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A new file, readable by you alone.  [default: stdout]",
)
@asynchronous
async def export(settings: Settings, out: Path | None) -> None:
    """Write the whole trail as JSON lines that verify anywhere: toolgate audit verify --file FILE."""
    async with reading(settings) as ledger:
        # Known before the first record is read: what is written meanwhile only comes on top.
        heads = await ledger.store.heads()
        count = 0
        with written_to(out) as file, progress("exporting") as bar:
            task = bar.add_task("", total=sum(seq for seq, _ in heads.values()))
            async for item in ledger.store.records():
                file.write(record_line(item) + b"\n")
                count += 1
                bar.update(task, completed=count)
            file.write(heads_line(FinalHeads(heads, count)) + b"\n")
    if out is not None:
        click.echo(
            f"wrote {count} records to {out}; verify them with: toolgate audit verify --file {out}", err=True
        )
