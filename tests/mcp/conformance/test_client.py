"""The gate's connection to upstreams as a client, judged by the official conformance suite."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.mcp.conformance.client import Players
from tests.mcp.conformance.suite import REVISIONS, run_client, surprises


@pytest.mark.req("X3.32")
@pytest.mark.parametrize("revision", REVISIONS)
async def test_every_required_scenario_passes(revision: str, tmp_path: Path) -> None:
    async with Players(tmp_path / "asked").playing() as command:
        run = await asyncio.to_thread(run_client, command, tmp_path / "results", revision)

    assert surprises(run) == []
