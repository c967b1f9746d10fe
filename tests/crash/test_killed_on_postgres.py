"""The same on Postgres: a process is killed with SIGKILL, another one on the same database recovers, all is accounted.

Every call of a port and every statement of the writer's transactions is a crash point; a usual run takes some of
them, spread evenly and always the same, ``make soak`` all. Not here: what must be true afterwards (``survivor``).
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.crash.business import Business
from tests.crash.child import SCENARIOS
from tests.crash.survivor import complaints
from tests.postgres.fixtures import ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.crash.nursery import Nursery

SOAK = os.environ.get("HYPOTHESIS_PROFILE") == "soak"
pytestmark = [pytest.mark.req("X1.12", "X1.4", "X1.2"), pytest.mark.timeout(0 if SOAK else 300)]
MOST = 100_000 if SOAK else 12
"""Points of a scenario that are tried. Each has a database of its own, so they cost more than on a file."""
TOLD = (("an approved write", 200), ("a write that can be reconciled", 80))
"""And how many points each has at least, so that none is lost unseen."""


@contextmanager
def place(folder: Path) -> Iterator[Path]:
    """A business, and a ledger that nobody used, in a database that is there as long as the context."""
    folder.mkdir()
    Business(folder / "business.db").create()
    with ledger() as dsn:
        (folder / "dsn").write_text(dsn, "utf-8")
        yield folder


def evenly(points: list[str]) -> list[str]:
    """Some of ``points``, the first and every so manyth: an odd number, because before and after take turns."""
    step = max(1, -(-len(points) // MOST))
    return points[:: step | 1]


@pytest.mark.parametrize(("scenario", "least"), TOLD)
async def test_killed_at_any_step_on_postgres_nothing_is_lost_or_doubled(
    scenario: str,
    least: int,
    nursery: Nursery,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    with place(tmp_path / "whole") as folder:
        assert nursery.run(scenario=scenario, folder=str(folder)) == "exited 0", (folder / "log").read_text()
        points = (folder / "points").read_text().splitlines()
    found, killed = {}, 0
    tried = evenly(points)
    for number, point in enumerate(tried):
        with place(tmp_path / str(number)) as folder:
            ended = nursery.run(scenario=scenario, folder=str(folder), kill_at=point)
            assert ended in {"killed 9", "exited 0"}, (folder / "log").read_text()
            # A run with several threads may pass a point one time and not the next.
            killed += ended == "killed 9"
            if wrong := await complaints(folder, SCENARIOS[scenario].tool):
                found[point] = wrong
    record_property("crash_points", killed)

    assert not found
    assert killed > 0.8 * len(tried)
    assert len(points) > least
