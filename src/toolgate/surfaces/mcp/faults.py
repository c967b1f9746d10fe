"""A fault of ours while a message is answered: named in the log, and nothing of it told to anybody else.

The SDK tells an older client the text of whatever a handler raises, and writes it into the log and the span. Such a
text may hold a path or a secret. Not here: what is wrong with a message, which the SDK and the handlers say.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR
from pydantic import ValidationError

from toolgate.surfaces.http.middleware.last_door import place_of

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

_log = logging.getLogger("toolgate")
FAILED: Final = "Internal server error"
"""The words of the SDK for a fault of a modern server."""


def told(fault: Exception, method: str) -> MCPError:
    """What a client is told of ``fault``, which is named in the log."""
    _log.error("answering %s failed: %s", method, place_of(fault))
    return MCPError(INTERNAL_ERROR, FAILED)


async def contained(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware of the SDK's server, next to the handlers.

    Raises:
        MCPError: for an error that was meant, and for a fault.
        ValidationError: for parameters that the SDK does not take.
    """
    try:
        return await call_next(ctx)
    except (MCPError, ValidationError):
        raise
    except Exception as fault:  # noqa: BLE001 - the last door of a message
        answer = told(fault, ctx.method)
    # Out of the handler: nothing of the fault is to be found at what is raised.
    raise answer
