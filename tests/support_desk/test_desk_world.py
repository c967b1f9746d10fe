"""The desk as a whole: its database, its faults, its handbook and what is only read."""

from __future__ import annotations

import asyncio
import sqlite3
import urllib.error
import urllib.request
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from toolgate.examples.support_desk import database
from toolgate.examples.support_desk.database import DeskMissingError
from toolgate.examples.support_desk.faults import ConnectionDroppedError, Fault, Faults
from toolgate.examples.support_desk.refusals import NoSuchOrder, NoSuchShipment
from toolgate.examples.support_desk.shipping import ParcelState
from toolgate.examples.support_desk.world import ENVIRONMENT, World, current

if TYPE_CHECKING:
    from pathlib import Path

    from toolgate.examples.support_desk.desk import Desk

pytestmark = pytest.mark.req("M3.11")


def test_a_row_cannot_point_into_another_tenant_whatever_the_code_does(world: World) -> None:
    with closing(database.connect(world.path)) as connection, pytest.raises(sqlite3.IntegrityError):
        connection.execute(
            """
            INSERT INTO refunds
                (tenant, order_id, amount_cents, reason, requested_by, idempotency_key, created_at)
            VALUES ('globex', 5001, 1, 'across', 'u-kenji', 'k', '2026-03-02')
            """
        )


def _forget_the_notes_and_then_too_much(connection: sqlite3.Connection) -> None:
    with database.transaction(connection):
        connection.execute("DELETE FROM notes")
        connection.execute("DELETE FROM tenants")


def test_a_transaction_that_fails_leaves_nothing(world: World) -> None:
    with closing(database.connect(world.path)) as connection:
        with pytest.raises(sqlite3.IntegrityError):
            _forget_the_notes_and_then_too_much(connection)
        assert connection.execute("SELECT count(*) FROM notes").fetchone()[0] > 0


def test_a_desk_is_not_created_over_something_else(tmp_path: Path) -> None:
    path = tmp_path / "support_desk.db"
    path.write_text("not a desk")
    with pytest.raises(FileExistsError):
        World.create(path)
    assert path.read_text() == "not a desk"


def test_tools_without_a_desk_are_told_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path / "absent.db"))
    with pytest.raises(DeskMissingError, match="toolgate demo --keep"):
        current()


def test_the_world_in_use_is_the_one_that_tools_find(world: World) -> None:
    assert current() is world


def test_a_user_is_looked_up_within_the_tenant(world: World) -> None:
    with world.desk(tenant="globex", user_id="u-maya") as desk:
        assert desk.user is None
    with world.desk(tenant="acme", user_id="u-dora") as desk:
        assert desk.user is not None
        assert not desk.user.active


def test_the_carrier_knows_where_a_parcel_is(acme: Desk) -> None:
    parcel = asyncio.run(acme.shipping.track(5002))
    assert (parcel.tracking, parcel.state) == ("AC-71-5002", ParcelState.IN_TRANSIT)


def test_what_was_not_sent_or_is_not_ours_has_no_parcel(acme: Desk) -> None:
    with pytest.raises(NoSuchShipment):
        asyncio.run(acme.shipping.track(5007))
    with pytest.raises(NoSuchOrder):
        asyncio.run(acme.shipping.track(7002))


def test_a_report_adds_up_a_customers_history(acme: Desk) -> None:
    report = asyncio.run(acme.reports.about("cus_1001"))
    assert (report.orders, report.ordered_cents, report.refunded_cents) == (3, 312_90, 0)


def test_the_handbook_answers_the_best_page_first(acme: Desk) -> None:
    hits = acme.runbooks.search("refund disputed payment", limit=2)
    assert hits[0].slug == "refund-policy"
    assert len(hits) == 2
    assert acme.runbooks.search("xylophone", limit=5) == ()


def test_the_handbook_is_served_until_the_world_is_closed(world: World) -> None:
    root = f"http://127.0.0.1:{world.site_port()}"
    with urllib.request.urlopen(f"{root}/refund-policy.txt") as answer:
        assert b"Up to 50.00" in answer.read()
    with pytest.raises(urllib.error.HTTPError) as missing:
        urllib.request.urlopen(f"{root}/no-such-page.txt")
    missing.value.close()
    world.close()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(f"{root}/refund-policy.txt")


def test_a_fault_is_used_up_by_one_attempt(acme: Desk, world: World) -> None:
    world.faults.arm("carrier", Fault.FLAKY, times=2)
    for _ in range(2):
        with pytest.raises(ConnectionDroppedError) as dropped:
            asyncio.run(acme.shipping.track(5002))
        assert not dropped.value.happened
    assert asyncio.run(acme.shipping.track(5002)).order_id == 5002


async def _does(faults: Faults, done: list[str]) -> None:
    async with faults.on_the_wire("refund"):
        done.append("done")


@pytest.mark.parametrize(
    ("fault", "work_done"),
    [(Fault.SLOW, []), (Fault.LOST_REPLY, ["done"])],
)
def test_a_hanging_operation_says_nothing_whether_or_not_the_work_was_done(
    fault: Fault, work_done: list[str]
) -> None:
    faults, done = Faults(), list[str]()
    faults.arm("refund", fault)

    async def until_cancelled() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await _does(faults, done)

    asyncio.run(until_cancelled())
    assert done == work_done


def test_a_reply_that_is_dropped_comes_after_the_work(acme: Desk) -> None:
    acme.faults.arm("refund", Fault.DROPPED_REPLY)
    done: list[str] = []
    with pytest.raises(ConnectionDroppedError) as dropped:
        asyncio.run(_does(acme.faults, done))
    assert dropped.value.happened
    assert done == ["done"]
