"""Jobs for whoever may see them: how one stands, which there are, and the wish that one should end.

Who sees a job follows from who sees its call (``list_calls``); a job of another tenant is answered like one that
never was. Not here: running them (``run_job``), and bringing back what was lost (``recover_jobs``).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from toolgate.domain.commands import CancelJob, Done, NotAllowed
from toolgate.domain.duration import MICRO
from toolgate.domain.errors import GateFault
from toolgate.domain.jobs import call_id_of, told_state
from toolgate.domain.outcome import Outcome
from toolgate.domain.principal import Action, Declined, forbids
from toolgate.domain.rows import ByJob, CallRow, JobRow
from toolgate.operations.call_story import how_it_ended
from toolgate.operations.decide_approval import SAY_WHY, said
from toolgate.operations.get_call import MAX_ID, get_call
from toolgate.operations.list_calls import is_own_call, may_see_call, seen_by
from toolgate.operations.review_approval import review_approval
from toolgate.operations.run_job import cancel_run
from toolgate.ports import CallFilter

if TYPE_CHECKING:
    from toolgate.domain.principal import Principal
    from toolgate.gateway.world import World
    from toolgate.ports import JobFilter

_log = logging.getLogger("toolgate")
MOST: Final = 200
"""Jobs of one page."""
_NO_SUCH_JOB: Final = Declined("not_found", "there is no such job")
UNDER_WAY: Final = frozenset({"queued", "running", "pending_approval"})
"""The states in which something of a job is still to come."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job at one moment, as somebody who may see it sees it.

    Attributes:
        state: ``queued``, ``running``, ``pending_approval``, ``succeeded``, ``failed``, ``refused``, ``unknown`` or
            ``cancelled``.
        outcome: what whoever asked for it is answered once it is over; None before, and for anybody else.
    """

    row: JobRow
    call: CallRow
    state: str
    outcome: Outcome[Any] | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more is to come."""
        return self.state not in UNDER_WAY

    def to_json(self) -> dict[str, Any]:
        """The job for models, surfaces and programs. Times are RFC 3339, UTC; what is not known is left out."""
        row = self.row
        told: dict[str, Any] = {
            "job_id": row.job_id,
            "call_id": row.call_id,
            "tool": row.tool,
            "state": self.state,
            "caller_id": row.caller_id,
            "created_at": _time(row.created_at),
            "priority": row.priority,
            "attempts": row.attempts,
        }
        if self.state == "queued" and row.not_before > row.created_at:
            told["not_before"] = _time(row.not_before)
        if row.started_at is not None:
            told["started_at"] = _time(row.started_at)
            told["deadline_at"] = _time(row.started_at + row.timeout_us)
        if row.done is not None and row.progress_at is not None:
            told["progress"] = _progress(row)
        if row.cancel_at is not None:
            told["cancel"] = {
                "at": _time(row.cancel_at),
                "by": row.cancelled_by,
                "reason": row.cancel_reason,
            }
        if self.ended:
            told["ended_at"] = _time(self.call.updated_at)
            told["outcome"] = how_it_ended(self.call) if self.outcome is None else self.outcome.to_model()
        return told


@dataclass(frozen=True, slots=True, kw_only=True)
class JobViews:
    """A page of jobs, newest first, and the cursor from which to go on."""

    rows: tuple[JobView, ...]
    next: str | None = None


def _progress(row: JobRow) -> dict[str, Any]:
    assert row.progress_at is not None
    told: dict[str, Any] = {"done": row.done, "at": _time(row.progress_at)}
    if row.total is not None:
        told["total"] = row.total
    if row.note is not None:
        told["note"] = row.note
    return told


