"""A job engine that does not answer, or has much to be told: nothing else in the house waits for it."""

from __future__ import annotations

import asyncio
import threading
import warnings
from typing import TYPE_CHECKING

import pytest

from tests.jobs.works import ANA, LEE, PATIENCE, Works, over
from tests.machines.stage import approve
from toolgate import Approval, Gateway, PendingApproval, tool
from toolgate.adapters.clock import SystemClock
from toolgate.adapters.jobs.passing import PassingJobs

if TYPE_CHECKING:
    from collections.abc import Sequence


class Hanging(PassingJobs):
    """Is asked which jobs it has, and does not answer until it is let go."""

    def __init__(self) -> None:
        super().__init__(SystemClock(), concurrency=2)
        self.asked = threading.Event()
        self.go = threading.Event()

    async def known(self, job_ids: Sequence[str]) -> frozenset[str]:
        self.asked.set()
        await asyncio.to_thread(self.go.wait, PATIENCE)
        return await super().known(job_ids)


@pytest.mark.req("M7.16", "X1.11")
async def test_approved_calls_are_picked_up_while_the_engine_is_told_of_its_jobs() -> None:
    @tool(effect="write", roles={"support"}, approval=Approval(approvers={"lead"}))
    async def ship() -> str:
        """Ship an order."""
        return "shipped"

    engine = Hanging()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        gateway = Gateway([ship, Works().pay()], housekeeping=0.01, jobs=engine)
    async with gateway:
        try:
            assert await asyncio.to_thread(engine.asked.wait, PATIENCE)
            held = await gateway.call(ship, {}, caller=ANA)
            assert isinstance(held, PendingApproval)
            await approve(gateway, held.approval_id, LEE)

            assert (await over(gateway, held)).unwrap() == "shipped"
        finally:
            engine.go.set()
