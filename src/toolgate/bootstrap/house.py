"""Housekeeping of an open gateway, each second: recovery, expiry, pick-up of calls, leases, notices, retention.

What a round does is in ``operations``; here is only when, and in which loop.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TYPE_CHECKING

from toolgate.bootstrap.couriers import Couriers
from toolgate.domain.errors import StoreInDoubt, StoreUnavailable
from toolgate.gateway.faults import place_of
from toolgate.operations import dispatch_approved as approved
from toolgate.operations import grants, recover, recover_jobs, retention

if TYPE_CHECKING:
    from toolgate.adapters.loops import Lanes
    from toolgate.gateway.world import World

_log = logging.getLogger("toolgate")
JOBS_EVERY = 5.0
"""Seconds between two looks for jobs that no engine brings; what a gateway queues it hands over at once. Of many
jobs a look takes long, and the next one comes ``LOOKS_SELDOM`` times as long after it."""
LOOKS_SELDOM = 10.0
RECONCILE_PATIENCE = 5.0
"""Seconds that a round waits for the contracts' own ``reconcile`` before it goes on without."""
HEARS_EVERY = 0.2
"""Seconds between two looks at what other processes decided, however much they commit."""
LOOK_AT_TURN = 60.0
"""Seconds between two looks whether retention is due and nobody else's."""


class House:
    """The rounds, one at a time, from a thread of its own or on demand."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._leaving = threading.Event()
        self._woken = threading.Event()
        self._asked = False
        self._one_at_a_time = threading.Lock()
        self._thread: threading.Thread | None = None
        self._reconciling: Future[int] | None = None
        self._couriers = Couriers(world)
        self._notifying: Future[None] | None = None
        self._removing: Future[None] | None = None
        self._look_at_turn = 0.0
        self._lanes: Lanes | None = None
        self._jobs_at = float("-inf")
        self._bringing: Future[None] | None = None

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
        for going in (self._removing, self._bringing):
            if going is not None:
                wait([going])
        self._removing = self._bringing = None
        if self._notifying is not None and self._lanes is not None:
            wait([self._notifying])
            self._lanes.service.start(self._couriers.leave()).result()
            self._notifying = None

    def wake(self) -> None:
        """Do not wait for the next round."""
        self._asked = True
        self._woken.set()

    def hear(self) -> None:
        """Another process committed something: it may be an approval to pick up here, or a job to end."""
        self._woken.set()

    def _run(self, lanes: Lanes, every: float) -> None:
        while not self._leaving.is_set():
            self._safely(lambda: self.round(lanes, patient=True))
            self._between(lanes, every)

    def _safely(self, work: Callable[[], object]) -> None:
        try:
            work()
        except (StoreUnavailable, StoreInDoubt) as fault:
            _log.warning("housekeeping waits for the store: %s", type(fault).__name__)
        except Exception as fault:  # noqa: BLE001 - one bad row must not end recovery for all others
            _log.error("housekeeping failed and goes on in the next round: %s", place_of(fault))

    def _between(self, lanes: Lanes, every: float) -> None:
        """Until the next round. What others commit meanwhile is looked at, but not each time on a busy ledger."""
        until = time.monotonic() + every
        while (left := until - time.monotonic()) > 0 and self._woken.wait(left):
            self._woken.clear()
            if self._asked or self._leaving.is_set():
                break
            self._safely(lambda: self._pick_up(lanes))
            self._leaving.wait(HEARS_EVERY)
        self._asked = False

    def _pick_up(self, lanes: Lanes) -> None:
        with self._one_at_a_time:
            lanes.service.start(self._what_others_decided(lanes)).result()

    async def _what_others_decided(self, lanes: Lanes) -> None:
        await recover_jobs.keep_running(self._world)
        await approved.dispatch_approved(self._world, lanes.submit)

    def round(self, lanes: Lanes, *, patient: bool = False) -> None:
        """One round. ``patient``: a contract that could not tell is asked again only after a while."""
        with self._one_at_a_time:
            self._round(lanes, patient=patient)
            self._world.house_kept_at = self._world.clock.monotonic()

    def _round(self, lanes: Lanes, *, patient: bool) -> None:
        lanes.service.start(self._in_service_loop(lanes)).result()
        self._bring_jobs(lanes, patient=patient)
        self._remove(lanes, patient=patient)
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

    def _remove(self, lanes: Lanes, *, patient: bool) -> None:
        """Begin a round of retention, if it is this process's turn. Nobody waits for it, and leaving ends it soon."""
        now = self._world.clock.monotonic()
        going = self._removing is not None and not self._removing.done()
        if going or (patient and now < self._look_at_turn):
            return
        if self._removing is not None and (fault := self._removing.exception()) is not None:
            _log.warning("retention stopped and goes on later: %s", type(fault).__name__)
        self._look_at_turn = now + LOOK_AT_TURN
        work = retention.take_turn(self._world.store, self._world.retention, stop=self._leaving.is_set)
        self._removing = lanes.service.start(work)
        if not patient:
            self._removing.result()

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
        await recover_jobs.keep_running(world)
        await recover.lapse_intents(world)
        await approved.end_refused(world)
        await approved.expire_approvals(world)
        await grants.expire_grants(world)
        await approved.dispatch_approved(world, lanes.submit)

    def _bring_jobs(self, lanes: Lanes, *, patient: bool) -> None:
        """Begin to look for what the engine does not know, and what died elsewhere: each few seconds.

        Nobody waits for it: where a hundred thousand jobs stand in their queues, leases are renewed all the same.
        """
        if self._world.jobs is None or (patient and self._world.clock.monotonic() < self._jobs_at):
            return
        if self._bringing is not None:
            if patient and not self._bringing.done():
                return
            self._safely(self._bringing.result)
        self._bringing = lanes.service.start(self._jobs())
        if not patient:
            self._bringing.result()

    async def _jobs(self) -> None:
        engine, clock = self._world.jobs, self._world.clock
        if engine is None:
            return
        began = clock.monotonic()
        self._jobs_at = began + JOBS_EVERY
        await engine.take_over()
        await recover_jobs.start_waiting(self._world, stop=self._leaving.is_set)
        await recover_jobs.forget_ended(self._world)
        now = clock.monotonic()
        self._jobs_at = now + max(JOBS_EVERY, (now - began) * LOOKS_SELDOM)
