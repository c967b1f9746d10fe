"""READ FIRST. Every request over HTTP passes these, in this order; then the routes of REST, console and health.

Nothing here knows a tool or a rule: who somebody is follows from ``credentials``, what they may do from the operation
that a route asks.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from toolgate.domain.errors import GateFault, StoreInDoubt, UsageError
from toolgate.surfaces.http.health import health_routes
from toolgate.surfaces.http.metrics import Metrics
from toolgate.surfaces.http.middleware.client_address import ClientAddress
from toolgate.surfaces.http.middleware.deadline import InTime
from toolgate.surfaces.http.middleware.flat_json import FlatJson
from toolgate.surfaces.http.middleware.last_door import LastDoor
from toolgate.surfaces.http.middleware.observe import Observe
from toolgate.surfaces.http.middleware.own_host import OwnHost
from toolgate.surfaces.http.middleware.own_origin import OwnOrigin
from toolgate.surfaces.http.middleware.request_id import RequestId
from toolgate.surfaces.http.middleware.security_headers import SecurityHeaders
from toolgate.surfaces.http.middleware.small_head import SmallHead
from toolgate.surfaces.http.middleware.whole_body import WholeBody
from toolgate.surfaces.http.problems import Problem, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from starlette.routing import BaseRoute

    from toolgate.surfaces.http.office import Office
    from toolgate.surfaces.http.problems import Pages

_BY_STATUS: Final = {
    400: ("bad_request", "the request cannot be read"),
    404: ("not_found", "nothing is under this address"),
    405: ("method_not_allowed", "this address takes other methods; Allow names them"),
    406: ("not_acceptable", "there is no such form of it"),
    413: ("too_large", "the body is too large"),
    415: ("unsupported_media_type", "a body of this type is not read here"),
}
_ASK_AGAIN: Final = 5.0
_UNAVAILABLE: Final = Problem(
    code="unavailable",
    detail="the store cannot be used at this moment; nothing was written",
    retry_after=_ASK_AGAIN,
)


def build_app(
    office: Office,
    *,
    routes: Iterable[BaseRoute],
    pages: Pages | None = None,
    metrics: Metrics | None = None,
    monotonic: Callable[[], float] = time.monotonic,
) -> Starlette:
    """The application.

    Args:
        office: what the routes were given.
        routes: those of the surfaces; health, readiness and numbers are there anyhow.
        pages: how browsers are shown that something is not there, or failed.
        metrics: where requests are counted.
        monotonic: a clock in seconds that never goes back.
    """
    settings = office.settings
    metrics = metrics or Metrics()
    middleware = (
        # First: whatever happens to a request, it can be found again.
        Middleware(RequestId),
        # Sees how it ended, refusals and defects too.
        Middleware(Observe, metrics=metrics, monotonic=monotonic),
        # Outside of all that answers, so that no answer lacks them.
        Middleware(SecurityHeaders, secure=settings.secure),
        # Outside of all that may fail: a defect tells nothing.
        Middleware(LastDoor, pages=pages),
        # Before anything reads a header.
        Middleware(SmallHead),
        # Whom to slow down; before anybody is refused.
        Middleware(ClientAddress, trusted=settings.trusted_proxies),
        # Is this server meant at all? A name that was made to lead here gets no further.
        Middleware(OwnHost, names=settings.names),
        # Did another site's page send it? Before its body is read.
        Middleware(OwnOrigin, origins=settings.origins),
        # No handler waits for a sender, or holds more than the limit.
        Middleware(WholeBody, limit=settings.body_limit, seconds=settings.body_seconds),
        # Needs the whole body, and comes before any parser.
        Middleware(FlatJson),
        # Last: the time to answer begins when all has arrived.
        Middleware(InTime, seconds=settings.request_seconds),
    )
    app = Starlette(
        routes=[*health_routes(office, metrics, monotonic), *routes],
        middleware=middleware,
        exception_handlers={
            HTTPException: _no_route(pages),
            GateFault: _store_failed(metrics, pages),
            UsageError: _misused(office, pages),
        },
    )
    # A redirect would name the scheme that a proxy before us took off.
    app.router.redirect_slashes = False
    return app


def _no_route(pages: Pages | None) -> Callable[[Request, Exception], Response]:
    """What the router says no to, and what a handler's reading of a request does."""

    def respond(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code, detail = _BY_STATUS.get(error.status_code, _BY_STATUS[400])
        response = shown(request, Problem(code=code, detail=detail), pages)
        if error.headers and "Allow" in error.headers:
            response.headers["Allow"] = ", ".join(sorted(error.headers["Allow"].split(", ")))
        return response

    return respond


def _store_failed(metrics: Metrics, pages: Pages | None) -> Callable[[Request, Exception], Response]:
    def respond(request: Request, error: Exception) -> Response:
        metrics.store_failed()
        problem = _UNAVAILABLE
        if isinstance(error, StoreInDoubt):
            # Not 503: clients repeat that by themselves, and this may have happened.
            problem = Problem(code="in_doubt", detail="look whether it happened before asking again")
        return shown(request, problem, pages)

    return respond


def _misused(office: Office, pages: Pages | None) -> Callable[[Request, Exception], Response]:
    def respond(request: Request, error: Exception) -> Response:
        if not office.closing.begun:
            raise error
        ending = Problem(code="unavailable", detail="the server is ending", retry_after=_ASK_AGAIN)
        return shown(request, ending, pages)

    return respond
