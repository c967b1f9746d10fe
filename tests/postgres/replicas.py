"""Several gateways on one database, as several processes would be: each with its own store, connections and clock."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from toolgate import Gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from pathlib import Path

    from toolgate import Tool

PATIENCE = 30.0
"""Real seconds after which something that should have happened has not."""


@asynccontextmanager
async def replicas(
    count: int, dsn: str, folder: Path, tools: Callable[[], Sequence[Tool[Any, Any]]], **given: Any
) -> AsyncIterator[list[Gateway]]:
    """``count`` open gateways with the same tools and keys, each with tools of its own making."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                Gateway(tools(), store=dsn, keys=f"file:{folder / 'toolgate.keys'}", **given)
            )
            for _ in range(count)
        ]


async def until(is_so: Callable[[], bool]) -> None:
    """Wait for a condition; the test fails if it does not come."""
    async with asyncio.timeout(PATIENCE):
        while not is_so():  # noqa: ASYNC110 - what is waited for happens in other threads and processes
            await asyncio.sleep(0.01)
