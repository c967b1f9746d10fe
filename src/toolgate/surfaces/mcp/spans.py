"""The SDK's span around each message, with names in it that are fit to be kept.

The SDK writes into a span what a client calls a method, a tool and a request. A model may put anything there, a secret
too, and as much of it as fits into a message. Not here: whether anybody traces, which the operator decides.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from mcp.server._otel import OpenTelemetryMiddleware

from toolgate.domain.names import label

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

_otel: Final = OpenTelemetryMiddleware()


async def traced(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware of the SDK's server, in place of the SDK's own; the message itself goes on as it came."""

    async def go_on(_: ServerRequestContext[Any, Any]) -> HandlerResult:
        return await call_next(ctx)

    return await _otel(_shown(ctx), go_on)


def _shown(ctx: ServerRequestContext[Any, Any]) -> ServerRequestContext[Any, Any]:
    name = (ctx.params or {}).get("name")
    return replace(
        ctx,
        method=label(ctx.method),
        params={"name": label(name)} if isinstance(name, str) else {},
        request_id=label(ctx.request_id) if isinstance(ctx.request_id, str) else ctx.request_id,
    )
