"""Who sends a message, and what of it the SDK must not touch: noted where it arrives, read where it is handled.

Over HTTP it travels on the request's scope, over stdio beside the message; never in the message itself, where a model
could write it. Not here: how somebody is known (``http``, ``stdio``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import HTTPConnection

from toolgate.surfaces.mcp.wire import NOT_SENT

if TYPE_CHECKING:
    from toolgate.domain.principal import Principal

MARK: Final = "toolgate.mcp"
"""The key of the scope."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One message of somebody whose credential was checked.

    Attributes:
        by: who sends it.
        surface: what the trail calls the way that it came.
        request_id: the transport's id, for tracing; None where it has none.
        trace: the transport's trace context, for a message that says none in ``_meta``.
        workflows: what the header says about the piece of work, each time that it stands there.
        workflow: the piece of work of a call that names none, where whoever started this server named one.
        arguments: those of a call as they came: plain values, or bytes where they are no strict JSON.
    """

    by: Principal
    surface: str
    request_id: str | None = None
    trace: str | None = None
    workflows: tuple[str, ...] = ()
    workflow: str | None = None
    arguments: Any = NOT_SENT

    @property
    def given(self) -> Any:
        """The arguments; a call without any has none of them filled in."""
        return {} if self.arguments is NOT_SENT else self.arguments


def asked_of(carrier: Any) -> Asked:
    """What was noted beside the message that ``carrier`` (``ServerRequestContext.request``) came with.

    Raises:
        TypeError: for a message that no transport of ours took: nobody knows who sends it.
    """
    asked = carrier.scope.get(MARK) if isinstance(carrier, HTTPConnection) else carrier
    if not isinstance(asked, Asked):
        raise TypeError("nobody has said who sends this message")
    return asked
