"""The tool that takes long: a job, with steps that are never done twice and a progress that people watch.

Belongs here: its contract, and the order of its steps. What is wrong with a script is for `scanner` to say.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

from toolgate import Job, ToolContext, TransientError, tool
from toolgate.examples.support_desk.desk import Desk
from toolgate.examples.support_desk.faults import ConnectionDroppedError
from toolgate.examples.support_desk.permissions import on_staff
from toolgate.examples.support_desk.scanner import Finding, Scanner

OWNER = "support-desk"
Folder = Literal["all", "export", "hygiene", "replies", "routing"]


class ScannerAwayError(TransientError):
    """The scanner did not answer. Asking again is safe."""

    code = "scanner_away"


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What the scanner found, the gravest first, and how much it read."""

    scripts: int
    high: int
    low: int
    findings: tuple[Finding, ...]


@tool(
    effect="read",
    job=Job(concurrency=1),
    roles={"engineer", "support_lead"},
    authorize=on_staff,
    timeout="10m",
    owner=OWNER,
    version="1",
    raises={ScannerAwayError},
)
async def start_static_analysis(context: ToolContext[Desk], folder: Folder = "all") -> Analysis:
    """Look for mistakes in the desk's automations, script by script. Nothing is run or changed."""
    scanner = context.deps.scanner
    paths = await context.step("fetch", lambda: scanner.scripts(None if folder == "all" else folder))
    found: list[dict[str, Any]] = []
    for number, path in enumerate(paths):
        context.progress(number, len(paths), f"reading {path}")
        # A step that ended is not done again by the next worker, whatever became of this one.
        found += await context.step(f"scan {path}", partial(_scan, scanner, path))
    context.progress(len(paths), len(paths), "writing the report")
    return _report(found, scripts=len(paths))


async def _scan(scanner: Scanner, path: str) -> list[dict[str, Any]]:
    """What is wrong with one script, as plain JSON: a step's result is recorded."""
    try:
        return [asdict(finding) for finding in await scanner.scan(path)]
    except ConnectionDroppedError as dropped:
        raise ScannerAwayError from dropped


def _report(found: list[dict[str, Any]], *, scripts: int) -> Analysis:
    findings = sorted((Finding(**one) for one in found), key=lambda one: (one.severity, one.path, one.line))
    high = sum(finding.severity == "high" for finding in findings)
    return Analysis(scripts=scripts, high=high, low=len(findings) - high, findings=tuple(findings))
