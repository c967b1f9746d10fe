"""The gate as a server, judged by the official conformance suite."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mcp.conformance import fixture
from tests.mcp.conformance.suite import MODERN, REVISIONS, run_server, run_tasks, surprises
from tests.mcp.served import Served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with fixture.served(tmp_path) as served:
        yield served


@pytest.mark.req("X3.30")
@pytest.mark.parametrize("revision", REVISIONS)
def test_every_required_scenario_passes_but_for_what_a_server_of_tools_lacks(
    revision: str, served: Served, tmp_path: Path
) -> None:
    run = run_server(served.url, tmp_path / "results", revision)

    assert surprises(run) == []


@pytest.mark.req("X3.50", "X3.51")
def test_every_scenario_about_tasks_passes_but_for_what_no_held_call_does(
    served: Served, tmp_path: Path
) -> None:
    run = run_tasks(served.url, tmp_path / "results", MODERN)

    assert surprises(run) == []


@pytest.mark.req("X3.31")
@pytest.mark.parametrize(
    ("scenario", "counts"),
    [
        # A host or an origin that leads here by DNS alone is refused.
        ("dns-rebinding-protection", "2/2"),
        # Mcp-Method and Mcp-Name have to say what the body says.
        ("http-header-validation", "14/14"),
        # So does Mcp-Param-*, plain or in Base64.
        ("http-custom-header-server-validation", "10/10"),
        # What a schema says reaches the client as it was written.
        ("json-schema-2020-12", "8/8"),
    ],
)
def test_a_scenario_that_guards_the_door_passes_in_each_of_its_checks(
    scenario: str, counts: str, served: Served, tmp_path: Path
) -> None:
    run = run_server(served.url, tmp_path / "results", MODERN, scenario)

    assert (run.counts(scenario), run.troubles(scenario) if not run.passed(scenario) else []) == (counts, [])
