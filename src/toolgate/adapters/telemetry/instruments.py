"""The metrics of ``domain.metrics`` as instruments of OpenTelemetry.

Counters and gauges are read when the collector asks, so that a call pays nothing for them; a histogram hears of each
value as it comes. Not here: what is counted, and where it goes (``providers``, ``collector``).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.metrics import CallbackOptions, Observation

from toolgate.domain.metrics import METRICS, Distribution, Kind, Metric, Reading, Source

if TYPE_CHECKING:
    from opentelemetry.metrics import Histogram, Meter

FRESH: Final = 0.5
"""Seconds for which readings serve: one collection asks for each instrument by itself."""
_log = logging.getLogger("toolgate")

Read = Callable[[], Sequence[Reading]]


class Instruments:
    """All of them, on one meter of the SDK."""

    def __init__(self, meter: Meter, read: Read, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._read_at: float | None = None
        self._readings: Sequence[Reading] = ()
        self._histograms: dict[str, Histogram] = {}
        for metric in METRICS:
            if metric.source is not Source.SERVER:
                self._make(meter, metric)

    def record(self, metric: Metric, labels: tuple[str, ...], value: float) -> None:
        """One value of a histogram."""
        histogram = self._histograms.get(metric.name)
        if histogram is not None:
            histogram.record(value, attributes_of(metric, labels))

    def _make(self, meter: Meter, metric: Metric) -> None:
        if metric.kind is Kind.HISTOGRAM:
            self._histograms[metric.name] = meter.create_histogram(
                metric.name,
                unit=metric.unit,
                description=metric.help,
                explicit_bucket_boundaries_advisory=metric.buckets,
            )
            return
        make: Any = (
            meter.create_observable_counter if metric.kind is Kind.COUNTER else meter.create_observable_gauge
        )
        make(metric.name, [self._observer(metric)], unit=metric.unit, description=metric.help)

    def _observer(self, metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            return [
                Observation(reading.value, attributes_of(metric, reading.labels))
                for reading in self._now()
                if reading.metric.name == metric.name and not isinstance(reading.value, Distribution)
            ]

        return observe

    def _now(self) -> Sequence[Reading]:
        with self._lock:
            now = self._monotonic()
            if self._read_at is None or now - self._read_at >= FRESH:
                try:
                    self._readings = self._read()
                except Exception as fault:  # noqa: BLE001 - a store that cannot be read must not end the exports
                    _log.warning("the numbers cannot be read now: %s", type(fault).__name__)
                    self._readings = ()
                self._read_at = now
            return self._readings


def attributes_of(metric: Metric, labels: tuple[str, ...]) -> dict[str, str]:
    """The labels under their names in OpenTelemetry."""
    return {label.attribute: value for label, value in zip(metric.labels, labels, strict=True)}
