"""From an address to an open gateway or command: keys, clock, words about what is missing. Nothing shows a password."""

from __future__ import annotations

import builtins
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.postgres.fixtures import ledger
from toolgate import Caller, Gateway, Succeeded, tool
from toolgate.adapters.clock import DatabaseClock
from toolgate.adapters.keys import Keyring
from toolgate.adapters.stores.postgres.store import PostgresStore, ReadingPostgresStore
from toolgate.bootstrap.stores import keys_of, open_store
from toolgate.domain.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from toolgate import Tool

ROOT = Path(__file__).parents[2]
ANN = Caller("ann", {"clerk"}, "acme")
TOML = """
tools = ["tests.cli.desk:tools"]
store = "env:TEST_DATABASE"
"""


def look_up() -> Tool[Any, Any]:
    @tool(effect="write", roles={"clerk"}, idempotency="refund:{order}")
    async def refund(order: int) -> int:
        """Pay an order back."""
        return order

    return refund


def program(folder: Path, dsn: str, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TEST_DATABASE": dsn, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "toolgate", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.req("X1.58")
async def test_the_first_gateway_makes_the_keys_and_the_next_one_finds_them(
    empty_postgres_dsn: str, tmp_path: Path
) -> None:
    keys = f"file:{tmp_path / 'toolgate.keys'}"
    async with Gateway([look_up()], store=empty_postgres_dsn, keys=keys) as first:
        told = await first.call("refund", {"order": 1}, caller=ANN)
    assert (tmp_path / "toolgate.keys").stat().st_mode & 0o777 == 0o600
    async with Gateway([look_up()], store=empty_postgres_dsn, keys=keys) as second:
        again = await second.call("refund", {"order": 1}, caller=ANN)
    assert isinstance(told, Succeeded)
    assert isinstance(again, Succeeded)
    assert again.replayed


@pytest.mark.req("X1.58")
async def test_a_database_whose_keys_are_missing_makes_no_new_ones(
    empty_postgres_dsn: str, tmp_path: Path
) -> None:
    path = tmp_path / "toolgate.keys"
    async with Gateway([look_up()], store=empty_postgres_dsn, keys=f"file:{path}"):
        pass
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(ConfigurationError, match=r"its keys, toolgate\.keys, are not"):
        Gateway([look_up()], store=empty_postgres_dsn, keys=f"file:{path}")
    assert not path.exists()


@pytest.mark.req("X1.58")
async def test_a_database_refuses_the_keys_of_another(empty_postgres_dsn: str, tmp_path: Path) -> None:
    async with Gateway([look_up()], store=empty_postgres_dsn, keys=f"file:{tmp_path / 'mine'}"):
        pass
    Keyring.create(tmp_path / "other")
    gateway = Gateway([look_up()], store=empty_postgres_dsn, keys=f"file:{tmp_path / 'other'}")
    with pytest.raises(ConfigurationError, match="keys"):
        await gateway.__aenter__()


@pytest.mark.req("X1.58")
def test_keys_are_named_by_a_file() -> None:
    with pytest.raises(ConfigurationError, match="name the file"):
        Gateway([look_up()], store="postgresql://db/x", keys="hunter2")


@pytest.mark.req("X1.56")
async def test_a_gateway_counts_in_the_time_of_its_database(postgres_dsn: str, tmp_path: Path) -> None:
    opened = open_store(postgres_dsn, f"file:{tmp_path / 'keys'}", boot_id="boot_a")
    assert isinstance(opened.clock, DatabaseClock)
    assert isinstance(opened.store, PostgresStore)
    await opened.store.open()
    here, hour = opened.clock.now(), 3_600_000_000
    # A machine whose clock is an hour behind the database's.
    opened.store._offset += hour
    assert opened.clock.now() >= here + hour
    await opened.store.close()


@pytest.mark.req("X1.57")
def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("toolgate.adapters.stores.postgres.store"):
            raise ModuleNotFoundError("no asyncpg", name="asyncpg")
        return real(name, *rest, **more)

    Keyring.create(tmp_path / "keys")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError, match=r"install toolgate\[postgres\]"):
        open_store("postgresql://db/x", f"file:{tmp_path / 'keys'}", boot_id="boot_a")


@pytest.mark.req("X1.57")
def test_a_server_that_is_not_there_is_told_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "toolgate.toml").write_text(TOML)
    Keyring.create(tmp_path / "toolgate.keys")
    ran = program(tmp_path, "postgresql://gate:hunter2@127.0.0.1:1/x", "calls", "list")
    assert ran.returncode != 0
    assert "127.0.0.1" in ran.stderr
    assert "hunter2" not in ran.stdout + ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.req("X1.57")
async def test_a_ledger_to_look_at_has_to_be_there_and_takes_no_command(
    empty_postgres_dsn: str,
) -> None:
    store = ReadingPostgresStore(empty_postgres_dsn, boot_id="cli")
    with pytest.raises(ConfigurationError, match="toolgate migrate"):
        await store.open()
    with ledger() as dsn:
        looking = ReadingPostgresStore(dsn, boot_id="cli")
        await looking.open()
        assert len(await looking.migrations()) >= 1
        with pytest.raises(StoreUnavailable, match="reading alone"):
            await looking.execute(None)  # type: ignore[arg-type]
        await looking.close()


@pytest.mark.req("X1.57", "X1.58", "M14.11")
def test_commands_work_on_postgres_as_on_a_file(empty_postgres_dsn: str, tmp_path: Path) -> None:
    (tmp_path / "toolgate.toml").write_text(TOML)
    first = program(tmp_path, empty_postgres_dsn, "migrate")
    second = program(tmp_path, empty_postgres_dsn, "migrate")
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "made Postgres, toolgate_test_" in first.stdout
    assert "toolgate.keys" in first.stdout
    assert second.stdout.startswith("nothing to do")
    made = program(
        tmp_path,
        empty_postgres_dsn,
        "tokens",
        "create",
        "--id",
        "u-lea",
        "--roles",
        "billing_admin",
        "--json",
    )
    assert made.returncode == 0, made.stderr
    listed = program(tmp_path, empty_postgres_dsn, "tokens", "list", "--json")
    assert "u-lea" in listed.stdout
    for words in (("approvals", "list"), ("calls", "list"), ("audit", "verify"), ("audit", "tail")):
        ran = program(tmp_path, empty_postgres_dsn, *words)
        assert ran.returncode == 0, (words, ran.stderr)
    status = json.loads(program(tmp_path, empty_postgres_dsn, "migrate", "--json").stdout)
    assert (status["created"], status["applied"]) == (False, [])


@pytest.mark.req("X1.58")
def test_keys_of_a_new_database_are_made_once_by_many_who_start_together(
    empty_postgres_dsn: str, tmp_path: Path
) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=4) as four:
        rings = list(four.map(lambda _: keys_of(empty_postgres_dsn, tmp_path / "toolgate.keys"), range(4)))
    assert len({ring.ring_id for ring in rings}) == 1
