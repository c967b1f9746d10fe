"""Jobs: queued with their call, begun by one worker at a time, requeued where that is allowed, cancelled, ended.

The call row is the fence: whoever is not its owner can neither begin nor settle, whatever a job engine believes.
Not here: how an effect settles (``intents``), and consent (``approvals``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.domain.commands import Answer, Done, NotAllowed, Superseded
from toolgate.domain.jobs import STARTED, state_of, told_state
from toolgate.domain.ledger.decision import Decision, said
from toolgate.domain.ledger.notices import in_doubt
from toolgate.domain.lifecycle import EffectState, JobCause, JobState, next_job
from toolgate.domain.outcome import ERRORS, ErrorType
from toolgate.domain.rows import RUNNING, CallChanged, CallRow, Event, Found, JobMoved, JobRow, NewJob, Row
from toolgate.domain.trail import call_record

if TYPE_CHECKING:
    from toolgate.domain.canonical import JsonValue
    from toolgate.domain.commands import BeginJob, CancelJob, EndJob, MoveJob


def queued(call: CallRow, job: JobRow, now: int) -> tuple[CallRow, NewJob]:
    """The call as it waits for a worker, and its job; a delay is counted from the store's clock."""
    waits = call._replace(status=STARTED, effect_state=None, lease_until=0)
    delay = job.not_before - job.created_at
    return waits, NewJob(job._replace(created_at=now, not_before=now + delay))


def begin_job(command: BeginJob, found: Found, now: int) -> Decision:
    """One worker takes it: the intent, before anything runs."""
    call, job = found.call, found.job
    if call is None or job is None or next_job(state_of(call), JobCause.BEGUN) is None:
        return Decision(Superseded(call))
    if job.cancel_at is not None or job.not_before > now:
        return Decision(Superseded(call))
    if call.digest != command.digest:
        return Decision(NotAllowed("what would run is not what was asked for", found))
    if deadline_passed(job, now):
        return _ended(call, job, JobCause.REFUSED, ErrorType.TIMEOUT, "clock", (PASSED,), now, refused=True)
    begun = job._replace(
        started_at=now if job.started_at is None else job.started_at, attempts=job.attempts + 1
    )
    # The lease is counted from the store's clock: a gateway's own may differ from it.
    moved = call._replace(
        status=RUNNING,
        effect_state=EffectState.INTENDED,
        owner=command.owner,
        lease_until=max(command.lease_until, now),
        updated_at=now,
    )
    record = call_record(
        moved,
        transition="intended",
        at=now,
        decision="allow",
        effect="none" if call.effect == "read" else "unknown",
        extra={"toolgate.job.id": job.job_id, "toolgate.job.attempt": begun.attempts},
    )
    event = Event(call.call_id, now, record)
    return Decision(Done(moved), (CallChanged(moved), JobMoved(begun), event))


PASSED = "its deadline passed before it could run again"


def deadline_passed(job: JobRow, now: int) -> bool:
    """Whether there is no time left for another run; it counts from the first one on."""
    return job.started_at is not None and now >= job.started_at + job.timeout_us


def requeue(call: CallRow, job: JobRow, actor: str, now: int) -> Decision | None:
    """What becomes of a job whose worker's lease ran out. None where it may not run again: its effect is in doubt."""
    if not job.rerun or (call.effect != "read" and (job.cancel_at is not None or deadline_passed(job, now))):
        return None
    why = "its worker's lease ran out"
    if job.cancel_at is not None:
        by = job.cancelled_by or actor
        return _ended(call, job, JobCause.LOST, ErrorType.CANCELLED, by, (job.cancel_reason or why,), now)
    if deadline_passed(job, now):
        return _ended(call, job, JobCause.LOST, ErrorType.TIMEOUT, actor, (PASSED,), now)
    assert next_job(state_of(call), JobCause.REQUEUED) is JobState.QUEUED
    moved = call._replace(status=STARTED, effect_state=None, lease_until=0, updated_at=now)
    record = call_record(
        moved,
        transition="job_requeued",
        at=now,
        decision="allow",
        effect="none" if call.effect == "read" else "unknown",
        extra={**said(actor, f"{why}; it runs again"), **_named(job)},
    )
    return Decision(Done(moved), (CallChanged(moved), Event(call.call_id, now, record)))


