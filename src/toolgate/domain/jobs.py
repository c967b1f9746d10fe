"""What a contract says of a tool that runs as a job, and how a job's id and state follow from its call's.

A job's state is kept once: in the row of its call. ``JobRow`` (``rows``) holds what a queue and a progress bar need
besides. Not here: what may follow which state (``lifecycle``), and how a job is run (``gateway``, ``operations``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from toolgate.domain.errors import ContractError
from toolgate.domain.lifecycle import EffectState, JobState
from toolgate.domain.limits import Rate
from toolgate.domain.outcome import ErrorType

if TYPE_CHECKING:
    from toolgate.domain.rows import CallRow

STARTED: Final = "started"
"""The status of a call whose job waits for a worker: nothing of it has run, or nothing that counts."""
_CALL, _JOB = "call_", "job_"
MOST_PRIORITY: Final = 2_147_483_647
"""The last priority. The number comes from the engine's own bound (32 bits, signed)."""


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class Job:
    """How a tool that is a job waits for its turn. Each limit holds for the tool within one tenant, over all processes.

    Args:
        concurrency: how many run at once; None for as many as the workers take.
        rate: how many begin in a time, such as ``"100/minute"``.
        priority: 0 (first) to 2 147 483 647 among those that wait; the application may say another for one call.

    Raises:
        ContractError: naming the key to change.
    """

    concurrency: int | None = None
    rate: Rate | None = None
    priority: int = 0

    def __init__(
        self, *, concurrency: int | None = None, rate: str | Rate | None = None, priority: int = 0
    ) -> None:
        if concurrency is not None and (type(concurrency) is not int or concurrency < 1):
            raise ContractError(f"job.concurrency: {concurrency!r} is no number of at least 1")
        if (why := priority_problem(priority)) is not None:
            raise ContractError(f"job.priority: {why}")
        object.__setattr__(self, "concurrency", concurrency)
        object.__setattr__(self, "rate", None if rate is None else Rate.parse(rate, of="job.rate"))
        object.__setattr__(self, "priority", priority)


def priority_problem(priority: object) -> str | None:
    """Why ``priority`` is none, or None."""
    if type(priority) is int and 0 <= priority <= MOST_PRIORITY:
        return None
    return f"{priority!r} is no whole number from 0 (first) to {MOST_PRIORITY}"


def job_id_of(call_id: str) -> str:
    """The id of the job of this call: one each, whatever becomes of it."""
    return _JOB + call_id.removeprefix(_CALL)


def call_id_of(job_id: str) -> str:
    """The id of the call whose job this is."""
    return _CALL + job_id.removeprefix(_JOB)


def state_of(call: CallRow) -> JobState:
    """How the job of ``call`` stands. Only for a call that has one."""
    if call.effect_state is EffectState.INTENDED:
        return JobState.RUNNING
    if call.status == STARTED and call.effect_state is None:
        return JobState.QUEUED
    return JobState.WAITING if call.status == "pending_approval" else JobState.ENDED


def told_state(call: CallRow) -> str:
    """The same in the one word that people and programs read.

    ``queued``, ``running``, ``pending_approval``, and once it is over ``succeeded``, ``failed``, ``refused``,
    ``unknown`` or ``cancelled``.
    """
    state = state_of(call)
    if state is not JobState.ENDED:
        return state.value
    cancelled = call.status == "failed" and call.error_type == ErrorType.CANCELLED.value
    return "cancelled" if cancelled else call.status
