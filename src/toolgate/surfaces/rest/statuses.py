"""Which HTTP status an answer to a call has. Its rows stand in ``surfaces.http.problems``; here is the rule above them.

A status that clients and proxies repeat by themselves (408, 425, 429 and every 5xx) is only given where the call did
nothing. What did something, or may have, answers 409 whatever its error type: no client repeats that unasked. The JSON
that a model gets is in each answer, whatever the status: it is the body of a good one, and the member ``outcome`` of
the problem details (RFC 9457) of a bad one.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from toolgate.domain.outcome import ErrorType, PendingApproval, Started, Succeeded, WorldEffect
from toolgate.surfaces.http.problems import KINDS

if TYPE_CHECKING:
    from toolgate.domain.outcome import Outcome

SUCCEEDED: Final = HTTPStatus.OK
WAITS: Final = HTTPStatus.ACCEPTED
"""Held for a person, or started as a job: ``Location`` says where to look."""
DID_SOMETHING: Final = HTTPStatus.CONFLICT
"""Unsuccessful, and the world changed or may have."""

REPEATED_UNASKED: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
        *(status for status in HTTPStatus if status >= HTTPStatus.INTERNAL_SERVER_ERROR),
    }
)
"""What HTTP clients, SDKs and proxies may send again without asking anybody."""


def status_of_error(error_type: ErrorType, effect: WorldEffect) -> HTTPStatus:
    """The status of a call that ended without a result and did ``effect`` to the world."""
    return HTTPStatus(KINDS[error_type.value].status) if effect is WorldEffect.NONE else DID_SOMETHING


def status_of(outcome: Outcome[Any]) -> HTTPStatus:
    """The status of the answer that carries ``outcome``."""
    match outcome:
        case Succeeded():
            return SUCCEEDED
        case PendingApproval() | Started():
            return WAITS
        case _:
            return status_of_error(outcome.error_type, outcome.effect)


FAILURE_STATUSES: Final = tuple(
    sorted({status_of_error(error, effect) for error in ErrorType for effect in WorldEffect})
)
"""Every status that the answer to an unsuccessful call may have."""
