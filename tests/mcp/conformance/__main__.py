"""``python -m tests.mcp.conformance``: the official suite, both legs at both revisions and tasks, and how many passed.

It exits with 1 where something failed that ``expected-failures.toml`` does not foresee, or passed that it does.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import tempfile
from pathlib import Path

from tests.mcp.conformance import fixture
from tests.mcp.conformance.client import Players
from tests.mcp.conformance.suite import (
    MODERN,
    REVISIONS,
    Run,
    report,
    run_client,
    run_server,
    run_tasks,
    surprises,
)


async def runs(folder: Path) -> list[Run]:
    """Each leg at each revision, and the extension that is served at the newer one."""
    with fixture.served(folder) as served:
        found = [
            await asyncio.to_thread(run_server, served.url, folder / f"server-{revision}", revision)
            for revision in REVISIONS
        ]
        found.append(await asyncio.to_thread(run_tasks, served.url, folder / "tasks", MODERN))
    async with Players(folder / "asked").playing() as command:
        found += [
            await asyncio.to_thread(run_client, command, folder / f"client-{revision}", revision)
            for revision in REVISIONS
        ]
    return found


def main() -> int:
    # The suite's servers refuse on purpose; what the suite makes of it is told below.
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(runs(Path(folder)))
    for run in found:
        print(report(run))  # noqa: T201 - what it is for
    return int(any(surprises(run) for run in found))


if __name__ == "__main__":
    sys.exit(main())
