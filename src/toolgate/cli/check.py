"""`toolgate check TARGET`: the eleven questions, answered for every tool of a target.

Exit codes: 0 if every tool is clean, 1 if one has a defect, 2 if the target cannot be read or the command is wrong.
Here: the command and its three outputs. Not here: the questions (`domain.checklist`) and the trying
(`operations.check_tools`).
"""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from toolgate.cli.check_formats import as_json, as_sarif
from toolgate.cli.check_table import print_report
from toolgate.cli.check_target import definitions_in, is_file, served_by, tools_in
from toolgate.cli.exits import Exit
from toolgate.cli.plain import print_json
from toolgate.cli.rehearsal import rehearse
from toolgate.domain.checklist import Report, Source
from toolgate.domain.tool import Tool
from toolgate.operations.check_tools import check_definitions, check_tools, where_written


@click.command()
@click.argument("target")
@click.option("--json", "output", flag_value="json", help="Print the answers as JSON, for programs.")
@click.option(
    "--sarif", "output", flag_value="sarif", help="Print the defects as SARIF 2.1.0, for code scanning."
)
def check(target: str, output: str | None) -> None:
    """Ask eleven questions about each tool of TARGET; every no is a defect.

    TARGET is package.module, package.module:name (tools, a gateway, or a function that makes one), a toolgate.toml for
    all that it serves, tools of upstreams as pinned, or a JSON file of tool definitions as MCP's tools/list answers.
    Modules are looked for in the working directory first. No tool is run and no upstream reached. Exit codes: 0 clean,
    1 defects, 2 unreadable.
    """
    report = _report(target)
    if output == "json":
        print_json(as_json(report, target=target))
    elif output == "sarif":
        print_json(as_sarif(report))
    else:
        print_table(report)
    click.get_current_context().exit(Exit.OK if report.clean else Exit.NO)


def _report(target: str) -> Report:
    path = Path(target)
    if path.suffix == ".toml":
        written, foreign = served_by(path)
        here = Source(file=_relative(path) or path.name)
        return check_tools(
            [*written, *foreign],
            rehearse=rehearse,
            source_of=lambda tool: here if tool in foreign else _source(tool),
        )
    if is_file(target):
        return check_definitions(definitions_in(path), source=Source(file=_relative(path) or path.name))
    return check_tools(tools_in(target), rehearse=rehearse, source_of=_source)


def _source(tool: Tool[Any, Any]) -> Source | None:
    """Where a tool is written, if that is below the working directory: a path of this machine helps nobody else."""
    written = where_written(tool)
    file = _relative(Path(written[0])) if written else None
    return Source(file=file, line=written[1]) if file and written else None


def _relative(path: Path) -> str | None:
    try:
        return path.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return None


def print_table(report: Report) -> None:
    """Print for people: as wide as the terminal, in colour only on one."""
    text = io.StringIO()
    shown = Console()
    console = Console(
        file=text,
        width=shown.width,
        force_terminal=shown.is_terminal,
        color_system=shown.color_system if shown.is_terminal else None,  # type: ignore[arg-type]
        highlight=False,
    )
    print_report(report, console)
    _write("\n".join(line.rstrip() for line in text.getvalue().splitlines()))


def _write(text: str) -> None:
    """Print what standard output can show: a character outside of its encoding must not end the check."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    click.echo(text.encode(encoding, "replace").decode(encoding))
