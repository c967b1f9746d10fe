"""A job in words for a terminal, and as JSON for programs. Nothing is decided here, and nothing is looked up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolgate.cli.plain import instant, iso, one_line, span
from toolgate.domain.jobs import told_state
from toolgate.operations.jobs import UNDER_WAY

if TYPE_CHECKING:
    from toolgate.cli.tables import Cell
    from toolgate.domain.rows import CallRow, JobRow


def row_of(job: JobRow, call: CallRow, now: int) -> tuple[Cell, ...]:
    """One row of the list."""
    return (
        (job.job_id, f"{job.caller_id} of {job.tenant}"),
        (told_state(call), progress_of(job)),
        (job.tool, time_of(job, call, now)),
    )


def progress_of(job: JobRow) -> str:
    """How far its tool says that it is: ``3 of 8``; empty where it said nothing."""
    if job.done is None:
        return ""
    return f"{job.done:g}" if job.total is None else f"{job.done:g} of {job.total:g}"


def time_of(job: JobRow, call: CallRow, now: int) -> str:
    """The time that it has left, took, or has waited."""
    state = told_state(call)
    if state == "running" and job.started_at is not None:
        return f"{span(job.started_at + job.timeout_us - now)} left"
    if state in UNDER_WAY:
        return (
            f"not before {instant(job.not_before)}"
            if job.not_before > now
            else f"since {instant(job.created_at)}"
        )
    return f"took {span(call.updated_at - job.created_at)}"


def facts(job: JobRow, call: CallRow, now: int) -> list[tuple[str, str]]:
    """Names and values; a value without words is left out."""
    state = told_state(call)
    return [
        ("job", job.job_id),
        ("state", f"{state}: {call.error_type}" if call.error_type not in {None, state} else state),
        ("effect", call.effect_state.value if call.effect_state else "none"),
        ("progress", one_line(", ".join(part for part in (progress_of(job), job.note) if part))),
        ("tool", f"{job.tool} (version {call.version}, {call.effect})"),
        ("asked by", f"{job.caller_id} of {job.tenant}"),
        ("agent", ", ".join(part for part in (call.agent, call.model) if part)),
        ("workflow", call.workflow_id),
        ("asked for", iso(job.created_at)),
        ("not before", iso(job.not_before) if job.not_before > job.created_at else ""),
        ("started", "" if job.started_at is None else iso(job.started_at)),
        ("runs begun", str(job.attempts)),
        ("time", time_of(job, call, now)),
        ("may run", span(job.timeout_us)),
        ("asked to end", _asked_to_end(job)),
        ("call", job.call_id),
        ("approval", call.approval_id or ""),
    ]


def _asked_to_end(job: JobRow) -> str:
    if job.cancel_at is None:
        return ""
    return one_line(f"{iso(job.cancel_at)} by {job.cancelled_by}: {job.cancel_reason}")


def described(job: JobRow, call: CallRow) -> dict[str, Any]:
    """As JSON. Times are RFC 3339."""
    return {
        "job_id": job.job_id,
        "call_id": job.call_id,
        "tool": job.tool,
        "state": told_state(call),
        "error_type": call.error_type,
        "caller": job.caller_id,
        "tenant": job.tenant,
        "agent": call.agent,
        "workflow_id": call.workflow_id,
        "attempts": job.attempts,
        "done": job.done,
        "total": job.total,
        "note": job.note,
        "priority": job.priority,
        "created_at": iso(job.created_at),
        "not_before": iso(job.not_before),
        "started_at": None if job.started_at is None else iso(job.started_at),
        "deadline_at": None if job.started_at is None else iso(job.started_at + job.timeout_us),
        "ended_at": None if told_state(call) in UNDER_WAY else iso(call.updated_at),
        "cancel": None
        if job.cancel_at is None
        else {"at": iso(job.cancel_at), "by": job.cancelled_by, "reason": job.cancel_reason},
    }
