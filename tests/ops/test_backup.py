"""The backup page, carried out: copies taken while a gateway writes, restored elsewhere, verified, and gone on with.

What came after a copy is lost with the restore. These tests hold what the page says of that: verification against a
head that was kept later shows it, and the gate knows nothing of effects that came after.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import run, until
from tests.postgres.ledgers import settled
from tests.postgres.server import binaries
from toolgate import Caller, Gateway, Succeeded, tool
from toolgate.adapters.keys import Keyring
from toolgate.domain.audit import Break
from toolgate.operations.verify_audit import verify_audit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from toolgate.domain.audit import Head

MAYA = Caller("u-maya", roles={"support"}, tenant="acme")
made: list[int] = []


@tool(effect="write", roles={"support"}, timeout=20.0, idempotency="refund:{order_id}")
async def refund(order_id: int) -> dict[str, int]:
    """Refund one order."""
    made.append(order_id)
    return {"refunded": order_id}


async def ask(gate: Gateway, order: int) -> Any:
    return await gate.call("refund", {"order_id": order}, caller=MAYA, workflow="w")


async def busy(gate: Gateway, first: int, until: asyncio.Event) -> int:
    """Refund one order after the other. The last one."""
    order = first
    while not until.is_set():
        assert (await ask(gate, order)).ok
        order += 1
    return order - 1


def more_than(count: int) -> Callable[[], Awaitable[bool]]:
    """Whether more orders than that were refunded by now."""

    async def reached() -> bool:
        return len(made) > count

    return reached


async def heads(gate: Gateway) -> list[tuple[str, Head]]:
    return list((await gate.store.heads()).items())


async def doctor(folder: Path, store: str) -> dict[str, str]:
    config = folder / "toolgate.toml"
    keys = "" if store.startswith("sqlite") else f'keys = "file:{folder / "toolgate.keys"}"\n'
    config.write_text(f'tools = ["tests.cli.desk:tools"]\nstore = "{store}"\n{keys}', encoding="utf-8")
    ran = await asyncio.to_thread(run, "doctor", "--json", "--config", str(config))
    return {one["area"]: one["state"] for one in ran.json["findings"]}


async def look_around(
    restored: Gateway, known: list[tuple[str, Head]], later: list[tuple[str, Head]]
) -> None:
    """A restored ledger verifies, is known to be older than what came later, and goes on."""
    assert (await verify_audit(restored.store, kept_heads=known)).intact
    lost = await verify_audit(restored.store, kept_heads=later)
    assert {problem.kind for problem in lost.problems} == {Break.TRUNCATED}
    before = len(made)
    again = await ask(restored, 1)
    assert isinstance(again, Succeeded)
    assert (again.replayed, again.result) == (True, {"refunded": 1})
    assert len(made) == before, "what was done before the copy is known, and not done again"
    assert (await ask(restored, 10**6)).ok
    assert (await verify_audit(restored.store, kept_heads=known)).intact


@pytest.mark.req("X1.81")
async def test_a_copy_of_sqlite_taken_while_a_gateway_writes_is_whole(tmp_path: Path) -> None:
    made.clear()
    live, back = tmp_path / "live.db", tmp_path / "restored" / "live.db"
    back.parent.mkdir()
    enough = asyncio.Event()
    async with Gateway([refund], store=f"sqlite:///{live}") as gate:
        assert (await ask(gate, 1)).ok
        writing = asyncio.create_task(busy(gate, 2, enough))
        known = await heads(gate)
        await asyncio.to_thread(copy, live, back)
        await until(more_than(len(made) + 3))
        enough.set()
        await writing
        later = await heads(gate)
    shutil.copy2(live.with_name("live.db.keys"), back.with_name("live.db.keys"))

    async with Gateway([refund], store=f"sqlite:///{back}") as restored:
        await look_around(restored, known, later)
    stands = await doctor(back.parent, f"sqlite:///{back}")
    assert {area for area, state in stands.items() if state != "ok"} <= {"gateway", "disk"}


def copy(source: Path, target: Path) -> None:
    """As the page says."""
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(target)) as back:
        live.backup(back, pages=16, sleep=0.001)


@pytest.mark.req("X1.81")
async def test_without_its_keys_a_restored_ledger_does_not_start(tmp_path: Path) -> None:
    live, back = tmp_path / "live.db", tmp_path / "back.db"
    async with Gateway([refund], store=f"sqlite:///{live}") as gate:
        await ask(gate, 1)
    copy(live, back)

    assert (await doctor(tmp_path, f"sqlite:///{back}"))["keys"] == "fail"


@pytest.mark.req("X1.82")
async def test_a_dump_of_postgres_taken_while_a_gateway_writes_restores_to_a_new_database(
    tmp_path: Path, postgres_dsn: str, empty_postgres_dsn: str
) -> None:
    made.clear()
    keys = Keyring.create(tmp_path / "toolgate.keys")
    enough = asyncio.Event()
    dump = tmp_path / "ledger.dump"
    async with Gateway([refund], store=postgres_dsn, keys=keys) as gate:
        assert (await ask(gate, 1)).ok
        writing = asyncio.create_task(busy(gate, 2, enough))
        known = await heads(gate)
        await program("pg_dump", "--format=custom", f"--file={dump}", f"--dbname={postgres_dsn}")
        await until(more_than(len(made) + 3))
        enough.set()
        await writing
        later = await heads(gate)
    await program("pg_restore", "--exit-on-error", "--no-owner", f"--dbname={empty_postgres_dsn}", str(dump))

    async with Gateway([refund], store=empty_postgres_dsn, keys=keys) as restored:
        await settled(restored.store)
        newest = (await restored.store.changes(None))[0].seq
        await look_around(restored, known, later)
        await settled(restored.store)
        assert (await restored.store.changes(None))[0].seq > newest, "readers go on behind where they were"
    stands = await doctor(tmp_path, empty_postgres_dsn)
    assert {area for area, state in stands.items() if state != "ok"} <= {"gateway", "durability"}


async def program(name: str, *words: str) -> None:
    """One of Postgres's own programs, as its client."""
    ran = await asyncio.to_thread(
        subprocess.run,
        [str(binaries() / name), *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PGPASSWORD": "any"},
    )
    assert ran.returncode == 0, ran.stderr