def end_job(command: EndJob, found: Found, now: int) -> Decision:
    """A queued job that may not run any more."""
    call, job = found.call, found.job
    if call is None or job is None or next_job(state_of(call), JobCause.REFUSED) is None:
        return Decision(Superseded(call))
    error = ErrorType(command.error_type)
    return _ended(call, job, JobCause.REFUSED, error, command.actor, command.reasons, now)


def cancel_job(command: CancelJob, found: Found, now: int) -> Decision:
    """End it, or leave word for its owner that it should."""
    call, job = found.call, found.job
    if call is None or job is None:
        return Decision(NotAllowed("there is no such job", found, why="not_found"))
    state = state_of(call)
    if state is JobState.QUEUED:
        wished = _wished(command, job, now)
        return _ended(
            call,
            wished,
            JobCause.CANCELLED,
            ErrorType.CANCELLED,
            command.actor,
            (command.reason,),
            now,
            through=command.through,
        )
    if state is JobState.WAITING:
        return Decision(NotAllowed("it waits for people; withdraw the request instead", found))
    if state is JobState.ENDED:
        return Decision(NotAllowed(f"it is {told_state(call)} already", found))
    if job.cancel_at is not None:
        return Decision(Superseded(call))
    record = call_record(
        call,
        transition="job_cancel_asked",
        at=now,
        decision="allow",
        effect="none" if call.effect == "read" else "unknown",
        extra={**said(command.actor, command.reason, command.through), **_named(job)},
    )
    return Decision(Done(call), (JobMoved(_wished(command, job, now)), Event(call.call_id, now, record)))


def _wished(command: CancelJob, job: JobRow, now: int) -> JobRow:
    return job._replace(cancel_at=now, cancelled_by=command.actor, cancel_reason=command.reason)


def move_job(command: MoveJob, found: Found, now: int) -> Decision:
    """Its owner's word on how far it came; nobody else's."""
    call, job = found.call, found.job
    if call is None or job is None or call.effect_state is None or call.owner != command.owner:
        return Decision(Superseded(call))
    moved = job._replace(done=command.done, total=command.total, note=command.note, progress_at=now)
    return Decision(Done(call), (JobMoved(moved),))


def _ended(  # noqa: PLR0917 - told from one another by their types and names in every call
    call: CallRow,
    job: JobRow,
    cause: JobCause,
    error: ErrorType,
    actor: str,
    reasons: tuple[str, ...],
    now: int,
    *,
    refused: bool = False,
    through: str | None = None,
) -> Decision:
    """The end of a job that does not run now. ``refused``: the command that saw it wanted something else."""
    assert next_job(state_of(call), cause) is JobState.ENDED
    # Queued again after a run that was lost: it honours its key or only reads, so nothing is left in doubt by name;
    # but that nothing happened is known only where nothing began, or nothing can have.
    doubtful = job.attempts > 0 and call.effect != "read"
    moved = call._replace(
        status="unknown" if doubtful else ERRORS[error].status.value,
        effect_state=EffectState.UNKNOWN if doubtful else EffectState.NOT_APPLIED,
        error_type="outcome_unknown" if doubtful else error.value,
        lease_until=0,
        updated_at=now,
    )
    record = call_record(
        moved,
        transition="job_cancelled" if error is ErrorType.CANCELLED else "job_ended",
        at=now,
        decision="deny",
        effect="unknown" if doubtful else "none",
        reasons=reasons,
        extra={**said(actor, "; ".join(reasons), through), **_named(job)},
    )
    why = f"it is {moved.status}: {'; '.join(reasons)}"
    answer: Answer = NotAllowed(why, Found(call=moved, job=job), wrote=True) if refused else Done(moved)
    rows: tuple[Row, ...] = (CallChanged(moved), JobMoved(job), Event(call.call_id, now, record))
    return Decision(answer, (*rows, in_doubt(moved, now)) if doubtful else rows)


def _named(job: JobRow) -> dict[str, JsonValue]:
    return {"toolgate.job.id": job.job_id}
