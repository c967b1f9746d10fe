"""May this caller do this? Roles grant, ``authorize`` may only take away; default deny.

A predicate that raises denies, and the reason in the trail says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.domain.caller import Denied
from toolgate.domain.outcome import ErrorType
from toolgate.domain.verdict import PASS, Deny, Verdict
from toolgate.gateway.scope import ask, context_of

if TYPE_CHECKING:
    from toolgate.domain.call import SealedCall
    from toolgate.gateway.flight import Flight
    from toolgate.gateway.world import World

MAX_MESSAGE = 2000


async def judge(world: World, flight: Flight, sealed: SealedCall) -> Verdict:
    """Pass or Deny."""
    registered = world.registry[sealed.contract.name]
    if not registered.visible_to(sealed.caller):
        return Deny(error_type=ErrorType.UNKNOWN_TOOL, reason="the caller has none of the contract's roles")
    authorize = sealed.tool.authorize
    if authorize is None:
        return PASS
    try:
        answer = await ask(authorize, await context_of(world, flight, sealed), sealed.args)
    except Exception as error:  # noqa: BLE001 - whatever an author's predicate raises, it denies
        return Deny(
            error_type=ErrorType.PERMISSION_DENIED,
            reason=f"authorize raised {type(error).__name__}; errors deny",
        )
    if answer is True:
        return PASS
    if isinstance(answer, Denied):
        message = None if answer.message is None else registered.said(answer.message, sealed)[:MAX_MESSAGE]
        reason = registered.said(answer.reason, sealed)[:MAX_MESSAGE]
        return Deny(error_type=ErrorType.PERMISSION_DENIED, reason=reason, message=message)
    return Deny(error_type=ErrorType.PERMISSION_DENIED, reason=_said_no(answer))


def _said_no(answer: object) -> str:
    if answer is False:
        return "authorize said no"
    return f"authorize returned {type(answer).__name__}; only True allows"
