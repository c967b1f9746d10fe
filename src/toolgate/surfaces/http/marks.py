"""What the middleware notes on a request for whoever comes after it, and the only names under which it is read.

Not here: the notes themselves; each is made by the middleware that its docstring names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.types import Scope

    from toolgate.surfaces.http.middleware.deadline import Deadline

REQUEST_ID: Final = "toolgate.request_id"
DEADLINE: Final = "toolgate.deadline"
CLIENT: Final = "toolgate.client"


def request_id_of(request: HTTPConnection) -> str:
    """The request's id: what its sender said, if it was well-formed, else made here (``RequestId``)."""
    return str(request.scope.get(REQUEST_ID, ""))


def client_of(request: HTTPConnection) -> str:
    """The address of whoever asks; that of a proxy unless the operator trusts it (``ClientAddress``)."""
    return client_of_scope(request.scope)


def client_of_scope(scope: Scope) -> str:
    """As ``client_of``."""
    return str(scope.get(CLIENT, ""))


def may_take(request: HTTPConnection, seconds: float) -> None:
    """Give this request ``seconds`` from now before it is answered with 504: for tools with a longer deadline."""
    deadline: Deadline | None = request.scope.get(DEADLINE)
    if deadline is not None:
        deadline.extend(seconds)
