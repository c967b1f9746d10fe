"""What a process does before it is killed: one gateway, one job, the world that the job changes. Forked, so quick.

Not here: what must be true afterwards; that is the test's.
"""

from __future__ import annotations

import asyncio
import os
import signal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolgate import Caller, Gateway, Tool, ToolContext, tool
from toolgate.adapters.jobs.passing import PassingJobs
from toolgate.adapters.keys import Keyring
from toolgate.adapters.stores.sqlite import SqliteStore
from toolgate.testing import CrashPoint, FakeClock, PortTap

if TYPE_CHECKING:
    from collections.abc import Callable

ANA = Caller("u-ana", roles={"support"}, tenant="acme")
LATER = 3_600_000_000
"""Microseconds by which whoever recovers comes later: past every lease, within every deadline."""
STEPS = ("first", "second", "third")


def tools(folder: Path, mark: Callable[[str], None]) -> list[Tool[Any, Any]]:
    """A read in steps, and an effect that may happen once; each leaves its lines in a file."""

    def leave(name: str, line: str) -> None:
        mark(f"{name}: before {line}")
        with (folder / name).open("a") as file:
            file.write(f"{line}\n")
            file.flush()
            os.fsync(file.fileno())
        mark(f"{name}: after {line}")

    @tool(effect="read", roles={"support"}, timeout="10h", job=True)
    async def crawl(context: ToolContext[Any]) -> int:
        """Take three steps."""
        for number, step in enumerate(STEPS, start=1):
            await context.step(step, partial(leave, "steps", step))
            context.progress(number, len(STEPS))
        return len(STEPS)

    @tool(effect="write", roles={"support"}, timeout="10h", job=True, idempotency="{order}:{workflow_id}")
    async def pay(order: int) -> int:
        """Pay once."""
        leave("paid", str(order))
        return order

    return [crawl, pay]


def gateway(folder: Path, tap: PortTap | None = None, *, later: int = 0) -> Gateway:
    """A gateway over ``folder``, tapped where somebody wants to end it."""
    clock = FakeClock()
    clock.advance(later / 1_000_000)
    ring_file = folder / "keys"
    ring = Keyring.open(ring_file) if ring_file.exists() else Keyring.create(ring_file)
    boot = f"boot-{later}-{os.getpid()}"
    store = SqliteStore(folder / "ledger.db", boot_id=boot, now=clock.now, ring_id=ring.ring_id)
    mark = tap.mark if tap is not None else lambda _: None
    return Gateway(
        tools(folder, mark),
        store=store if tap is None else tap.store(store),
        keys=ring if tap is None else tap.keys(ring),
        clock=clock,
        jobs=PassingJobs(clock),
        housekeeping=None,
    )


def live(folder_name: str, name: str, kill_at: str | None) -> None:
    """Ask for the job and wait for its end; die at ``kill_at``. Without it, list every point that was passed."""
    folder = Path(folder_name)
    passed: list[str] = []

    def met(point: CrashPoint) -> None:
        passed.append(str(point))
        if str(point) == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    async def story() -> None:
        async with gateway(folder, PortTap(met)) as gate:
            flow = gate.workflow("w", caller=ANA)
            asked = await flow.call(name, {} if name == "crawl" else {"order": 7})
            await gate.wait_for(asked, caller=ANA, timeout="1h")

    asyncio.run(story())
    if kill_at is None:
        # Looking again and again while it waits is no step of the job: those differ from run to run.
        (folder / "points").write_text("\n".join(dict.fromkeys(passed)))
