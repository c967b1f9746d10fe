"""The pages about calls: all of them, one, and those of which nobody knows how they ended.

What is shown was redacted before it was written. Not here: who may see which call (``operations.list_calls``), and
how a call is told (``timeline``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from starlette.responses import HTMLResponse

from toolgate.domain.outcome import ErrorType, Status
from toolgate.domain.principal import Action, Declined, forbids
from toolgate.operations.call_story import call_story, unresolved_calls
from toolgate.operations.list_calls import ledger_time, list_calls
from toolgate.operations.list_tools import list_tools
from toolgate.operations.resolve_call import resolve_call
from toolgate.ports import CallFilter
from toolgate.surfaces.console import paths
from toolgate.surfaces.console.pages import timeline
from toolgate.surfaces.console.pages.search import RANGE_CHOICES, Typed, UnfitSearchError, took
from toolgate.surfaces.console.render import fragment, page
from toolgate.surfaces.console.session import Page

if TYPE_CHECKING:
    from starlette.responses import Response

    from toolgate.surfaces.console.session import Visit

_PAGE: Final = 50
_STORIES: Final = 10
"""Unresolved calls a page: each with all its evidence."""
_RARE: Final = ("error", "workflow", "from", "to")

STATUSES: Final = ("running", *(status.value for status in Status))
_STATUS_CHOICES: Final = (("", "Any"), *((word, word.replace("_", " ").capitalize()) for word in STATUSES))
_ERRORS: Final = tuple(error.value for error in ErrorType)
_ERROR_CHOICES: Final = (("", "Any"), *((word, word.replace("_", " ").capitalize()) for word in _ERRORS))

MARKS: Final = {
    "passed": ("✓", "passed"),
    "stopped": ("✕", "stopped here"),
    "waiting": ("…", "waits here"),
    "doubt": ("?", "not known"),
    "skipped": ("–", "not needed"),
    "ahead": ("", "not reached"),
}


async def calls_page(visit: Visit) -> Response:
    """Calls, newest first."""
    typed = Typed(visit.query, await visit.operate(ledger_time))
    problem = None
    try:
        wanted = _wanted(typed)
    except UnfitSearchError as unfit:
        problem, wanted = str(unfit), CallFilter(limit=0)
    found = await visit.operate(list_calls, wanted, by=visit.principal)
    if isinstance(found, Declined):
        return visit.declined(found)
    rows, following = ((), None) if problem else (found.rows, found.next)
    tools = await visit.operate(list_tools, by=visit.principal)
    return page(
        visit,
        "calls.html",
        title="Calls",
        status=400 if problem else 200,
        rows=rows,
        problem=problem,
        wanted=_shown(typed),
        older=None if following is None else _older(typed, following),
        newest=_older(typed, None) if wanted.before else None,
        further_back=wanted.before is not None,
        words="Newest first." if len(rows) == _PAGE else "That is a part of the history; there may be more.",
        tools=() if isinstance(tools, Declined) else tuple(tool.contract.name for tool in tools),
        statuses=_STATUS_CHOICES,
        errors=_ERROR_CHOICES,
        ranges=RANGE_CHOICES,
        everything=forbids(visit.principal, Action.SEE_ALL_CALLS) is None,
        watched=_watched(typed, rows[0].call_id if rows else ""),
        took=took,
    )


def _wanted(typed: Typed) -> CallFilter:
    return CallFilter(
        tool=typed.text("tool"),
        caller_id=typed.text("caller"),
        agent=typed.text("agent"),
        status=typed.one_of("status", STATUSES),
        error_type=typed.one_of("error", _ERRORS),
        workflow_id=typed.text("workflow"),
        since=typed.since(),
        until=typed.moment("to"),
        before=typed.cursor(),
        limit=_PAGE,
    )


def _shown(typed: Typed) -> dict[str, Any]:
    """The search as it was typed, for its form."""
    names = ("tool", "caller", "agent", "status", "range", *_RARE)
    shown: dict[str, Any] = {name: typed.query.get(name, "").strip() for name in names}
    return shown | {
        "any": any(shown.values()),
        "rare": any(shown[name] for name in _RARE),
    }


def _older(typed: Typed, following: str | None, path: str = paths.CALLS) -> str | None:
    """The page that begins behind ``following``; the newest one of the same search where that is None."""
    kept = {name: value for name, value in typed.query.items() if name not in {"before", "after"}}
    return paths.with_query(path, **kept, before=following or "")


def _watched(typed: Typed, newest: str) -> str | None:
    """Where a live page asks whether there are newer calls than ``newest``; None for a page further back."""
    if "before" in typed.query or "to" in typed.used:
        return None
    return paths.with_query(paths.NEW_CALLS, **typed.used, after=newest)


async def new_calls(visit: Visit) -> Response:
    """How many calls came since the page was loaded: a hint, so that no row jumps away under somebody's hand."""
    typed = Typed(visit.query, await visit.operate(ledger_time))
    try:
        wanted, after = _wanted(typed), typed.cursor("after") or ""
    except UnfitSearchError:
        return _fragment("")
    found = await visit.operate(list_calls, wanted, by=visit.principal)
    if isinstance(found, Declined):
        return _fragment("")
    count = sum(row.call_id > after for row in found.rows)
    many = f"More than {count - 1}" if count == _PAGE else str(count)
    return _fragment(fragment("calls_new.html", count=many if count else "", path=_older(typed, None)))


