"""`[telemetry]` sends what happens to a collector, and says what is wrong with it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.small_gate import ANA
from tests.telemetry.collector import Collector
from toolgate import Gateway
from toolgate.config import load_settings
from toolgate.domain.errors import ConfigurationError

TOOLS = """
from toolgate import tool

@tool(effect="read", roles={"support"}, timeout=5.0)
async def look() -> str:
    \"\"\"Look.\"\"\"
    return "seen"

tools = [look]
"""


def written(folder: Path, telemetry: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    name = f"seen_by_{abs(hash(folder))}"
    (folder / f"{name}.py").write_text(TOOLS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    file = folder / "toolgate.toml"
    file.write_text(
        f'tools = ["{name}:tools"]\nstore = "sqlite:///gate.db"\n[telemetry]\n{telemetry}\n', encoding="utf-8"
    )
    return file


@pytest.mark.req("M11.16", "M1.14")
async def test_a_collector_gets_spans_and_numbers_of_the_gateway_that_closes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTLP_KEY", "Bearer tgt_key")
    with Collector() as collector:
        said = (
            f'otlp = "{collector.url}"\nservice_name = "desk"\nheaders = {{ authorization = "env:OTLP_KEY" }}'
        )
        async with Gateway.from_config(written(tmp_path, said, monkeypatch)) as gateway:
            outcome = await gateway.call("look", {}, caller=ANA)

        (span,) = [span for span in collector.spans if span.name == "execute_tool look"]
        told = {attribute.key: attribute.value.string_value for attribute in span.attributes}
        assert told["toolgate.call.id"] == outcome.call_id
        assert collector.resources[0]["service.name"] == "desk"
        assert {headers["authorization"] for headers in collector.headers} == {"Bearer tgt_key"}
        (point,) = collector.metrics["toolgate.calls"].sum.data_points
        assert point.as_double == 1.0
        assert collector.metrics["toolgate.calls"].sum.is_monotonic
        assert collector.metrics["gen_ai.execute_tool.duration"].unit == "s"


@pytest.mark.req("M11.16")
async def test_what_is_not_sampled_is_not_sent_and_what_is_switched_off_neither(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Collector() as collector:
        said = f'otlp = "{collector.url}"\nsample = 0.0\nmetrics = false'
        async with Gateway.from_config(written(tmp_path, said, monkeypatch)) as gateway:
            await gateway.call("look", {}, caller=ANA)

        assert collector.headers == []


@pytest.mark.req("M11.16")
async def test_a_collector_that_is_away_costs_no_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with Collector() as gone:
        said = f'otlp = "{gone.url}"'
    async with Gateway.from_config(written(tmp_path, said, monkeypatch)) as gateway:
        outcome = await gateway.call("look", {}, caller=ANA)

    assert outcome.ok


@pytest.mark.req("M1.13")
@pytest.mark.parametrize(
    ("lines", "mend"),
    [
        ("sample = 0.5", "say where to: otlp ="),
        ('otlp = "localhost:4317"', "write the base URL of a collector"),
        ('otlp = "http://127.0.0.1:4318/v1/traces"', "without /v1/traces"),
        ('otlp = "http://127.0.0.1:99999"', "write the base URL"),
        ('otlp = "env:NOT_THERE"', "NOT_THERE is not set"),
        ('otlp = "http://ana:tgt_key@h"', "no place for a secret"),
        ('otlp = "http://h"\nsample = 2', "between 0 and 1"),
        ('otlp = "http://h"\nsample = true', "between 0 and 1"),
        ('otlp = "http://h"\ntraces = "yes"', "true or false"),
        ('otlp = "http://h"\nevery = "10ms"', "at least '1s'"),
        ('otlp = "http://h"\nservice_name = ""', "write a text"),
        ('otlp = "http://h"\nheaders = { authorization = "Bearer tgt_key" }', "write a reference"),
        ('otlp = "http://h"\nheaders = { "a b" = "env:PATH" }', "no name of a header"),
        ('otlp = "http://h"\nendpoint = "x"', "otlp"),
    ],
)
def test_a_mistake_is_answered_with_key_line_and_what_would_be_right(
    tmp_path: Path, lines: str, mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_settings(written(tmp_path, lines, monkeypatch))

    assert mend in str(refused.value)
    assert "toolgate.toml" in str(refused.value)
    assert "tgt_key" not in str(refused.value)


@pytest.mark.req("M1.14")
def test_the_headers_are_no_part_of_what_settings_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTLP_KEY", "tgt_key")
    said = 'otlp = "https://collector.example"\nheaders = { authorization = "env:OTLP_KEY" }'
    settings = load_settings(written(tmp_path, said, monkeypatch))

    assert settings.telemetry is not None
    assert settings.telemetry.headers == {"authorization": "tgt_key"}
    assert "tgt_" not in repr(settings)


@pytest.mark.req("M11.16")
@pytest.mark.parametrize(
    "missing", ["opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http.trace_exporter"]
)
def test_without_the_extra_the_words_say_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    file = written(tmp_path, 'otlp = "http://127.0.0.1:4318"', monkeypatch)
    without(monkeypatch, missing)
    with pytest.raises(ConfigurationError, match=r"pip install 'toolgate\[otel\]'"):
        Gateway.from_config(file)


@pytest.mark.req("M11.16")
def test_global_telemetry_without_opentelemetry_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "opentelemetry.metrics")
    with pytest.raises(ConfigurationError, match=r"pip install 'toolgate\[otel\]'"):
        Gateway([], telemetry="global")


def without(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """As on a machine where `module` is not installed."""
    for name in [name for name in sys.modules if name.startswith("toolgate.adapters.telemetry")]:
        monkeypatch.delitem(sys.modules, name)
    gone: Any = None
    monkeypatch.setitem(sys.modules, module, gone)
