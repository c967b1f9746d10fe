"""Every rule of this folder holds on both ledgers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.approvals.desk import Desk
from tests.machines.stage import KINDS, Stage

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(params=KINDS)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    """An empty ledger of each kind."""
    return Stage(kind=request.param, folder=tmp_path)


@pytest.fixture
def desk() -> Desk:
    """A desk that has paid nothing."""
    return Desk()
