"""Jobs from the command line: listed, shown, followed until they end, and ended by somebody's word."""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli import long_desk
from tests.cli.conftest import Ran, Shop, run
from tests.long_work import until
from toolgate import Caller, Gateway, Started
from toolgate.adapters.clock import SystemClock
from toolgate.adapters.jobs.passing import PassingJobs

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.req("X3.73")

ANN = Caller("ann", roles={"clerk"}, tenant="acme")


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr(sys, "path", list(sys.path))
    long_desk.forget()
    made = Shop(tmp_path, SystemClock())  # type: ignore[arg-type]
    made.config.write_text(
        'tools = ["tests.cli.long_desk:tools"]\nstore = "sqlite:///gate.db"\n', encoding="utf-8"
    )
    return made


@asynccontextmanager
async def gateway(shop: Shop) -> AsyncIterator[Gateway]:
    """A gateway that runs jobs, and keeps house when it is told to."""
    clock = SystemClock()
    engine = PassingJobs(clock, concurrency=4)
    async with Gateway(
        long_desk.tools, store=f"sqlite:///{shop.database}", housekeeping=None, jobs=engine
    ) as opened:
        try:
            yield opened
        finally:
            long_desk.stock.proceed.set()


async def counting(gate: Gateway, tool: str = "count", **arguments: Any) -> str:
    """A job that is at work, and has said how far it is."""
    outcome = await gate.call(tool, {"shelves": 4, **arguments}, caller=ANN, workflow="wf")
    assert isinstance(outcome, Started), outcome
    await long_desk.stock.begun()
    job_id = outcome.job_id

    async def told() -> bool:
        job = await gate.store.job(job_id)
        return job is not None and job.progress_at is not None

    await until(told)
    return job_id


async def test_jobs_are_listed_and_shown_with_how_far_they_are(shop: Shop) -> None:
    async with gateway(shop) as gate:
        job_id = await counting(gate)
        listed = await shop("jobs", "list")
        for_programs = await shop("jobs", "list", "--state", "running", "--json")
        nothing = await shop("jobs", "list", "--state", "failed")
        shown = await shop("jobs", "show", job_id)
        unknown = await shop("jobs", "show", "job_none")

    assert listed.code == shown.code == for_programs.code == nothing.code == 0
    assert job_id in listed.out
    assert "1 of 4" in listed.out
    assert "left" in listed.out
    [one] = for_programs.json
    assert (one["job_id"], one["state"], one["done"], one["total"]) == (job_id, "running", 1.0, 4.0)
    assert one["note"] == "at the first shelf of north"
    assert "No jobs." in nothing.out
    assert "1 of 4, at the first shelf of north" in shown.out
    assert (unknown.code, "there is no job job_none" in unknown.err) == (1, True)


async def watched(shop: Shop, job_id: str, *more: str) -> asyncio.Task[Ran]:
    """Somebody who follows a job."""
    return asyncio.create_task(shop("jobs", "watch", job_id, *more))


@pytest.mark.parametrize(
    ("tool", "state", "code"), [("count", "succeeded", 0), ("miscount", "failed: tool_error", 1)]
)
async def test_whoever_watches_gets_a_line_for_each_change_and_the_end_as_exit_code(
    shop: Shop, tool: str, state: str, code: int
) -> None:
    async with gateway(shop) as gate:
        if tool == "count":
            job_id = await counting(gate)
        else:
            outcome = await gate.call(tool, {"shelves": 4}, caller=ANN)
            assert isinstance(outcome, Started)
            job_id = outcome.job_id
        watching = await watched(shop, job_id)
        long_desk.stock.proceed.set()
        ended = await watching

    assert ended.code == code, ended.err
    assert state in ended.out.splitlines()[-1]
    assert "\x1b" not in ended.out


