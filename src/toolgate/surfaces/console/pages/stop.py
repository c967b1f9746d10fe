"""The kill switch: everything that waits is cancelled and every grant ended, at once, by an operator with a reason.

Not here: what is stopped and what is not (``operations.withdraw``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.domain.principal import Action, Declined, forbids
from toolgate.operations.list_tools import list_tools
from toolgate.operations.withdraw import stop_all
from toolgate.surfaces.console import paths
from toolgate.surfaces.console.render import page
from toolgate.surfaces.console.session import Page, Visit

if TYPE_CHECKING:
    from starlette.responses import Response

_UNSURE = Declined("invalid", "tick the box: nothing is stopped by mistake")


async def show(visit: Visit) -> Response:
    """What it does, and the button."""
    if (why := forbids(visit.principal, Action.STOP)) is not None:
        return visit.declined(Declined("forbidden", why))
    return await _page(visit)


async def stop(visit: Visit) -> Response:
    """Press it."""
    if visit.said("sure") != "1":
        return await _page(visit, refusal=_UNSURE)
    stopped = await visit.operate(
        stop_all,
        by=visit.principal,
        reason=visit.said("reason"),
        tool=visit.said("tool") or None,
        agent=visit.said("agent") or None,
        caller_id=visit.said("caller") or None,
    )
    if isinstance(stopped, Declined):
        return await _page(visit, refusal=stopped)
    visit.office.decided()
    return visit.go(paths.STOP, requests=stopped.approvals, grants=stopped.grants)


async def _page(visit: Visit, *, refusal: Declined | None = None) -> Response:
    tools = await visit.operate(list_tools, by=visit.principal)
    counted = visit.told("requests", "grants")
    done = [
        int(count) for count in counted if count.isascii() and count.isdigit() and len(count) < len("1000000")
    ]
    return page(
        visit,
        "stop.html",
        status=200 if refusal is None else 403 if refusal.why == "forbidden" else 422,
        title="Stop everything",
        refusal=refusal,
        done=done if len(done) == len(counted) else None,
        tools=() if isinstance(tools, Declined) else [tool.contract.name for tool in tools],
        typed={name: visit.said(name) for name in ("tool", "agent", "caller", "reason")},
    )


PAGES = (
    Page("GET", "/stop", show),
    Page("POST", "/stop", stop),
)
