"""Opening a database: created by whoever comes first, refused with the reason where it is not ours or not whole."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ledger import rows as make
from toolgate import Caller, ConfigurationError, Gateway, StoreUnavailable, tool
from toolgate.adapters.keys import Keyring
from toolgate.adapters.stores.sqlite import SqliteStore
from toolgate.adapters.stores.sqlite import connection as connection_module
from toolgate.domain.audit import verify_chains
from toolgate.domain.commands import Done
from toolgate.domain.rows import ByCall
from toolgate.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from tests.stores.conftest import Hands

    Open = Callable[..., AbstractAsyncContextManager[SqliteStore]]

ROOT = Path(__file__).parents[2]

STARTER = """
import asyncio, sys, time
from pathlib import Path
from tests.ledger import rows as make
from toolgate.adapters.stores.sqlite import SqliteStore

async def main(path, boot, count):
    store = SqliteStore(path, boot_id=boot, now=lambda: make.NOW, busy_seconds=30)
    print("ready", flush=True)
    sys.stdin.readline()
    await store.open()
    for number in range(int(count)):
        await store.execute(make.record(f"call_{boot}_{number:03}"))
    await store.close()
    print("done", flush=True)

asyncio.run(main(*sys.argv[1:]))
"""


def start(path: Path, boot: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", STARTER, str(path), boot, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def run_together(path: Path, boots: list[str], *, count: int) -> None:
    """Start one process a boot, let all of them go at the same moment, and expect each to end well."""
    running = [start(path, boot, count) for boot in boots]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in running:
        said, complaint = process.communicate(timeout=60)
        assert (process.returncode, said, complaint) == (0, "done\n", "")


async def refused(path: Path, hands: Hands, **given: str) -> str:
    store = SqliteStore(path, boot_id="boot_a", now=hands, busy_seconds=0.05, **given)  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError) as refusal:
        await store.open()
    await store.close()
    return str(refusal.value)


# --- together -------------------------------------------------------------------------------------------------


@pytest.mark.req("X1.19", "X5.10")
async def test_four_processes_start_at_once_on_no_database(tmp_path: Path, hands: Hands) -> None:
    path = tmp_path / "toolgate.db"

    run_together(path, ["boot_1", "boot_2", "boot_3", "boot_4"], count=5)

    store = SqliteStore(path, boot_id="boot_5", now=hands)
    await store.open()
    await store.execute(make.record("call_last"))
    records = [record async for record in store.records()]
    heads = await store.heads()
    await store.close()
    assert heads.keys() == {f"boot_{number}" for number in "12345"}
    assert {seq for chain, (seq, _) in heads.items() if chain != "boot_5"} == {6}
    assert verify_chains(records, known_heads=heads).problems == ()
    with closing(sqlite3.connect(path)) as database:
        versions = [version for (version,) in database.execute("SELECT version FROM migrations")]
    assert sorted(versions) == list(range(1, len(versions) + 1))


@pytest.mark.req("X5.10")
async def test_two_processes_on_one_store_write_two_chains_and_both_verify(
    tmp_path: Path, hands: Hands
) -> None:
    path = tmp_path / "toolgate.db"

    run_together(path, ["boot_1", "boot_2"], count=60)

    store = SqliteStore(path, boot_id="boot_3", now=hands)
    await store.open()
    records = [record async for record in store.records()]
    heads = await store.heads()
    await store.close()
    assert {chain: seq for chain, (seq, _) in heads.items()} == {"boot_1": 61, "boot_2": 61}
    assert verify_chains(records, known_heads=heads).problems == ()


@pytest.mark.req("X5.3")
async def test_a_dropped_chain_is_missed_by_the_one_that_came_after_it(opened: Open, tmp_path: Path) -> None:
    for boot in ("boot_a", "boot_b"):
        async with opened(boot) as store:
            await store.execute(make.record(f"call_{boot}"))
    with closing(sqlite3.connect(tmp_path / "toolgate.db")) as database, database:
        database.execute("DELETE FROM audit WHERE chain_no = 1")
        database.execute("DELETE FROM chains WHERE chain_no = 1")

    async with opened("boot_c") as store:
        report = verify_chains([record async for record in store.records()])

    assert [(problem.kind.value, problem.chain_id) for problem in report.problems] == [
        ("missing_chain", "boot_a")
    ]


# --- refused --------------------------------------------------------------------------------------------------


@pytest.mark.req("X1.24")
async def test_a_database_of_another_application_is_refused_and_left_as_it_is(
    tmp_path: Path, hands: Hands
) -> None:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE migrations (id INTEGER PRIMARY KEY, label TEXT)")
    before = path.read_bytes()

    said = await refused(path, hands)

    assert "shop.db is a database of another application" in said
    assert path.read_bytes() == before
    assert not path.with_name("shop.db-wal").exists()


@pytest.mark.req("X1.24")
async def test_an_application_that_marks_its_file_is_refused_even_without_a_table(
    tmp_path: Path, hands: Hands
) -> None:
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA application_id = 7")

    assert "another application" in await refused(path, hands)


@pytest.mark.req("X1.24")
async def test_an_empty_file_becomes_a_ledger(tmp_path: Path, hands: Hands) -> None:
    path = tmp_path / "toolgate.db"
    path.touch()
    store = SqliteStore(path, boot_id="boot_a", now=hands)

    await store.open()

    assert isinstance(await store.execute(make.record()), Done)
    await store.close()


@pytest.mark.req("X1.24")
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"Dear reader, this is a letter and no database at all. " * 40, "is no SQLite database"),
        (b"SQLite format 3\x00" + b"\xff" * 4080, "is no SQLite database"),
    ],
)
async def test_a_file_that_is_no_database_is_refused(
    tmp_path: Path, hands: Hands, content: bytes, reason: str
) -> None:
    path = tmp_path / "letter.txt"
    path.write_bytes(content)

    said = await refused(path, hands)

    assert reason in said
    assert "letter.txt" in said
    assert path.read_bytes() == content


@pytest.mark.req("X1.24")
async def test_a_folder_and_a_missing_folder_are_refused(tmp_path: Path, hands: Hands) -> None:
    assert "is a folder; name a file in it" in await refused(tmp_path, hands)
    assert "create it first" in await refused(tmp_path / "nowhere" / "toolgate.db", hands)


@pytest.mark.req("X1.24")
async def test_a_newer_database_is_refused(opened: Open, tmp_path: Path, hands: Hands) -> None:
    async with opened():
        pass
    with closing(sqlite3.connect(tmp_path / "toolgate.db")) as database, database:
        database.execute("INSERT INTO migrations VALUES (9, 'later', 'x', 0)")

    said = await refused(tmp_path / "toolgate.db", hands)

    assert "has migration 9" in said
    assert "upgrade toolgate" in said


@pytest.mark.req("X1.19", "X1.24")
async def test_an_edited_migration_is_refused(opened: Open, tmp_path: Path, hands: Hands) -> None:
    async with opened() as store:
        await store.execute(make.record())
    with closing(sqlite3.connect(tmp_path / "toolgate.db")) as database, database:
        database.execute("UPDATE migrations SET sha256 = 'another'")

    said = await refused(tmp_path / "toolgate.db", hands)

    assert "migration 0001_ledger is not what was applied" in said


@pytest.mark.req("X1.19")
async def test_a_migration_that_fails_leaves_nothing_behind(
    tmp_path: Path, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "toolgate.db"
    broken = [(1, "ledger", "CREATE TABLE meta (key TEXT PRIMARY KEY);\nCREATE TABLE meta (key TEXT);\n")]
    with monkeypatch.context() as patched:
        patched.setattr(connection_module, "_migrations", lambda: iter(broken))
        with pytest.raises(StoreUnavailable):
            await SqliteStore(path, boot_id="boot_a", now=hands).open()

    with closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    store = SqliteStore(path, boot_id="boot_a", now=hands)
    await store.open()
    await store.close()


def overwrite(path: Path, *, page: int, pages: int = 1) -> None:
    with path.open("r+b") as file:
        file.seek((page - 1) * 4096 + (100 if page == 1 else 0))
        file.write(b"\xa5" * (4096 * pages - 100))


@pytest.mark.req("X1.24")
async def test_a_database_whose_tables_are_overwritten_is_refused(
    opened: Open, tmp_path: Path, hands: Hands
) -> None:
    async with opened() as store:
        for number in range(50):
            await store.execute(make.intend(f"call_{number:02}", key=bytes([number])))
    path = tmp_path / "toolgate.db"
    overwrite(path, page=2, pages=path.stat().st_size // 4096 - 1)

    assert "toolgate.db is damaged" in await refused(path, hands)


@pytest.mark.req("X1.24")
async def test_a_database_whose_schema_is_overwritten_is_refused(
    opened: Open, tmp_path: Path, hands: Hands
) -> None:
    async with opened():
        pass
    overwrite(tmp_path / "toolgate.db", page=1)

    assert "toolgate.db is damaged" in await refused(tmp_path / "toolgate.db", hands)


@pytest.mark.req("X1.24")
async def test_a_database_that_was_cut_is_refused(opened: Open, tmp_path: Path, hands: Hands) -> None:
    async with opened() as store:
        for number in range(50):
            await store.execute(make.intend(f"call_{number:02}", key=bytes([number])))
    path = tmp_path / "toolgate.db"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)

    assert "toolgate.db is damaged" in await refused(path, hands)


@pytest.mark.req("X1.24")
async def test_a_database_that_others_hold_is_unavailable_and_not_unfit(
    opened: Open, tmp_path: Path, hands: Hands
) -> None:
    async with opened():
        pass
    with closing(sqlite3.connect(tmp_path / "toolgate.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        store = SqliteStore(tmp_path / "toolgate.db", boot_id="boot_b", now=hands, busy_seconds=0.05)

        with pytest.raises(StoreUnavailable, match="locked"):
            await store.open()


# --- keys -----------------------------------------------------------------------------------------------------


@tool(effect="read", roles="anyone")
async def look(number: int) -> int:
    """Look at a number."""
    return number


async def use(path: Path) -> None:
    async with Gateway([look], store=f"sqlite:///{path}", clock=FakeClock(), housekeeping=None) as gateway:
        (await gateway.call("look", {"number": 1}, caller=Caller("u-maya"))).unwrap()


@pytest.mark.req("M11.9")
async def test_a_database_without_its_keys_does_not_start(tmp_path: Path) -> None:
    path = tmp_path / "toolgate.db"
    await use(path)
    keys = tmp_path / "toolgate.db.keys"
    assert keys.stat().st_mode & 0o777 == 0o600
    keys.rename(tmp_path / "elsewhere")

    with pytest.raises(ConfigurationError, match=r"its keys, toolgate\.db\.keys, are not"):
        Gateway([look], store=f"sqlite:///{path}")

    assert not keys.exists()


@pytest.mark.req("M11.9")
async def test_the_keys_of_another_database_are_refused_and_nothing_is_changed(
    tmp_path: Path, hands: Hands
) -> None:
    await use(tmp_path / "one.db")
    await use(tmp_path / "two.db")
    (tmp_path / "one.db.keys").replace(tmp_path / "two.db.keys")

    gateway = Gateway([look], store=f"sqlite:///{tmp_path / 'two.db'}", housekeeping=None)
    with pytest.raises(ConfigurationError, match=r"the keys beside two\.db belong to another database"):
        await gateway.__aenter__()

    said = await refused(tmp_path / "one.db", hands, ring_id=Keyring.ephemeral().ring_id)
    assert "belong to another database" in said


@pytest.mark.req("M11.9")
async def test_a_database_remembers_the_first_keys_it_was_opened_with(tmp_path: Path, hands: Hands) -> None:
    path = tmp_path / "toolgate.db"
    for ring in ("", "ring_1", "ring_1", ""):
        store = SqliteStore(path, boot_id=f"boot_{ring}", now=hands, ring_id=ring)
        await store.open()
        await store.close()

    assert "belong to another database" in await refused(path, hands, ring_id="ring_2")


# --- again ----------------------------------------------------------------------------------------------------


@pytest.mark.req("X1.20", "X1.23")
async def test_a_restart_finds_what_was_committed_and_its_time(opened: Open, hands: Hands) -> None:
    hands.at = make.EXPIRY
    async with opened() as store:
        await store.execute(make.intend(key=b"k"))
    hands.at = make.NOW

    async with opened("boot_b") as store:
        assert (await store.find(ByCall("call_1"))).call is not None
        assert await store.now() == make.EXPIRY


@pytest.mark.req("X1.23")
async def test_the_highest_time_of_any_process_counts_after_a_restart(opened: Open, hands: Hands) -> None:
    async with opened("boot_a") as ahead:
        hands.at = make.EXPIRY
        await ahead.execute(make.record("call_1"))
    async with opened("boot_b") as behind:
        hands.at = make.NOW
        await behind.execute(make.record("call_2"))

    async with opened("boot_c") as later:
        assert await later.now() == make.EXPIRY


@pytest.mark.req("X1.19")
def test_a_store_may_be_opened_again_after_it_was_closed(tmp_path: Path, hands: Hands) -> None:
    store = SqliteStore(tmp_path / "toolgate.db", boot_id="boot_a", now=hands)

    async def once(call_id: str) -> None:
        await store.open()
        await store.execute(make.record(call_id))
        await store.close()

    asyncio.run(once("call_1"))
    asyncio.run(once("call_2"))

    async def check() -> int:
        await store.open()
        records = [record async for record in store.records()]
        report = verify_chains(records, known_heads=await store.heads())
        await store.close()
        assert report.problems == ()
        return report.records

    assert asyncio.run(check()) == 3


@pytest.mark.req("M11.9")
async def test_the_database_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "gate.db"
    async with Gateway([], store=f"sqlite:///{path}", housekeeping=None) as gateway:
        await gateway.call("nothing", {}, caller=Caller("u1"))
        modes = _modes(tmp_path)

    assert set(modes) >= {"gate.db", "gate.db-wal", "gate.db.keys"}
    assert set(modes.values()) == {0o600}


def _modes(folder: Path) -> dict[str, int]:
    files = [file for file in folder.glob("gate.db*") if file.suffix != ".lock"]
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in files}