def _fragment(html: str) -> Response:
    return HTMLResponse(html, headers={"Cache-Control": "no-store"})


async def call_page(visit: Visit) -> Response:
    """One call, all of it."""
    return await _call(visit, visit.request.path_params["call_id"])


async def _call(
    visit: Visit, call_id: str, *, problem: str | None = None, reason: str = "", status: int = 200
) -> Response:
    story = await visit.operate(call_story, call_id, by=visit.principal)
    if isinstance(story, Declined):
        return visit.declined(story, back=paths.CALLS)
    row, may = story.row, visit.principal
    return page(
        visit,
        "call.html",
        title=row.tool,
        status=status,
        story=story,
        steps=timeline.spine(row.status, row.effect, row.error_type, story.events),
        marks=MARKS,
        moments=timeline.moments(story.events),
        arguments=story.arguments,
        world=timeline.EFFECTS[story.world.value],
        own=row.caller_id == may.id,
        can_resolve=story.in_doubt and forbids(may, Action.RESOLVE) is None,
        may_audit=forbids(may, Action.READ_AUDIT) is None,
        everything=forbids(may, Action.SEE_ALL_CALLS) is None,
        said=_SAID.get(visit.told("done")[0]),
        problem=problem,
        reason=reason,
        error="",
        took=took,
    )


# --- unresolved -----------------------------------------------------------------------------------------------

_SAID: Final = {
    "applied": "Recorded: it happened. The call answers as done from now on.",
    "not_applied": "Recorded: it did not happen. It may be asked for again.",
}


async def unresolved_page(visit: Visit) -> Response:
    """What a person has to look at."""
    return await _unresolved(visit)


async def _unresolved(visit: Visit) -> Response:
    typed = Typed(visit.query, 0)
    try:
        before = typed.cursor()
    except UnfitSearchError:
        before = None
    wanted = CallFilter(unresolved=True, before=before, limit=_STORIES)
    found = await visit.operate(unresolved_calls, wanted, by=visit.principal)
    if isinstance(found, Declined):
        return visit.declined(found)
    return page(
        visit,
        "unresolved.html",
        title="Unresolved",
        stories=[(story, timeline.moments(story.events)) for story in found.rows],
        may_resolve=forbids(visit.principal, Action.RESOLVE) is None,
        older=None if found.next is None else paths.with_query(paths.UNRESOLVED, before=found.next),
        newest=None if before is None else paths.UNRESOLVED,
        said=_SAID.get(visit.told("done")[0]),
    )


async def resolve(visit: Visit) -> Response:
    """Somebody says how an effect ended."""
    call_id = visit.request.path_params["call_id"]
    outcome, reason = visit.said("outcome"), visit.said("reason")
    if outcome not in _SAID:
        return await _call(visit, call_id, problem="Say whether it happened.", reason=reason, status=422)
    answer = await visit.operate(
        resolve_call, call_id, applied=outcome == "applied", by=visit.principal, reason=reason
    )
    if isinstance(answer, Declined):
        if answer.why in {"not_found", "forbidden"}:
            return visit.declined(answer, back=paths.UNRESOLVED)
        status = 422 if answer.why == "invalid" else 409
        return await _call(visit, call_id, problem=answer.reason, reason=reason, status=status)
    visit.office.decided()
    back = paths.UNRESOLVED if visit.said("back") == paths.UNRESOLVED else paths.call_path(call_id)
    return visit.go(back, done=outcome)


PAGES: Final = (
    Page("GET", "/calls", calls_page),
    Page("GET", "/calls/new", new_calls),
    Page("GET", "/calls/{call_id}", call_page),
    Page("POST", "/calls/{call_id}/resolve", resolve),
    Page("GET", "/unresolved", unresolved_page),
)
