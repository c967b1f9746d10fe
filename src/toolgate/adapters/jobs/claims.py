"""The thread that takes waiting jobs out of their queues, as many as this process has room for.

The claim itself is DBOS's: it holds the limits of a queue over all processes, in one transaction a queue. DBOS's own
queue threads are not used: they are one for each queue, look once a second whatever happens, and know no limit over
all queues of a process. Not here: running what was claimed (``durable``).
"""

from __future__ import annotations

import logging
import random
import secrets
import threading
import time
from typing import TYPE_CHECKING

import sqlalchemy as sa

from toolgate.adapters.jobs.database import APPLICATION, kind, thread_named
from toolgate.adapters.jobs.tables import OPEN_QUEUE, VERSION, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dbos import Queue
    from dbos._sys_db import SystemDatabase

    from toolgate.adapters.jobs.tables import JobTables

_SOON = 0.05
"""Seconds until the next look where another process held the queue."""
_LONGEST_PAUSE = 10.0
_log = logging.getLogger("toolgate.jobs")


class Claims:
    """Claims jobs for ``executor`` and hands them on.

    Args:
        room: how many jobs this process runs at once.
        poll: seconds between two looks where nothing wakes it: a job that another process started waits so long.
        hand_on: gets what was claimed, in this thread; False ends the thread: nobody is there any more.
    """

    def __init__(
        self,
        database: SystemDatabase,
        tables: JobTables,
        *,
        executor: str,
        room: int,
        poll: float,
        hand_on: Callable[[Sequence[Run]], bool],
    ) -> None:
        self._database = database
        self._tables = tables
        self._executor = executor
        self._room = room
        self._poll = poll
        self._hand_on = hand_on
        self._running: set[Run] = set()
        self._held: set[Run] = set()
        self._queues: list[Queue] = []
        self._queues_until = 0.0
        self._lock = threading.Lock()
        self._woken = threading.Event()
        self._ending = False
        self._in_doubt = False
        # For fairness alone: which queue and which tenant is looked at first.
        self._dice = random.Random(secrets.randbits(64))  # noqa: S311
        self._thread = thread_named("claims", self._claim_all)
        self._thread.start()

    def wake(self) -> None:
        """There may be work. From any thread."""
        self._woken.set()

    def look_at_queues(self) -> None:
        """A queue is new, or has other limits than before. From any thread."""
        self._queues_until = 0.0

    def ran(self, run: Run) -> None:
        """A run is over, so there is room; its end is not written yet. From any thread."""
        with self._lock:
            self._running.discard(run)
        self._woken.set()

    def let_go(self, run: Run) -> None:
        """Its end is written: its queue has room too. From any thread."""
        with self._lock:
            self._held.discard(run)
        self._woken.set()

    def close(self) -> None:
        """Claim no more. Blocks until a claim on its way is handed on."""
        self._ending = True
        self._woken.set()
        self._thread.join()

    def _claim_all(self) -> None:
        pause, failed = 0.0, 0.0
        while True:
            self._woken.wait(pause)
            self._woken.clear()
            if self._ending:
                return
            try:
                pause, failed = self._turn(), 0.0
            except Exception as broken:  # noqa: BLE001 - a thread that ended would leave every job waiting
                # The answer to a claim may be what was lost.
                self._in_doubt = True
                if not failed:
                    _log.warning("jobs cannot be claimed now (%s); trying again", kind(broken))
                pause = failed = min(max(failed * 2, self._poll), _LONGEST_PAUSE)

    def _turn(self) -> float:
        """Claim what there is room for; how many seconds until the next look, if nothing wakes us."""
        if self._in_doubt:
            self._put_back()
        if not self._free():
            return self._poll
        with self._database.engine.connect() as connection:
            waiting, due_in = self._tables.outlook(connection)
        if due_in == 0.0:
            self._database.transition_delayed_workflows()
            return 0.0
        pause = self._poll if due_in is None else min(due_in, self._poll)
        return min(pause, self._claim()) if waiting else pause

    def _put_back(self) -> None:
        with self._lock:
            held = tuple(self._held)
        with self._database.engine.begin() as connection:
            self._tables.put_back(connection, self._executor, held)
        self._in_doubt = False

    def _claim(self) -> float:
        """Every queue with work in it, in no order, until the room is used; how soon to look again."""
        again = self._poll
        for queue, tenant in self._places():
            if not self._free() or self._ending:
                return again
            try:
                self._claim_from(queue, tenant)
            except sa.exc.DBAPIError as broken:
                if not self._another_was_at_it(broken):
                    raise
                again = _SOON
        return again

    def _places(self) -> Iterator[tuple[Queue, str | None]]:
        for queue in self._known_queues():
            if queue.name == OPEN_QUEUE:
                yield queue, None
                continue
            tenants = self._database.get_queue_partitions(queue.name)
            self._dice.shuffle(tenants)
            for tenant in tenants:
                yield queue, tenant

    def _known_queues(self) -> list[Queue]:
        now = time.monotonic()
        if now >= self._queues_until:
            # Before they are read: what is declared meanwhile is read again.
            self._queues_until = now + self._poll
            self._queues = self._database.list_queues(application_name=APPLICATION)
        self._dice.shuffle(self._queues)
        return self._queues

    def _claim_from(self, queue: Queue, tenant: str | None) -> None:
        queue._worker_concurrency = self._free()  # noqa: SLF001 - the room of the process, not of the queue
        owner = secrets.token_hex(16)
        claimed, _ = self._database.start_queued_workflows(
            queue, self._executor, VERSION, tenant, owner_xid=owner, is_latest_version=False
        )
        runs = [Run(job_id, owner) for job_id in claimed]
        with self._lock:
            self._held.update(runs)
            self._running.update(runs)
        if runs and not self._hand_on(runs):
            self._ending = True
            self._woken.set()

    def _another_was_at_it(self, broken: sa.exc.DBAPIError) -> bool:
        return self._database.is_lock_conflict(broken) or self._database.is_serialization_conflict(broken)

    def _free(self) -> int:
        with self._lock:
            return max(self._room - len(self._running), 0)
