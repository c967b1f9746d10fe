"""What is counted is defined once, and cheaply counted."""

from __future__ import annotations

import re
import threading

import pytest

from toolgate.adapters.meter import ProcessMeter
from toolgate.domain.metrics import (
    BY_PROMETHEUS,
    CALL_SECONDS,
    CALLS,
    METRICS,
    Distribution,
    Kind,
    Metric,
    Reading,
)

pytestmark = pytest.mark.req("M11.28")


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_a_definition_keeps_to_the_rules_of_both_houses(metric: Metric) -> None:
    assert re.fullmatch(r"(toolgate|gen_ai)(\.[a-z_]+)+", metric.name)
    assert re.fullmatch(r"toolgate(_[a-z]+)+", metric.prometheus)
    assert metric.prometheus.endswith("_total") == (metric.kind is Kind.COUNTER)
    assert metric.prometheus.removesuffix("_total").endswith("_seconds") == (metric.unit == "s")
    assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM)
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert metric.help
    assert not metric.help.endswith(".")
    assert not {label.name for label in metric.labels} & {"tenant", "caller", "user", "le"}


def test_no_name_stands_for_two_things() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS) == len(BY_PROMETHEUS)


def test_a_histogram_puts_each_value_into_its_bucket() -> None:
    meter = ProcessMeter()
    for value in (0.001, 0.005, 0.006, 59.0, 61.0):
        meter.record(CALL_SECONDS, value, ("look",))

    (reading,) = meter.readings()
    assert isinstance(reading.value, Distribution)
    assert reading.value.counts == (2, 1, *([0] * 10), 1, 1)
    assert reading.value.total == 5
    assert reading.value.sum == pytest.approx(120.012)


def test_counts_of_many_threads_are_all_there() -> None:
    meter = ProcessMeter()

    def count() -> None:
        for _ in range(2_000):
            meter.add(CALLS, ("look", "succeeded"))

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert meter.readings() == [Reading(CALLS, ("look", "succeeded"), 16_000.0)]
