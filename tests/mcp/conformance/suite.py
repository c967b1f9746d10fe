"""The official conformance suite, as tests run it: started on Node, its results read, held against what is expected.

What may fail, and why, stands in ``expected-failures.toml``. Not here: what is
under test (``fixture`` is the server, ``client`` the client).
"""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections import Counter
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from tests.mcp.node import provide

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Leg = Literal["server", "client", "tasks"]
"""Whom it judges. ``tasks``: a server, by what the suite has for that extension, which nothing requires."""
SUITE: Final = "@modelcontextprotocol/conformance"
MODERN: Final = "2026-07-28"
REVISIONS: Final = (MODERN, "2025-11-25")
"""The newest of either era."""
EXPECTED: Final = Path(__file__).with_name("expected-failures.toml")
PATIENCE: Final = 480.0
"""Real seconds that all scenarios of a run have together."""
SCENARIO_PATIENCE: Final = 120_000
"""Milliseconds that one scenario has: many run beside each other on a small machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that a scenario looked at. ``status``: SUCCESS, FAILURE, WARNING, SKIPPED or INFO."""

    id: str
    name: str
    status: str
    message: str

    @property
    def good(self) -> bool:
        """Whether nothing was found wrong."""
        return self.status not in {"FAILURE", "WARNING"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run of the suite found, by scenario."""

    revision: str
    leg: Leg
    scenarios: Mapping[str, tuple[Check, ...]]
    said: str

    def passed(self, scenario: str) -> bool:
        """The suite's own rule, and stricter: something was looked at, and nothing found wrong, a warning included."""
        checks = self.scenarios.get(scenario, ())
        return any(check.status == "SUCCESS" for check in checks) and all(check.good for check in checks)

    def counts(self, scenario: str) -> str:
        """Good checks of all that were judged: ``14/14``."""
        statuses = Counter(check.status for check in self.scenarios.get(scenario, ()))
        return f"{statuses['SUCCESS']}/{statuses['SUCCESS'] + statuses['FAILURE'] + statuses['WARNING']}"

    def troubles(self, scenario: str) -> list[str]:
        """What was found wrong, one line each."""
        found = [check for check in self.scenarios.get(scenario, ()) if not check.good]
        return [f"{scenario}:{check.id} {check.name}: {check.message}" for check in found] or [
            f"{scenario}: nothing was looked at"
        ]


def requirements(revision: str, leg: Leg) -> tuple[str, ...]:
    """The scenarios that conforming to ``revision`` takes, as the suite froze them."""
    lines = provide.package(SUITE, "requirements", f"{revision}.yaml").read_text("utf-8").splitlines()
    if leg == "tasks":
        beside = [line.removeprefix("  - scenario: ") for line in lines if line.startswith("  - scenario: ")]
        return tuple(name for name in beside if name.startswith("tasks-"))
    below = lines[lines.index(f"{leg}:") + 1 :]
    return tuple(line.removeprefix("  - ") for line in takewhile(lambda line: line.startswith("  - "), below))


def expected(revision: str, leg: Leg) -> dict[str, str]:
    """What may fail at ``revision``, each with its reason."""
    read = tomllib.loads(EXPECTED.read_text("utf-8"))
    found: dict[str, str] = read.get(revision, {}).get(leg, {})
    return found


def surprises(run: Run) -> list[str]:
    """Where ``run`` and ``expected-failures.toml`` differ, one line each: what failed unforeseen, and what passed."""
    known = expected(run.revision, run.leg)
    found = [line for name in requirements(run.revision, run.leg) for line in _surprises_of(run, name, known)]
    required = requirements(run.revision, run.leg)
    return found + [
        f"{key} is expected to fail and is not required"
        for key in known
        if key.partition(":")[0] not in required
    ]


def _surprises_of(run: Run, scenario: str, known: Mapping[str, str]) -> list[str]:
    if scenario in known:
        return [f"{scenario} passes: take it out of {EXPECTED.name}"] if run.passed(scenario) else []
    foreseen = {key.partition(":")[2] for key in known if key.startswith(f"{scenario}:")}
    checks = run.scenarios.get(scenario, ())
    bad = {check.id for check in checks if not check.good}
    troubles = [line for line in run.troubles(scenario) if not run.passed(scenario)] if bad - foreseen else []
    if not any(check.status == "SUCCESS" for check in checks):
        troubles.append(f"{scenario}: nothing was looked at")
    return troubles + [f"{scenario}:{each} passes: take it out of {EXPECTED.name}" for each in foreseen - bad]


def report(run: Run) -> str:
    """The run in a few lines, with its counts."""
    required = requirements(run.revision, run.leg)
    known = expected(run.revision, run.leg)
    passed = [name for name in required if run.passed(name)]
    partly = {key.partition(":")[0] for key in known if ":" in key}
    checks = sum(check.status == "SUCCESS" for name in required for check in run.scenarios.get(name, ()))
    head = (
        f"{run.leg} {run.revision}: {len(passed)} of {len(required)} required scenarios pass, {checks} checks; "
        f"{len(required) - len(passed)} are expected to fail, {len(partly)} of them in part"
    )
    return "\n".join([head, *(f"  {line}" for line in surprises(run))])


def run_server(url: str, folder: Path, revision: str, *scenarios: str) -> Run:
    """Run what ``revision`` requires of a server, or ``scenarios`` alone, against the one at ``url``."""
    said = ""
    for what in _selections(revision, scenarios):
        said += _suite(["server", "--url", url, "-o", str(folder), *what])
    return _read(folder, revision, "server", said)


def run_tasks(url: str, folder: Path, revision: str) -> Run:
    """Run what the suite has for the extension of tasks against the server at ``url``."""
    run = run_server(url, folder, revision, *requirements(revision, "tasks"))
    return replace(run, leg="tasks")


def run_client(command: str, folder: Path, revision: str, *scenarios: str) -> Run:
    """Run what ``revision`` requires of a client, or ``scenarios`` alone, with ``command`` as the client."""
    said = ""
    for what in _selections(revision, scenarios):
        said += _suite(["client", "--command", command, "-o", str(folder), *what])
    return _read(folder, revision, "client", said)


def _selections(revision: str, scenarios: Iterable[str]) -> list[list[str]]:
    patience = ["--timeout", str(SCENARIO_PATIENCE)]
    single = [["--scenario", name, "--spec-version", revision, "--force", *patience] for name in scenarios]
    return single or [["--requirements", revision, *patience]]


def _suite(arguments: list[str]) -> str:
    """What the suite said. Its exit code is left aside: the checks themselves are read."""
    command = [provide.node(), str(provide.package(SUITE, "dist", "index.js")), *arguments]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env=provide.environment(),
        stdin=subprocess.DEVNULL,
    )
    return done.stdout + done.stderr


def _read(folder: Path, revision: str, leg: Leg, said: str) -> Run:
    found: dict[str, tuple[Check, ...]] = {}
    for path in sorted(folder.glob("**/checks.json")):
        scenario = re.sub(r"-\d{4}-\d{2}-\d{2}T[\d-]+Z$", "", path.parent.relative_to(folder).as_posix())
        checks = json.loads(path.read_text("utf-8"))
        found[scenario.removeprefix("server-") if leg == "server" else scenario] = tuple(
            Check(
                id=check["id"],
                name=check["name"],
                status=check["status"],
                message=check.get("errorMessage") or check["description"],
            )
            for check in checks
        )
    return Run(revision=revision, leg=leg, scenarios=found, said=said)
