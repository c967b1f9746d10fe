"""A ledger with a past: many calls of random keys, written through the store's own commands."""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path

from toolgate.adapters.ids import UlidIds
from toolgate.adapters.stores.sqlite import SqliteStore
from toolgate.bootstrap import open_keys
from toolgate.domain.commands import Intend
from toolgate.domain.lifecycle import EffectState
from toolgate.domain.rows import CallRow, ClaimRow, Event, SealedRow
from toolgate.domain.trail import call_record

_AT_ONCE = 256


async def write(path: Path, rows: int) -> None:
    """``rows`` finished calls, every second one a write with a claim of a random-looking key."""
    ids = UlidIds()
    keys = open_keys(path)
    store = SqliteStore(
        path, boot_id=ids.new("boot"), now=lambda: time.time_ns() // 1000, ring_id=keys.ring_id
    )
    await store.open()
    numbers = iter(range(rows))

    async def writer() -> None:
        for number in numbers:
            await store.execute(_past(ids, number))

    await asyncio.gather(*(writer() for _ in range(_AT_ONCE)))
    await store.close()


def _past(ids: UlidIds, number: int) -> Intend:
    wrote = number % 2 == 0
    now = time.time_ns() // 1000
    digest = hashlib.sha256(str(number).encode()).digest()
    row = CallRow(
        call_id=ids.new("call"),
        tenant="acme",
        tool="change_order" if wrote else "read_order",
        version="1",
        contract_digest=digest.hex(),
        effect="write" if wrote else "read",
        caller_id=f"u{number % 997}",
        agent="bench",
        model="none",
        workflow_id=f"past-{number}",
        workflow_explicit=True,
        request_id=None,
        trace=None,
        surface="python",
        received_at=now,
        digest=digest,
        fingerprint=digest,
        key_mac=digest if wrote else None,
        updated_at=now,
        status="succeeded",
        effect_state=EffectState.APPLIED if wrote else None,
        error_type=None,
        owner="boot_past",
        lease_until=0,
        approval_id=None,
        duration_us=1000,
        incident=None,
    )
    record = call_record(
        row, transition="settled", at=now, decision="allow", effect="applied" if wrote else "none"
    )
    claim = ClaimRow(digest, row.call_id, row.caller_id, digest, attach_only=False) if wrote else None
    return Intend(row, claim, SealedRow(row.call_id, "request", bytes(200)), Event(row.call_id, now, record))
