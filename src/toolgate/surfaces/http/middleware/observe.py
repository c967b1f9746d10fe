"""One line in the log and one count for each request: what was asked, by whom as an address, how it ended, how long.

The route is logged as its template and nothing of the query, so that no id, name or secret that somebody wrote into a
URL is kept.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from toolgate.surfaces.http.marks import REQUEST_ID, client_of_scope

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from toolgate.surfaces.http.metrics import Metrics

UNMATCHED: Final = "unmatched"
"""The route of a request that reached none."""
_QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics", "/static/{name}"})
"""Asked for all day long; in the log only for whoever wants to see everything."""
_GONE: Final = 499
_log = logging.getLogger("toolgate.http")


class Observe:
    """Sees each request end, whatever answered it."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, monotonic: Callable[[], float]) -> None:
        self.app = app
        self._metrics = metrics
        self._monotonic = monotonic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        begun = self._monotonic()
        status = _GONE

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, noting)
        finally:
            route = template_of(scope)
            self._metrics.request(scope["method"], route, status)
            level = logging.DEBUG if route in _QUIET else logging.INFO
            _log.log(
                level,
                "method=%s route=%s status=%d ms=%d client=%s request_id=%s",
                scope["method"] if scope["method"].isalpha() else "?",
                route,
                status,
                (self._monotonic() - begun) * 1000,
                client_of_scope(scope) or "?",
                scope.get(REQUEST_ID, "?"),
            )


def template_of(scope: Scope) -> str:
    """The path of the route that took the request, as it was declared."""
    route = scope.get("route")
    if route is None and (endpoint := scope.get("endpoint")) is not None:
        # Older versions of starlette note only the endpoint.
        routes = getattr(scope.get("app"), "routes", ())
        route = next((each for each in routes if getattr(each, "endpoint", None) is endpoint), None)
    return str(getattr(route, "path", UNMATCHED))
