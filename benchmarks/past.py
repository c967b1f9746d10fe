"""A Postgres ledger with a year behind it: ten million events of five million calls, made by the server itself.

Rows are valid enough to be looked up, listed and followed; their chain was made by nobody and does not verify.
"""

from __future__ import annotations

import asyncio
import hashlib
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import asyncpg

from benchmarks.postgres import replica, server, together
from toolgate.adapters.stores.postgres.partitions import make_partitions, month_of
from toolgate.adapters.stores.postgres.store import PostgresStore
from toolgate.domain.rows import ByCall, ByKey
from toolgate.ports import CallFilter

EVENTS: Final = 10_000_000
MONTHS: Final = 12
_MONTH: Final = 30 * 24 * 3600 * 1_000_000
_RECORD: Final = (
    '\'{"event":"llm_tool_call","gen_ai.tool.name":"change_order","time":\' || %s || '
    '\',"toolgate.call.id":"\' || %s || \'","toolgate.decision":"allow","toolgate.effect":"applied",'
    '"toolgate.status":"succeeded","toolgate.tenant":"acme","toolgate.transition":"settled","user.id":"u\' '
    "|| i %% 997 || '\"}'"
)


def call_of(number: int) -> str:
    """The id of one call of the past."""
    return f"call_00PAST{number:014d}"


def key_of(number: int) -> bytes:
    """Its key."""
    return hashlib.sha256(f"past-{number}".encode()).digest()


async def write(address: str, events: int, note: Callable[[str], None]) -> None:
    """A past of ``events`` events, spread over the months before this one, into a ledger that was migrated."""
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(
            "SET search_path = toolgate; SET synchronous_commit = off; SET work_mem = '256MB'"
        )
        dropped = await _without_indexes(connection)
        each = events // MONTHS
        for month in range(MONTHS):
            begins = month_of(time.time_ns() // 1000 - (MONTHS - month) * _MONTH).begins
            await make_partitions(connection, begins)
            note(f"events of month {month + 1} of {MONTHS}")
            await _month(connection, month * each, each, begins)
        for statement in dropped:
            note(statement[:60])
            await connection.execute(statement)
        await connection.execute("VACUUM (ANALYZE)")
    finally:
        await connection.close()


async def _without_indexes(connection: asyncpg.Connection) -> list[str]:
    """Drop what would only slow the writing, and say how it is made again."""
    rows = await connection.fetch(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'toolgate' AND tablename IN ('calls', 'audit') "
        "AND indexdef NOT LIKE '%UNIQUE%'"
    )
    for row in rows:
        await connection.execute(f"DROP INDEX {row['indexname']}")
    return [row["indexdef"].replace(" ON ONLY ", " ON ") for row in rows]


async def _month(connection: asyncpg.Connection, first: int, count: int, begins: int) -> None:
    call = "'call_00PAST' || lpad((i / 2)::text, 14, '0')"
    at = f"({begins} + (i - {first}) * {_MONTH // count // 2}::bigint)"
    series = f"generate_series({first}::bigint, {first + count - 1}) AS i"
    record = _RECORD % (at, call)
    await connection.execute(
        "INSERT INTO audit (seq, chain_no, chain_seq, call_id, at, record, leaf, link) "  # noqa: S608 - constants and numbers of ours
        f"SELECT i + 1, 900000, i + 1, {call}, {at}, ({record})::bytea, sha256(i::text::bytea), sha256(i::text::bytea) "
        f"FROM {series}"
    )
    even = f"{series} WHERE i % 2 = 0"
    mac = "sha256(('past-' || i / 2)::bytea)"
    await connection.execute(
        "INSERT INTO calls (call_id, tenant, tool, version, contract_digest, effect, caller_id, agent, model, "  # noqa: S608 - constants and numbers of ours
        "workflow_id, workflow_explicit, request_id, trace, surface, received_at, digest, fingerprint, key_mac, "
        "updated_at, status, effect_state, error_type, owner, lease_until, approval_id, duration_us, incident) "
        f"SELECT {call}, 'acme', 'change_order', '1', repeat('d', 64), 'write', 'u' || i % 997, 'bench', 'none', "
        f"'past-' || i / 2, true, NULL, NULL, 'python', {at}, {mac}, {mac}, {mac}, {at}, 'succeeded', 'applied', NULL, "
        f"'boot_past', 0, NULL, 1500, NULL FROM {even}"
    )
    await connection.execute(
        "INSERT INTO claims (key_mac, call_id, caller_id, fingerprint, attach_only) "  # noqa: S608 - constants and numbers of ours
        f"SELECT {mac}, {call}, 'u' || i % 997, {mac}, false FROM {even}"
    )


async def past(folder: Path, *, quick: bool, note: Callable[[str], None]) -> dict[str, Any]:
    """Appending and looking up, in turn, in a ledger with a past and in one without."""
    events = EVENTS // 100 if quick else EVENTS
    rounds, seconds = (2, 3.0) if quick else (6, 6.0)
    found: dict[str, dict[str, list[float]]] = {"empty": {}, "full": {}}
    async with server(folder) as postgres, AsyncExitStack() as stack:
        stores, writers, numbers = {}, {}, {}
        for place, name in enumerate(found):
            address = await asyncio.to_thread(postgres.create, name)
            stores[name] = PostgresStore(address, boot_id=f"boot_{name}")
            await stores[name].open()
            stack.push_async_callback(stores[name].close)
            numbers[name] = 1_000 if name == "empty" else events // 2
            await write(address, 2 * numbers[name], note)
            writers[name] = await stack.enter_async_context(replica(address, 10**9 * (place + 1)))
        for turn in range(rounds + 1):
            # Each goes first as often as the other: what comes after a load finds the server busy with what it left.
            for name in sorted(stores, reverse=bool(turn % 2)):
                store = stores[name]
                note(f"{name}, round {turn}/{rounds}")
                rate, _, _ = await together([writers[name]], seconds)
                taken = {"append (µs a write)": 1e6 / rate, **await _look(store, numbers[name], turn)}
                if turn:
                    for what, value in taken.items():
                        found[name].setdefault(what, []).append(value)
    return {
        "events": events,
        "medians": {
            what: {name: statistics.median(found[name][what]) for name in found} for what in found["empty"]
        },
    }


async def _look(store: PostgresStore, calls: int, turn: int) -> dict[str, float]:
    """Median µs of each look-up, one after another, spread over the past."""
    step = max(1, calls // 400)

    async def records(number: int) -> object:
        return [row async for row in store.records(call_id=call_of(number))]

    looks: dict[str, Callable[[int], Awaitable[object]]] = {
        "a key": lambda number: store.find(ByKey(key_of(number))),
        "a call": lambda number: store.find(ByCall(call_of(number))),
        "the events of a call": records,
        "a page of calls": lambda _: store.calls(CallFilter(tenant="acme", limit=50)),
        "a page of a caller's": lambda _: store.calls(CallFilter(tenant="acme", caller_id="u481", limit=50)),
        "what is newest in the trail": lambda _: store.newest_changes(limit=50),
        "effects in doubt": lambda _: store.unknown(),
    }
    found = {}
    for name, look in looks.items():
        times = []
        for number in range(turn % step, calls, step):
            began = time.perf_counter()
            assert await look(number) is not None
            times.append(time.perf_counter() - began)
        found[f"{name} (µs)"] = statistics.median(times) * 1e6
    return found
