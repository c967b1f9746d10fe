"""Is it still the tool that somebody reviewed? One of an upstream that changed since is set aside until it is read.

It stands after the look into the ledger: what was done before the change may still be told. A tool of the code has
no such question; its contract is its definition.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.domain.outcome import ErrorType
from toolgate.domain.verdict import PASS, Deny, Verdict

if TYPE_CHECKING:
    from toolgate.domain.call import SealedCall
    from toolgate.gateway.flight import Flight
    from toolgate.gateway.world import World


async def judge(world: World, flight: Flight, sealed: SealedCall) -> Verdict:  # noqa: ARG001 - one signature
    """Pass or Deny."""
    if world.upstreams is None or (why := world.upstreams.set_aside(sealed.contract.name)) is None:
        return PASS
    return Deny(error_type=ErrorType.TOOL_QUARANTINED, reason=why)
