"""Whether the server lives, whether it could run a call, and what it counts: for probers and monitoring.

Not here: what is counted (``metrics``), and what being ready means (``operations.readiness``).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from toolgate.domain.errors import GateFault
from toolgate.domain.principal import Action, Principal, forbids
from toolgate.operations.readiness import why_not_ready
from toolgate.surfaces.http.problems import KINDS, Problem, not_signed_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from toolgate.surfaces.http.metrics import Metrics
    from toolgate.surfaces.http.office import Office

ASKED_EVERY: Final = 1.0
"""Seconds for which an answer of ``/readyz`` stands, however many ask."""
PROBED_EVERY: Final = 15.0
"""Seconds between two records that are written only to see whether one can be."""
_ASK_AGAIN: Final = 5.0


class Readiness:
    """Asks the gate whether it could run a call, and not more often than is good for its trail."""

    def __init__(self, office: Office, monotonic: Callable[[], float]) -> None:
        self._office = office
        self._monotonic = monotonic
        self._asking = asyncio.Lock()
        self._asked_at: float | None = None
        self._probed_at: float | None = None
        self._why: str | None = None

    async def why_not(self) -> str | None:
        """Why the server should get no requests now; None if it may."""
        if self._office.closing.announced:
            return "the server is ending"
        async with self._asking:
            now = self._monotonic()
            if self._asked_at is None or now - self._asked_at >= ASKED_EVERY:
                probe = self._probed_at is None or now - self._probed_at >= PROBED_EVERY
                self._asked_at = now
                if probe:
                    self._probed_at = now
                self._why = await self._ask(probe=probe)
            return self._why

    async def _ask(self, *, probe: bool) -> str | None:
        try:
            return await self._office.gate.operate(why_not_ready, probe=probe)
        except GateFault:
            return "the store cannot be used"


def health_routes(office: Office, metrics: Metrics, monotonic: Callable[[], float]) -> list[BaseRoute]:
    """``/healthz``, ``/readyz``, ``/metrics``, and a page for each ``type`` of problem."""
    readiness = Readiness(office, monotonic)

    async def alive(request: Request) -> Response:  # noqa: ARG001 - an endpoint takes a request
        return JSONResponse({"status": "alive"})

    async def ready(request: Request) -> Response:
        why = await readiness.why_not()
        if why is not None:
            return Problem(code="unavailable", detail=why, retry_after=_ASK_AGAIN).response(request)
        return JSONResponse({"status": "ready"})

    async def numbers(request: Request) -> Response:
        if (refused := await _may_not_count(office, request)) is not None:
            return refused.response(request)
        text = await metrics.text(office.gate, streams=len(office.streams))
        return Response(text, media_type=CONTENT_TYPE_LATEST)

    return [
        Route("/healthz", alive),
        Route("/readyz", ready),
        Route("/metrics", numbers),
        Route("/problems/{code}", explain),
    ]


async def _may_not_count(office: Office, request: Request) -> Problem | None:
    if office.settings.local or office.settings.metrics == "public":
        return None
    principal = await office.credentials.bearer(request)
    if not isinstance(principal, Principal):
        return not_signed_in(principal)
    why = forbids(principal, Action.SEE_ALL_CALLS)
    return None if why is None else Problem(code="forbidden", detail=why)


async def explain(request: Request) -> Response:
    """What a ``type`` of problem means: its URI leads somewhere (RFC 9457, section 3.1.1)."""
    code = request.path_params["code"]
    if code not in KINDS:
        return Problem(code="not_found", detail="there is no problem of this name").response(request)
    return PlainTextResponse(f"{code}: {KINDS[code].title} (HTTP {KINDS[code].status})\n")
