"""What a task says of itself, in the forms of both eras: 2026-07-28 (SEP-2663) and 2025-11-25. Pure.

A task is a call under its own id, and so is every word of it. Not here: whose it is, and how it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal

from mcp_types import methods

from toolgate.domain.lifecycle import ApprovalState
from toolgate.domain.outcome import ErrorType, Failed, PendingApproval, Refused, Started, Succeeded
from toolgate.operations.review import moment
from toolgate.operations.see_call import has_ended
from toolgate.surfaces.mcp.calls import INVALID_PARAMS, is_unknown_tool, result_of, unknown_tool
from toolgate.surfaces.mcp.plain import MODERN
from toolgate.surfaces.mcp.question import FIELD, askable, form

if TYPE_CHECKING:
    from toolgate.domain.outcome import Outcome
    from toolgate.domain.rows import JobRow
    from toolgate.operations.follow_call import Followed
    from toolgate.operations.review import Review

Status = Literal["working", "input_required", "completed", "cancelled", "failed"]
POLL_WAITING_MS: Final = 5_000
"""How long a client should wait between two looks while somebody is asked."""
POLL_RUNNING_MS: Final = 1_000
"""And once it runs."""
_WITHDRAWN: Final = "It was withdrawn. Nothing ran."
_QUEUED: Final = "It waits for a worker."
_RUNNING: Final = "It runs."


def detailed(task: Followed, *, shows_forms: bool) -> dict[str, Any]:
    """The answer to ``tasks/get``. ``shows_forms``: whether a question can be put before the client's user."""
    words = question_of(task) if shows_forms else None
    status = status_of(task, asks=words is not None)
    told: dict[str, Any] = {"resultType": "complete", **described(task, status)}
    if words is not None and task.review is not None:
        told["inputRequests"] = {key_of(task.review): form(words)}
    elif status == "completed":
        # As ``tools/call`` sends it.
        result = {"resultType": "complete", **result_of(task.outcome)}
        told["result"] = methods.serialize_server_result("tools/call", MODERN, result)
    elif status == "failed":
        told["error"] = {"code": INVALID_PARAMS, "message": unknown_tool(task.row.tool)}
    return told


def described(task: Followed, status: Status) -> dict[str, Any]:
    """What every form of a task says since 2026-07-28. It is never discarded, so it has no time to live."""
    told: dict[str, Any] = {
        "taskId": task.row.call_id,
        "status": status,
        "createdAt": moment(task.row.received_at),
        "lastUpdatedAt": moment(_updated_at(task)),
        "ttlMs": None,
    }
    if (words := _words(task, status)) is not None:
        told["statusMessage"] = words
    if not has_ended(task.outcome):
        waits = isinstance(task.outcome, PendingApproval)
        told["pollIntervalMs"] = POLL_WAITING_MS if waits else POLL_RUNNING_MS
    return told


def described_before(task: Followed, status: Status) -> dict[str, Any]:
    """The same as 2025-11-25 spells it."""
    spelt = {"ttlMs": "ttl", "pollIntervalMs": "pollInterval"}
    return {spelt.get(name, name): value for name, value in described(task, status).items()}


def status_of(task: Followed, *, asks: bool = False) -> Status:
    """Where a task stands. ``asks``: its question is put before the client's user now."""
    if not has_ended(task.outcome):
        return "input_required" if asks else "working"
    if is_unknown_tool(task.outcome):
        # The one end that ``tools/call`` answers with an error of the protocol.
        return "failed"
    return "cancelled" if _called_off(task) else "completed"


def question_of(task: Followed) -> str | None:
    """What its own caller is asked, where that is what it waits for."""
    return None if task.review is None else askable(task.review)


def key_of(review: Review) -> str:
    """The name of the question, which says what was shown: whoever sends it back has seen this and nothing else."""
    return f"{FIELD}:{review.row.approval_id}:{review.row.digest.hex()}"


def progress_of(job: JobRow) -> str | None:
    """How far a job says that it is: ``3 of 8: reading``; None where it said nothing."""
    if job.done is None:
        return None
    far = f"{job.done:g}" if job.total is None else f"{job.done:g} of {job.total:g}"
    return f"{far}: {job.note}" if job.note else far


def _updated_at(task: Followed) -> int:
    approval = 0 if task.review is None else task.review.row.updated_at
    progress = 0 if task.job is None else task.job.progress_at or 0
    return max(task.row.updated_at, approval, progress)


def _called_off(task: Followed) -> bool:
    """Whether somebody took it back. What the gate itself ends for a reason answers that reason."""
    if task.job is not None and isinstance(task.outcome, Failed):
        return task.outcome.error_type is ErrorType.CANCELLED
    return (
        isinstance(task.outcome, Refused)
        and task.outcome.error_type is ErrorType.APPROVAL_EXPIRED
        and task.review is not None
        and task.review.row.state is ApprovalState.CANCELLED
    )


def _words(task: Followed, status: Status) -> str | None:
    outcome: Outcome[Any] = task.outcome
    if isinstance(outcome, PendingApproval):
        return f"{outcome.message} Undecided, it ends at {outcome.expires_at}."
    if isinstance(outcome, Started):
        return _far(task)
    if isinstance(outcome, Succeeded):
        return None
    return _WITHDRAWN if isinstance(outcome, Refused) and status == "cancelled" else outcome.message


def _far(task: Followed) -> str:
    job = task.job
    runs = task.row.status != "started"
    told = (
        (_RUNNING if runs else _QUEUED)
        if job is None
        else progress_of(job) or (_RUNNING if runs else _QUEUED)
    )
    return f"{told} It was asked to end." if job is not None and job.cancel_at is not None else told
