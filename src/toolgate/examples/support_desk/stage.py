"""How the demo speaks: scenes, who asks for what, what the gate answers, and checks that are really made.

Belongs here: printing and counting. A check prints what it found and remembers a failure, so that what is shown
is what was true. Does not belong here: what happens in the scenes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from toolgate import Advice, Outcome, PendingApproval, Succeeded, Tool

_MASK = "****"
_SHOWN_LENGTH = 220
_LABEL_WIDTH = 10
_BAR = 16

_COLOURS = {
    "succeeded": "green",
    "pending_approval": "yellow",
    "started": "yellow",
    "refused": "red",
    "failed": "red",
    "unknown": "magenta",
}


@dataclass(slots=True, kw_only=True)
class Stage:
    """The terminal of one run of the demo."""

    console: Console
    scenes: int = 0
    checks: int = 0
    failed: list[str] = field(default_factory=list)

    def title(self, title: str, story: str) -> None:
        """Say what this is."""
        self._print(Padding(Text(title, style="bold"), (1, 0, 0, 2), expand=False))
        self._print(Padding(Text(story), (0, 0, 0, 2), expand=False))

    def heading(self, title: str) -> None:
        """Begin a part that is no scene."""
        self.console.print()
        self._print(Rule(Text(title, style="bold"), align="left", style="dim"))

    def scene(self, title: str, story: str) -> None:
        """Begin a scene: its number, its title, and what is about to happen."""
        self.scenes += 1
        self.heading(f"{self.scenes}. {title}")
        self._print(Padding(Text(story, style="italic"), (0, 0, 0, 2), expand=False))

    def ask(self, who: str, tool: Tool[Any, Any], arguments: Mapping[str, Any]) -> None:
        """Show a request; what its contract calls sensitive is not shown here either."""
        hidden = {path[0] for path in tool.contract.sensitive}
        spoken = ", ".join(
            f"{name}={_MASK if name in hidden else _json(value)}" for name, value in arguments.items()
        )
        self._line(who, Text(f"{tool.name}({_short(spoken)})"))

    def answer(self, outcome: Outcome[Any]) -> None:
        """Show what the gate answered: the status, what happened to the world, what to do next, and the words."""
        body = outcome.to_model()
        status = str(body["status"])
        head = Text(status, style=f"bold {_COLOURS[status]}")
        marks = [str(body[name]) for name in ("error_type", "code") if name in body]
        marks += [name for name in ("replayed", "truncated") if body.get(name)]
        marks.append(f"effect {body['effect']}")
        if outcome.advice is not Advice.NONE:
            marks.append(f"advice {body['advice']}")
        head.append("  " + ", ".join(marks), style="dim")
        self._line("gate", head)
        self._line("", Text(_said(outcome)))

    def person(self, who: str, says: str) -> None:
        """Show what a person does."""
        self._line(who, Text(says, style="cyan"))

    def aside(self, label: str, text: str) -> None:
        """Show what only the application sees."""
        self._line(label, Text(text, style="dim"))

    def bar(self, who: str, done: float, total: float, note: str) -> None:
        """Show how far somebody has come."""
        full = round(_BAR * min(done / total, 1.0))
        line = Text("█" * full, style="cyan").append("░" * (_BAR - full), style="dim")
        self._line(who, line.append(f" {done:g} of {total:g}  {note}", style="default"))

    def check(self, sentence: str, *, holds: bool) -> None:
        """Show a fact that was looked up, and remember if it is not one."""
        self.checks += 1
        if not holds:
            self.failed.append(f"scene {self.scenes}: {sentence}")
        mark = Text("ok" if holds else "NOT SO", style="green" if holds else "bold red")
        self._line(mark, Text(sentence))

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool = False) -> None:
        """Show rows; with `numbers`, every column but the first is one."""
        table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 1, 0, 0))
        for place, column in enumerate(columns):
            table.add_column(column, justify="right" if numbers and place else "left", overflow="fold")
        for row in rows:
            table.add_row(*row)
        self._print(Padding(table, (1, 0, 0, 2), expand=False))

    def lines(self, lines: Sequence[str]) -> None:
        """Show lines as they are, never wrapped: they are meant to be copied."""
        for line in lines:
            self.console.print(f"  {line}", soft_wrap=True, highlight=False, markup=False)

    def say(self, text: str) -> None:
        """Say a sentence in the margin."""
        self._print(Padding(Text(text), (0, 0, 0, 2), expand=False))

    def _line(self, label: str | Text, text: Text) -> None:
        grid = Table.grid(padding=(0, 1), expand=False)
        grid.add_column(width=_LABEL_WIDTH, justify="right", no_wrap=True, style="bold")
        grid.add_column(overflow="fold")
        grid.add_row(label, text)
        self._print(grid)

    def _print(self, *what: RenderableType) -> None:
        self.console.print(Group(*what), highlight=False)


def _said(outcome: Outcome[Any]) -> str:
    if isinstance(outcome, Succeeded):
        return _short(_json(outcome.to_model()["result"]))
    if isinstance(outcome, PendingApproval):
        return outcome.message
    return str(outcome.to_model()["message"])


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH else f"{text[:_SHOWN_LENGTH]} [...]"
