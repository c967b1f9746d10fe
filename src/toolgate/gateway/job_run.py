"""What a run of a job knows beside its flight: which attempt it is, how far it says it came, whether it should end.

Not here: the run itself, which is the spine's as any call's, and when it is begun (``operations.run_job``).
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from toolgate.domain.outcome import ErrorType, WorldEffect
from toolgate.gateway.finish.judge_end import Judgement

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolgate.domain.rows import JobRow
    from toolgate.gateway.flight import Flight
    from toolgate.ports import Steps


class Wish(NamedTuple):
    """Somebody wants the job to end."""

    by: str
    reason: str


class JobRun:
    """One run of a job by this process.

    Attributes:
        row: the job as it was begun, or as it was found where it is not begun yet.
        attempt: which run of it this is, from when it was begun; the ledger counts them.
        steps: the engine's, which keep what each step came to.
        wish: somebody wants it to end.
        lost: the ledger says that it is another's by now: nothing of it may begin any more.
        told: the latest word on its progress that is not written yet.
        recorded: what the steps of this run came to, sealed: another attempt of the same run finds them here.
    """

    __slots__ = ("_lock", "_on_progress", "attempt", "lost", "recorded", "row", "steps", "told", "wish")

    def __init__(self, row: JobRow, steps: Steps, on_progress: Callable[[], object]) -> None:
        self.row = row
        self.steps = steps
        self.attempt = 0
        self.wish: Wish | None = None
        self.lost = False
        self.told: tuple[float, float | None, str | None] | None = None
        self.recorded: dict[str, bytes] = {}
        self._on_progress = on_progress
        self._lock = threading.Lock()

    @property
    def stopped(self) -> bool:
        """Whether nothing more of it should begin."""
        return self.lost or self.wish is not None

    def report(self, done: float, total: float | None, note: str | None) -> None:
        """Keep the latest word; whoever writes it is woken, once until it was taken. From any thread."""
        with self._lock:
            waits, self.told = self.told is not None, (done, total, note)
        if not waits:
            self._on_progress()

    def take(self) -> tuple[float, float | None, str | None] | None:
        """The latest word, once."""
        with self._lock:
            told, self.told = self.told, None
        return told


def cancelled(flight: Flight) -> Judgement:
    """How a run ends that was asked to and gives no word of its own: only one that began something leaves doubt."""
    assert flight.job is not None
    wish = flight.job.wish
    why = "it is another worker's by now" if wish is None else f"cancelled by {wish.by}: {wish.reason}"
    writes = flight.sealed is not None and flight.sealed.contract.has_effects
    if writes and flight.in_doubt:
        message = "It was cancelled while it ran. It may or may not have happened. Do not repeat it."
        return Judgement(
            effect=WorldEffect.UNKNOWN,
            error_type=ErrorType.OUTCOME_UNKNOWN,
            message=message,
            reasons=(why,),
        )
    return Judgement(effect=WorldEffect.NONE, error_type=ErrorType.CANCELLED, reasons=(why,))


def ended_by_wish(flight: Flight, judged: Judgement) -> Judgement:
    """A run that says it did nothing, after somebody wanted it to end, was cancelled."""
    job = flight.job
    if job is None or job.wish is None or judged.error_type is None or judged.effect is not WorldEffect.NONE:
        return judged
    why = f"cancelled by {job.wish.by}: {job.wish.reason}"
    return Judgement(effect=WorldEffect.NONE, error_type=ErrorType.CANCELLED, reasons=(why, *judged.reasons))
