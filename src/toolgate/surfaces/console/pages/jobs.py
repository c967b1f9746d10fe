"""The pages about jobs: all of them with how far they have come, and one, with the button that ends it.

What a tool says of its own progress is shown as its word. Not here: who may see or cancel which (``operations.jobs``),
and what tells an open page that a bar has moved (``live``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toolgate.domain.principal import Action, Declined, forbids
from toolgate.operations.call_story import call_story
from toolgate.operations.jobs import cancel_job, list_jobs, may_cancel, see_job
from toolgate.operations.list_calls import ledger_time
from toolgate.operations.list_tools import list_tools
from toolgate.ports import JobFilter
from toolgate.surfaces.console import paths
from toolgate.surfaces.console.pages import timeline
from toolgate.surfaces.console.pages.search import RANGE_CHOICES, Typed, UnfitSearchError, took
from toolgate.surfaces.console.progress import Bar
from toolgate.surfaces.console.render import page
from toolgate.surfaces.console.session import Page

if TYPE_CHECKING:
    from starlette.responses import Response

    from toolgate.surfaces.console.session import Visit

_PAGE: Final = 50
STATES: Final = (
    "queued",
    "running",
    "pending_approval",
    "succeeded",
    "failed",
    "refused",
    "cancelled",
    "unknown",
)
_STATE_CHOICES: Final = (("", "Any"), *((word, word.replace("_", " ").capitalize()) for word in STATES))
_SAID: Final = {
    "cancelled": "Cancelled. It had not begun, and it never will.",
    "asked": "It was asked to end. What it has done stays done; how it ended stands here as soon as it is known.",
}


async def jobs_page(visit: Visit) -> Response:
    """Jobs, newest first; with ``part=list`` the list alone, for a page that is open already."""
    now = await visit.operate(ledger_time)
    typed = Typed(visit.query, now)
    problem = None
    try:
        wanted = _wanted(typed)
    except UnfitSearchError as unfit:
        problem, wanted = str(unfit), JobFilter(limit=0)
    found = await visit.operate(list_jobs, wanted, by=visit.principal)
    if isinstance(found, Declined):
        return visit.declined(found)
    rows, following = ((), None) if problem else (found.rows, found.next)
    shown = {name: visit.query.get(name, "").strip() for name in ("state", "tool", "caller", "range")}
    part = visit.query.get("part") == "list"
    return page(
        visit,
        "jobs_list.html" if part else "jobs.html",
        title="Jobs",
        status=400 if problem else 200,
        bars=[Bar(view, now) for view in rows],
        now=now,
        problem=problem,
        wanted=shown | {"any": any(shown.values())},
        older=None if following is None else _path(typed, before=following),
        newest=_path(typed) if wanted.before else None,
        live=_path(typed, before=wanted.before, part="list"),
        tools=() if part else await _names(visit),
        states=_STATE_CHOICES,
        ranges=RANGE_CHOICES,
        everything=forbids(visit.principal, Action.SEE_ALL_CALLS) is None,
        took=took,
    )


def _wanted(typed: Typed) -> JobFilter:
    return JobFilter(
        tool=typed.text("tool"),
        caller_id=typed.text("caller"),
        state=typed.one_of("state", STATES),
        since=typed.since(),
        before=typed.cursor(),
        limit=_PAGE,
    )


def _path(typed: Typed, *, before: str | None = None, part: str = "") -> str:
    """The same search from another place on."""
    kept = {name: value for name, value in typed.query.items() if name not in {"before", "part"}}
    return paths.with_query(paths.JOBS, **kept, before=before or "", part=part)


async def _names(visit: Visit) -> tuple[str, ...]:
    """The tools that run as jobs."""
    tools = await visit.operate(list_tools, by=visit.principal)
    if isinstance(tools, Declined):
        return ()
    return tuple(tool.contract.name for tool in tools if tool.contract.job is not None)


async def job_page(visit: Visit) -> Response:
    """One job, all of it; with ``part=state`` only how far it has come."""
    return await _job(visit, visit.request.path_params["job_id"])


async def _job(
    visit: Visit, job_id: str, *, problem: str | None = None, reason: str = "", status: int = 200
) -> Response:
    view = await visit.operate(see_job, job_id, by=visit.principal)
    if isinstance(view, Declined):
        return visit.declined(view, back=paths.JOBS)
    story = await visit.operate(call_story, view.row.call_id, by=visit.principal)
    if isinstance(story, Declined):
        return visit.declined(story, back=paths.JOBS)
    now = await visit.operate(ledger_time)
    return page(
        visit,
        "job_state.html" if visit.query.get("part") == "state" else "job.html",
        title=view.row.tool,
        status=status,
        bar=Bar(view, now),
        now=now,
        story=story,
        moments=timeline.moments(story.events),
        world=timeline.EFFECTS[story.world.value],
        own=view.row.caller_id == visit.principal.id,
        can_cancel=may_cancel(view, visit.principal),
        live=paths.with_query(paths.job_path(job_id), part="state"),
        may_audit=forbids(visit.principal, Action.READ_AUDIT) is None,
        said=_SAID.get(visit.told("done")[0]),
        problem=problem,
        reason=reason,
        took=took,
    )


async def cancel(visit: Visit) -> Response:
    """Somebody wants it to end."""
    job_id = visit.request.path_params["job_id"]
    reason = visit.said("reason")
    answer = await visit.operate(cancel_job, job_id, by=visit.principal, reason=reason)
    if isinstance(answer, Declined):
        if answer.why in {"not_found", "forbidden"}:
            return visit.declined(answer, back=paths.JOBS)
        status = 422 if answer.why == "invalid" else 409
        return await _job(visit, job_id, problem=answer.reason, reason=reason, status=status)
    visit.office.decided()
    return visit.go(paths.job_path(job_id), done="cancelled" if answer.state == "cancelled" else "asked")


PAGES: Final = (
    Page("GET", "/jobs", jobs_page),
    Page("GET", "/jobs/{job_id}", job_page),
    Page("POST", "/jobs/{job_id}/cancel", cancel),
)
