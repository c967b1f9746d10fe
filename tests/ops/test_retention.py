"""Retention as an operator meets it: what a gateway removes by itself, what a caller is told then, and the command."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import FAR, MAYA, Shop, run
from toolgate import Gateway, Succeeded, WorldEffect, tool
from toolgate.domain.retention import DAY, HOUR, Retention
from toolgate.operations.retention import EVERY, TURN
from toolgate.operations.verify_audit import verify_audit
from toolgate.testing.clock import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

made: list[int] = []


@tool(effect="write", roles={"support"}, timeout=5.0, idempotency="refund:{order_id}")
async def refund(order_id: int) -> dict[str, int]:
    """Refund one order."""
    made.append(order_id)
    return {"refunded": order_id}


def gateway(folder: Path, clock: FakeClock, **kept: float) -> Gateway:
    made.clear()
    store = f"sqlite:///{folder / 'gate.db'}"
    return Gateway([refund], store=store, clock=clock, housekeeping=None, retention=Retention(**kept))


async def ask(gate: Gateway, order: int = 7) -> Any:
    return await gate.call("refund", {"order_id": order}, caller=MAYA, workflow="w")


@pytest.mark.req("M9.13")
async def test_a_replay_after_the_result_is_gone_says_applied_and_runs_nothing(tmp_path: Path) -> None:
    clock = FakeClock()
    async with gateway(tmp_path, clock, arguments=2 * DAY) as gate:
        first = await ask(gate)
        clock.advance(3 * DAY)
        await gate.sweep()

        again = await ask(gate)

    assert isinstance(again, Succeeded)
    assert (again.call_id, again.result, again.effect, again.replayed) == (
        first.call_id,
        None,
        WorldEffect.APPLIED,
        True,
    )
    assert "kept no longer" in again.reasons[0]
    assert made == [7]


@pytest.mark.req("M9.13")
async def test_a_replay_after_the_call_itself_is_gone_says_the_same_and_is_in_the_trail(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    async with gateway(tmp_path, clock, calls=2 * DAY, idempotency=30 * DAY) as gate:
        first = await ask(gate)
        clock.advance(3 * DAY)
        await gate.sweep()
        lost = await gate.get_call(first.call_id, caller=MAYA)

        again = await ask(gate)

        told = [record async for record in gate.store.records(call_id=first.call_id)]
    assert not lost.ok
    assert isinstance(again, Succeeded)
    assert (again.call_id, again.result, again.effect, again.replayed) == (
        first.call_id,
        None,
        WorldEffect.APPLIED,
        True,
    )
    assert b'"toolgate.transition":"replayed"' in told[-1].record
    assert made == [7]


@pytest.mark.req("M11.17")
async def test_a_key_that_was_forgotten_runs_again(tmp_path: Path) -> None:
    clock = FakeClock()
    async with gateway(tmp_path, clock, idempotency=7 * DAY) as gate:
        await ask(gate)
        clock.advance(8 * DAY)
        await gate.sweep()

        again = await ask(gate)

    assert not again.replayed
    assert made == [7, 7]


@pytest.mark.req("M11.51")
async def test_a_round_is_made_each_hour_by_one_of_all_processes(tmp_path: Path) -> None:
    clock = FakeClock()
    async with (
        gateway(tmp_path, clock, calls=2 * HOUR) as one,
        gateway(tmp_path, clock, calls=2 * HOUR) as other,
    ):
        await one.sweep()
        began = await one.store.turn_taken(TURN)
        clock.advance(EVERY - 1)
        await other.sweep()
        assert await one.store.turn_taken(TURN) == began
        clock.advance(1)
        await other.sweep()
        later = await one.store.turn_taken(TURN)
        await one.sweep()
        assert later is not None
        assert began is not None
        assert later - began == EVERY * 1_000_000
        assert await one.store.turn_taken(TURN) == later


@pytest.mark.req("M11.51")
async def test_calls_go_on_while_a_long_round_is_made_and_closing_ends_it(tmp_path: Path) -> None:
    clock = FakeClock()
    async with gateway(tmp_path, clock) as gate:
        for order in range(300):
            await ask(gate, order + 1)
    clock.advance(30 * DAY)
    async with gateway(tmp_path, clock, calls=DAY, idempotency=DAY, audit=DAY) as gate:
        _, outcome = await asyncio.gather(gate.sweep(), ask(gate, 1_000))
        assert outcome.ok
        assert (await verify_audit(gate.store)).intact
    assert made == [1_000]


@pytest.mark.req("M11.51")
async def test_a_plan_and_a_round_from_the_command_line_say_the_same(shop: Shop) -> None:
    async with shop.gateway() as gate:
        for order in (1, 2, 3):
            await gate.call("refund", {"order_id": order, "amount_cents": 100}, caller=MAYA, workflow="w")
    assert (await shop("retention", "plan")).out.splitlines()[-1] == "Nothing is due."
    # The store's time is what was recorded last, until the machine's clock gets there.
    with closing(sqlite3.connect(shop.database)) as db:
        db.execute(
            "UPDATE calls SET updated_at = ?, received_at = ?, lease_until = 0",
            (FAR - 40 * 86_400_000_000,) * 2,
        )
        db.commit()
    shop.write('[retention]\ncalls = "30d"\narguments = "7d"\nidempotency = "forever"\n')

    planned = await shop("retention", "plan", "--json")
    shown = await shop("retention", "plan")
    removed = await shop("retention", "run", "--json")

    assert planned.json["due"] == {"arguments": 3, "calls": 3}
    assert planned.json["kept"]["idempotency"] is None
    assert "kept for 30d" in shown.out
    assert "3 calls with their approvals" in shown.out
    assert removed.json == {"removed": {"calls": 3, "arguments": 3}}
    assert (await shop("calls", "list", "--json")).lines == [[]]
    assert (await shop("retention", "run")).out == "Nothing was due.\n"


@pytest.mark.req("X5.30", "M11.14")
async def test_verification_says_what_retention_removed(shop: Shop) -> None:
    async with shop.gateway() as gate:
        for _ in range(30):
            await gate.call("read_order", {"order_id": 1}, caller=MAYA, workflow="w")
            shop.clock.advance(DAY)
        await gate.sweep()
    shop.write('[retention]\naudit = "10d"\n')
    await shop("retention", "run")

    verified = await shop("audit", "verify")
    as_json = (await shop("audit", "verify", "--json")).json

    assert verified.code == 0
    assert "Retention removed 20 older records of 1 chain, and the trail says so." in " ".join(
        verified.out.split()
    )
    assert as_json["removed_records"] == 20
    exported = shop.folder / "export.jsonl"
    assert (await shop("audit", "export", "--out", str(exported))).code == 0
    offline = run("audit", "verify", "--file", str(exported), "--json")
    assert offline.code == 0
    assert offline.json["removed_records"] == 20
