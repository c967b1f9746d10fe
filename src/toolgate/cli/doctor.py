"""``toolgate doctor``: look at everything that the configuration names, and say how to mend what does not stand well.

It changes nothing, works while a gateway runs or the store is down, and shows no secret. Not here: looking
(``bootstrap.doctor``, ``operations.examine``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click
from rich.table import Table
from rich.text import Text

from toolgate.bootstrap.doctor import examine_all
from toolgate.cli.options import as_json, asynchronous
from toolgate.cli.plain import print_json, printable
from toolgate.cli.tables import console
from toolgate.config import DEFAULT_FILE, load_settings
from toolgate.domain.checkup import Finding, State, fail, worst
from toolgate.domain.errors import ToolgateError
from toolgate.domain.redaction import redact_text

if TYPE_CHECKING:
    from collections.abc import Sequence

_COLOURS: Final = {State.OK: "green", State.WARN: "yellow", State.FAIL: "bold red"}
_CODES: Final = {State.OK: 0, State.WARN: 1, State.FAIL: 2}


@click.command()
@click.option(
    "--config",
    "config",
    multiple=True,
    metavar="FILE",
    help=f"A configuration; several are read in order.  [default: {DEFAULT_FILE}]",
)
@click.option(
    "--live", is_flag=True, help="Connect to the upstreams too, and see whether they are as pinned."
)
@as_json
@asynchronous
async def doctor(config: tuple[str, ...], *, live: bool, as_json: bool) -> int:
    """Look at configuration, keys, store, clocks and what stands open, and say what mends it. It changes nothing.

    Exit code 0 if all is well, 1 if somebody should look, 2 if something does not work.
    """
    findings = [_safe(finding) for finding in await _findings(config, live=live)]
    if as_json:
        print_json(
            {
                "state": worst(findings).value,
                "findings": [
                    {"area": one.area, "state": one.state.value, "words": one.words, "mend": one.mend}
                    for one in findings
                ],
            }
        )
    else:
        _print(findings)
    return _CODES[worst(findings)]


async def _findings(config: tuple[str, ...], *, live: bool) -> list[Finding]:
    try:
        settings = load_settings(*config)
    except ToolgateError as fault:
        return [fail("configuration", str(fault), "then ask again: nothing else was looked at")]
    return [finding async for finding in examine_all(settings, live=live)]


def _safe(finding: Finding) -> Finding:
    """Without what looks like a secret, and without what would obey on a terminal."""
    mend = None if finding.mend is None else printable(redact_text(finding.mend))
    return finding._replace(words=printable(redact_text(finding.words)), mend=mend)


def _print(findings: Sequence[Finding]) -> None:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for one in findings:
        said = Text(one.words)
        if one.mend is not None and one.state is not State.OK:
            said.append(f"\n→ {one.mend}", style="dim")
        table.add_row(Text(one.state.value, style=_COLOURS[one.state]), Text(one.area, style="bold"), said)
    console().print(table)
    bad = {state: sum(one.state is state for one in findings) for state in State}
    click.echo()
    match worst(findings):
        case State.OK:
            click.echo(f"All is well: {len(findings)} things looked at.")
        case State.WARN:
            click.echo(f"It works. {_count(bad[State.WARN])} somebody should look at.")
        case State.FAIL:
            more = f", and {_count(bad[State.WARN])} somebody should look at" if bad[State.WARN] else ""
            click.echo(f"Broken: {_count(bad[State.FAIL])}{more}.")


def _count(many: int) -> str:
    return "1 thing" if many == 1 else f"{many} things"
