"""``toolgate init``: a first configuration and a module with two tools, to begin from.

What it writes are the files of ``toolgate.examples.first``, byte for byte, so that they are checked like all of the
code. Not here: any tool.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Final

import click

from toolgate.cli.exits import misused

WRITTEN: Final = ("toolgate.toml", "first_tools.py")


@click.command()
@click.argument("directory", default=".", type=click.Path(file_okay=False, path_type=Path))
def init(directory: Path) -> None:
    """Write toolgate.toml and first_tools.py into DIRECTORY: a tool that reads, and one that asks a person first.

    Nothing that is there already is touched; if either file is, nothing is written.
    """
    there = [name for name in WRITTEN if (directory / name).exists() or (directory / name).is_symlink()]
    if there:
        misused(f"{directory / there[0]} is there already; nothing was written. Name another folder")
    contents = files("toolgate.examples.first")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for name in WRITTEN:
            # Exclusive: somebody else may have written it since.
            with (directory / name).open("xb") as file:
                file.write((contents / name).read_bytes())
    except FileExistsError:
        misused(f"{directory} was written to by somebody else at the same time; look at it before you go on")
    except OSError as fault:
        misused(f"{directory} cannot be written to: {fault.strerror}")
    go = "" if directory == Path() else f"  cd {directory}\n"
    click.echo(
        f"Written: {', '.join(str(directory / name) for name in WRITTEN)}\n\nGo on:\n{go}"
        "  toolgate check first_tools:tools     ask the eleven questions of both tools\n"
        "  toolgate serve                       serve them; it prints a link to the console\n"
        "  toolgate tokens create --id ana --roles support     a credential for whoever calls them\n"
        "  toolgate upstreams add NAME -- COMMAND…             put an MCP server behind the gate, too"
    )
