"""Who carries notices out, each second: one errand a sink, so that one that hangs holds up no other.

Lives in the service loop beside recovery and pick-up, and never makes them wait. What an errand is lies in
``operations.notify``.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from toolgate.domain.errors import StoreInDoubt, StoreUnavailable
from toolgate.gateway.faults import place_of
from toolgate.operations import notify

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from toolgate.gateway.world import World

_log = logging.getLogger("toolgate")
_PLANNING = ""
"""The errand of nobody's: no sink has this name."""
LEAVING_PATIENCE = 1.0
"""Seconds that attempts on their way get to end when the gateway closes. One that is cut off is made again."""


class Couriers:
    """The errands. Every method runs in the service loop."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._out: dict[str, asyncio.Task[None]] = {}

    async def round(self) -> None:
        """Plan what is new, and send out everybody who is not on the way already."""
        self._send_out(_PLANNING, self._plan())
        await asyncio.wait([self._out[_PLANNING]])
        for sink in self._world.sinks.values():
            self._send_out(sink.name, notify.deliver_due(self._world, sink))

    async def _plan(self) -> None:
        await notify.plan_notices(self._world)
        await notify.end_orphans(self._world)

    def _send_out(self, name: str, errand: Coroutine[Any, Any, Any]) -> None:
        """Begin ``errand`` under ``name``, unless one of this name is out."""
        out = self._out.get(name)
        if out is not None and not out.done():
            errand.close()
        else:
            self._out[name] = asyncio.ensure_future(_quietly(errand))

    async def leave(self) -> None:
        """Let what is on its way end soon, and call the rest back."""
        out = [task for task in self._out.values() if not task.done()]
        if not out:
            return
        _, late = await asyncio.wait(out, timeout=LEAVING_PATIENCE)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)


async def _quietly(errand: Coroutine[Any, Any, Any]) -> None:
    """The next round goes on, whatever became of this one."""
    try:
        await errand
    except (StoreUnavailable, StoreInDoubt) as fault:
        _log.warning("notifications wait for the store: %s", type(fault).__name__)
    except Exception as fault:  # noqa: BLE001 - one bad row must not end notifications for all others
        _log.error("notifications failed and go on in the next round: %s", place_of(fault))
