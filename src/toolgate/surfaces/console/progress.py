"""A job as the pages draw it: one bar, its words, and the time it has left. Nothing is decided here, and no HTML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from toolgate.surfaces.console import paths
from toolgate.surfaces.console.spelling import instant, span

if TYPE_CHECKING:
    from toolgate.operations.jobs import JobView

_WAITING: Final = {
    "queued": "waits for a worker",
    "pending_approval": "waits for a person",
}


@dataclass(frozen=True, slots=True)
class Bar:
    """One job at the moment ``now`` (µs)."""

    view: JobView
    now: int

    @property
    def path(self) -> str:
        """Its page."""
        return paths.job_path(self.view.row.job_id)

    @property
    def moves(self) -> bool:
        """Whether it runs: only then does a bar say something."""
        return self.view.state == "running"

    @property
    def measured(self) -> bool:
        """Whether the tool has said how much there is in all."""
        row = self.view.row
        return row.done is not None and row.total is not None and row.total > 0

    @property
    def words(self) -> str:
        """How far it has come: ``3 of 8``, or what it waits for."""
        row = self.view.row
        if self.view.state == "queued" and row.not_before > self.now:
            return f"begins at {instant(row.not_before)} UTC at the earliest"
        if self.view.state in _WAITING:
            again = f", for run {row.attempts + 1}: its worker was lost" if row.attempts else ""
            return f"{_WAITING[self.view.state]}{again}"
        if self.view.state == "succeeded":
            return ""
        if row.done is None:
            return "" if self.view.ended else "has not said how far it is"
        return (
            f"{_number(row.done)} of {_number(row.total)}" if self.measured else f"{_number(row.done)} so far"
        )

    @property
    def left(self) -> str:
        """The time until its deadline; empty where none counts."""
        row = self.view.row
        if self.view.ended or row.started_at is None:
            return ""
        return span(row.started_at + row.timeout_us - self.now)

    @property
    def took(self) -> str:
        """How long it took from its first start on; empty where it never began, or has not ended."""
        row = self.view.row
        if not self.view.ended or row.started_at is None:
            return ""
        return span(self.view.call.updated_at - row.started_at)

    @property
    def allowed(self) -> str:
        """How long it may run, from its first start on."""
        return span(self.view.row.timeout_us)

    @property
    def stops(self) -> bool:
        """Whether it was asked to end and has not yet."""
        return self.view.row.cancel_at is not None and not self.view.ended


def _number(value: float | None) -> str:
    """As a person writes it: no ``.0``."""
    return f"{value or 0:,.12g}"
