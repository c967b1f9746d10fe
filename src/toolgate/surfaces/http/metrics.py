"""The numbers of one server in Prometheus' text form: those of the gate, and what the server itself answered.

Not here: what there is to count (``domain.metrics``), and who may read it (``health``).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from toolgate.domain.metrics import METRICS, REQUESTS, STORE_ERRORS, STREAMS, Distribution, Kind, Reading
from toolgate.operations.observe import observe

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from prometheus_client.core import Metric as Family

    from toolgate.domain.metrics import Metric
    from toolgate.surfaces.http.gate import Gate

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The counts of one server. Inside the server's loop."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, ...]] = Counter()
        self._store_errors = 0

    def request(self, method: str, route: str, status: int) -> None:
        """A request was answered. ``route`` is a template, not a path."""
        self._requests[method if method in _METHODS else "other", route, str(status)] += 1

    def store_failed(self) -> None:
        """The store could not be read or written."""
        self._store_errors += 1

    async def text(self, gate: Gate, *, streams: int) -> bytes:
        """The numbers of now.

        Raises:
            StoreUnavailable: if the ledger cannot be read.
        """
        readings = [
            *await gate.operate(observe),
            *(Reading(REQUESTS, labels, count) for labels, count in self._requests.items()),
            Reading(STORE_ERRORS, (), self._store_errors),
            Reading(STREAMS, (), streams),
        ]
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Told(readings))
        return generate_latest(registry)


class _Told(Collector):
    """What was read, as families in the order of the definitions. What was never counted is not there, or 0."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self._of: dict[str, list[Reading]] = {}
        for reading in readings:
            self._of.setdefault(reading.metric.name, []).append(reading)

    def collect(self) -> Iterable[Family]:
        """Every metric that there is."""
        for metric in METRICS:
            found = self._of.get(metric.name)
            if not found and not metric.labels and metric.kind is Kind.COUNTER:
                # A counter that appears with its first count hides that count from rate().
                found = [Reading(metric, (), 0)]
            yield _family(metric, found or ())


def _family(metric: Metric, readings: Sequence[Reading]) -> Family:
    labels = [label.name for label in metric.labels]
    if metric.kind is Kind.HISTOGRAM:
        histogram = HistogramMetricFamily(metric.prometheus, metric.help, labels=labels)
        for reading in readings:
            assert isinstance(reading.value, Distribution)
            histogram.add_metric(reading.labels, _cumulated(metric, reading.value), reading.value.sum)
        return histogram
    make = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family = make(metric.prometheus, metric.help, labels=labels)
    for reading in readings:
        assert not isinstance(reading.value, Distribution)
        family.add_metric(reading.labels, reading.value)
    return family


def _cumulated(metric: Metric, seen: Distribution) -> list[tuple[str, float]]:
    """Each bucket with all that lies below it, as Prometheus has them."""
    bounds = [*(_bound(value) for value in metric.buckets), "+Inf"]
    total, buckets = 0, []
    for bound, count in zip(bounds, seen.counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets


def _bound(value: float) -> str:
    return repr(float(value))
