"""Static analysis of the desk's automations: a scanner that reads one script at a time and says what is wrong with it.

It is a system of its own, with a log of what it was asked to read, each time. Not here: which scripts are read, and in
which order (`analyses`).
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import sqlite3

    from toolgate.examples.support_desk.clock import Now
    from toolgate.examples.support_desk.faults import Faults

Severity = Literal["low", "high"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One mistake, where it stands, and how much it matters."""

    path: str
    line: int
    rule: str
    severity: Severity
    message: str


class Scanner:
    """The scanner, over the scripts that lie in the desk's database."""

    def __init__(self, connection: sqlite3.Connection, *, now: Now, faults: Faults) -> None:
        """Read scripts through `connection`, by a scanner that `faults` may trouble."""
        self._connection = connection
        self._now = now
        self._faults = faults

    def scripts(self, folder: str | None) -> list[str]:
        """The paths of all scripts, or of those in one folder, sorted."""
        rows = self._connection.execute("SELECT path FROM automations ORDER BY path").fetchall()
        return [row["path"] for row in rows if folder is None or row["path"].startswith(f"{folder}/")]

    async def scan(self, path: str) -> list[Finding]:
        """What is wrong with one script, in the order of its lines; nothing for one that is gone.

        Raises:
            ConnectionDroppedError: the scanner did not answer. It may have read the script; asking again is safe.
        """
        async with self._faults.on_the_wire("scanner"):
            row = self._connection.execute(
                "SELECT source FROM automations WHERE path = ?", (path,)
            ).fetchone()
            self._connection.execute(
                "INSERT INTO scans (path, at) VALUES (?, ?)", (path, self._now().isoformat())
            )
        return [] if row is None else findings(path, row["source"])


def findings(path: str, source: str) -> list[Finding]:
    """What is wrong with `source`, in the order of its lines."""
    try:
        tree = ast.parse(source)
    except SyntaxError as unread:
        said = Finding(
            path=path,
            line=unread.lineno or 1,
            rule="unreadable",
            severity="high",
            message="This is no Python.",
        )
        return [said]
    found = (
        Finding(path=path, line=line, rule=rule.name, severity=rule.severity, message=rule.message)
        for rule in RULES
        for line in rule.look(tree)
    )
    return sorted(found, key=lambda finding: (finding.line, finding.rule))


def _bare_excepts(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield node.lineno


def _evaluations(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in {"eval", "exec"}
        ):
            yield node.lineno


def _mutable_defaults(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from (
                default.lineno
                for default in (*node.args.defaults, *node.args.kw_defaults)
                if isinstance(default, ast.List | ast.Dict | ast.Set)
            )


def _waits_for_ever(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        if node.func.attr == "urlopen" and all(keyword.arg != "timeout" for keyword in node.keywords):
            yield node.lineno


def _equal_to_none(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare):
            continue
        equal = any(isinstance(sign, ast.Eq | ast.NotEq) for sign in node.ops)
        if equal and any(isinstance(side, ast.Constant) and side.value is None for side in node.comparators):
            yield node.lineno


def _unused_imports(tree: ast.Module) -> Iterator[int]:
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (node.lineno for name in node.names if name.name.partition(".")[0] not in used)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One mistake that can be seen without running anything."""

    name: str
    severity: Severity
    message: str
    look: Callable[[ast.Module], Iterator[int]]


RULES = (
    Rule(name="bare-except", severity="high", message="It hides every fault.", look=_bare_excepts),
    Rule(name="evaluation", severity="high", message="It runs whatever the text says.", look=_evaluations),
    Rule(
        name="mutable-default",
        severity="high",
        message="One list is shared by all calls.",
        look=_mutable_defaults,
    ),
    Rule(name="no-timeout", severity="high", message="It may wait for ever.", look=_waits_for_ever),
    Rule(name="equal-to-none", severity="low", message="Write `is None`.", look=_equal_to_none),
    Rule(name="unused-import", severity="low", message="Nothing uses it.", look=_unused_imports),
)
