"""Housekeeping of an open gateway, each second: recovery, expiry, pick-up of approved calls, leases, notices.

What a round does is in ``operations``; here is only when, and in which loop.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING

from toolgate.bootstrap.couriers import Couriers
from toolgate.domain.errors import StoreInDoubt, StoreUnavailable
from toolgate.gateway.faults import place_of
from toolgate.operations import dispatch_approved as approved
from toolgate.operations import grants, recover

if TYPE_CHECKING:
    from toolgate.adapters.loops import Lanes
    from toolgate.gateway.world import World

_log = logging.getLogger("toolgate")
RECONCILE_PATIENCE = 5.0
"""Seconds that a round waits for the contracts' own ``reconcile`` before it goes on without."""


class House:
    """The rounds, one at a time, from a thread of its own or on demand."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._leaving = threading.Event()
        self._woken = threading.Event()
        self._one_at_a_time = threading.Lock()
        self._thread: threading.Thread | None = None
        self._reconciling: Future[int] | None = None
        self._couriers = Couriers(world)
        self._notifying: Future[None] | None = None
        self._lanes: Lanes | None = None

    def keep(self, lanes: Lanes, *, every: float) -> None:
        """Do a round now and then one each ``every`` seconds, until ``leave``."""
        self._leaving.clear()
        self._thread = threading.Thread(
            target=self._run, args=(lanes, every), name="toolgate-house", daemon=True
        )
        self._thread.start()

    def leave(self) -> None:
        """End the rounds."""
        self._leaving.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._notifying is not None and self._lanes is not None:
            wait([self._notifying])
            self._lanes.service.start(self._couriers.leave()).result()
            self._notifying = None

    def wake(self) -> None:
        """Do not wait for the next round."""
        self._woken.set()

    def _run(self, lanes: Lanes, every: float) -> None:
        while not self._leaving.is_set():
            try:
                self.round(lanes, patient=True)
            except (StoreUnavailable, StoreInDoubt) as fault:
                _log.warning("housekeeping waits for the store: %s", type(fault).__name__)
            except Exception as fault:  # noqa: BLE001 - one bad row must not end recovery for all others
                _log.error("housekeeping failed and goes on in the next round: %s", place_of(fault))
            self._woken.wait(every)
            self._woken.clear()

    def round(self, lanes: Lanes, *, patient: bool = False) -> None:
        """One round. ``patient``: a contract that could not tell is asked again only after a while."""
        with self._one_at_a_time:
            lanes.service.start(self._in_service_loop(lanes)).result()
            planning = self._notify(lanes)
            if not patient:
                # Asked for by somebody who looks at what came of it. What is sent is not waited for.
                planning.result()
            lane = lanes.tool_lane
            if lane is None or self._leaving.is_set():
                return
            if self._reconciling is None or self._reconciling.done():
                self._reconciling = lane.start(recover.reconcile_unknown(self._world, patient=patient))
            # A reconcile that blocks its loop must not end recovery for all others: the next round looks again.
            wait([self._reconciling], timeout=RECONCILE_PATIENCE)
            if self._reconciling.done():
                self._reconciling.result()

    def _notify(self, lanes: Lanes) -> Future[None]:
        """Begin a round of notices, unless the one before it is still planning."""
        if self._notifying is None or self._notifying.done():
            self._lanes = lanes
            self._notifying = lanes.service.start(self._couriers.round())
        return self._notifying

    async def _in_service_loop(self, lanes: Lanes) -> None:
        world = self._world
        if (fault := await recover.write_unsettled(world)) is not None:
            _log.warning("an outcome still waits to be recorded: %s", type(fault).__name__)
        await recover.renew_leases(world)
        await recover.lapse_intents(world)
        await approved.end_refused(world)
        await approved.expire_approvals(world)
        await grants.expire_grants(world)
        await approved.dispatch_approved(world, lanes.submit)
