"""``python -m tests.mcp.conformance``: both legs of the official suite at both revisions, and how many passed.

It exits with 1 where something failed that ``expected-failures.toml`` does not foresee, or passed that it does.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from tests.mcp.conformance import fixture
from tests.mcp.conformance.client import Players
from tests.mcp.conformance.suite import REVISIONS, Run, report, run_client, run_server, surprises


async def runs(folder: Path) -> list[Run]:
    """Each leg at each revision."""
    with fixture.served(folder) as served:
        found = [
            await asyncio.to_thread(run_server, served.url, folder / f"server-{revision}", revision)
            for revision in REVISIONS
        ]
    async with Players(folder / "asked").playing() as command:
        found += [
            await asyncio.to_thread(run_client, command, folder / f"client-{revision}", revision)
            for revision in REVISIONS
        ]
    return found


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(runs(Path(folder)))
    for run in found:
        print(report(run))  # noqa: T201 - what it is for
    return int(any(surprises(run) for run in found))


if __name__ == "__main__":
    sys.exit(main())
