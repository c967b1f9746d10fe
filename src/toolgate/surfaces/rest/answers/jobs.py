"""Jobs, as answers tell of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import Field

from toolgate.surfaces.rest.answers.calls import OutcomeBody
from toolgate.surfaces.rest.answers.content import Content, Next, Time, rfc3339, rfc3339_or_none

if TYPE_CHECKING:
    from toolgate.domain.rows import JobRow
    from toolgate.operations.jobs import JobView


class ProgressInfo(Content):
    """How far the tool says it has come. It is the tool's word, and nothing hangs on it."""

    done: float
    total: float | None
    note: str | None
    at: Time

    @classmethod
    def of(cls, row: JobRow) -> Self | None:
        """What ``row`` holds of it, if the tool has said anything."""
        if row.done is None or row.progress_at is None:
            return None
        return cls(done=row.done, total=row.total, note=row.note, at=rfc3339(row.progress_at))


class CancelInfo(Content):
    """Somebody asked for its end. Until its state says so it has not ended."""

    at: Time
    by: str | None
    reason: str | None


class JobInfo(Content):
    """One job as a list shows it. ``state`` is that of its call: it is kept nowhere else."""

    job_id: str
    call_id: str
    tool: str
    caller_id: str
    agent: str | None
    workflow_id: str
    state: Annotated[
        str,
        Field(
            description="queued, running, pending_approval, succeeded, failed, refused, unknown or cancelled"
        ),
    ]
    priority: int
    created_at: Time
    not_before: Annotated[Time | None, Field(description="until then it waits, whatever is free")]
    started_at: Time | None
    deadline_at: Annotated[Time | None, Field(description="it counts from the first start, over all runs")]
    ended_at: Time | None
    attempts: Annotated[int, Field(description="how often it began; more than one after a worker was lost")]
    progress: ProgressInfo | None
    cancel: CancelInfo | None

    @classmethod
    def of(cls, view: JobView) -> Self:
        """What of ``view`` is anybody's business who may see the job."""
        return cls(**_shown(view))


class JobBody(JobInfo):
    """One job, and its outcome once it ended: the JSON that a model gets, with the result for its caller alone."""

    outcome: OutcomeBody | None

    @classmethod
    def of(cls, view: JobView) -> Self:
        """``view``, its outcome included."""
        outcome = view.to_json().get("outcome")
        told = None if outcome is None else OutcomeBody({**outcome, "call_id": view.row.call_id})
        return cls(**_shown(view), outcome=told)


class JobList(Content):
    """A page of jobs, newest first. It may be short and still have a `next`."""

    jobs: list[JobInfo]
    next: Next


def _shown(view: JobView) -> dict[str, Any]:
    row, call = view.row, view.call
    delayed = row.started_at is None and row.not_before > row.created_at
    return {
        "job_id": row.job_id,
        "call_id": row.call_id,
        "tool": row.tool,
        "caller_id": row.caller_id,
        "agent": call.agent,
        "workflow_id": call.workflow_id,
        "state": view.state,
        "priority": row.priority,
        "created_at": rfc3339(row.created_at),
        "not_before": rfc3339(row.not_before) if delayed else None,
        "started_at": rfc3339_or_none(row.started_at),
        "deadline_at": None if row.started_at is None else rfc3339(row.started_at + row.timeout_us),
        "ended_at": rfc3339(call.updated_at) if view.ended else None,
        "attempts": row.attempts,
        "progress": ProgressInfo.of(row),
        "cancel": None
        if row.cancel_at is None
        else CancelInfo(at=rfc3339(row.cancel_at), by=row.cancelled_by, reason=row.cancel_reason),
    }
