"""The Grafana dashboard and the Prometheus alert rules, made from ``toolgate.domain.metrics``.

``docs/build.py`` writes both files and checks that they are up to date. A metric that is defined is on the dashboard;
an alert names a definition, so that none can outlive its metric.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from toolgate.domain import metrics as m
from toolgate.domain.metrics import Kind, Metric, Source
from toolgate.domain.outcome import ErrorType

DASHBOARD: Final = "grafana-dashboard.json"
RULES: Final = "prometheus-rules.yaml"

ROWS: Final = (
    ("Calls", (m.CALLS, m.CALL_SECONDS, m.ERRORS, m.CALLS_RUNNING)),
    ("What waits for people", (m.APPROVALS, m.APPROVAL_AGE, m.UNKNOWN, m.UNKNOWN_AGE)),
    ("Jobs", (m.JOBS, m.JOB_AGE, m.JOBS_ENDED, m.JOB_WAIT)),
    ("Store", (m.COMMIT_SECONDS, m.GROUP_SIZE, m.RECONNECTS, m.IN_DOUBT, m.STORE_ERRORS, m.UNWRITTEN)),
    ("Process", (m.HOUSE_AGE, m.UPSTREAM_UP, m.REQUESTS, m.STREAMS)),
)
_WIDTH, _HEIGHT, _ACROSS = 12, 8, 2
_UNITS: Final = {"s": "s"}
_TOGETHER: Final = {m.HOUSE_AGE.name: "max by (instance)", m.UPSTREAM_UP.name: "min by (upstream)"}
"""How the values of several processes go together, where adding up says nothing."""


def dashboard() -> str:
    """As Grafana imports it; it asks for the Prometheus data source."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, shown in ROWS:
        panels.append(
            {
                "id": len(panels) + 1,
                "type": "row",
                "title": title,
                "collapsed": False,
                "panels": [],
                "gridPos": {"h": 1, "w": 24, "x": 0, "y": y},
            }
        )
        y += 1
        for place, metric in enumerate(shown):
            x = place % _ACROSS * _WIDTH
            panels.append(_panel(metric, len(panels) + 1, x=x, y=y + place // _ACROSS * _HEIGHT))
        y += -(-len(shown) // _ACROSS) * _HEIGHT
    return json.dumps(
        {
            "title": "Toolgate",
            "uid": "toolgate",
            "tags": ["toolgate"],
            "schemaVersion": 39,
            "editable": True,
            "refresh": "30s",
            "time": {"from": "now-6h", "to": "now"},
            "templating": {
                "list": [
                    {
                        "name": "datasource",
                        "label": "Prometheus",
                        "type": "datasource",
                        "query": "prometheus",
                        "current": {},
                    }
                ]
            },
            "panels": panels,
        },
        indent=2,
    )


def _panel(metric: Metric, number: int, *, x: int, y: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": _title(metric),
        "description": f"{metric.help}. {metric.prometheus}",
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": {"h": _HEIGHT, "w": _WIDTH, "x": x, "y": y},
        "fieldConfig": {
            "defaults": {
                "unit": _unit(metric),
                "min": 0,
                "custom": {"fillOpacity": 10, "showPoints": "never"},
            },
            "overrides": [],
        },
        "options": {
            "legend": {"displayMode": "table", "placement": "right", "calcs": ["lastNotNull", "max"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "expr": expression,
                "legendFormat": legend,
                "datasource": {"type": "prometheus", "uid": "${datasource}"},
            }
            for place, (expression, legend) in enumerate(queries(metric))
        ],
    }


def _title(metric: Metric) -> str:
    words = metric.name.removeprefix("toolgate.").removeprefix("gen_ai.").replace(".", " ").replace("_", " ")
    suffix = " a second" if metric.kind is Kind.COUNTER else ""
    return words[0].upper() + words[1:] + suffix


def _unit(metric: Metric) -> str:
    return "ops" if metric.kind is Kind.COUNTER else _UNITS.get(metric.unit, "short")


def queries(metric: Metric) -> list[tuple[str, str]]:
    """What to ask Prometheus for, and how to name the lines."""
    labels = [label.name for label in metric.labels]
    name = metric.prometheus
    if metric.kind is Kind.HISTOGRAM:
        by = ", ".join(["le", *labels])
        legend = " ".join([*(f"{{{{{label}}}}}" for label in labels), "p{}"])
        return [
            (
                f"histogram_quantile({share}, sum by ({by}) (rate({name}_bucket[$__rate_interval])))",
                legend.format(round(share * 100)),
            )
            for share in (0.5, 0.95, 0.99)
        ]
    grouped = f" by ({', '.join(labels)})" if labels else ""
    legend = " ".join(f"{{{{{label}}}}}" for label in labels) or _title(metric)
    if metric.name in _TOGETHER:
        return [(f"{_TOGETHER[metric.name]} ({name})", "{{instance}}" if not labels else legend)]
    if metric.kind is Kind.COUNTER:
        return [(f"sum{grouped} (rate({name}[$__rate_interval]))", legend)]
    # The ledger is the same whichever process tells of it.
    together = "max" if metric.source is Source.STORE else "sum"
    return [(f"{together}{grouped} ({name})", legend)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One rule. ``lasting``: how long it has to hold; ``what`` and ``do`` are for whoever is woken."""

    name: str
    holds: str
    lasting: str
    severity: str
    what: str
    do: str


def _failing(*errors: ErrorType) -> str:
    listed = "|".join(error.value for error in errors)
    return f'sum by (error_type) (rate({m.ERRORS.prometheus}{{error_type=~"{listed}"}}[5m]))'


ALERTS: Final = (
    Alert(
        name="ToolgateGone",
        holds=f"absent({m.CALLS_RUNNING.prometheus})",
        lasting="2m",
        severity="critical",
        what="No gateway tells its numbers.",
        do="Look whether any gateway runs, and whether Prometheus may read /metrics.",
    ),
    Alert(
        name="ToolgateAuditUnavailable",
        holds=f"{_failing(ErrorType.AUDIT_UNAVAILABLE)} > 0",
        lasting="1m",
        severity="critical",
        what="The audit trail cannot be written: every call is refused.",
        do="Look at the store: disk, server, network. The gate opens by itself once a record can be written.",
    ),
    Alert(
        name="ToolgateOutcomesUnwritten",
        holds=f"sum({m.UNWRITTEN.prometheus}) > 0",
        lasting="2m",
        severity="critical",
        what="Effects happened whose outcome is not recorded yet.",
        do="Mend the store and do not stop the gateway: what it knows lies in its memory.",
    ),
    Alert(
        name="ToolgateStoreInDoubt",
        holds=f"sum(increase({m.IN_DOUBT.prometheus}[15m])) > 0",
        lasting="0m",
        severity="warning",
        what="A commit was sent and nobody can tell whether it happened.",
        do="Look at Unresolved in the console.",
    ),
    Alert(
        name="ToolgateStoreReconnects",
        holds=f"sum(increase({m.RECONNECTS.prometheus}[10m])) > 5",
        lasting="0m",
        severity="warning",
        what="Connections to the store are lost again and again.",
        do="Look at the database server, and at what lies between.",
    ),
    Alert(
        name="ToolgateSlowCommits",
        holds=f"histogram_quantile(0.99, sum by (le) (rate({m.COMMIT_SECONDS.prometheus}_bucket[5m]))) > 0.5",
        lasting="10m",
        severity="warning",
        what="One commit in a hundred takes longer than half a second.",
        do="Look at the disk of the store.",
    ),
    Alert(
        name="ToolgateEffectsUnknown",
        holds=f"max({m.UNKNOWN.prometheus}) > 0",
        lasting="10m",
        severity="warning",
        what="Nobody knows whether an effect happened, and no contract could tell.",
        do="Look at the evidence under Unresolved in the console, ask the system behind the tool, and say what it was.",
    ),
    Alert(
        name="ToolgateApprovalsWait",
        holds=f"max({m.APPROVAL_AGE.prometheus}) > 3600",
        lasting="5m",
        severity="info",
        what="A call has waited for a person for more than an hour.",
        do="Decide in the inbox. Calls that wait too long expire, which means no.",
    ),
    Alert(
        name="ToolgateJobsWait",
        holds=f"max({m.JOB_AGE.prometheus}) > 900",
        lasting="5m",
        severity="warning",
        what="A job has waited for a worker for more than a quarter of an hour.",
        do="Look whether workers run, and whether the limits of its queue are meant so.",
    ),
    Alert(
        name="ToolgateHousekeepingStopped",
        holds=f"max by (instance) ({m.HOUSE_AGE.prometheus}) > 60",
        lasting="2m",
        severity="warning",
        what="A gateway keeps no house: what was approved is not picked up there, what lapsed is not ended.",
        do="Look into its log; start it anew if it says nothing.",
    ),
    Alert(
        name="ToolgateUpstreamDown",
        holds=f"max by (upstream) ({m.UPSTREAM_UP.prometheus}) == 0",
        lasting="5m",
        severity="warning",
        what="No gateway reaches an upstream; its tools fail at once.",
        do="toolgate upstreams list --live says why.",
    ),
    Alert(
        name="ToolgateLimitsRefuse",
        holds=f"{_failing(ErrorType.RATE_LIMITED, ErrorType.OVERLOADED, ErrorType.CIRCUIT_OPEN)} > 1",
        lasting="10m",
        severity="info",
        what="Limits refuse more than one call a second.",
        do="Look who asks so often, or what does not answer; the overview in the console shows both.",
    ),
    Alert(
        name="ToolgateDefects",
        holds=f"{_failing(ErrorType.INTERNAL_ERROR)} > 0",
        lasting="1m",
        severity="warning",
        what="Calls fail inside the gate or in a tool in a way that nobody declared.",
        do="The log names the place.",
    ),
)


def rules() -> str:
    """As Prometheus loads them. Every scalar is written as JSON, which YAML reads."""
    lines = ["groups:", "  - name: toolgate", "    rules:"]
    for alert in ALERTS:
        lines += [
            f"      - alert: {alert.name}",
            f"        expr: {json.dumps(alert.holds)}",
            f"        for: {alert.lasting}",
            "        labels:",
            f"          severity: {alert.severity}",
            "        annotations:",
            f"          summary: {json.dumps(alert.what)}",
            f"          description: {json.dumps(alert.do)}",
        ]
    return "\n".join(lines)
