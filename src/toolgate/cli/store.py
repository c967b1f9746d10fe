"""``toolgate store copy``: move a ledger from SQLite to Postgres.

Not here: how (``bootstrap.copy_store``).
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from toolgate.bootstrap.copy_store import copy_store
from toolgate.bootstrap.stores import keys_file
from toolgate.cli.exits import misused
from toolgate.cli.options import as_json, asynchronous
from toolgate.cli.plain import print_json
from toolgate.cli.tables import print_facts, progress


@click.group()
def store() -> None:
    """Move a ledger to another database."""


@store.command()
@click.option(
    "--from", "source", required=True, metavar="URL", help="sqlite:///toolgate.db, with its keys beside it."
)
@click.option(
    "--to",
    "target",
    required=True,
    metavar="URL",
    help="postgresql://…, with an empty schema or none; env:NAME or file:PATH keeps its password out of sight.",
)
@click.option(
    "--keys",
    "keys",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The source's keys.",
)
@as_json
@asynchronous
async def copy(source: str, target: str, keys: Path | None, *, as_json: bool) -> None:
    """Copy a whole ledger into an empty one, or nothing. No gateway may run on either; the trail is verified after it.

    The copy needs the same keys: name them with keys = "file:PATH" in toolgate.toml.
    """
    with progress("copying") as bar:
        task = bar.add_task("", total=None)
        copied = await copy_store(
            source,
            _resolved(target),
            keys=keys,
            begin=lambda total: bar.update(task, total=total),
            progress=lambda rows: bar.advance(task, rows),
        )
    if as_json:
        print_json({"rows": copied.rows, "verified": copied.verified})
        return
    print_facts((name, f"{count:,}".replace(",", " ")) for name, count in copied.rows.items() if count)
    click.echo(f"\nCopied, and {copied.verified} records of the trail verified. The same keys belong to it:")
    click.echo(f'  keys = "file:{keys_file(source, keys)}", in toolgate.toml, beside store = …')
    click.echo("Keep the old file as it is, and start nothing on it again: its effects would be done twice.")


def _resolved(address: str) -> str:
    """The address itself, or what it refers to: a password on a command line is seen by everybody on the machine."""
    scheme, _, name = address.partition(":")
    if scheme == "env":
        return os.environ.get(name) or misused(f"--to: the variable {name} is not set")
    if scheme == "file":
        try:
            return Path(name).read_text(encoding="utf-8").strip()
        except OSError as fault:
            misused(f"--to: {name} cannot be read: {fault.strerror}")
    return address
