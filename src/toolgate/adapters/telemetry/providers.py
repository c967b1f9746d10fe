"""Telemetry on providers of OpenTelemetry, whoever made them; it needs its API alone.

Not here: providers of our own (``collector``).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextvars import Context as TaskContext
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from opentelemetry import metrics, trace

from toolgate.adapters.telemetry.instruments import Instruments
from toolgate.adapters.telemetry.spans import TracedCall, TracedRunner, begin

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

    from toolgate.domain.call import ReceivedCall
    from toolgate.domain.metrics import Reading
    from toolgate.ports import Meter, Runner

SCOPE: Final = "toolgate"
_log = logging.getLogger("toolgate")


class ProvidedTelemetry:
    """``ports.Telemetry`` on two providers. None of one leaves that half out."""

    def __init__(self, tracers: TracerProvider | None, meters: MeterProvider | None) -> None:
        self._tracer = None if tracers is None else tracers.get_tracer(SCOPE, version(SCOPE))
        self._meters = meters
        self._meter: Meter | None = None

    def begin(
        self, received: ReceivedCall, context: TaskContext | None, *, resumes: bool
    ) -> TracedCall | None:
        """The span of a call that is about to run."""
        if self._tracer is None:
            return None
        try:
            return begin(self._tracer, received, context, resumes=resumes)
        except Exception as fault:  # noqa: BLE001 - a processor of the application's may raise anything
            _log.warning("a call cannot be traced: %s", type(fault).__name__)
            return None

    def around(self, runner: Runner) -> Runner:
        """``runner``, traced."""
        return runner if self._tracer is None else TracedRunner(runner, self._tracer)

    def open(self, readings: Callable[[], Sequence[Reading]], meter: Meter) -> None:
        """Make the instruments."""
        if self._meters is None:
            return
        instruments = Instruments(self._meters.get_meter(SCOPE, version(SCOPE)), readings)
        meter.forward = instruments.record
        self._meter = meter

    def make_global(self) -> None:
        """Nothing: the application has said where they go."""

    def close(self) -> None:
        """Count no more. The providers are the application's."""
        if self._meter is not None:
            self._meter.forward = None


def of_the_application() -> ProvidedTelemetry:
    """The global providers: whatever the application has set up, or sets up later."""
    return ProvidedTelemetry(trace.get_tracer_provider(), metrics.get_meter_provider())
