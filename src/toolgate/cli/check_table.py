"""The report for people: a matrix of tools and questions, then each no with why and how to mend it.

Here: layout, legible at 80 columns and without colour. Not here: what is said (the report).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from toolgate.cli.plain import printable
from toolgate.domain.checklist import Answer, Defect, Question, Report, Standing, ToolReport

_MARKS: Final = {
    Standing.VERIFIED: ("V", "green"),
    Standing.DECLARED: ("d", "cyan"),
    Standing.ABSENT: ("NO", "bold red"),
}


def print_report(report: Report, console: Console) -> None:
    """Write the whole of it."""
    console.print(_matrix(report))
    console.print(_legend())
    for tool in report.tools:
        if not tool.clean:
            console.print(_defects(tool))
    if any(tool.waiver for tool in report.tools):
        console.print(_waivers(report))
    console.print(_summary(report))


def _matrix(report: Report) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("Tool", overflow="fold", max_width=40)
    for question in Question:
        table.add_column(str(question.number), justify="right", min_width=2, no_wrap=True)
    for tool in report.tools:
        marks = (Text(*_MARKS[answer.standing]) for answer in tool.answers)
        table.add_row(Text(printable(tool.name)), *marks)
    return table


def _legend() -> RenderableType:
    titles = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    questions = list(Question)
    half = (len(questions) + 1) // 2
    for left, right in zip(questions, [*questions[half:], None], strict=False):
        if left.number > half:
            break
        titles.add_row(
            *(Text("" if each is None else f"{each.number:>2} {each.title}") for each in (left, right))
        )
    marks = Text("V verified, by trying   d declared by the contract   NO absent, a defect", style="dim")
    return Padding(Group(titles, marks), (1, 0, 0, 0))


def _defects(tool: ToolReport) -> RenderableType:
    wrong = [answer for answer in tool.answers if answer.is_no]
    head = Text.assemble(
        (printable(tool.name), "bold"),
        f": {len(wrong)} of {len(tool.answers)} answers are no",
        _written(tool),
    )
    return Padding(Group(head, *(part for answer in wrong for part in _no(answer))), (1, 0, 0, 0))


def _written(tool: ToolReport) -> Text:
    if tool.source is None:
        return Text()
    line = "" if tool.source.line is None else f":{tool.source.line}"
    return Text(f" ({printable(tool.source.file)}{line})", style="dim")


def _no(answer: Answer) -> Iterator[RenderableType]:
    yield Padding(Text(f"{answer.question.number} {answer.question.title}", style="red"), (0, 0, 0, 2))
    rows = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, show_header=False)
    rows.add_column(no_wrap=True, style="dim")
    rows.add_column(overflow="fold")
    for how, alike in groupby(sorted(answer.defects, key=_by_how(answer)), key=lambda defect: defect.how):
        for defect in alike:
            place = f"{printable(defect.place)}: " if defect.place else ""
            rows.add_row("why", Text(f"{place}{printable(defect.why)}"))
        rows.add_row("how", Text(printable(how)))
    yield Padding(rows, (0, 0, 0, 5))


def _by_how(answer: Answer) -> Callable[[Defect], int]:
    """Defects that are mended alike stand together, in the order in which the first of them was found."""
    order = list(dict.fromkeys(defect.how for defect in answer.defects))
    return lambda defect: order.index(defect.how)


def _waivers(report: Report) -> RenderableType:
    lines = [
        Text.assemble(("waived ", "yellow"), (printable(tool.name), "bold"), f": {printable(tool.waiver)}")
        for tool in report.tools
        if tool.waiver
    ]
    return Padding(Group(*lines), (1, 0, 0, 0))


def _summary(report: Report) -> RenderableType:
    defective = sum(not tool.clean for tool in report.tools)
    tools = f"{len(report.tools)} tool{'' if len(report.tools) == 1 else 's'}"
    counts = ", ".join(
        f"{report.count(standing)} {standing.value}"
        for standing in (Standing.VERIFIED, Standing.DECLARED, Standing.ABSENT)
    )
    verdict = ("clean", "bold green") if report.clean else (f"{defective} with defects", "bold red")
    return Padding(Text.assemble(f"{tools}: {counts}: ", verdict), (1, 0, 0, 0))
