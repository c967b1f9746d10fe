"""What the release before left in its database, this one ends."""

from __future__ import annotations

import gzip
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.releases import desk
from tests.releases.desk import ANA, LEO, TOOLS
from toolgate import Gateway, Succeeded
from toolgate.operations.verify_audit import verify_audit
from toolgate.ports import ApprovalFilter, CallFilter
from toolgate.testing import FakeClock

FIXTURES = Path(__file__).parent / "fixtures"
pytestmark = pytest.mark.req("X1.27")


@asynccontextmanager
async def upgraded(folder: Path, clock: FakeClock) -> AsyncIterator[Gateway]:
    """This release on a copy of what the first one wrote."""
    path = folder / "gate.db"
    if not path.exists():
        path.write_bytes(gzip.decompress((FIXTURES / "first.db.gz").read_bytes()))
        shutil.copy(FIXTURES / "first.db.keys", folder / "gate.db.keys")
        (folder / "gate.db.keys").chmod(0o600)
    desk.RAN.clear()
    async with Gateway(TOOLS, store=f"sqlite:///{path}", clock=clock, housekeeping=None) as gateway:
        yield gateway


async def status_of(gateway: Gateway, workflow: str) -> str:
    page = await gateway.store.calls(CallFilter(workflow_id=workflow))
    (row,) = page.rows
    return row.status


async def test_a_call_that_was_approved_runs_once_under_the_release_that_finds_it(tmp_path: Path) -> None:
    async with upgraded(tmp_path, FakeClock()) as gateway:
        for _ in range(3):
            await gateway.sweep()
        outcome = await gateway.call("refund", {"order_id": 4}, caller=ANA, workflow="w4")

        assert desk.RAN == [("refund", 4)]
        assert isinstance(outcome, Succeeded)
        assert (outcome.result, outcome.replayed) == ("refunded 4", True)


async def test_a_call_that_waits_for_a_person_is_approved_and_runs(tmp_path: Path) -> None:
    async with upgraded(tmp_path, FakeClock()) as gateway:
        (waiting,) = await gateway.store.approvals(ApprovalFilter(state="pending"))
        assert json.loads(waiting.shown)["arguments"] == {"order_id": 3}
        decided = await gateway.approve(waiting.approval_id, by=LEO, reason="it is due")
        assert not isinstance(decided, str)
        await gateway.sweep()
        await gateway.wait_for(await gateway.get_call(waiting.call_id, caller=ANA), caller=ANA, timeout="20s")

        assert ("refund", 3) in desk.RAN
        assert await status_of(gateway, "w3") == "succeeded"


async def test_an_effect_in_doubt_is_settled_by_its_contract(tmp_path: Path) -> None:
    async with upgraded(tmp_path, FakeClock()) as gateway:
        assert await status_of(gateway, "w2") == "unknown"
        await gateway.sweep()

        assert await status_of(gateway, "w2") == "succeeded"


async def test_an_intent_whose_process_died_becomes_unknown_and_never_runs_again(tmp_path: Path) -> None:
    clock = FakeClock()
    async with upgraded(tmp_path, clock) as gateway:
        assert await status_of(gateway, "w5") == "running"
        clock.advance(60)
        await gateway.sweep()
        again = await gateway.call("vanish", {"order_id": 5}, caller=ANA, workflow="w5")

        assert await status_of(gateway, "w5") == "unknown"
        assert again.status == "unknown"


async def test_a_key_of_then_answers_what_was_recorded_and_runs_nothing(tmp_path: Path) -> None:
    async with upgraded(tmp_path, FakeClock()) as gateway:
        outcome = await gateway.call("note", {"order_id": 1}, caller=ANA, workflow="w1")
        other = await gateway.call("note", {"order_id": 2}, caller=ANA, workflow="w1")

        assert isinstance(outcome, Succeeded)
        assert (outcome.result, outcome.replayed) == ("noted 1", True)
        assert isinstance(other, Succeeded)
        assert desk.RAN == [("note", 2)]


async def test_the_trail_of_both_releases_verifies(tmp_path: Path) -> None:
    async with upgraded(tmp_path, FakeClock()) as gateway:
        await gateway.sweep()
        await gateway.call("note", {"order_id": 7}, caller=ANA, workflow="w7")
    async with upgraded(tmp_path, FakeClock()) as gateway:
        found = await verify_audit(gateway.store)

        assert found.intact, found


def test_the_tools_of_then_have_the_contracts_of_then(tmp_path: Path) -> None:
    """Else every approval that waits would be cancelled by an upgrade that changed no tool."""
    path = tmp_path / "gate.db"
    path.write_bytes(gzip.decompress((FIXTURES / "first.db.gz").read_bytes()))
    with sqlite3.connect(path) as connection:
        kept = dict(connection.execute("SELECT DISTINCT tool, contract_digest FROM calls"))
    connection.close()

    assert kept == {tool.name: tool.contract.digest for tool in TOOLS}
