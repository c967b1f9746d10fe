"""The trail as the lines of an export, a piece at a time, for whoever reads it over a connection.

A reader takes the events of their own tenant and those of none. Where the store holds other tenants' events too,
their records are left out and counted, and the file says so in its last line: its chains then have gaps, and whoever
owns the key file makes one that is whole (``toolgate audit export``). Not here: what a line says (``audit_export``).
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from toolgate.domain.audit_export import FinalHeads, heads_line, record_line
from toolgate.domain.principal import Action, Declined, forbids
from toolgate.operations.read_trail import may_read

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from toolgate.domain.audit import Head, StoredRecord
    from toolgate.domain.principal import Principal
    from toolgate.gateway.world import World

_PIECE: Final = 500
"""Records a piece: some hundred kilobytes."""


@dataclass(slots=True)
class TrailExport:
    """An export under way. ``next_piece`` and ``close`` belong into the loop that it was begun in."""

    source: AsyncGenerator[StoredRecord, None]
    heads: Mapping[str, Head]
    tenant: str
    written: int = 0
    left_out: int = 0
    ended: bool = False
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


async def begin_export(world: World, *, by: Principal) -> TrailExport | Declined:
    """An export that stands before its first record."""
    if (why := forbids(by, Action.READ_AUDIT)) is not None:
        return Declined("forbidden", why)
    # Known before the first record is read: what is written meanwhile only comes on top.
    heads = await world.store.heads()
    return TrailExport(_records(world), heads, by.tenant)


async def next_piece(_: World, export: TrailExport) -> bytes | None:
    """Some lines, each with its end; None behind the last one."""
    async with export.reading:
        return await _read_on(export)


async def _read_on(export: TrailExport) -> bytes | None:
    if export.ended:
        return None
    found: list[StoredRecord] = []
    async for record in export.source:
        found.append(record)
        if len(found) == _PIECE:
            break
    export.ended = len(found) < _PIECE
    lines = await asyncio.to_thread(_lines, found, export.tenant)
    export.written += len(lines)
    export.left_out += len(found) - len(lines)
    if export.ended:
        lines.append(_last_line(export))
    return b"".join(line + b"\n" for line in lines)


async def end_export(_: World, export: TrailExport) -> None:
    """Let go of the store. To be called whether or not the last piece was reached."""
    # Whoever left did so while a piece was read, perhaps, and that goes on for a moment.
    async with export.reading:
        export.ended = True
        await export.source.aclose()


async def _records(world: World) -> AsyncGenerator[StoredRecord, None]:
    async for record in world.store.records():
        yield record


def _lines(found: Sequence[StoredRecord], tenant: str) -> list[bytes]:
    return [record_line(each) for each in found if _is_theirs(each.record, tenant)]


def _is_theirs(record: bytes, tenant: str) -> bool:
    try:
        value = json.loads(record)
    except ValueError:
        # Whose it was cannot be told any more.
        return False
    return isinstance(value, dict) and may_read(value, tenant)


def _last_line(export: TrailExport) -> bytes:
    line = heads_line(FinalHeads(export.heads, export.written))
    return line if not export.left_out else line[:-1] + f', "left_out": {export.left_out}}}'.encode()