async def test_a_program_that_watches_reads_one_json_object_a_change(shop: Shop) -> None:
    async with gateway(shop) as gate:
        job_id = await counting(gate)
        watching = await watched(shop, job_id, "--json")
        long_desk.stock.proceed.set()
        ended = await watching
    assert ended.code == 0
    assert {line["job_id"] for line in ended.lines} == {job_id}
    assert ended.lines[-1]["state"] == "succeeded"
    assert ended.lines[-1]["ended_at"] is not None


async def test_whoever_watches_no_longer_than_so_long_is_told_that_it_still_runs(shop: Shop) -> None:
    async with gateway(shop) as gate:
        job_id = await counting(gate)
        ended = await shop("jobs", "watch", job_id, "--for", "1s")
    assert ended.code == 1
    assert "still running" in ended.err
    assert "1 of 4" in ended.out


async def test_on_a_terminal_a_bar_moves_and_other_peoples_words_are_no_markup(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    async with gateway(shop) as gate:
        job_id = await counting(gate, name="[red]north[/red]")
        watching = await watched(shop, job_id, "--for", "1s")
        running = await watching
        long_desk.stock.proceed.set()
        ended = await shop("jobs", "watch", job_id)
    assert "25%" in running.out
    assert "at the first shelf of [red]north[/red]" in running.out
    assert (ended.code, "100%" in ended.out) == (0, True)


async def test_its_caller_ends_a_job_and_nobody_elses_token_does(shop: Shop) -> None:
    async with gateway(shop) as gate:
        job_id = await counting(gate)
        ann, bob = await shop.token("ann", "clerk"), await shop.token("bob", "clerk")
        by_bob = await shop("jobs", "cancel", job_id, "--reason", "mine", token=bob)
        without = await shop("jobs", "cancel", job_id, token=ann)
        by_ann = await shop("jobs", "cancel", job_id, "--reason", "the wrong house", token=ann)
        # The wish lies in the ledger: the gateway that runs the job sees it in its next round.
        await gate.sweep()
        ended = await shop("jobs", "watch", job_id)
        again = await shop("jobs", "cancel", job_id, "--reason", "once more", token=ann)

    assert (by_bob.code, "no such job" in by_bob.err) == (1, True)
    assert without.code == 2
    assert by_ann.code == 0, by_ann.err
    assert "told to stop" in by_ann.out
    assert (ended.code, "cancelled" in ended.out) == (1, True)
    assert (again.code, "it is cancelled already" in again.err) == (1, True)


async def test_a_write_whose_end_nobody_knows_has_an_exit_code_of_its_own(shop: Shop) -> None:
    async with gateway(shop) as gate:
        job_id = await counting(gate, "fill")
        operator = await shop.token("ola", "operator")
        cancelled = await shop("jobs", "cancel", job_id, "--reason", "stop it", "--json", token=operator)
        await gate.sweep()
        ended = await shop("jobs", "watch", job_id)
    assert cancelled.json["cancel"]["by"] == "ola"
    assert ended.code == 5


async def test_what_waits_where_nobody_runs_anything_is_said_to(shop: Shop) -> None:
    async with Gateway(
        long_desk.tools, store=f"sqlite:///{shop.database}", housekeeping=None, jobs=False
    ) as gate:
        outcome = await gate.call("count", {"shelves": 1}, caller=ANN)
        assert isinstance(outcome, Started)
    listed = await shop("jobs", "list")
    shown = await shop("jobs", "show", outcome.job_id)
    token = await shop.token("ann", "clerk")
    cancelled = await shop("jobs", "cancel", outcome.job_id, "--reason", "too late", token=token)
    assert "No gateway or worker is running" in " ".join(listed.out.split())
    assert "No gateway or worker is running" in " ".join(shown.out.split())
    assert "It had not begun, and never will." in cancelled.out


def test_the_group_names_its_commands() -> None:
    ended = run("jobs", "--help")
    assert ended.code == 0
    for word in ("list", "show", "watch", "cancel"):
        assert word in ended.out
