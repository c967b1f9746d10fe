"""A call that becomes a job: the rows that wait for a worker, and the word to the engine that they do.

The ledger has the job once its command is committed; the engine is told after that, and what it missed it is told
again by the sweep (``operations.recover_jobs``). Not here: running it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from toolgate.domain.duration import MICRO
from toolgate.domain.jobs import STARTED, job_id_of
from toolgate.domain.rows import JobRow
from toolgate.gateway import records
from toolgate.gateway.faults import place_of
from toolgate.ports import Queued

if TYPE_CHECKING:
    from toolgate.domain.call import SealedCall
    from toolgate.domain.contract import Contract
    from toolgate.domain.rows import CallRow
    from toolgate.gateway.flight import Flight
    from toolgate.gateway.world import World

_log = logging.getLogger("toolgate")


def queued_call(world: World, flight: Flight, sealed: SealedCall) -> CallRow:
    """The call as it waits for a worker."""
    return records.call_row(
        world,
        sealed.received,
        sealed.contract,
        now=world.clock.now(),
        status=STARTED,
        sealed=sealed,
        duration_us=round((world.clock.monotonic() - flight.started) * MICRO),
    )


def job_row(world: World, sealed: SealedCall) -> JobRow:
    """Its job. A delay counts from when it is queued, which the store says."""
    contract, received, now = sealed.contract, sealed.received, world.clock.now()
    assert contract.job is not None
    return JobRow(
        job_id=job_id_of(sealed.call_id),
        call_id=sealed.call_id,
        tenant=sealed.caller.tenant,
        tool=contract.name,
        caller_id=sealed.caller.id,
        queue=f"{contract.name}/{sealed.caller.tenant}",
        priority=contract.job.priority if received.priority is None else received.priority,
        not_before=now + round(received.delay * MICRO),
        created_at=now,
        timeout_us=round(contract.timeout * MICRO),
        rerun=contract.may_run_again,
    )


def queued(job: JobRow, contract: Contract, *, now: int) -> Queued:
    """The job as an engine sees it, at ``now`` (µs). Limits are those that the contract has at present."""
    limits = contract.job
    return Queued(
        job_id=job.job_id,
        tool=job.tool,
        tenant=job.tenant,
        priority=job.priority,
        delay=max(job.not_before - now, 0) / MICRO,
        concurrency=None if limits is None else limits.concurrency,
        rate=None if limits is None else limits.rate,
    )


async def hand_over(world: World, sealed: SealedCall, job: JobRow) -> None:
    """Tell the engine, if it can be told. A job that it missed waits in the ledger, and is found there."""
    if world.jobs is None:
        return
    try:
        await world.jobs.start(queued(job, sealed.contract, now=job.created_at))
    except Exception as fault:  # noqa: BLE001 - whatever an engine raises, the job is in the ledger already
        _log.warning(
            "the job engine did not take %s, which waits in the ledger: %s", job.job_id, place_of(fault)
        )
