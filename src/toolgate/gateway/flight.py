"""One call on its way: what the deadline, the watchdog and late evidence have to know of it.

The only mutable object of the pipeline. ``give_up`` and ``begin_dispatch`` exclude each other under one
lock, because a blocked loop's calls are given up from another thread: a call that was given up before it
was dispatched is never dispatched, and one that was given up before its intent writes none.
"""

from __future__ import annotations

import logging
import threading
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from toolgate.domain.progress import said

if TYPE_CHECKING:
    import asyncio
    import contextvars
    from collections.abc import Callable

    from toolgate.domain.call import ReceivedCall, SealedCall
    from toolgate.domain.outcome import Outcome
    from toolgate.domain.progress import Progress
    from toolgate.domain.rows import ApprovalRow, CallRow
    from toolgate.gateway.asking import Asking
    from toolgate.gateway.finish.judge_end import Judgement
    from toolgate.gateway.job_run import JobRun
    from toolgate.ports import CallSpan

_LOCK = threading.Lock()
_log = logging.getLogger("toolgate")


class Phase(IntEnum):
    """How far a call has come. Only ever rises."""

    PREPARING = 0
    INTENDING = 1
    DISPATCHED = 2
    SETTLING = 3
    OVER = 4


class Flight:
    """State of one call between its request and its answer.

    Attributes:
        deadline: monotonic seconds; covers predicates, retries and waits between them.
        row: the call's row, once there is an intent.
        dispatched: the tool was, or is about to be, entered.
        in_doubt: some attempt may have changed the world.
        called_off: nobody waits for it any more, and it was given up for that.
        job: what a run of a job knows besides; None for every other call, and for the one that asks for a job.
        asking: what its tool asks of whoever calls; None where it declares no such thing.
        listener: who hears how far the run has come; None once somebody listening failed.
        judged: how its run ended, from when that is known: whatever then cuts the call off, this is what is recorded.
        prepared: what a read will answer once its record is committed.
        rescued: the watchdog has seen to it, because its loop is blocked.
        span: how a trace shows it, where somebody traces.
    """

    __slots__ = (
        "answered",
        "approval",
        "asking",
        "attempts",
        "called_off",
        "context",
        "deadline",
        "dispatched",
        "gave_up",
        "in_doubt",
        "job",
        "judged",
        "lane",
        "listener",
        "on_answer",
        "phase",
        "prepared",
        "reasons",
        "received",
        "releases",
        "rescued",
        "row",
        "scope",
        "sealed",
        "span",
        "started",
        "task",
        "timer",
    )

    def __init__(
        self,
        received: ReceivedCall,
        on_answer: Callable[[Outcome[Any]], object],
        *,
        started: float,
        deadline: float,
        context: contextvars.Context | None = None,
        approval: ApprovalRow | None = None,
        listener: Progress | None = None,
        asking: Asking | None = None,
        job: JobRun | None = None,
    ) -> None:
        self.received = received
        self.on_answer = on_answer
        self.context = context
        self.approval = approval
        self.phase = Phase.PREPARING
        self.gave_up = False
        self.called_off = False
        self.answered = False
        self.listener = listener
        self.asking = asking
        self.job = job
        self.started = started
        self.deadline = deadline
        self.lane: Any = None
        self.attempts = 0
        self.dispatched = False
        self.in_doubt = False
        self.rescued = False
        self.judged: Judgement | None = None
        self.prepared: Outcome[Any] | None = None
        self.sealed: SealedCall | None = None
        self.row: CallRow | None = None
        self.scope: Any = None
        self.releases: list[Callable[[], None]] = []
        self.reasons: tuple[str, ...] = ()
        self.task: asyncio.Task[None] | None = None
        self.timer: Any = None
        self.span: CallSpan | None = None

    @property
    def resuming(self) -> bool:
        """Whether this run follows an approval or a queue, and not a request."""
        return self.approval is not None or self.job is not None

    def begin_intending(self, row: CallRow | None) -> bool:
        """The intent is about to be written, unless the call was given up: then nothing may follow."""
        with _LOCK:
            if self.gave_up:
                return False
            self.row = row
            self.phase = Phase.INTENDING
            return True

    def begin_dispatch(self) -> bool:
        """Take the step that cannot be taken back, unless the call was given up."""
        with _LOCK:
            if self.gave_up:
                return False
            self.dispatched = True
            self.phase = Phase.DISPATCHED
            return True

    def begin_attempt(self) -> bool:
        """The tool's function is about to be entered, unless the call was given up.

        It may have been answered then that nothing happened, and ``deps`` that swallow a cancellation, or a wait
        that was over in the same turn of the loop, would make that untrue.
        """
        with _LOCK:
            if self.gave_up:
                return False
            self.in_doubt = True
            return True

    def give_up(self) -> Phase | None:
        """Stop waiting for the call. Its phase, or None if it is being settled or was given up already."""
        with _LOCK:
            if self.gave_up or self.phase >= Phase.SETTLING:
                return None
            self.gave_up = True
            return self.phase

    def call_off(self) -> Phase | None:
        """Give the call up because nobody waits for it any more. Its phase, or None if it runs on all the same.

        That is so for an effect that was dispatched, for what is being settled or is over, and for a held call, whose
        run people asked for.
        """
        with _LOCK:
            effects = self.sealed is not None and self.sealed.contract.has_effects
            bound = self.phase >= Phase.SETTLING or (self.phase is Phase.DISPATCHED and effects)
            if self.gave_up or self.resuming or bound:
                return None
            self.gave_up = self.called_off = True
            return self.phase

    def report(self, done: float, total: float | None = None, note: str | None = None) -> None:
        """Tell whoever listens how far the run has come, while somebody waits for its end. From any thread."""
        listener = self.listener
        if listener is None or self.answered or self.gave_up:
            return
        told = said(done, total, note)
        if told is None:
            return
        try:
            listener(*told)
        except BaseException as failed:  # noqa: BLE001 - the listener's; nothing of it may end a tool's run
            self.listener = None
            _log.warning("whoever listened to %s failed: %s", self.received.call_id, type(failed).__name__)

    def begin_settling(self) -> bool:
        """The tool ended in time: the deadline has no more say. False if the call was given up meanwhile."""
        with _LOCK:
            if self.gave_up:
                return False
            self.phase = Phase.SETTLING
            return True

    def step(self, name: str | None) -> None:
        """What a trace shows of the time since the step before; None: nothing of its own."""
        if self.span is not None:
            self.span.step(name)

    def answer(self, outcome: Outcome[Any], before: Callable[[], object]) -> None:
        """Tell whoever waits, once. ``before`` is called first, if it is told: what is counted is never behind."""
        with _LOCK:
            if self.answered:
                return
            self.answered = True
        before()
        self.on_answer(outcome)

    def release(self) -> None:
        """Give back slots. What still runs keeps its slot, so this comes when the call's task ends."""
        while self.releases:
            self.releases.pop()()
