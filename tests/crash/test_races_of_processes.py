"""Several processes on one ledger at one moment: one effect, one owner, and every chain intact."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.business import Business
from tests.crash.child import FIRST, ORDER
from tests.crash.clocks import LATER
from tests.crash.deaths import before, dead
from tests.crash.nursery import Nursery
from tests.crash.survivor import copy, survivor, the_calls, told
from toolgate.domain.lifecycle import EffectState
from toolgate.operations.verify_audit import verify_audit

RACERS = 4
ROUNDS = 3


def race(nursery: Nursery, folder: Path, scenario: str, **orders: object) -> list[dict[str, object]]:
    """Run the scenario in several processes at once; what each was told at the end."""
    names = [f"told {number}" for number in range(RACERS)]
    ended = nursery.race(
        [{"scenario": scenario, "folder": str(folder), "tell_to": n, **orders} for n in names]
    )
    assert ended == ["exited 0"] * RACERS, (folder / "log").read_text()
    return [told(folder, name)[-1] for name in names]


@pytest.mark.req("M9.17", "X5.10", "X1.19")
@pytest.mark.parametrize("scenario", ["a plain write", FIRST])
async def test_of_processes_that_race_one_key_exactly_one_runs_and_the_others_are_told_the_truth(
    scenario: str, nursery: Nursery, tmp_path: Path
) -> None:
    start = await before(scenario, nursery, tmp_path)
    for number in range(ROUNDS):
        folder = copy(start, tmp_path / f"race {number}")
        said = race(nursery, folder, scenario)
        paid = Business(folder / "business.db").paid(ORDER)
        assert len(paid) == 1
        fresh = [one for one in said if one["status"] == "succeeded" and "replayed" not in one]
        others = [one for one in said if one not in fresh]
        assert len(fresh) == 1
        assert all(one.get("replayed") or one["error_type"] == "idempotency_in_flight" for one in others)
        async with survivor(folder) as gateway:
            effects = [row.effect_state for row in await the_calls(gateway) if row.effect_state is not None]
            assert effects == [EffectState.APPLIED]
            assert (await verify_audit(gateway.store)).intact


@pytest.mark.req("X2.6", "X2.14")
async def test_of_processes_that_pick_up_one_approved_call_exactly_one_runs_it(
    nursery: Nursery, tmp_path: Path
) -> None:
    start = await dead("an approved write", "after store.execute(DecideApproval) #1", nursery, tmp_path)
    for number in range(ROUNDS):
        folder = copy(start, tmp_path / f"race {number}")
        race(nursery, folder, "only recovery", now=LATER)
        assert len(Business(folder / "business.db").paid(ORDER)) == 1
        async with survivor(folder) as gateway:
            assert [row.effect_state for row in await the_calls(gateway)] == [EffectState.APPLIED]
            assert (await verify_audit(gateway.store)).intact


@pytest.mark.req("X1.11")
async def test_of_processes_that_recover_one_lost_approved_call_one_asks_people_anew(
    nursery: Nursery, tmp_path: Path
) -> None:
    start = await dead("an approved write that can be reconciled", "at tool: entered #1", nursery, tmp_path)
    for number in range(ROUNDS):
        folder = copy(start, tmp_path / f"race {number}")
        race(nursery, folder, "only recovery", now=LATER)
        async with survivor(folder) as gateway:
            first, *rest = await the_calls(gateway)
            assert first.effect_state is EffectState.NOT_APPLIED
            assert [row.status for row in rest] == ["pending_approval"]
            assert (await verify_audit(gateway.store)).intact
    assert Business(start / "business.db").paid(ORDER) == []
