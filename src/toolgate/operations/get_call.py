"""What became of a call: for agents that wait, and for people who look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolgate.domain.outcome import ErrorType, Outcome, unsuccessful
from toolgate.domain.rows import ByCall, Found
from toolgate.gateway.finish.recall import recall

if TYPE_CHECKING:
    from toolgate.domain.caller import Caller
    from toolgate.gateway.world import World

MAX_ID = 64


async def get_call(world: World, call_id: str, *, caller: Caller) -> Outcome[Any]:
    """The outcome as it is now. A call of somebody else is answered like one that never was."""
    # What was never an id of ours is not looked for: it may not even be text that a store takes.
    ours = type(call_id) is str and call_id.isascii() and len(call_id) <= MAX_ID
    found = await world.store.find(ByCall(call_id)) if ours else Found()
    if found.call is None or (found.call.tenant, found.call.caller_id) != (caller.tenant, caller.id):
        return unsuccessful(
            ErrorType.UNKNOWN_TOOL,
            call_id=call_id,
            message="There is no such call.",
            reasons=("no call of this caller",),
        )
    return await recall(world, found, replayed=False)
