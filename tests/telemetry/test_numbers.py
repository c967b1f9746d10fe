"""What `/metrics` and a collector are told, and what they are not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.works import ANA, PATIENCE, Works, over
from tests.machines.stage import Stage
from tests.small_gate import opened
from toolgate import Gateway, tool
from toolgate.domain.metrics import Distribution
from toolgate.operations.observe import observe
from toolgate.surfaces.http.metrics import Metrics
from toolgate.testing import FakeClock

pytestmark = pytest.mark.req("M11.19")


@tool(effect="write", roles={"support"}, timeout=5.0, idempotency="lose:{workflow_id}")
async def lose() -> None:
    """Fail in a way that nobody declared."""
    raise LookupError("lost")


@tool(effect="read", roles={"support"}, timeout=5.0, rate_limit="1/hour")
async def seldom() -> str:
    """Look, seldom."""
    return "seen"


async def numbers(gateway: Gateway) -> dict[tuple[str, ...], float | Distribution]:
    return {
        (reading.metric.prometheus, *reading.labels): reading.value
        for reading in await gateway.operate(observe)
    }


async def test_what_limits_refuse_and_what_is_in_doubt_is_counted_with_its_age(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened([lose, seldom], tmp_path, clock=clock) as gateway:
        await gateway.call("lose", {}, caller=ANA, workflow="w1")
        for _ in range(3):
            await gateway.call("seldom", {}, caller=ANA)
        clock.advance(90)
        found = await numbers(gateway)

    assert found["toolgate_errors_total", "rate_limited"] == 2
    assert found["toolgate_errors_total", "outcome_unknown"] == 1
    assert found["toolgate_effects_unknown",] == 1
    assert found["toolgate_effects_oldest_age_seconds",] == pytest.approx(90, abs=1)
    assert found["toolgate_calls_running",] == 0
    assert found["toolgate_outcomes_unwritten",] == 0


async def test_the_age_of_housekeeping_grows_from_its_last_round(tmp_path: Path) -> None:
    clock = FakeClock()
    async with opened([seldom], tmp_path, clock=clock) as gateway:
        assert ("toolgate_housekeeping_age_seconds",) not in await numbers(gateway)
        await gateway.sweep()
        clock.advance(30)

        assert (await numbers(gateway))["toolgate_housekeeping_age_seconds",] == pytest.approx(30)


async def test_each_commit_of_the_store_is_counted_with_its_size(tmp_path: Path) -> None:
    async with opened([seldom], tmp_path) as gateway:
        await gateway.call("seldom", {}, caller=ANA)
        found = await numbers(gateway)

    size, took = found["toolgate_store_group_size",], found["toolgate_store_commit_seconds",]
    assert isinstance(size, Distribution)
    assert isinstance(took, Distribution)
    assert size.total == took.total >= 1
    assert took.sum > 0


async def test_the_text_names_no_tenant_no_caller_and_every_counter_from_the_beginning(
    tmp_path: Path,
) -> None:
    async with opened([lose], tmp_path) as gateway:
        await gateway.call("lose", {}, caller=ANA, workflow="the-workflow")
        text = (await Metrics().text(gateway, streams=0)).decode()

    assert "acme" not in text
    assert "u-ana" not in text
    assert "the-workflow" not in text
    assert "toolgate_store_in_doubt_total 0.0" in text
    assert 'toolgate_calls_total{status="unknown",tool="lose"} 1.0' in text


@pytest.mark.req("M7.1")
async def test_jobs_are_counted_while_they_wait_and_when_they_end(tmp_path: Path) -> None:
    works = Works()
    works.let_go()
    stage = Stage(kind="sqlite", folder=tmp_path)
    try:
        async with stage.gateway(works.pay(), jobs=False) as gateway:
            asked: Any = await gateway.workflow("w", caller=ANA).call("pay", {"order": 1})
            waiting = await numbers(gateway)
        async with stage.gateway(works.pay()) as gateway:
            await gateway.sweep()
            await over(gateway, asked)
            # Its answer is counted right behind its commit, which is what was waited for.
            async with asyncio.timeout(PATIENCE):
                while ("toolgate_jobs_ended_total", "pay", "succeeded") not in await numbers(gateway):  # noqa: ASYNC110 - a count tells nobody
                    await asyncio.sleep(0)
            ended = await numbers(gateway)
    finally:
        stage.leave()

    assert waiting["toolgate_jobs", "queued"] == 1
    assert ended["toolgate_jobs", "queued"] == 0
    assert ended["toolgate_jobs_ended_total", "pay", "succeeded"] == 1
    waited = ended["toolgate_jobs_wait_seconds", "pay"]
    assert isinstance(waited, Distribution)
    assert waited.total == 1
