"""What the benchmarks measure is the real gate: every safeguard on, every call in the ledger."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import history, subjects
from benchmarks.measure import Call, load, side_by_side
from toolgate.operations.verify_audit import verify_audit
from toolgate.ports import CallFilter

pytestmark = pytest.mark.req("M14.12")


async def test_each_measured_call_is_governed_and_leaves_its_trail(tmp_path: Path) -> None:
    async with subjects.gate(tmp_path) as gateway:
        await load(subjects.governed_read(gateway), callers=4, calls=20, first=0)
        await load(subjects.governed_write(gateway), callers=4, calls=10, first=0)

        calls = (await gateway.store.calls(CallFilter(limit=100))).rows
        report = await verify_audit(gateway.store)

    assert sorted(call.tool for call in calls) == ["change_order"] * 10 + ["read_order"] * 20
    assert {call.status for call in calls} == {"succeeded"}
    assert report.intact
    assert report.records == 1 + 20 + 2 * 10


async def test_the_measured_contracts_have_limits_keys_and_deadlines() -> None:
    for tool in (subjects.read_order, subjects.change_order):
        assert tool.contract.timeout_declared
        assert tool.contract.rate_limit is not None
        assert tool.contract.breaker is not None
    assert subjects.change_order.contract.idempotency is not None


async def test_subjects_take_turns_and_are_measured_alike() -> None:
    seen: list[str] = []

    def call(name: str) -> Call:
        async def one(_: int) -> None:
            seen.append(name)

        return one

    found = await side_by_side(
        {"a": call("a"), "b": call("b")}, callers=2, calls=4, rounds=2, note=lambda _: None
    )

    assert list(found) == ["a", "b"]
    assert found["a"].calls == found["b"].calls == 8
    assert "".join(seen) == "aabb" + "aaaabbbb" * 2


async def test_a_written_history_is_a_sound_ledger(tmp_path: Path) -> None:
    await history.write(tmp_path / "bench.db", 40)

    async with subjects.gate(tmp_path) as gateway:
        await load(subjects.governed_write(gateway), callers=2, calls=2, first=0)
        assert (await verify_audit(gateway.store)).intact
        assert len((await gateway.store.calls(CallFilter(limit=100))).rows) == 42
