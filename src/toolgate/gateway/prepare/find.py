"""Find the contract of a request, for a caller who may see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolgate.domain.call import ReceivedCall
    from toolgate.gateway.world import Registered, World


@dataclass(frozen=True, slots=True)
class NotFound:
    """The true reason; the answer is one and the same, so that nobody can learn which tools exist."""

    reason: str


def find(world: World, received: ReceivedCall) -> Registered | NotFound:
    """The registered tool, or why there is none for this caller."""
    registered = world.registry.get(received.tool)
    if registered is None:
        return NotFound("there is no tool of this name")
    if not registered.contract.enabled:
        return NotFound("the tool is switched off by the operator")
    if not registered.visible_to(received.caller):
        return NotFound(f"the caller has none of the roles {_shown(registered)}")
    return registered


def _shown(registered: Registered) -> str:
    return ", ".join(sorted(registered.contract.roles))
