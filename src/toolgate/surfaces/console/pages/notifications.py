"""The page about notices on their way to people: given up, pending, delivered.

Not here: sending them, and when one is given up (``operations.notify``).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from toolgate.domain.principal import Declined
from toolgate.operations.list_calls import ledger_time
from toolgate.operations.notify import DEAD, DELIVERED, PENDING, STATES, list_deliveries, retry_delivery
from toolgate.surfaces.console import paths
from toolgate.surfaces.console.render import page
from toolgate.surfaces.console.session import Page

if TYPE_CHECKING:
    from starlette.responses import Response

    from toolgate.surfaces.console.session import Visit

_PAGE: Final = 100
_VIEWS: Final = ((DEAD, "Given up"), (PENDING, "On their way"), (DELIVERED, "Delivered"))


async def notifications_page(visit: Visit) -> Response:
    """Deliveries in one state."""
    state = visit.query.get("state", DEAD)
    state = state if state in STATES else DEAD
    found = await visit.operate(list_deliveries, by=visit.principal, state=state, limit=_PAGE)
    if isinstance(found, Declined):
        return visit.declined(found)
    return page(
        visit,
        "notifications.html",
        title="Notifications",
        state=state,
        caption=dict(_VIEWS)[state],
        views=[
            (paths.with_query(paths.NOTIFICATIONS, state=name), words, name == state, None)
            for name, words in _VIEWS
        ],
        rows=[(delivery, notice, _body(notice.body)) for delivery, notice in found],
        full=len(found) == _PAGE,
        now=await visit.operate(ledger_time),
        said="It is on its way again." if visit.told("done")[0] == "retried" else None,
    )


def _body(raw: bytes) -> dict[str, Any]:
    """What a notice tells; nothing where it cannot be read."""
    try:
        body = json.loads(raw)
    except ValueError:
        return {"tool": None, "approval_id": None, "call_id": None}
    told = body if isinstance(body, dict) else {}
    return {name: told.get(name) for name in ("tool", "approval_id", "call_id")}


async def retry(visit: Visit) -> Response:
    """Begin a delivery anew."""
    answer = await visit.operate(retry_delivery, visit.said("notice"), visit.said("sink"), by=visit.principal)
    if isinstance(answer, Declined):
        return visit.declined(answer, back=paths.NOTIFICATIONS)
    visit.office.gate.wake()
    return visit.go(paths.NOTIFICATIONS, done="retried")


PAGES: Final = (
    Page("GET", "/notifications", notifications_page),
    Page("POST", "/notifications/retry", retry),
)