def _time(micros: int) -> str:
    text = datetime.fromtimestamp(micros / MICRO, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


async def see_job(world: World, job_id: str, *, by: Principal) -> JobView | Declined:
    """The job; one that ``by`` may not see is answered like one that never was."""
    seen = await _find(world, job_id, by)
    if seen is None:
        return _NO_SUCH_JOB
    job, call = seen
    view = JobView(row=job, call=call, state=told_state(call))
    # The caller's own answer comes first also for an operator who asked for the job in person.
    if not view.ended or not is_own_call(call, by):
        return view
    return replace(view, outcome=await get_call(world, call.call_id, caller=by.caller))


async def list_jobs(world: World, wanted: JobFilter, *, by: Principal) -> JobViews | Declined:
    """A page of the jobs that ``by`` may see and that fit ``wanted``; its tenant and limit are bounded here."""
    asked = CallFilter(tenant=by.tenant, caller_id=wanted.caller_id, agent=wanted.agent)
    bounded = seen_by(asked, by)
    if isinstance(bounded, Declined):
        return bounded
    if bounded is None:
        return JobViews(rows=())
    page = await world.store.jobs(
        replace(
            wanted,
            tenant=bounded.tenant,
            caller_id=bounded.caller_id,
            agent=bounded.agent,
            limit=min(max(wanted.limit, 1), MOST),
        )
    )
    views = tuple(JobView(row=job, call=call, state=told_state(call)) for job, call in page.rows)
    return JobViews(rows=views, next=page.next)


def may_cancel(view: JobView, by: Principal) -> bool:
    """Whether ``by`` may say that it should end, and it can: what a page offers. ``cancel_job`` decides."""
    if view.state not in {"queued", "running"}:
        return False
    return is_own_call(view.call, by) or forbids(by, Action.STOP) is None


async def cancel_job(world: World, job_id: str, *, by: Principal, reason: str) -> JobView | Declined:
    """Say that a job should end, as whoever asked for it or an operator. The job as it is then.

    A queued job ends at once. A running one is cancelled by its owner, within about a second: what it had done by
    then decides how it ends. Saying it twice says nothing new; of a job that is over it is declined.
    """
    seen = await _find(world, job_id, by)
    if seen is None:
        return _NO_SUCH_JOB
    _, call = seen
    if not is_own_call(call, by) and (why := forbids(by, Action.STOP)) is not None:
        return Declined("forbidden", why)
    if not (text := said(reason)):
        return SAY_WHY
    through = by.agent
    answer = await world.store.execute(CancelJob(call.call_id, by.id, text, through))
    if isinstance(answer, NotAllowed):
        return Declined(answer.why, answer.reason)
    if isinstance(answer, Done):
        await _tell_whoever_has_it(world, job_id, call.call_id)
    return await see_job(world, job_id, by=by)


async def _tell_whoever_has_it(world: World, job_id: str, call_id: str) -> None:
    """The ledger has the word already: what is told here only spares the wait until the next look at it."""
    flight = world.flights.get(call_id)
    if flight is not None and flight.job is not None:
        await cancel_run(world, flight)
    if world.jobs is None:
        return
    try:
        await world.jobs.cancel(job_id)
    except GateFault as fault:
        _log.warning("the job engine was not told that %s is cancelled: %s", job_id, type(fault).__name__)


async def _find(world: World, job_id: str, by: Principal) -> tuple[JobRow, CallRow] | None:
    """The job and its call, where ``by`` may see them."""
    # What was never an id of ours is not looked for: it may not even be text that a store takes.
    if type(job_id) is not str or not job_id.isascii() or len(job_id) > MAX_ID:
        return None
    found = await world.store.find(ByJob(call_id_of(job_id)))
    job, call = found.job, found.call
    if job is None or call is None or job.job_id != job_id or call.tenant != by.tenant:
        return None
    if may_see_call(call, by) or await _has_a_say(world, call, by):
        return job, call
    return None


async def _has_a_say(world: World, call: CallRow, by: Principal) -> bool:
    """Whether ``by`` may see the approval that this job came from."""
    if call.approval_id is None:
        return False
    return not isinstance(await review_approval(world, call.approval_id, by=by), Declined)
