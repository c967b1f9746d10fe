"""Every rule of this folder holds on every ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.jobs.works import Works
from tests.machines.stage import EVERY_KIND, KINDS, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=EVERY_KIND)
def every_stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """An empty ledger of each kind."""
    made = Stage(kind=request.param, folder=tmp_path)
    yield made
    made.leave()


@pytest.fixture(params=KINDS)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """An empty ledger, for rules that need one and are no store's."""
    made = Stage(kind=request.param, folder=tmp_path)
    yield made
    made.leave()


@pytest.fixture
def works() -> Iterator[Works]:
    """Tools that run as jobs. Whatever stands still in one goes on at the end."""
    made = Works()
    yield made
    made.let_go()
