"""Check the whole trail: every record, every link, every head that is known."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from toolgate.domain.audit import ChainReport, StoredRecord, verify_chains

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from toolgate.domain.audit import Head
    from toolgate.ports import Store

_PAGE = 1000


async def verify_audit(
    store: Store,
    *,
    kept_heads: Iterable[tuple[str, Head]] = (),
    progress: Callable[[int], None] | None = None,
) -> ChainReport:
    """The report over all chains of ``store``; memory stays bounded, the work is done in a thread.

    ``kept_heads`` are heads that somebody kept outside of the store: a trail that was cut or written anew misses them.
    """
    records = _Records(store, asyncio.get_running_loop())
    heads = await store.heads()
    return await asyncio.to_thread(
        verify_chains, records, known_heads=heads, kept_heads=tuple(kept_heads), progress=progress
    )


class _Records:
    """The trail as something a thread can iterate, more than once, a page at a time."""

    def __init__(self, store: Store, loop: asyncio.AbstractEventLoop) -> None:
        self._store = store
        self._loop = loop

    def __iter__(self) -> Iterator[StoredRecord]:
        source = self._store.records()
        while page := asyncio.run_coroutine_threadsafe(_page(source), self._loop).result():
            yield from page


async def _page(source: AsyncIterator[StoredRecord]) -> list[StoredRecord]:
    page = []
    async for record in source:
        page.append(record)
        if len(page) == _PAGE:
            break
    return page
