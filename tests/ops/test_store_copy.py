"""A ledger moves from SQLite to Postgres whole or not at all, and goes on there: keys, replays, approvals, chains."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.cli import desk
from tests.cli.conftest import MAYA, Shop, run
from tests.postgres.ledgers import settled
from toolgate import Gateway, PendingApproval, Succeeded
from toolgate.adapters.keys import Keyring
from toolgate.operations.verify_audit import verify_audit

if TYPE_CHECKING:
    from tests.cli.conftest import Ran

pytestmark = pytest.mark.req("X1.83")


async def copied(shop: Shop, dsn: str) -> Ran:
    secret = shop.folder / "address"
    secret.write_text(dsn)
    words = ("store", "copy", "--from", f"sqlite:///{shop.database}", "--to", f"file:{secret}", "--json")
    return await asyncio.to_thread(run, *words)


async def used(shop: Shop) -> list[str]:
    """A ledger with a bit of everything, written by two boots. What was refunded, and what waits."""
    async with shop.gateway() as gate:
        flow = gate.workflow("w", caller=MAYA)
        done = await flow.call("refund", {"order_id": 1, "amount_cents": 100, "card_hint": "4242"})
        await flow.call("drop_reply", {"order_id": 2})
    shop.clock.advance(40 * 86_400)
    async with shop.gateway() as gate:
        held = await gate.call("refund", {"order_id": 3, "amount_cents": 9000}, caller=MAYA, workflow="w")
    assert isinstance(held, PendingApproval)
    return [done.call_id, held.call_id]


async def test_a_ledger_goes_on_where_it_was_copied_to(shop: Shop, postgres_dsn: str) -> None:
    done, held = await used(shop)
    keys = Keyring.open(shop.database.with_name("gate.db.keys"))
    refunded = list(desk.refunds)

    ran = await copied(shop, postgres_dsn)

    assert ran.code == 0, ran.err
    assert ran.json["rows"]["calls"] == 3
    async with Gateway(
        desk.tools, store=postgres_dsn, keys=keys, clock=shop.clock, housekeeping=None
    ) as gate:
        again = await gate.call(
            "refund", {"order_id": 1, "amount_cents": 100, "card_hint": "4242"}, caller=MAYA, workflow="w"
        )
        waiting = await gate.get_call(held, caller=MAYA)
        assert isinstance(again, Succeeded)
        assert (again.call_id, again.replayed) == (done, True)
        assert isinstance(waiting, PendingApproval)
        assert [row.tool for row in await gate.store.unknown()] == ["drop_reply"]
        report = await verify_audit(gate.store)
        assert report.intact, report
        assert len(report.heads) == 3
        await settled(gate.store)
        (newest,) = await gate.store.changes(None)
        assert (await gate.store.changes(newest.seq - 1))[0] == newest
    assert desk.refunds == refunded


async def test_nothing_is_copied_into_a_ledger_that_holds_something(shop: Shop, postgres_dsn: str) -> None:
    await used(shop)
    assert (await copied(shop, postgres_dsn)).code == 0

    again = await copied(shop, postgres_dsn)

    assert again.code == 2
    assert "name an empty one" in again.err


async def test_a_running_gateway_is_refused(shop: Shop, postgres_dsn: str) -> None:
    await used(shop)
    async with shop.gateway(keeps_house=True):
        ran = await copied(shop, postgres_dsn)

    assert ran.code == 2
    assert "stop it first" in ran.err


async def test_a_row_that_postgres_cannot_keep_leaves_nothing_behind(shop: Shop, postgres_dsn: str) -> None:
    await used(shop)
    with closing(sqlite3.connect(shop.database)) as db:
        db.execute("UPDATE calls SET agent = 'nul' || char(0) || 'led' WHERE tool = 'drop_reply'")
        db.commit()

    ran = await copied(shop, postgres_dsn)

    assert ran.code == 2
    assert "nothing was copied" in ran.err
    with closing(sqlite3.connect(shop.database)) as db:
        db.execute("UPDATE calls SET agent = NULL WHERE tool = 'drop_reply'")
        db.commit()
    assert (await copied(shop, postgres_dsn)).code == 0, "an attempt that failed is in nobody's way"


async def test_keys_of_another_database_are_refused(shop: Shop, postgres_dsn: str) -> None:
    await used(shop)
    beside = shop.database.with_name("gate.db.keys")
    beside.unlink()
    Keyring.create(beside)

    ran = await copied(shop, postgres_dsn)

    assert ran.code == 2
    assert "another database" in ran.err
    assert postgres_dsn not in ran.err
