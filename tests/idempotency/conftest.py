"""Every rule of this folder holds on every ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.machines.stage import EVERY_KIND, Stage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=EVERY_KIND)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """An empty ledger of each kind."""
    made = Stage(kind=request.param, folder=tmp_path)
    yield made
    made.leave()
