"""A worker of the desk, in a process of its own: `python -m toolgate.examples.support_desk.worker DIR`.

It runs the jobs that others started on the ledger in DIR, until its standard input ends. `--stuck-after N` lets the
scanner hang once it has read N scripts, so that the demo can kill it in the middle of its work. Not here: the worker
that ships, which is `toolgate worker`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from toolgate import Gateway
from toolgate.examples.support_desk.faults import Fault
from toolgate.examples.support_desk.tools import callers, deps, tools
from toolgate.examples.support_desk.world import DEFAULT_NAME, World

LEDGER = "toolgate.db"
READY = "ready"
"""The line that it prints once it works."""
LEASE = 2.0
"""Seconds for which a worker that says nothing is believed to be alive. The gate's own defaults are longer."""
_EACH = 0.1


async def work(folder: Path, *, stuck_after: int | None) -> None:
    """Run jobs until standard input ends."""
    from toolgate.adapters.jobs.durable import DurableJobs  # noqa: PLC0415 - slow to load

    with World(folder / DEFAULT_NAME).use() as world:
        if stuck_after is not None:
            world.faults.arm("scanner", Fault.NONE, times=stuck_after)
            world.faults.arm("scanner", Fault.SLOW)
        async with Gateway(
            tools,
            store=f"sqlite:///{folder / LEDGER}",
            deps=deps,
            callers=callers,
            housekeeping=_EACH,
            jobs=DurableJobs(
                folder / f"{LEDGER}.jobs", concurrency=1, poll=_EACH, pulse=_EACH, dead_after=LEASE
            ),
        ) as gateway:
            gateway.world.job_lease = LEASE
            print(READY, flush=True)  # noqa: T201 - what whoever started it waits for
            await asyncio.to_thread(sys.stdin.read)


def main() -> None:
    """Read the command line and work."""
    given = argparse.ArgumentParser(
        prog="worker", description="Run the desk's jobs until standard input ends."
    )
    given.add_argument("folder", type=Path)
    given.add_argument("--stuck-after", type=int, default=None, metavar="N")
    said = given.parse_args()
    asyncio.run(work(said.folder, stuck_after=said.stuck_after))


if __name__ == "__main__":
    main()
