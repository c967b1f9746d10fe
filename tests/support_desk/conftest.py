"""A desk in a temporary directory, on a morning that does not move."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from toolgate import Gateway
from toolgate.examples.support_desk.tools import callers, deps, tools
from toolgate.examples.support_desk.world import World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from toolgate.examples.support_desk.desk import Desk

MORNING = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A fresh desk, in use by this process's tools."""
    with World.create(tmp_path / "support_desk.db", now=lambda: MORNING).use() as world:
        yield world


@pytest.fixture
def acme(world: World) -> Iterator[Desk]:
    """The desk as Maya, a support agent of Acme, sees it."""
    with world.desk(tenant="acme", user_id="u-maya") as desk:
        yield desk


@pytest.fixture
def globex(world: World) -> Iterator[Desk]:
    """The desk as Kenji, a support agent of Globex, sees it."""
    with world.desk(tenant="globex", user_id="u-kenji") as desk:
        yield desk


@pytest.fixture
async def gate(world: World, tmp_path: Path) -> AsyncIterator[Gateway]:
    """The gate before the desk, with a ledger on disk. It keeps house when a test calls `sweep`, not by the clock."""
    store = f"sqlite:///{tmp_path / 'toolgate.db'}"
    async with Gateway(
        tools, store=store, deps=deps, callers=callers, housekeeping=None, jobs=False
    ) as gateway:
        yield gateway
