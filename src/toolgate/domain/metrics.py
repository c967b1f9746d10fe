"""What the gate counts, defined once.

``/metrics``, the OpenTelemetry instruments, the reference page, the dashboard and the alert rules are made from this.
Labels come from closed sets: tools that exist, statuses, error types, configured upstreams, routes. Never a tenant, a
caller or anything that somebody wrote. Not here: counting (``ports.Meter``), and reading what a store knows
(``operations.observe``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

OTHER: Final = "unknown"
"""The label of a tool that does not exist: a caller can make up names."""


class Kind(StrEnum):
    """How a value behaves."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Source(StrEnum):
    """Who knows a value, and so how the values of several processes go together."""

    PROCESS = "process"
    """What this process did or holds: add the processes up."""
    STORE = "store"
    """What stands in the ledger, the same whichever process is asked: take the greatest."""
    SERVER = "server"
    """What this process answered over HTTP; ``/metrics`` alone tells it. Add the processes up."""


class Label(NamedTuple):
    """A dimension: its name in Prometheus, and as an attribute in OpenTelemetry."""

    name: str
    attribute: str


TOOL: Final = Label("tool", "gen_ai.tool.name")
STATUS: Final = Label("status", "toolgate.status")
ERROR: Final = Label("error_type", "error.type")
STATE: Final = Label("state", "toolgate.job.state")
UPSTREAM: Final = Label("upstream", "toolgate.upstream.name")
METHOD: Final = Label("method", "http.request.method")
ROUTE: Final = Label("route", "http.route")
CODE: Final = Label("status", "http.response.status_code")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One thing that is counted.

    Attributes:
        name: in OpenTelemetry; that of its GenAI conventions where one exists.
        prometheus: in Prometheus, with the unit and, for a counter, ``_total``.
        unit: UCUM, as OpenTelemetry writes it.
        help: one sentence, without a full stop.
        buckets: upper bounds of a histogram, ascending; more lies above the last.
    """

    name: str
    prometheus: str
    kind: Kind
    unit: str
    source: Source
    help: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = ()


class Distribution(NamedTuple):
    """What a histogram has seen: how many values fell into each bucket (the last one is open), and their sum."""

    counts: tuple[int, ...]
    sum: float

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.counts)


class Reading(NamedTuple):
    """A metric's value for one set of labels, which stand in the order of the definition."""

    metric: Metric
    labels: tuple[str, ...]
    value: float | Distribution


SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_COMMIT_SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_LONG_SECONDS: Final = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
_SIZES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0)

