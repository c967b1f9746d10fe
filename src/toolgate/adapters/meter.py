"""Counts in memory, for whoever asks: one lock, one dictionary, well under a microsecond a count.

Not here: what there is to count (``domain.metrics``), and sending it anywhere (``adapters.telemetry``).
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import TYPE_CHECKING

from toolgate.domain.metrics import COMMIT_SECONDS, GROUP_SIZE, IN_DOUBT, RECONNECTS, Distribution, Reading

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from toolgate.domain.metrics import Metric


class ProcessMeter:
    """What this process counted since it began. From any thread.

    ``forward`` hears of each value of a histogram, outside the lock: what cannot be put together from sums afterwards.
    """

    def __init__(self) -> None:
        self.forward: Callable[[Metric, tuple[str, ...], float], object] | None = None
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, tuple[str, ...]], float] = {}
        self._seen: dict[tuple[str, tuple[str, ...]], list[float]] = {}
        self._metrics: dict[str, Metric] = {}

    def add(self, metric: Metric, labels: tuple[str, ...] = (), by: float = 1.0) -> None:
        """Count ``by`` more."""
        key = (metric.name, labels)
        with self._lock:
            self._counts[key] = self._counts.get(key, 0.0) + by
            self._metrics[metric.name] = metric

    def record(self, metric: Metric, value: float, labels: tuple[str, ...] = ()) -> None:
        """Note one value of a histogram."""
        key = (metric.name, labels)
        with self._lock:
            seen = self._seen.get(key)
            if seen is None:
                # One for each bucket, one above the last, and the sum.
                seen = self._seen[key] = [0.0] * (len(metric.buckets) + 2)
                self._metrics[metric.name] = metric
            seen[bisect_left(metric.buckets, value)] += 1
            seen[-1] += value
        if self.forward is not None:
            self.forward(metric, labels, value)

    def readings(self) -> Sequence[Reading]:
        """Everything that was counted."""
        with self._lock:
            counts = list(self._counts.items())
            seen = [(key, list(values)) for key, values in self._seen.items()]
        told = [Reading(self._metrics[name], labels, value) for (name, labels), value in counts]
        told += [
            Reading(
                self._metrics[name],
                labels,
                Distribution(tuple(int(count) for count in values[:-1]), values[-1]),
            )
            for (name, labels), values in seen
        ]
        return told

    # ------------------------------------------------------- what a store tells (``ports.StoreNotes``)

    def group(self, size: int, seconds: float) -> None:
        """A group of commands was committed."""
        self.record(GROUP_SIZE, size)
        self.record(COMMIT_SECONDS, seconds)

    def reconnected(self) -> None:
        """A lost connection was made again."""
        self.add(RECONNECTS)

    def in_doubt(self) -> None:
        """Nobody can tell whether a commit happened."""
        self.add(IN_DOUBT)
