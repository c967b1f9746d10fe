"""What went wrong with a request, as RFC 9457 problem details: one table of kinds, and how refusals become them.

``type`` is a relative reference that stays the same (``/problems/not_found``), ``detail`` is for whoever asked and says
how to mend it. Not here: who may do what, and the words of a refusal, which come from the operation that refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from starlette.responses import JSONResponse, Response

from toolgate.domain.outcome import ErrorType, Failed, Outcome, Refused, Unknown
from toolgate.surfaces.http.marks import request_id_of

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection, Request

    from toolgate.domain.principal import Declined, Why
    from toolgate.surfaces.http.credentials import NotSignedIn

MEDIA_TYPE: Final = "application/problem+json"
CHALLENGE: Final = 'Bearer realm="toolgate"'
"""What a 401 asks for (RFC 6750, section 3)."""


class Kind(NamedTuple):
    """One row of the table: the status and what it is called, the same for each request."""

    status: int
    title: str


KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "bad_request": Kind(400, "The request cannot be read"),
        "unauthenticated": Kind(401, "A credential is needed"),
        "forbidden": Kind(403, "This is not allowed"),
        "cross_origin": Kind(403, "Sent by another site"),
        "not_found": Kind(404, "There is no such thing"),
        "method_not_allowed": Kind(405, "This cannot be done here"),
        "not_acceptable": Kind(406, "There is no such form of it"),
        "request_timeout": Kind(408, "The request took too long to arrive"),
        "conflict": Kind(409, "It is not as the request supposes"),
        "in_doubt": Kind(409, "It is not known whether it was recorded"),
        "too_large": Kind(413, "The body is too large"),
        "unsupported_media_type": Kind(415, "A body of this type is not read here"),
        "wrong_host": Kind(421, "Another server is meant"),
        "invalid": Kind(422, "A value cannot be used"),
        "too_many_attempts": Kind(429, "Too many attempts"),
        "too_many_streams": Kind(429, "Too many streams or waits"),
        "too_many_headers": Kind(431, "The headers are too large"),
        "server_failed": Kind(500, "The server failed"),
        "unavailable": Kind(503, "The server cannot serve this now"),
        "timed_out": Kind(504, "The answer took too long"),
        # How a call ended, by its error_type; the member ``outcome`` holds all of it.
        **{
            error.value: Kind(status, title)
            for error, (status, title) in {
                ErrorType.UNKNOWN_TOOL: (404, "There is no such tool"),
                ErrorType.INVALID_ARGUMENTS: (422, "The arguments do not fit"),
                ErrorType.PERMISSION_DENIED: (403, "The call is not allowed"),
                ErrorType.RATE_LIMITED: (429, "Too many calls"),
                ErrorType.OVERLOADED: (503, "Too much is running"),
                ErrorType.CIRCUIT_OPEN: (503, "The tool is resting after failures"),
                ErrorType.CONTRACT_CHANGED: (409, "The tool has changed"),
                ErrorType.APPROVAL_DENIED: (403, "A person said no"),
                ErrorType.APPROVAL_EXPIRED: (409, "Nobody approved it in time"),
                ErrorType.IDEMPOTENCY_IN_FLIGHT: (409, "The same action is running"),
                ErrorType.IDEMPOTENCY_CONFLICT: (409, "The key was used with something else"),
                ErrorType.TIMEOUT: (504, "The tool took too long"),
                ErrorType.CANCELLED: (409, "Nobody waited for it any more"),
                ErrorType.UPSTREAM_UNAVAILABLE: (502, "What the tool depends on is away"),
                ErrorType.TOOL_ERROR: (422, "The tool could not do it"),
                ErrorType.INVALID_RESULT: (502, "The tool's result was withheld"),
                ErrorType.TOOL_QUARANTINED: (403, "The tool is set aside"),
                ErrorType.AUDIT_UNAVAILABLE: (503, "The trail cannot be written"),
                # Not one of the codes on which clients and proxies try again by themselves.
                ErrorType.OUTCOME_UNKNOWN: (409, "It is not known whether it happened"),
                ErrorType.INTERNAL_ERROR: (500, "The tool failed"),
            }.items()
        },
    }
)
"""Code → status and title. Codes are stable: new ones may come, none changes its meaning."""

_WHY: Final[Mapping[Why, str]] = MappingProxyType(
    {"not_found": "not_found", "forbidden": "forbidden", "conflict": "conflict", "invalid": "invalid"}
)


@dataclass(frozen=True, slots=True)
class FieldError:
    """A value that cannot be used; ``pointer`` is a JSON pointer as a fragment: ``#/arguments/amount``."""

    pointer: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A request that came to nothing, and why.

    Attributes:
        code: a key of ``KINDS``.
        detail: for whoever asked; nothing internal.
        errors: the fields that are wrong, where some are.
        retry_after: seconds after which asking again may help.
        instead: a status other than the table's, where this one must not be tried again.
        more: further members of the body.
    """

    code: str
    detail: str
    errors: Sequence[FieldError] = ()
    retry_after: float | None = None
    instead: int | None = None
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> Kind:
        """Its row of the table."""
        return KINDS[self.code]

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.kind.status if self.instead is None else self.instead

    def headers(self) -> dict[str, str]:
        """What has to stand in the response's head."""
        found = {}
        if self.status == KINDS["unauthenticated"].status:
            found["WWW-Authenticate"] = CHALLENGE
        if self.retry_after is not None:
            found["Retry-After"] = str(max(1, math.ceil(self.retry_after)))
        return found

    def body(self, request: HTTPConnection) -> dict[str, Any]:
        """The problem details of this request."""
        body: dict[str, Any] = {
            "type": f"/problems/{self.code}",
            "title": self.kind.title,
            "status": self.status,
            "detail": self.detail,
            "instance": request.scope.get("path", ""),
            "request_id": request_id_of(request),
        }
        if self.errors:
            body["errors"] = [{"pointer": one.pointer, "detail": one.detail} for one in self.errors]
        return body | dict(self.more)

    def response(self, request: HTTPConnection) -> Response:
        """As ``application/problem+json``."""
        return JSONResponse(self.body(request), self.status, headers=self.headers(), media_type=MEDIA_TYPE)


Pages = Callable[["Request", Problem], Response]
"""How a problem is shown to people."""


def shown(request: Request, problem: Problem, pages: Pages | None) -> Response:
    """The problem as a page for a browser that shows one to somebody, else as problem details."""
    if pages is None or "text/html" not in request.headers.get("accept", ""):
        return problem.response(request)
    page = pages(request, problem)
    page.headers.update(problem.headers())
    return page


def declined(refusal: Declined) -> Problem:
    """An operation that did nothing."""
    return Problem(code=_WHY[refusal.why], detail=refusal.reason)


def not_signed_in(refusal: NotSignedIn) -> Problem:
    """A request whose sender is not known, or who has to wait before the next attempt."""
    if refusal.retry_after is not None:
        return Problem(code="too_many_attempts", detail=refusal.reason, retry_after=refusal.retry_after)
    return Problem(code="unauthenticated", detail=refusal.reason)


def unsuccessful(outcome: Outcome[Any]) -> Problem | None:
    """A call that ended without a result; None for one that succeeded, runs, or waits for a person."""
    if not isinstance(outcome, Refused | Failed | Unknown):
        return None
    return Problem(
        code=outcome.error_type.value,
        detail=outcome.message,
        retry_after=outcome.retry_after,
        more={"outcome": outcome.to_model()},
    )
