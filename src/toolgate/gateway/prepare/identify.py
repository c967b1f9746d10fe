"""On whose behalf does a held call run now? With the rights that the requester has, not with those they had.

A request's caller comes from its surface and needs no step of its own. Not here: what the rights are good
for; that is the gates'.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from toolgate.domain.caller import Caller
from toolgate.domain.outcome import ErrorType
from toolgate.gateway.scope import contained

if TYPE_CHECKING:
    from toolgate.gateway.flight import Flight
    from toolgate.gateway.world import World

_log = logging.getLogger("toolgate")


@dataclass(frozen=True, slots=True)
class Unidentified:
    """Why the call runs for nobody now. ``permission_denied`` is final; anything else may mend itself."""

    error_type: ErrorType
    reason: str


async def identify(world: World, flight: Flight) -> Unidentified | None:
    """Put the caller's current rights on a held call, where the application has a directory of them."""
    received = flight.received
    if world.callers is None or not flight.resuming:
        return None
    try:
        with contained():
            caller = await world.callers(received.caller.id, received.caller.tenant)
    except Exception as error:  # noqa: BLE001 - whatever the application's directory raises, nothing runs now
        _log.warning("callers= failed for %s: %s", received.call_id, type(error).__name__)
        return Unidentified(
            ErrorType.INTERNAL_ERROR, f"callers= raised {type(error).__name__}; errors run nothing"
        )
    if caller is None:
        return Unidentified(ErrorType.PERMISSION_DENIED, "the caller may do nothing any more")
    known = isinstance(caller, Caller)
    if not known or (caller.id, caller.tenant) != (received.caller.id, received.caller.tenant):
        _log.warning("callers= answered for %s with somebody else", received.call_id)
        return Unidentified(
            ErrorType.INTERNAL_ERROR, "callers= answered with somebody else than was asked for"
        )
    flight.received = replace(received, caller=caller)
    return None
