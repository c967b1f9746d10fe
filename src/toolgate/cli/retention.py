"""``toolgate retention``: what the configuration lets go, what of it is due, and a round on demand.

A gateway makes a round by itself each hour, one process for all. Not here: what may go (``domain.retention``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from toolgate.cli.exits import no
from toolgate.cli.ledger import reading, writing
from toolgate.cli.options import as_json, asynchronous, configured, yes_option
from toolgate.cli.plain import dated, iso, print_json
from toolgate.cli.tables import console, print_facts
from toolgate.config import Settings
from toolgate.domain.duration import spoken
from toolgate.domain.retention import SHORTEST
from toolgate.operations.retention import TURN, keep_within, plan_retention

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolgate.domain.retention import Retention

_WORDS: Final = {
    "arguments": ("call without its arguments and result", "calls without their arguments and results"),
    "keys": ("idempotency key", "idempotency keys"),
    "calls": ("call with its approval", "calls with their approvals"),
    "sessions": ("session, link or exchanged token", "sessions, links and exchanged tokens"),
    "notices": ("notification", "notifications"),
    "audit": ("record of the trail", "records of the trail"),
}


@click.group()
def retention() -> None:
    """Remove what was kept long enough. A gateway does it by itself, each hour."""


@retention.command()
@configured
@as_json
@asynchronous
async def plan(settings: Settings, *, as_json: bool) -> None:
    """Say how long things are kept, and what would be removed now. It removes nothing."""
    async with reading(settings) as ledger:
        counts = await plan_retention(ledger.store, settings.retention)
        last = await ledger.store.turn_taken(TURN)
    if as_json:
        print_json(
            {"kept": _kept(settings.retention), "due": counts, "last": None if last is None else iso(last)}
        )
        return
    print_facts((name, _said(kept)) for name, kept in _kept(settings.retention).items())
    click.echo(f"\nlast round: {'never' if last is None else dated(last) + ' UTC'}")
    _print_counts("due now", counts, nothing="Nothing is due.")


@retention.command()
@configured
@yes_option
@as_json
@asynchronous
async def run(settings: Settings, *, yes: bool, as_json: bool) -> None:
    """Make a round now, whoever's turn it is. What is removed cannot be brought back: export the trail before."""
    if not yes and console().is_terminal:
        async with reading(settings) as ledger:
            counts = await plan_retention(ledger.store, settings.retention)
        _print_counts("due now", counts, nothing="Nothing is due.")
        if not counts:
            return
        if not click.confirm("Remove it?"):
            no("nothing was removed")
    screen = console(stderr=True)
    async with writing(settings) as ledger:
        await ledger.store.turn(TURN, every=0.0)
        with screen.status("removing") as status:

            def progress(counts: Mapping[str, int]) -> None:
                status.update(f"removing: {_in_words(counts)}")

            removed = await keep_within(ledger.store, settings.retention, progress=progress)
    if as_json:
        print_json({"removed": dict(removed)})
    else:
        _print_counts("removed", removed, nothing="Nothing was due.")


def _kept(retention: Retention) -> dict[str, float | None]:
    return {name: getattr(retention, name) for name in SHORTEST}


def _said(kept: float | None) -> str:
    return "kept for ever" if kept is None else f"kept for {spoken(kept)}"


def _in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def _print_counts(title: str, counts: Mapping[str, int], *, nothing: str) -> None:
    if not any(counts.values()):
        click.echo(nothing)
        return
    click.echo(f"{title}:")
    for name, (one, many) in _WORDS.items():
        if count := counts.get(name, 0):
            click.echo(f"  {count:>9,} {one if count == 1 else many}".replace(",", " "))
