"""What a case leaves behind, and the measure of it: what it leaves in the same process. Not here: what is compared."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.surfaces.stage import Front, Heard, audited, money, opened, own_tools, play, surfaces
from tests.surfaces.table import CASES
from tests.surfaces.ways import REFERENCE, Way


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a case left behind: with its clients, in the trail, and in the world."""

    told: list[Heard]
    trail: list[dict[str, Any]]
    surfaces: set[str]
    money: str


_measured: dict[str, Left] = {}


async def left_by(way: Way, case: str, folder: Path, front: Front = own_tools) -> Left:
    """What ``case`` leaves when it comes this way to the gate that ``front`` makes."""
    asked = CASES[case]
    await asyncio.to_thread(folder.mkdir)
    async with opened(folder, front) as stage:
        async with way.open(stage, asked) as ask:
            told = await play(stage, asked, ask)
        store = stage.gateway.store
        return Left(
            told=told, trail=await audited(store), surfaces=await surfaces(store), money=money(folder)
        )


async def measure(case: str, folder: Path) -> Left:
    """What ``case`` leaves in the same process; found out once."""
    if case not in _measured:
        _measured[case] = await left_by(REFERENCE, case, folder)
    return _measured[case]
