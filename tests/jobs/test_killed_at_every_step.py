"""A worker is killed with SIGKILL at every step of a job; another one recovers, and nothing is lost or doubled."""

from __future__ import annotations

import multiprocessing
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from tests.jobs import mortal
from toolgate import Started, Succeeded, Unknown
from toolgate.operations.verify_audit import verify_audit
from toolgate.ports import CallFilter, JobFilter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from toolgate import Outcome

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.jobs.mortal"])
MOST = 24
"""Points of one job that are tried, spread evenly; looking again and again while one waits makes more of them."""


def run(folder: Path, name: str, kill_at: str | None) -> int | None:
    """How a process ended that lived through the job, or to ``kill_at``."""
    child = FORKS.Process(target=mortal.live, args=(str(folder), name, kill_at))
    child.start()
    child.join(60)
    assert child.exitcode is not None
    return child.exitcode


def points(folder: Path, name: str) -> list[str]:
    """The points that a process passes which nobody kills."""
    folder.mkdir()
    assert run(folder, name, None) == 0
    found = (folder / "points").read_text().splitlines()
    return found[:: max(1, len(found) // MOST)]


async def complaints(folder: Path, name: str) -> list[str]:
    """What is wrong after somebody recovered what a dead process left."""
    wrong: list[str] = []
    async with mortal.gateway(folder, later=mortal.LATER) as gate:
        await gate.sweep()
        page = await gate.store.jobs(JobFilter())
        for job, call in page.rows:
            asked: Outcome[Any] = Started(call_id=call.call_id, job_id=job.job_id)
            ended = await gate.wait_for(asked, caller=mortal.ANA, timeout="1h")
            wrong += _misses(folder, name, ended)
        calls = await gate.store.calls(CallFilter(tool=name))
        if len(calls.rows) != len(page.rows):
            wrong.append("a call was queued without its job")
        paid = _lines(folder, "paid")
        if len(paid) > 1:
            wrong.append(f"paid {len(paid)} times")
        if not page.rows and paid:
            wrong.append("paid for what the ledger does not know")
        verdict = await verify_audit(gate.store)
        if verdict.problems:
            wrong.append(str(verdict.problems))
    return wrong


def _misses(folder: Path, name: str, ended: object) -> list[str]:
    if name == "crawl":
        fine = isinstance(ended, Succeeded) and set(_lines(folder, "steps")) == set(mortal.STEPS)
        return [] if fine else [f"the job was lost: {ended}"]
    paid = len(_lines(folder, "paid"))
    if isinstance(ended, Succeeded) and paid == 1:
        return []
    return [] if isinstance(ended, Unknown) else [f"paid {paid} times, and told: {ended}"]


def _lines(folder: Path, name: str) -> list[str]:
    file = folder / name
    return file.read_text().splitlines() if file.exists() else []


@pytest.mark.req("M7.3", "M7.4", "X1.12")
@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", ["crawl", "pay"])
async def test_killed_at_any_step_a_job_is_finished_by_another_or_its_effect_is_in_doubt(
    name: str, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    found, killed = {}, 0
    tried = points(tmp_path / "whole", name)
    for number, point in enumerate(tried):
        folder = tmp_path / str(number)
        folder.mkdir()
        if run(folder, name, point) == 0:
            # Looking differs from run to run; a point that was not passed tells nothing.
            continue
        killed += 1
        if wrong := await complaints(folder, name):
            found[point] = wrong
        shutil.rmtree(folder)
    record_property("crash_points", killed)

    assert not found
    assert killed > 0.8 * len(tried) > 15
