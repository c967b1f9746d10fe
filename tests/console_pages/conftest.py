"""The console of this folder, on each ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.console_pages.office import Office, Shop, opened
from tests.machines.stage import KINDS, Stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(params=KINDS)
async def office(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Office]:
    """A gate with its console over an empty ledger of each kind."""
    stage, shop = Stage(kind=request.param, folder=tmp_path), Shop()
    async with stage.gateway(*shop.tools()) as gateway:
        office = opened(gateway, shop, stage.clock)
        yield office
        for client in office.clients:
            await client.aclose()
