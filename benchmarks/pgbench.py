"""``pgbench`` writing the very rows that a governed write leaves, as scripts made from one real call.

A governed write is two transactions: an intent (call, claim, request, event) and its settling (call moved, result,
event), each moving the head of its chain. ``single`` runs them one by one, a statement and a round trip each;
``grouped`` puts as many of them into a transaction as the gate did. No key is derived, nothing is encrypted, hashed or
looked up.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg

CHAINS: Final = 1_000_000
"""Chains of pgbench's clients begin here; the gate's are small numbers."""
_AT: Final = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_MOVED: Final = ("updated_at", "status", "effect_state", "error_type", "owner", "lease_until", "duration_us")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """The rows of one governed write."""

    call: dict[str, Any]
    claim: dict[str, Any]
    sealed: list[dict[str, Any]]
    audit: list[dict[str, Any]]

    @property
    def bytes(self) -> int:
        """About what one write stores."""
        rows = [self.call, self.claim, *self.sealed, *self.audit]
        return sum(len(value) for row in rows for value in row.values() if isinstance(value, str | bytes))


async def example(address: str) -> Example:
    """The newest finished write."""
    connection = await asyncpg.connect(address)
    try:
        await connection.execute("SET search_path = toolgate")
        call = await connection.fetchrow(
            "SELECT * FROM calls WHERE status = 'succeeded' AND key_mac IS NOT NULL ORDER BY call_id DESC LIMIT 1"
        )
        assert call is not None
        name = call["call_id"]
        claim = await connection.fetchrow("SELECT * FROM claims WHERE call_id = $1", name)
        assert claim is not None
        sealed = await connection.fetch("SELECT * FROM sealed WHERE call_id = $1 ORDER BY kind DESC", name)
        audit = await connection.fetch("SELECT * FROM audit WHERE call_id = $1 ORDER BY seq", name)
    finally:
        await connection.close()
    return Example(
        call=dict(call),
        claim=dict(claim),
        sealed=[dict(row) for row in sealed],
        audit=[dict(row) for row in audit],
    )


def single(rows: Example) -> str:
    """A script: one governed write as two transactions of one statement each."""
    return "\n".join(
        [
            "\\set n :n + 1",
            "\\set base (:run * 10000 + :client_id) * 100000000 + :n",
            _intent(rows, "1"),
            _settled(rows, "1"),
        ]
    )


def grouped(rows: Example, size: int) -> str:
    """A script: as many governed writes as make ``size`` intents a transaction, and then their settling."""
    return "\n".join(
        [
            f"\\set n :n + {size}",
            "\\set base (:run * 10000 + :client_id) * 100000000 + :n",
            _intent(rows, str(size)),
            _settled(rows, str(size)),
        ]
    )


def _intent(rows: Example, size: str) -> str:
    call = rows.call | {
        "call_id": _Raw(_ID),
        "status": "running",
        "effect_state": "intended",
        "key_mac": _Raw(_MAC),
    }
    claim = rows.claim | {"call_id": _Raw(_ID), "key_mac": _Raw(_MAC)}
    return _one_statement(
        size,
        [
            _insert("claims", claim),
            _insert("calls", call),
            _insert("sealed", rows.sealed[0] | {"call_id": _Raw(_ID)}),
            _insert("audit", _event(rows.audit[0], 0)),
        ],
        rows.audit[0]["link"],
    )


def _settled(rows: Example, size: str) -> str:
    moved = ", ".join(f"{name} = {_literal(rows.call[name])}" for name in _MOVED)
    return _one_statement(
        size,
        [
            f"UPDATE calls SET {moved} FROM items WHERE call_id = {_ID}",  # noqa: S608 - constants and numbers of ours
            _insert("sealed", rows.sealed[1] | {"call_id": _Raw(_ID)}),
            _insert("audit", _event(rows.audit[1], 1)),
        ],
        rows.audit[1]["link"],
    )


class _Raw(str):
    """SQL, and no value."""

    __slots__ = ()


_NUMBER: Final = "(:base::bigint + i)"
_ID: Final = f"('call_' || {_NUMBER}::text)"
_MAC: Final = f"sha256({_NUMBER}::text::bytea)"


def _event(row: dict[str, Any], step: int) -> dict[str, Any]:
    return row | {
        "call_id": _Raw(_ID),
        "seq": _Raw(f"{_NUMBER} * 2 + {step}"),
        "chain_no": _Raw(f"{CHAINS} + :client_id"),
        "chain_seq": _Raw(f"{_NUMBER} * 2 + {step}"),
        "at": _Raw(_AT),
    }


def _insert(table: str, row: dict[str, Any]) -> str:
    values = ", ".join(_literal(value) for value in row.values())
    return f"INSERT INTO {table} ({', '.join(row)}) SELECT {values} FROM items"  # noqa: S608 - constants and numbers of ours


def _one_statement(size: str, parts: list[str], link: bytes) -> str:
    steps = ", ".join(f"s{number} AS ({part})" for number, part in enumerate(parts))
    items = f"items AS (SELECT generate_series(1, {size}) AS i)"
    head = (
        f"UPDATE chains SET head_seq = head_seq + {size}, head_link = {_literal(link)}, head_at = {_AT} "  # noqa: S608 - constants and numbers of ours
        f"WHERE chain_no = {CHAINS} + :client_id"
    )
    return f"WITH {items}, {steps} {head};"


def _literal(value: Any) -> str:
    if isinstance(value, _Raw):
        return value
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes):
        return f"'\\x{value.hex()}'::bytea"
    if isinstance(value, int | float):
        return str(value)
    return "'" + str(value).replace("'", "''").replace(":", "'||chr(58)||'") + "'"


async def prepare(address: str, clients: int) -> None:
    """A chain for each client, and the schema without its name."""
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(
            "INSERT INTO toolgate.chains (chain_no, chain_id, head_seq, head_link, named_seq, head_at, recent) "
            "OVERRIDING SYSTEM VALUE SELECT $1 + i, 'bench' || i, 0, '', 0, 0, false "
            "FROM generate_series(0, $2 - 1) AS i ON CONFLICT DO NOTHING",
            CHAINS,
            clients,
        )
    finally:
        await connection.close()


async def run(
    program: Path, address: str, script: Path, *, clients: int, seconds: float, number: int
) -> float:
    """Scripts a second."""
    process = await asyncio.create_subprocess_exec(
        *(program, "-n", "-M", "prepared", "-c", str(clients), "-j", "2", "-T", str(round(seconds))),
        *("-f", str(script), "-D", "n=0", "-D", f"run={number}"),
        f"{address}&options=-csearch_path%3Dtoolgate",
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    found = re.search(r"tps = ([0-9.]+)", out.decode())
    assert found is not None, out.decode()
    return float(found[1])
