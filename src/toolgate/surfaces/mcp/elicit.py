"""What a client can do for us besides calling: show its user a question, and who it says it is. By era.

Since 2026-07-28 a question is the answer to the call, and the client asks again with its user's word. Before, it is a
request of ours to the client, while the call waits; that needs a way back, which not every connection has. Not here:
what is asked (``question``).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types import ElicitRequest, ElicitRequestFormParams, ElicitResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from toolgate.surfaces.mcp.question import SCHEMA

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

PATIENCE: Final = 300.0
"""Seconds for which a call of an older client waits for its user's word. Afterwards it is answered as held."""
UNNAMED: Final = "an MCP client that gives no name"

Ask = Callable[[str], Awaitable[Any]]
"""Puts a question before the user and answers with the ``ElicitResult``; None where none came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What sends a message.

    Attributes:
        name: its name and version, as it says: its own claim, for the trail.
        answers_later: it shows questions that it gets in place of a result, and then asks again (2026-07-28).
        ask: asks at once, on the way back of the message; None where there is no such way, or nobody is shown anything.
    """

    name: str = UNNAMED
    answers_later: bool = False
    ask: Ask | None = None


def client_of(ctx: ServerRequestContext[Any, Any]) -> Client:
    """The client that a message came from."""
    modern = ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
    forms = shows_forms(ctx)
    return Client(
        name=_name(ctx),
        answers_later=modern and forms,
        ask=_asking(ctx) if forms and not modern and ctx.session.can_send_request else None,
    )


def shows_forms(ctx: ServerRequestContext[Any, Any]) -> bool:
    """Whether the client declared form elicitation. Without a mode, forms are meant (2025-11-25, elicitation)."""
    declared = ctx.session.client_capabilities
    elicitation = None if declared is None else declared.elicitation
    return elicitation is not None and (elicitation.form is not None or elicitation.url is None)


def _name(ctx: ServerRequestContext[Any, Any]) -> str:
    params = ctx.session.client_params
    return UNNAMED if params is None else f"{params.client_info.name} {params.client_info.version}".strip()


def _asking(ctx: ServerRequestContext[Any, Any]) -> Ask:
    async def ask(message: str) -> Any:
        form = ElicitRequestFormParams(message=message, requested_schema=dict(SCHEMA))
        try:
            result = await ctx.session.send_request(
                ElicitRequest(params=form),
                ElicitResult,
                request_read_timeout_seconds=PATIENCE,
                metadata=ServerMessageMetadata(related_request_id=ctx.request_id),
            )
        except (MCPError, ValidationError):
            # Too late, refused by the client, or no answer that can be read: nobody has said anything.
            return None
        return {"action": result.action, "content": result.content}

    return ask
