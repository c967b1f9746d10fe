"""Jobs: which there are, how far they have come, and having one end. What runs, and whether it may, is the gate's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from toolgate.domain.principal import Declined
from toolgate.operations.jobs import JobView, cancel_job, list_jobs, see_job
from toolgate.ports import JobFilter
from toolgate.surfaces.http.marks import may_take
from toolgate.surfaces.http.problems import Problem
from toolgate.surfaces.http.streams import Glance, Message, Over, Telling, event_stream
from toolgate.surfaces.http.waiting import wait_for_end
from toolgate.surfaces.rest.answers import JobBody, JobInfo, JobList
from toolgate.surfaces.rest.answers.jobs import ProgressInfo
from toolgate.surfaces.rest.calls import MARGIN
from toolgate.surfaces.rest.cursors import cursor_of, link_to_next, place_of
from toolgate.surfaces.rest.endpoint import Answer, Asked, NoBody, Reply
from toolgate.surfaces.rest.requests import CancelBody, JobsQuery, Query, WaitQuery, micros

if TYPE_CHECKING:
    from toolgate.surfaces.http.feed import FeedEvent, Resync


async def list_(asked: Asked[JobsQuery, NoBody]) -> Reply:
    """List jobs, newest first: your own, or those of the tenant where you may see them."""
    query = asked.query
    before = place_of(query.cursor)
    if isinstance(before, Problem):
        return before
    wanted = JobFilter(
        tool=query.tool,
        caller_id=query.caller,
        agent=query.agent,
        state=query.state,
        since=micros(query.since),
        until=micros(query.until),
        before=before,
        limit=query.limit,
    )
    page = await asked.office.gate.operate(list_jobs, wanted, by=asked.by)
    if isinstance(page, Declined):
        return page
    end = cursor_of(page.next)
    return Answer(
        content=JobList(jobs=[JobInfo.of(view) for view in page.rows], next=end),
        headers=link_to_next(asked.request, end),
    )


async def get(asked: Asked[WaitQuery, NoBody]) -> Reply:
    """How a job stands, how far it has come, and its outcome; with `wait`, once it ended or so many seconds passed.

    The status is 200 however it ended: this is the truth about it, and no call of its own.
    """
    seen = await _look(asked)
    wait = asked.query.wait
    if isinstance(seen, JobView) and wait and not seen.ended:
        if (busy := asked.office.waits.why_not(asked.by)) is not None:
            return busy
        may_take(asked.request, wait + MARGIN)
        office, call_id = asked.office, seen.row.call_id
        with office.waits.held(asked.by):
            await wait_for_end(office.gate, office.feed, office.closing, call_id, by=asked.by, seconds=wait)
        seen = await _look(asked)
    return seen if isinstance(seen, Declined) else Answer(content=JobBody.of(seen))


async def follow(asked: Asked[Query, NoBody]) -> Reply:
    """How far a job comes, as it comes, and its end, with which the stream ends.

    `progress` holds `state`, `attempts`, `done`, `total` and `note`; the last event, `job`, what `GET /v1/jobs/{id}`
    answers.
    """
    seen = await _look(asked)
    if isinstance(seen, Declined):
        return seen
    told: list[str] = []

    async def glance() -> Message | None:
        now = await _look(asked)
        if isinstance(now, Declined) or (said := _progress(now)) in told:
            return None
        told[:] = [said]
        return Message("progress", said)

    async def render(event: FeedEvent | Resync) -> Message | None:
        del event
        return await glance()

    async def over() -> Over | None:
        now = await _look(asked)
        if isinstance(now, Declined):
            return Over(None)
        return Over(Message("job", JobBody.of(now).model_dump_json())) if now.ended else None

    call_id, office = seen.row.call_id, asked.office
    telling = Telling(
        wanted=lambda event: event.call_id == call_id, render=render, over=over, glance=Glance(glance)
    )
    return event_stream(
        office, asked.request, telling, principal=asked.by, identify=office.credentials.bearer
    )


def _progress(view: JobView) -> str:
    progress = ProgressInfo.of(view.row)
    told = {"state": view.state, "attempts": view.row.attempts}
    if progress is not None:
        told |= {"done": progress.done, "total": progress.total, "note": progress.note}
    return json.dumps(told)


async def cancel(asked: Asked[Query, CancelBody]) -> Reply:
    """Have a job end. One that has not begun never does; one that runs is told to stop, and may have done something.

    The answer is the job as it is now. Where it still runs, look again for how it ended.
    """
    view = await asked.office.gate.operate(cancel_job, asked.id, by=asked.by, reason=asked.body.reason)
    if isinstance(view, Declined):
        return view
    asked.office.decided()
    return Answer(content=JobBody.of(view))


async def _look(asked: Asked[Any, Any]) -> JobView | Declined:
    return await asked.office.gate.operate(see_job, asked.id, by=asked.by)
