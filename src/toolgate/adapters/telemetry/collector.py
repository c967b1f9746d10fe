"""Providers of our own, which send to one collector over OTLP/HTTP. This is what needs the ``otel`` extra.

Not here: reading ``[telemetry]`` (``config.telemetry``), and what is sent (``spans``, ``instruments``).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Final

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

from toolgate.adapters.telemetry.providers import SCOPE, ProvidedTelemetry

PATIENCE: Final = 3.0
"""Seconds for one export. A collector that is away holds up the end of the program for as long."""
_MILLI: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Collector:
    """A collector that takes OTLP over HTTP.

    Attributes:
        endpoint: its base URL; ``/v1/traces`` and ``/v1/metrics`` lie beneath it.
        headers: sent with each export; may hold a secret.
        instance: which process this is; unique.
        sample: which share of the traces that begin here is recorded, 0 to 1. Who calls us decides for theirs.
        every: seconds between two exports of numbers.
    """

    endpoint: str
    instance: str
    headers: Mapping[str, str] = field(repr=False, default_factory=dict)
    service_name: str = SCOPE
    sample: float = 1.0
    traces: bool = True
    metrics: bool = True
    every: float = 60.0


class CollectorTelemetry(ProvidedTelemetry):
    """``ports.Telemetry`` that goes to a collector."""

    def __init__(self, to: Collector) -> None:
        resource = Resource.create(
            {
                "service.name": to.service_name,
                "service.version": version(SCOPE),
                "service.instance.id": to.instance,
            }
        )
        self._own_tracers = _tracers(to, resource) if to.traces else None
        self._own_meters = _meters(to, resource) if to.metrics else None
        super().__init__(self._own_tracers, self._own_meters)

    def make_global(self) -> None:
        """Let tools' own spans and instruments go the same way: for a process that is ours, and no application's."""
        if self._own_tracers is not None:
            trace.set_tracer_provider(self._own_tracers)
        if self._own_meters is not None:
            metrics.set_meter_provider(self._own_meters)

    def close(self) -> None:
        """Send what is left, numbers and spans at the same time."""
        sending = threading.Thread(target=self._last_numbers, name="toolgate-last-numbers")
        sending.start()
        if self._own_tracers is not None:
            self._own_tracers.shutdown()
        sending.join()
        super().close()

    def _last_numbers(self) -> None:
        if self._own_meters is not None:
            self._own_meters.shutdown(timeout_millis=PATIENCE * _MILLI)


def _tracers(to: Collector, resource: Resource) -> TracerProvider:
    tracers = TracerProvider(
        resource=resource, sampler=ParentBased(TraceIdRatioBased(to.sample)), shutdown_on_exit=False
    )
    exporter = OTLPSpanExporter(
        endpoint=f"{to.endpoint}/v1/traces", headers=dict(to.headers), timeout=PATIENCE
    )
    tracers.add_span_processor(BatchSpanProcessor(exporter))
    return tracers


def _meters(to: Collector, resource: Resource) -> MeterProvider:
    exporter = OTLPMetricExporter(
        endpoint=f"{to.endpoint}/v1/metrics", headers=dict(to.headers), timeout=PATIENCE
    )
    reader = PeriodicExportingMetricReader(
        exporter, export_interval_millis=to.every * _MILLI, export_timeout_millis=PATIENCE * _MILLI
    )
    return MeterProvider(metric_readers=[reader], resource=resource, shutdown_on_exit=False)
