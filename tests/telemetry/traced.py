"""A gateway whose spans and numbers stay in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Tracer

from tests.small_gate import opened
from toolgate import Gateway, Tool
from toolgate.adapters.telemetry.providers import ProvidedTelemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """What a test holds."""

    gateway: Gateway
    tracer: Tracer
    exporter: InMemorySpanExporter
    reader: InMemoryMetricReader

    @property
    def spans(self) -> Sequence[ReadableSpan]:
        """Those that ended, in that order."""
        return self.exporter.get_finished_spans()

    def calls(self) -> list[ReadableSpan]:
        """Those of calls."""
        return [span for span in self.spans if span.name.startswith("execute_tool ")]

    def of(self, name: str) -> list[ReadableSpan]:
        """Those of one name."""
        return [span for span in self.spans if span.name == name]

    def numbers(self) -> dict[str, list[Any]]:
        """The data points of every instrument."""
        told = self.reader.get_metrics_data()
        if told is None:
            return {}
        return {
            metric.name: list(metric.data.data_points)
            for resource in told.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@asynccontextmanager
async def traced(tools: Iterable[Tool[Any, Any]], folder: Path, **settings: Any) -> AsyncIterator[Traced]:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracers, meters = TracerProvider(shutdown_on_exit=False), MeterProvider([reader], shutdown_on_exit=False)
    tracers.add_span_processor(SimpleSpanProcessor(exporter))
    telemetry = ProvidedTelemetry(tracers, meters)
    async with opened(tools, folder, telemetry=telemetry, **settings) as gateway:
        yield Traced(gateway=gateway, tracer=tracers.get_tracer("test"), exporter=exporter, reader=reader)
