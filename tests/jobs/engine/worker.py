"""A process that runs jobs of one place, and says on its standard output what it does; its input tells it to go on.

A job named ``job_wait…`` records its first step, says ``waits`` and goes on when a line comes in.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

from tests.jobs.engine.site import QUICK
from toolgate.adapters.jobs.durable import DurableJobs
from toolgate.domain.errors import GateFault
from toolgate.ports import Steps

STEP: Final = "fetch"


def say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


async def work(job_id: str, steps: Steps) -> float | None:
    async def fetch() -> bytes:
        say("works", job_id)
        return b"page"

    async def write() -> bytes:
        return b"written"

    await steps.run(STEP, fetch)
    if job_id.startswith("job_wait"):
        say("waits", job_id)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    try:
        await steps.run("write", write)
    except GateFault as refused:
        say("refused", job_id, type(refused).__name__)
        return None
    say("over", job_id)
    return None


async def main(where: str, concurrency: str) -> None:
    place = where if where.startswith("postgres") else Path(where)
    engine = DurableJobs(place, **(QUICK | {"concurrency": int(concurrency)}))
    await engine.open(work)
    say("open", engine.executor)
    ended = asyncio.Event()
    await ended.wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
