"""Tools that are jobs, and wait where a test wants them to: for the tests of every surface that shows jobs.

Not here: what is expected of any of it, and how a job is run (``tests/jobs``).
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from toolgate import Approval, Job, Tool, ToolContext, ToolError, tool

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PATIENCE = 30.0
"""Real seconds until something that has to happen has failed to."""
Shelves = Annotated[int, Field(ge=1, le=99)]


class Stock:
    """A house full of shelves. ``entered`` is set once a count has begun, ``proceed`` lets it go on."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.proceed = threading.Event()
        self.filled: list[int] = []

    def tools(self) -> list[Tool[Any, Any]]:
        """A read, one that fails, one that waits for a person, and a write."""
        return [self._count(), self._miscount(), self._appraise(), self._fill()]

    async def _turn(self) -> None:
        self.entered.set()
        await asyncio.to_thread(self.proceed.wait, PATIENCE)

    def _count(self) -> Tool[Any, Any]:
        @tool(effect="read", roles={"clerk"}, timeout=600, job=Job(concurrency=4))
        async def count(context: ToolContext[Any], shelves: Shelves, name: str = "north") -> int:
            """Count what lies on the shelves."""
            context.progress(1, shelves, f"at the first shelf of {name[:20]}")
            await self._turn()
            return await context.step("count", lambda: 7 * shelves)

        return count

    def _miscount(self) -> Tool[Any, Any]:
        @tool(effect="read", roles={"clerk"}, timeout=600, job=True)
        async def miscount(shelves: Shelves) -> int:
            """Lose count."""
            raise ToolError(f"the {shelves} shelves are dark", effect="none")

        return miscount

    def _appraise(self) -> Tool[Any, Any]:
        @tool(
            effect="read",
            roles={"clerk"},
            timeout=600,
            job=True,
            approval=Approval(approvers={"lead"}, expires_in="1h"),
        )
        async def appraise(shelves: Shelves) -> int:
            """Say what it is worth, once somebody agreed."""
            await self._turn()
            return 100 * shelves

        return appraise

    def _fill(self) -> Tool[Any, Any]:
        @tool(
            effect="write", roles={"clerk"}, timeout=600, job=True, idempotency="fill:{shelves}:{workflow_id}"
        )
        async def fill(context: ToolContext[Any], shelves: Shelves) -> int:
            """Fill the shelves."""
            context.progress(0, shelves, "at the gate")
            await self._turn()
            self.filled.append(shelves)
            return shelves

        return fill

    async def begun(self) -> None:
        """Once a tool is at work."""
        assert await asyncio.to_thread(self.entered.wait, PATIENCE)


async def until(look: Callable[[], Awaitable[bool]]) -> None:
    """Look until it is so: the ledger's rows say when, and there is no event for it."""
    async with asyncio.timeout(PATIENCE):
        while not await look():  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
