"""Children that end where a test wants it, and the files they leave. Not here: what must be true of these files."""

from __future__ import annotations

from pathlib import Path

from tests.crash.child import FIRST, OTHERS, SCENARIOS
from tests.crash.clocks import LATER
from tests.crash.nursery import Nursery
from tests.crash.survivor import copy, template
from toolgate.testing.clock import EPOCH

EVERY = {**SCENARIOS, **OTHERS}
_TRIES = 3
"""A run with several threads may pass a point one time and not the next; who outlived its order is run again."""


async def before(scenario: str, nursery: Nursery, folder: Path) -> Path:
    """Where the scenario's child starts: a ledger in use, an empty disk, or what another child left when it died."""
    clean = folder / f"before {scenario}"
    clean.mkdir()
    await template(clean)
    if scenario == FIRST:
        for ledger in clean.glob("ledger.db*"):
            ledger.unlink()
    if (after := EVERY[scenario].after) is not None:
        left = kill_at(after[1], after[0], nursery, clean, folder / f"left for {scenario}")
        assert left is not None
        for leaving in ("points", "told"):
            (left / leaving).unlink(missing_ok=True)
        return left
    return clean


def every_point(scenario: str, nursery: Nursery, folder: Path) -> list[str]:
    """The crash points that a child passes which nobody kills."""
    ended = nursery.run(scenario=scenario, folder=str(folder), now=now(scenario))
    assert ended == "exited 0", (folder / "log").read_text()
    return (folder / "points").read_text().splitlines()


def kill_at(point: str, scenario: str, nursery: Nursery, start: Path, folder: Path) -> Path | None:
    """What a child left that was killed at ``point``; None if it never came by."""
    for attempt in range(_TRIES):
        left = copy(start, folder.with_name(f"{folder.name}.{attempt}"))
        ended = nursery.run(scenario=scenario, folder=str(left), kill_at=point, now=now(scenario))
        if ended == "killed 9":
            return left
        assert ended == "exited 0", (left / "log").read_text()
    return None


async def dead(scenario: str, point: str, nursery: Nursery, folder: Path) -> Path:
    """What a child left that was killed at ``point``, which it surely passes."""
    left = kill_at(
        point, scenario, nursery, await before(scenario, nursery, folder), folder / f"dead {scenario}"
    )
    assert left is not None, f"{scenario} never passes {point}"
    return left


def now(scenario: str) -> int:
    """What the child's clock says: whoever recovers lives an hour after who died."""
    return EPOCH if EVERY[scenario].after is None else LATER
