"""What clients of every kind say beside a call, and an HTTP client that needs no socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx

from tests.surfaces.stage import Stage

MODEL: Final = "m"
RATIONALE: Final = "because"


@asynccontextmanager
async def calling(stage: Stage, token: str) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client with ``token``, wired to the application without a socket."""
    transport = httpx.ASGITransport(app=stage.app, raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {token}"}
    base = stage.office.settings.public_url
    async with httpx.AsyncClient(transport=transport, base_url=base, headers=headers, timeout=60) as client:
        yield client
