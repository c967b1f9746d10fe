"""``toolgate demo``: an agent's day at the support desk, through the real gate."""

from __future__ import annotations

from pathlib import Path

import click

from toolgate.cli.exits import misused


@click.command()
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Leave the databases, their keys and a toolgate.toml in DIR, which must be new or empty.",
)
def demo(keep: Path | None) -> int:
    """Run a scripted agent's day through the real gate, on real databases, and check all that it shows."""
    from rich.console import Console  # noqa: PLC0415 - slow to load

    from toolgate.examples.support_desk.day import run_demo  # noqa: PLC0415 - a whole business

    try:
        return run_demo(keep=keep, console=Console())
    except FileExistsError as occupied:
        misused(str(occupied))
