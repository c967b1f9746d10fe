"""Tables for people: legible at 80 columns, whole ids, colour only on a terminal.

A row has two lines, the thing itself above and what is said of it below, so that an id of 31 characters leaves room
for the rest. Not here: what a row says.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Final

import click
from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from toolgate.cli.plain import printable

Cell = tuple[str, str]
"""What stands above and what stands below."""

_INDENT: Final = "  "
_COLOURS: Final = {
    "succeeded": "green",
    "approved": "green",
    "applied": "green",
    "pending": "yellow",
    "pending_approval": "yellow",
    "running": "yellow",
    "queued": "yellow",
    "cancelled": "red",
    "refused": "red",
    "denied": "red",
    "failed": "red",
    "unknown": "magenta",
}


def console(*, stderr: bool = False) -> Console:
    """A console that prints words as they are."""
    return Console(markup=False, highlight=False, emoji=False, stderr=stderr)


def coloured(words: str) -> Text:
    """``words``, in the colour of the state that they begin with."""
    text = Text(printable(words))
    first = words.partition(" ")[0].strip(",:")
    if first in _COLOURS:
        text.stylize(_COLOURS[first], 0, len(first))
    return text


def print_rows(headers: Sequence[Cell], rows: Iterable[Sequence[Cell]], *, empty: str) -> None:
    """A table of two-line rows, the first column never wrapped; ``empty`` where there is none."""
    screen = console()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for place, (above, below) in enumerate(headers):
        title = Text(above).append(f"\n{_INDENT}{below}\n" if below else "\n\n", style="dim")
        table.add_column(title, no_wrap=place == 0, overflow="fold")
    count = 0
    for row in rows:
        table.add_row(*(_cell(place, cell) for place, cell in enumerate(row)))
        count += 1
    screen.print(table if count else Text(empty))


def _cell(place: int, cell: Cell) -> Text:
    above, below = cell
    if not below:
        return coloured(above)
    lower = coloured(below)
    if place == 0:
        lower.stylize("dim")
    return coloured(above).append(f"\n{_INDENT}").append_text(lower)


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Names and values, the values folded beside their names; a fact without a value is left out."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="bold")
    grid.add_column(overflow="fold")
    for name, value in facts:
        if value:
            grid.add_row(name, coloured(value))
    console().print(grid)


def print_heading(words: str) -> None:
    """A line above what follows."""
    console().print(Padding(Text(words, style="bold"), (1, 0, 0, 0), expand=False))


def print_item(words: str, *, depth: int = 1) -> None:
    """One entry of a list under a heading; what does not fit goes on, further in, on the next line."""
    width = console().width
    for line in printable(words).split("\n"):
        before = _INDENT * depth + " " * (len(line) - len(line.lstrip()))
        pieces = textwrap.wrap(
            line.strip(),
            width=width,
            initial_indent=before,
            subsequent_indent=before + _INDENT * depth,
            break_on_hyphens=False,
        )
        for piece in pieces or [""]:
            click.echo(piece)


def progress(what: str) -> Progress:
    """A bar on stderr, only where somebody watches. ``what`` names the work."""
    screen = console(stderr=True)
    return Progress(
        TextColumn(what),
        BarColumn(),
        TaskProgressColumn(show_speed=True),
        TimeRemainingColumn(),
        console=screen,
        disable=not screen.is_terminal,
        transient=True,
    )
