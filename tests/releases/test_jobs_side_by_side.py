"""Workers of two releases on one database: a job waits for a worker that knows it, and ends if none of them comes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.postgres.replicas import until
from tests.releases.desk import ANA
from tests.releases.street import Street
from toolgate import Gateway, Refused, Started, Succeeded, Tool, tool
from toolgate.adapters.jobs.passing import PassingJobs
from toolgate.config.jobs import JobSettings
from toolgate.domain.jobs import told_state
from toolgate.domain.outcome import WorldEffect
from toolgate.domain.rows import ByJob
from toolgate.operations.run_job import NOT_HERE, OTHER_RELEASE
from toolgate.operations.verify_audit import verify_audit
from toolgate.ports import Queued
from toolgate.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolgate import Outcome
    from toolgate.ports import RunJob, Steps

pytestmark = pytest.mark.req("X1.28", "M7.25", "M7.8")


def pack(release: str, *, version: str) -> Callable[[list[str]], Tool[Any, Any]]:
    """``release`` has the tool with a contract of this ``version``."""

    def make(ran: list[str]) -> Tool[Any, Any]:
        @tool(
            name="pack",
            version=version,
            effect="write",
            roles={"support"},
            timeout="10h",
            job=True,
            idempotency="pack:{order_id}:{workflow_id}",
        )
        async def pack(order_id: int) -> str:
            """Pack an order."""
            ran.append(f"{release} {order_id}")
            return f"packed {order_id}"

        return pack

    return make


def added(ran: list[str]) -> Tool[Any, Any]:
    """A job that only the new release has."""

    @tool(name="added", effect="read", roles={"support"}, timeout="10h", job=True)
    async def added(order_id: int) -> str:
        """Look at something new."""
        ran.append(f"added {order_id}")
        return "seen"

    return added


class Worker(PassingJobs):
    """An engine that keeps what each look at a job came to."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.looks: list[float | None] = []

    async def open(self, run: RunJob | None) -> None:
        """Open with ears."""

        async def heard(job_id: str, steps: Steps) -> float | None:
            assert run is not None
            self.looks.append(answer := await run(job_id, steps))
            return answer

        await super().open(heard)

    async def brings(self, gateway: Gateway, job: Queued) -> None:
        """Bring a job that another process queued, and wait until it was looked at."""
        await gateway.operate(lambda _: self.start(job))
        await until(lambda: bool(self.looks))

    async def looked(self, gateway: Gateway) -> None:
        """Wait until a job that was found in the ledger was looked at once more."""
        before = len(self.looks)
        await gateway.sweep()
        await until(lambda: len(self.looks) > before)


@pytest.fixture
def street(postgres_dsn: str) -> Street:
    return Street(postgres_dsn, FakeClock())


async def asked(gateway: Gateway, name: str = "pack") -> Started:
    """A job that waits for a worker: ``gateway`` runs none."""
    outcome = await gateway.call(name, {"order_id": 1}, caller=ANA, workflow="w")
    assert isinstance(outcome, Started), outcome
    return outcome


async def state_of(gateway: Gateway, started: Started) -> str:
    """How the job stands."""
    call = (await gateway.store.find(ByJob(started.call_id))).call
    assert call is not None
    return told_state(call)


async def end_of(gateway: Gateway, started: Started) -> Outcome[Any]:
    """What became of the job, once it is over."""
    async with asyncio.timeout(30):
        return await gateway.wait_for(started, caller=ANA, timeout="20h")


async def test_a_job_of_the_old_release_ends_under_the_new_one_where_its_contract_is_the_same(
    street: Street,
) -> None:
    """On the engine that lasts, which hands over what the old release put into its queue."""
    async with street.release(pack("old", version="1"), jobs=JobSettings(run=False)) as old:
        started = await asked(old)
    async with street.release(pack("new", version="1"), added) as new:
        outcome = await end_of(new, started)

        assert isinstance(outcome, Succeeded)
        assert street.ran == ["new 1"]
        assert (await verify_audit(new.store)).intact


async def test_a_job_under_a_changed_contract_is_left_to_a_worker_of_its_own_release(street: Street) -> None:
    worker, own = Worker(street.clock), Worker(street.clock)
    async with (
        street.release(pack("old", version="1"), jobs=False) as asking,
        street.release(pack("new", version="2"), jobs=worker) as new,
    ):
        started = await asked(asking)
        await worker.looked(new)
        assert (street.ran, worker.looks, await state_of(new, started)) == ([], [NOT_HERE], "queued")
        async with street.release(pack("old", version="1"), jobs=own) as old:
            await own.looked(old)

            assert isinstance(await end_of(new, started), Succeeded)
            assert street.ran == ["old 1"]


async def test_a_job_whose_release_is_gone_ends_as_changed_after_a_while_and_did_nothing(
    street: Street,
) -> None:
    worker = Worker(street.clock)
    async with street.release(pack("old", version="1"), jobs=False) as old:
        started = await asked(old)
    async with street.release(pack("new", version="2"), jobs=worker) as new:
        await worker.looked(new)
        assert await state_of(new, started) == "queued"
        street.clock.advance(OTHER_RELEASE + 1)
        outcome = await end_of(new, started)

        assert isinstance(outcome, Refused)
        assert (outcome.error_type, outcome.effect) == ("contract_changed", WorldEffect.NONE)
        await until(lambda: worker.looks[-1] is None)
        assert street.ran == []
        assert isinstance(await asked_anew(new), Succeeded)
        assert street.ran == ["new 2"]


async def asked_anew(gateway: Gateway) -> Outcome[Any]:
    """Another order, asked for under the contract of now."""
    outcome = await gateway.call("pack", {"order_id": 2}, caller=ANA, workflow="w")
    assert isinstance(outcome, Started)
    return await end_of(gateway, outcome)


async def test_a_worker_leaves_a_job_that_it_does_not_know_however_long_it_waits(street: Street) -> None:
    old_worker, new_worker = Worker(street.clock), Worker(street.clock)
    async with (
        street.release(pack("old", version="1"), jobs=old_worker) as old,
        street.release(pack("new", version="1"), added, jobs=False) as asking,
    ):
        started = await asked(asking, "added")
        # Not even its engine is told: the ledger says whose tool it is.
        await old.sweep()
        street.clock.advance(OTHER_RELEASE + 1)
        await old.sweep()
        assert (old_worker.looks, await state_of(old, started)) == ([], "queued")
        # A queue that both share may bring it all the same.
        await old_worker.brings(old, Queued(job_id=started.job_id, tool="added", tenant="acme"))
        assert (old_worker.looks, await state_of(old, started)) == ([NOT_HERE], "queued")
        async with street.release(pack("new", version="1"), added, jobs=new_worker) as new:
            await new_worker.looked(new)

            assert isinstance(await end_of(new, started), Succeeded)
            assert street.ran == ["added 1"]
