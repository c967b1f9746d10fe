"""A process is killed with SIGKILL at every step of a call; another one recovers, and nothing is lost or doubled.

Every call of a port (before and after), every statement of the ledger's writer, and every step of the business inside
the tool is a crash point. The first child runs to its end and lists them; then one child dies at each. Recovery and a
person's word are calls of ports too, so they are killed as well. Whoever recovers
from a kill is killed as well: a usual run takes some of these pairs of points, and ``make soak`` thousands.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.child import SCENARIOS
from tests.crash.clocks import LATER
from tests.crash.deaths import before, every_point, kill_at
from tests.crash.nursery import Nursery
from tests.crash.survivor import complaints, copy

SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "soak"
pytestmark = [pytest.mark.req("X1.12", "X1.4", "X1.2", "X1.16"), pytest.mark.timeout(0 if SOAK else 300)]
PAIRS = 3000 if SOAK else 40
"""How many pairs of crashes are tried of each recovery, spread evenly over all of them."""

Note = Callable[[str, object], None]


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_killed_at_any_step_the_ledger_and_the_business_agree_or_the_ledger_says_unknown(
    scenario: str, nursery: Nursery, tmp_path: Path, record_property: Note
) -> None:
    start = await before(scenario, nursery, tmp_path)
    points = every_point(scenario, nursery, copy(start, tmp_path / "whole"))
    found, killed = {}, 0
    for number, point in enumerate(points):
        folder = kill_at(point, scenario, nursery, start, tmp_path / str(number))
        killed += folder is not None
        if folder is not None and (wrong := await complaints(folder, SCENARIOS[scenario].tool)):
            found[point] = wrong
    record_property("crash_points", killed)
    assert not found
    assert killed > 0.95 * len(points) > 30


@pytest.mark.req("X1.5", "X1.11")
@pytest.mark.parametrize("recovery", [name for name, scenario in SCENARIOS.items() if scenario.after])
async def test_whoever_recovers_may_be_killed_too(
    recovery: str, nursery: Nursery, tmp_path: Path, record_property: Note
) -> None:
    """Two crashes: one at any step of the write, the next at any step of its recovery."""
    scenario, _ = SCENARIOS[recovery].after or ("", "")
    start = await before(scenario, nursery, tmp_path)
    firsts = every_point(scenario, nursery, copy(start, tmp_path / "whole"))
    seconds = every_point(
        recovery, nursery, copy(await before(recovery, nursery, tmp_path), tmp_path / "second")
    )
    pairs = [(first, second) for first in firsts for second in seconds]
    found, killed = {}, 0
    for number, (first, second) in enumerate(pairs[:: max(1, len(pairs) // PAIRS)]):
        folder = kill_at(first, scenario, nursery, start, tmp_path / f"first {number}")
        if folder is None:
            continue
        # The second child tells what it finds; where the first left nothing to recover it simply ends.
        ended = nursery.run(scenario="only recovery", folder=str(folder), kill_at=second, now=LATER)
        assert ended in {"killed 9", "exited 0"}, (folder / "log").read_text()
        killed += 1 + (ended == "killed 9")
        if wrong := await complaints(folder, SCENARIOS[scenario].tool):
            found[first, second] = wrong
    record_property("crash_points", killed)
    assert not found
