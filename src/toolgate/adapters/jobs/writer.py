"""The one thread that writes: what waits is one transaction, so that many jobs share one wait for the disk.

Not here: the statements (``tables``).
"""

from __future__ import annotations

import logging
import queue
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from toolgate.adapters.jobs.database import connection_was_lost, kind, thread_named
from toolgate.domain.errors import GateFault, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import sqlalchemy as sa

    from toolgate.adapters.jobs.tables import Entry, JobTables, Run, Step

_GROUP = 256
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
_log = logging.getLogger("toolgate.jobs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A job for its queue. ``answer`` says when it is there."""

    entry: Entry
    answer: Future[None] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A step that ended."""

    run: Run
    step: Step
    answer: Future[None] = field(default_factory=Future)


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """A run that ended; ``again`` seconds until the next one, None for the last. Owed: it is tried until it is written.

    ``written`` is called from the writer's thread.
    """

    run: Run
    again: float | None
    written: Callable[[Run], object]


Write = Start | Record | End


class Writer:
    """Writes in the order of ``post``, many at a time.

    Args:
        patience: seconds that a lost connection is waited for before whoever waits is told; at close, before what
            is owed is left to others.
    """

    def __init__(self, engine: sa.Engine, tables: JobTables, *, patience: float) -> None:
        self._engine = engine
        self._tables = tables
        self._patience = patience
        self._waiting: queue.SimpleQueue[Write | None] = queue.SimpleQueue()
        self._owed: list[End] = []
        self._closing = False
        self._thread = thread_named("writer", self._write_all)
        self._thread.start()

    def post(self, write: Write) -> None:
        """From any thread."""
        self._waiting.put(write)

    def close(self) -> None:
        """Write what waits, then end. Blocks."""
        self._closing = True
        self._waiting.put(None)
        self._thread.join()

    def _write_all(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            group, last = self._take(timeout=pause if self._owed else None)
            group = [*self._owed, *group]
            self._owed = []
            self._write(group)
            if last:
                self._refuse_rest()
                return
            pause = min(pause * 2, _LONGEST_PAUSE) if self._owed else _FIRST_PAUSE

    def _take(self, timeout: float | None) -> tuple[list[Write], bool]:
        taken: list[Write] = []
        try:
            item = self._waiting.get(timeout=timeout)
            while item is not None:
                taken.append(item)
                if len(taken) == _GROUP:
                    return taken, False
                item = self._waiting.get_nowait()
        except queue.Empty:
            return taken, False
        return taken, True

    def _refuse_rest(self) -> None:
        while not self._waiting.empty():
            write = self._waiting.get()
            if isinstance(write, Start | Record):
                write.answer.set_exception(StoreUnavailable("the job engine is closed"))

    def _write(self, group: Sequence[Write]) -> None:
        """All of it, or one by one where one of them spoils the rest."""
        until = time.monotonic() + self._patience
        pause = _FIRST_PAUSE
        while group:
            try:
                faults = self._commit(group)
            except Exception as broken:  # noqa: BLE001 - whatever one of them holds, the others are written
                if not connection_was_lost(broken):
                    self._write_singly(group, broken)
                    return
                if time.monotonic() + pause > until:
                    self._give_up(group, broken)
                    return
                time.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)
            else:
                self._answer(group, faults)
                return

    def _write_singly(self, group: Sequence[Write], broken: Exception) -> None:
        if len(group) > 1:
            for write in group:
                self._write([write])
            return
        _log.error("the job engine could not write (%s)", kind(broken))
        if isinstance(group[0], End):
            # The claims let it go, and put it back when they look for what is nobody's.
            group[0].written(group[0].run)
        else:
            group[0].answer.set_exception(StoreUnavailable("the job engine could not write this"))

    def _commit(self, group: Sequence[Write]) -> list[GateFault | None]:
        tables = self._tables
        starts = [write for write in group if isinstance(write, Start)]
        ended = [write.run for write in group if isinstance(write, End) and write.again is None]
        faults: dict[int, GateFault | None] = {}
        with self._engine.begin() as connection:
            if starts:
                answers = tables.start(connection, [write.entry for write in starts])
                faults |= dict(zip(map(id, starts), answers, strict=True))
            if ended:
                tables.end(connection, ended)
            for write in group:
                if isinstance(write, Record):
                    faults[id(write)] = tables.record(connection, write.run, write.step)
                elif isinstance(write, End) and write.again is not None:
                    tables.put_off(connection, write.run, seconds=write.again)
        return [faults.get(id(write)) for write in group]

    def _answer(self, group: Sequence[Write], faults: Sequence[GateFault | None]) -> None:
        for write, fault in zip(group, faults, strict=True):
            if isinstance(write, End):
                write.written(write.run)
            elif fault is None:
                write.answer.set_result(None)
            else:
                write.answer.set_exception(fault)

    def _give_up(self, group: Sequence[Write], broken: Exception) -> None:
        """Tell whoever waits; keep what is owed for when the database is back."""
        for write in group:
            if isinstance(write, End):
                if not self._closing:
                    self._owed.append(write)
            else:
                write.answer.set_exception(
                    StoreUnavailable(f"the job engine's database cannot be reached ({kind(broken)})")
                )