CALLS: Final = Metric(
    name="toolgate.calls",
    prometheus="toolgate_calls_total",
    kind=Kind.COUNTER,
    unit="{call}",
    source=Source.PROCESS,
    labels=(TOOL, STATUS),
    help="Answers to calls: a held call is counted as pending_approval, and again when it has run",
)
CALL_SECONDS: Final = Metric(
    # GenAI semantic conventions, "Metric: gen_ai.execute_tool.duration".
    name="gen_ai.execute_tool.duration",
    prometheus="toolgate_call_seconds",
    kind=Kind.HISTOGRAM,
    unit="s",
    source=Source.PROCESS,
    labels=(TOOL,),
    buckets=SECONDS,
    help="How long calls that ran took, from the request to the answer",
)
CALLS_RUNNING: Final = Metric(
    name="toolgate.calls.running",
    prometheus="toolgate_calls_running",
    kind=Kind.GAUGE,
    unit="{call}",
    source=Source.PROCESS,
    help="Calls on their way",
)
ERRORS: Final = Metric(
    name="toolgate.errors",
    prometheus="toolgate_errors_total",
    kind=Kind.COUNTER,
    unit="{call}",
    source=Source.PROCESS,
    labels=(ERROR,),
    help="Answers that are no success by their error type: rate_limited, overloaded and circuit_open are the limits",
)
UNWRITTEN: Final = Metric(
    name="toolgate.outcomes.unwritten",
    prometheus="toolgate_outcomes_unwritten",
    kind=Kind.GAUGE,
    unit="{call}",
    source=Source.PROCESS,
    help="Outcomes that are known and could not be recorded yet",
)
APPROVALS: Final = Metric(
    name="toolgate.approvals.open",
    prometheus="toolgate_approvals_open",
    kind=Kind.GAUGE,
    unit="{approval}",
    source=Source.STORE,
    help="Approvals that wait for a person, at most 1000",
)
APPROVAL_AGE: Final = Metric(
    name="toolgate.approvals.oldest.age",
    prometheus="toolgate_approvals_oldest_age_seconds",
    kind=Kind.GAUGE,
    unit="s",
    source=Source.STORE,
    help="How long the oldest open approval has waited",
)
UNKNOWN: Final = Metric(
    name="toolgate.effects.unknown",
    prometheus="toolgate_effects_unknown",
    kind=Kind.GAUGE,
    unit="{call}",
    source=Source.STORE,
    help="Effects in doubt, at most 1000",
)
UNKNOWN_AGE: Final = Metric(
    name="toolgate.effects.oldest.age",
    prometheus="toolgate_effects_oldest_age_seconds",
    kind=Kind.GAUGE,
    unit="s",
    source=Source.STORE,
    help="How long the oldest effect in doubt has been asked for",
)
JOBS: Final = Metric(
    name="toolgate.jobs",
    prometheus="toolgate_jobs",
    kind=Kind.GAUGE,
    unit="{job}",
    source=Source.STORE,
    labels=(STATE,),
    help="Jobs that wait or run, at most 1000 of each",
)
JOB_AGE: Final = Metric(
    name="toolgate.jobs.oldest.age",
    prometheus="toolgate_jobs_oldest_age_seconds",
    kind=Kind.GAUGE,
    unit="s",
    source=Source.STORE,
    help="How long the oldest job that waits could have begun",
)
JOBS_ENDED: Final = Metric(
    name="toolgate.jobs.ended",
    prometheus="toolgate_jobs_ended_total",
    kind=Kind.COUNTER,
    unit="{job}",
    source=Source.PROCESS,
    labels=(TOOL, STATUS),
    help="Jobs that this process ran to their end",
)
JOB_WAIT: Final = Metric(
    name="toolgate.jobs.wait.duration",
    prometheus="toolgate_jobs_wait_seconds",
    kind=Kind.HISTOGRAM,
    unit="s",
    source=Source.PROCESS,
    labels=(TOOL,),
    buckets=_LONG_SECONDS,
    help="How long jobs waited from when they could have begun until they did",
)
GROUP_SIZE: Final = Metric(
    name="toolgate.store.group.size",
    prometheus="toolgate_store_group_size",
    kind=Kind.HISTOGRAM,
    unit="{command}",
    source=Source.PROCESS,
    buckets=_SIZES,
    help="Commands that were committed together",
)
COMMIT_SECONDS: Final = Metric(
    name="toolgate.store.commit.duration",
    prometheus="toolgate_store_commit_seconds",
    kind=Kind.HISTOGRAM,
    unit="s",
    source=Source.PROCESS,
    buckets=_COMMIT_SECONDS,
    help="How long a group took from its begin until it was durable",
)
RECONNECTS: Final = Metric(
    name="toolgate.store.reconnects",
    prometheus="toolgate_store_reconnects_total",
    kind=Kind.COUNTER,
    unit="{connection}",
    source=Source.PROCESS,
    help="Connections to the store that were lost and made again",
)
IN_DOUBT: Final = Metric(
    name="toolgate.store.in_doubt",
    prometheus="toolgate_store_in_doubt_total",
    kind=Kind.COUNTER,
    unit="{commit}",
    source=Source.PROCESS,
    help="Commits whose answer was lost and that could not be looked up",
)
HOUSE_AGE: Final = Metric(
    name="toolgate.housekeeping.age",
    prometheus="toolgate_housekeeping_age_seconds",
    kind=Kind.GAUGE,
    unit="s",
    source=Source.PROCESS,
    help="How long ago a round of housekeeping last came to its end",
)
UPSTREAM_UP: Final = Metric(
    name="toolgate.upstream.up",
    prometheus="toolgate_upstream_up",
    kind=Kind.GAUGE,
    unit="1",
    source=Source.PROCESS,
    labels=(UPSTREAM,),
    help="Whether an upstream can be called: 1 or 0",
)
REQUESTS: Final = Metric(
    name="toolgate.http.requests",
    prometheus="toolgate_http_requests_total",
    kind=Kind.COUNTER,
    unit="{request}",
    source=Source.SERVER,
    labels=(METHOD, ROUTE, CODE),
    help="HTTP requests",
)
STREAMS: Final = Metric(
    name="toolgate.http.streams",
    prometheus="toolgate_streams_open",
    kind=Kind.GAUGE,
    unit="{stream}",
    source=Source.SERVER,
    help="Streams of events that are open",
)
STORE_ERRORS: Final = Metric(
    name="toolgate.store.errors",
    prometheus="toolgate_store_errors_total",
    kind=Kind.COUNTER,
    unit="{error}",
    source=Source.SERVER,
    help="Requests for which the store could not be read or written",
)

METRICS: Final = (
    *(CALLS, CALL_SECONDS, CALLS_RUNNING, ERRORS, UNWRITTEN),
    *(APPROVALS, APPROVAL_AGE, UNKNOWN, UNKNOWN_AGE),
    *(JOBS, JOB_AGE, JOBS_ENDED, JOB_WAIT),
    *(GROUP_SIZE, COMMIT_SECONDS, RECONNECTS, IN_DOUBT, STORE_ERRORS),
    *(HOUSE_AGE, UPSTREAM_UP, REQUESTS, STREAMS),
)
"""All of them, in the order of the reference page."""

BY_PROMETHEUS: Final[Mapping[str, Metric]] = MappingProxyType(
    {metric.prometheus: metric for metric in METRICS}
)


def series_of(metric: Metric) -> Sequence[str]:
    """The names under which Prometheus keeps ``metric``."""
    if metric.kind is Kind.HISTOGRAM:
        return [f"{metric.prometheus}{part}" for part in ("_bucket", "_sum", "_count")]
    return [metric.prometheus]
