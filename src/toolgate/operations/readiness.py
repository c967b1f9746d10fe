"""Whether this gate could run a call now: its trail can be written, and its keys open what they sealed.

Not here: how often somebody may ask (``surfaces.http.health``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.domain.commands import Append
from toolgate.domain.errors import GateFault, OperatorFault, StoreInDoubt, StoreUnavailable
from toolgate.domain.rows import Event
from toolgate.domain.trail import plain_record

if TYPE_CHECKING:
    from toolgate.gateway.world import World

_SEALED = b"readiness"


async def why_not_ready(world: World, *, probe: bool) -> str | None:
    """Why nothing could run now, in words that name nothing internal; None if all is well.

    With ``probe`` a record is written to find out; without one, only a trail that has failed before is tried.
    """
    if not _keys_work(world):
        return "the keys do not open what they sealed"
    now = world.clock.now()
    if not await world.trail.writable(world.store, now):
        return "the store cannot be written"
    if not probe:
        return None
    try:
        await world.store.execute(
            Append((Event(None, now, plain_record("trail_probed", at=now, fields={})),))
        )
    except (StoreUnavailable, StoreInDoubt):
        # As after any write that failed: nothing runs until one commits.
        world.trail.failed()
        return "the store cannot be written"
    return None


def _keys_work(world: World) -> bool:
    try:
        sealed = world.keys.encrypt(_SEALED, tenant="", call_id="", kind="readiness")
        return world.keys.decrypt(sealed, tenant="", call_id="", kind="readiness") == _SEALED
    except (GateFault, OperatorFault):
        return False
