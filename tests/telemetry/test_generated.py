"""The dashboard, the alert rules and the reference page say what is defined, and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from examples.observability import generate
from toolgate.domain.metrics import BY_PROMETHEUS, METRICS, Metric, series_of
from toolgate.domain.outcome import ErrorType

pytestmark = pytest.mark.req("M11.28")

ROOT = Path(__file__).parents[2]
yaml: Any = import_module("yaml")
"""It brings no types of its own."""
FOLDER = ROOT / "examples" / "observability"
SERIES = {series: metric for metric in METRICS for series in series_of(metric)}
NAME = re.compile(r"\btoolgate_[a-z_]+\b")
OURS = {"instance", "le"}
"""Labels that Prometheus gives."""


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / generate.DASHBOARD).read_text(encoding="utf-8"))
    return found


def alerts() -> list[dict[str, Any]]:
    text = (FOLDER / generate.RULES).read_text(encoding="utf-8")
    (group,) = yaml.safe_load(text)["groups"]
    return list(group["rules"])


def expressions() -> Iterator[str]:
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]
    for alert in alerts():
        yield alert["expr"]


def test_both_files_and_the_page_are_up_to_date() -> None:
    ran = subprocess.run(
        [sys.executable, "docs/build.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    stale = [line for line in ran.stdout.splitlines() if "observability" in line or "metrics.md" in line]

    assert (stale, ran.stderr) == ([], "")


@pytest.mark.parametrize("expression", sorted(set(expressions())))
def test_an_expression_names_only_what_is_counted_and_labels_that_it_has(expression: str) -> None:
    named = NAME.findall(expression)
    assert named
    metrics = {SERIES[name] for name in named}
    known = {label.name for metric in metrics for label in metric.labels} | OURS
    grouped = {
        part.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for part in group.split(",")
    }
    matched = set(re.findall(r"[{,]\s*([a-z_]+)\s*=~?", expression))
    assert grouped <= known
    assert matched <= known
    for listed in re.findall(r'error_type=~"([^"]*)"', expression):
        assert set(listed.split("|")) <= {error.value for error in ErrorType}
    assert expression.count("(") == expression.count(")")


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.prometheus)
def test_every_metric_is_on_the_dashboard(metric: Metric) -> None:
    shown = [
        panel for panel in dashboard()["panels"] if metric.prometheus in panel.get("description", "").split()
    ]

    assert len(shown) == 1
    assert metric.help in shown[0]["description"]
    assert all(
        any(series in target["expr"] for series in series_of(metric)) for target in shown[0]["targets"]
    )


def test_a_counter_is_shown_as_a_rate_and_what_the_ledger_knows_is_not_added_up() -> None:
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            (name, *_) = NAME.findall(target["expr"])
            if name.endswith("_total"):
                assert "rate(" in target["expr"]
            if name in BY_PROMETHEUS and BY_PROMETHEUS[name].source == "store":
                assert target["expr"].startswith("max")


def test_panels_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
    identifiers = [panel["id"] for panel in dashboard()["panels"]]
    assert len(set(identifiers)) == len(identifiers)


def test_every_alert_says_what_it_means_and_what_to_do() -> None:
    names = [alert["alert"] for alert in alerts()]
    assert len(set(names)) == len(names)
    for alert in alerts():
        assert alert["annotations"]["summary"].endswith(".")
        assert alert["annotations"]["description"].endswith(".")
        assert re.fullmatch(r"\d+m", alert["for"])
        assert alert["labels"]["severity"] in {"info", "warning", "critical"}
