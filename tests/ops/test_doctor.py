"""The checkup: every part by itself, in words that say what mends it, without a secret, whatever else is broken."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import FAR, MAYA, Ran, Shop, run
from toolgate.adapters.keys import Keyring
from toolgate.adapters.stores.postgres import link
from toolgate.domain import checkup
from toolgate.domain.checkup import State, fail, ok, warn, worst

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.req("X1.80")

DAY = 86_400_000_000
# A test's gateway lives in the year 2100, so that the machine's clock is behind its records and says so.
LATER = {"clock"}


def findings(ran: Ran) -> dict[str, tuple[str, str, str | None]]:
    return {one["area"]: (one["state"], one["words"], one["mend"]) for one in ran.json["findings"]}


async def looked(shop: Shop) -> dict[str, tuple[str, str, str | None]]:
    return findings(await shop("doctor", "--json"))


def bad(found: dict[str, tuple[str, str, str | None]]) -> dict[str, str]:
    return {area: state for area, (state, _, _) in found.items() if state != "ok" and area not in LATER}


def change(shop: Shop, statement: str, *values: Any) -> None:
    with closing(sqlite3.connect(shop.database)) as db:
        assert db.execute(statement, values).rowcount
        db.commit()


async def some_calls(shop: Shop) -> None:
    async with shop.gateway() as gate:
        flow = gate.workflow("w", caller=MAYA)
        await flow.call("refund", {"order_id": 1, "amount_cents": 100})
        await flow.call("drop_reply", {"order_id": 2})
        await flow.call("refund", {"order_id": 3, "amount_cents": 9000})


# --- how it ends ----------------------------------------------------------------------------------------------


async def test_all_is_well_beside_a_gateway_that_keeps_house(shop: Shop) -> None:
    async with shop.gateway(keeps_house=True):
        found = await looked(shop)

    assert bad(found) == {}
    assert {"configuration", "tools", "keys", "store", "writing", "schema", "disk", "retention"} <= set(found)


async def test_what_somebody_should_look_at_is_a_warning_with_what_to_do(shop: Shop) -> None:
    await some_calls(shop)
    change(shop, "UPDATE approvals SET requested_at = ?", FAR - 2 * DAY)

    found = await looked(shop)

    assert bad(found) == {"gateway": "warn", "unknown effects": "warn", "approvals": "warn"}
    assert "toolgate calls resolve" in (found["unknown effects"][2] or "")
    assert found["approvals"][1] == "1 waiting for a person, the oldest for 2 days"


@pytest.mark.parametrize(
    ("findings", "state"),
    [
        ([], State.OK),
        ([ok("a", "x")], State.OK),
        ([ok("a", "x"), warn("b", "y", "z")], State.WARN),
        ([fail("c", "y", "z"), warn("b", "y", "z"), ok("a", "x")], State.FAIL),
    ],
)
def test_the_worst_finding_counts(findings: list[checkup.Finding], state: State) -> None:
    assert worst(findings) is state


async def test_the_exit_code_and_the_last_line_tell_all_apart(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await shop("doctor")).code == 2
    async with shop.gateway(keeps_house=True):
        monkeypatch.setattr(
            checkup, "judge_high_water", lambda _: ok("clock", "not behind the newest record")
        )
        well = await shop("doctor")
    unserved = await shop("doctor")

    assert (well.code, well.out.splitlines()[-1][:12]) == (0, "All is well:")
    assert (unserved.code, unserved.out.splitlines()[-1]) == (1, "It works. 1 thing somebody should look at.")


# --- what is broken -------------------------------------------------------------------------------------------


def test_without_a_configuration_it_says_so(tmp_path: Path) -> None:
    ran = run("doctor", "--json", "--config", str(tmp_path / "toolgate.toml"))

    assert ran.code == 2
    assert "there is no such file" in findings(ran)["configuration"][1]


async def test_a_tool_that_cannot_be_imported_hides_nothing_else(shop: Shop) -> None:
    async with shop.gateway():
        pass
    shop.config.write_text('tools = ["tests.cli.nothing:tools"]\nstore = "sqlite:///gate.db"\n')

    found = await looked(shop)

    assert found["tools"][0] == "fail"
    assert found["schema"][0] == "ok"


async def test_a_store_that_is_not_there_yet_says_what_makes_it(shop: Shop) -> None:
    found = await looked(shop)

    assert bad(found) == {"keys": "fail", "store": "fail"}
    assert "toolgate migrate" in (found["store"][2] or "")


async def test_keys_that_others_can_read_are_a_failure_that_names_the_command(shop: Shop) -> None:
    async with shop.gateway():
        pass
    shop.database.with_name("gate.db.keys").chmod(0o644)

    found = await looked(shop)

    assert found["keys"][0] == "fail"
    assert "chmod 600" in found["keys"][1]
    assert found["store"][0] == "ok"


async def test_keys_of_another_database_are_found(shop: Shop) -> None:
    async with shop.gateway():
        pass
    beside = shop.database.with_name("gate.db.keys")
    beside.unlink()
    Keyring.create(beside)

    assert (await looked(shop))["keys"][:2] == ("fail", "they belong to another database than this one")


async def test_a_schema_that_waits_or_is_newer_is_told_and_the_rest_is_not_guessed(shop: Shop) -> None:
    async with shop.gateway():
        pass
    change(shop, "UPDATE migrations SET version = 9999, name = 'tomorrow' WHERE version = 4")

    newer = await looked(shop)
    change(shop, "DELETE FROM migrations WHERE version = 9999")
    waits = await looked(shop)

    assert newer["schema"][:2] == ("fail", "it has 9999_tomorrow, which this version does not know")
    assert waits["schema"][:2] == ("warn", "it waits for 0004_retention")
    assert "unknown effects" not in newer
    assert "unknown effects" not in waits


async def test_a_file_that_is_no_ledger_is_told(shop: Shop) -> None:
    async with shop.gateway():
        pass
    shop.database.write_bytes(b"something else, and long enough to be no database" * 100)

    assert (await looked(shop))["store"][0] == "fail"


async def test_a_full_or_read_only_file_is_found_by_trying(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with shop.gateway():
        pass
    monkeypatch.setattr("toolgate.adapters.stores.sqlite.vitals._BUSY_SECONDS", 0.05)
    with closing(sqlite3.connect(shop.database, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        found = await looked(shop)

    assert found["writing"][:2] == ("fail", "the store refused to write: database is locked")
    assert found["store"][0] == "ok"


async def test_it_changes_nothing(shop: Shop) -> None:
    await some_calls(shop)
    with closing(sqlite3.connect(shop.database)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = shop.database.read_bytes()

    await shop("doctor")

    with closing(sqlite3.connect(shop.database)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert db.execute("SELECT 1 FROM meta WHERE key = 'checkup'").fetchone() is None
    assert shop.database.read_bytes() == before


# --- open work ------------------------------------------------------------------------------------------------


async def test_intents_of_a_process_that_died_are_found(shop: Shop) -> None:
    await some_calls(shop)
    change(
        shop,
        "UPDATE calls SET effect_state = 'intended', status = 'running', lease_until = 1 "
        "WHERE effect_state = 'applied'",
    )

    found = await looked(shop)

    assert found["lapsed intents"][0] == "warn"
    assert "toolgate serve" in (found["lapsed intents"][2] or "")


async def test_what_was_approved_and_nobody_runs_is_found(shop: Shop) -> None:
    await some_calls(shop)
    change(shop, "UPDATE approvals SET state = 'approved', updated_at = 1")

    assert (await looked(shop))["approved calls"][:2] == ("warn", "1 approved, and no gateway has run them")


async def test_notifications_that_were_given_up_or_are_late_are_found(shop: Shop) -> None:
    await some_calls(shop)
    change(
        shop,
        "INSERT INTO deliveries SELECT notice_id, 'chat', 'pending', 1, 1, 1, NULL FROM notices LIMIT 1",
    )
    assert (await looked(shop))["notifications"][:2] == ("warn", "1 overdue")
    change(shop, "UPDATE deliveries SET state = 'dead'")

    assert (await looked(shop))["notifications"][:2] == ("warn", "1 given up")


async def test_retention_that_is_behind_is_found(shop: Shop) -> None:
    await some_calls(shop)
    shop.write('[retention]\narguments = "1d"\n')
    assert (await looked(shop))["retention"][0] == "ok"
    change(shop, "UPDATE calls SET updated_at = ?, lease_until = 0", FAR - 3 * DAY)

    behind = (await looked(shop))["retention"]

    assert behind[:2] == ("warn", "1 things are due, and no round was made yet")
    await shop("retention", "run")
    assert (await looked(shop))["retention"][0] == "ok"


# --- numbers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("finding", "state"),
    [
        (checkup.judge_offset(20_000), State.OK),
        (checkup.judge_offset(-2_000_000), State.WARN),
        (checkup.judge_offset(600_000_000), State.FAIL),
        (checkup.judge_high_water(-5), State.OK),
        (checkup.judge_high_water(2_000_000), State.WARN),
        (checkup.judge_high_water(120_000_000), State.FAIL),
        (checkup.judge_disk(10 * checkup.GIB, where="here"), State.OK),
        (checkup.judge_disk(500 * checkup.MIB, where="here"), State.WARN),
        (checkup.judge_disk(checkup.MIB, where="here"), State.FAIL),
        (checkup.judge_wal(0), State.OK),
        (checkup.judge_wal(checkup.GIB), State.WARN),
        (checkup.judge_connections(10, 100), State.OK),
        (checkup.judge_connections(95, 100), State.WARN),
    ],
)
def test_numbers_are_judged_and_what_is_not_well_says_what_mends_it(
    finding: checkup.Finding, state: State
) -> None:
    assert finding.state is state
    assert (finding.mend is None) == (state is State.OK)


# --- Postgres -------------------------------------------------------------------------------------------------


@pytest.fixture
def on_postgres(shop: Shop, postgres_dsn: str) -> Shop:
    shop.config.write_text(f'tools = ["tests.cli.desk:tools"]\nstore = "{postgres_dsn}"\n', encoding="utf-8")
    return shop


async def test_a_ledger_on_postgres_is_looked_at_likewise(on_postgres: Shop) -> None:
    assert (await on_postgres("migrate")).code == 0

    found = await looked(on_postgres)

    assert set(bad(found)) <= {"gateway", "durability"}
    assert found["clock"][0] == "ok"
    assert found["schema"][0] == found["writing"][0] == found["keys"][0] == "ok"


async def test_a_server_that_is_down_is_told_without_its_password(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurried = link.Patience(connect=1.0, outage=0.1)
    monkeypatch.setattr(link, "Patience", lambda: hurried)
    Keyring.create(shop.folder / "toolgate.keys")
    address = "postgresql://gate:hunter2-secret@127.0.0.1:1/ledger"
    shop.config.write_text(f'tools = ["tests.cli.desk:tools"]\nstore = "{address}"\n', encoding="utf-8")

    ran = await shop("doctor")

    assert ran.code == 2
    assert "fail" in ran.out
    assert "hunter2" not in ran.out + ran.err
