"""``[telemetry]``: the collector that traces and numbers are sent to, and how much of them.

Not here: the exporters (``adapters.telemetry``), and ``/metrics``, which needs nothing of this.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from toolgate.config.problems import Where
from toolgate.config.references import resolve
from toolgate.config.sections import Given, duration, table, text

_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""A field name (RFC 9110, section 5.1)."""
_FASTEST: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """What the files say. ``headers`` are secrets; the endpoint is none, and stands in the log if it is away."""

    otlp: str
    headers: Mapping[str, str] = field(repr=False)
    service_name: str = "toolgate"
    sample: float = 1.0
    traces: bool = True
    metrics: bool = True
    every: float = 60.0


def read_telemetry(tables: list[Given[Any]]) -> TelemetrySettings | None:
    """What the files' ``[telemetry]`` tables come to, a later one winning key by key; None where there is none.

    Raises:
        ConfigurationError: at the first key that is unknown or has a value that cannot be used.
    """
    found: dict[str, Given[Any]] = {}
    for given in tables:
        for key, item in table(given.value, given.where, example="[telemetry]").items():
            where = given.where.below(key)
            if key not in KEYS:
                raise where.unknown(KEYS)
            found[key] = Given(where, KEYS[key](item, where))
    if not tables:
        return None
    if "otlp" not in found:
        raise tables[-1].where.wrong(
            "say where to: otlp = 'http://127.0.0.1:4318', or take the section out; /metrics is there without it"
        )
    return TelemetrySettings(**{"headers": {}} | {key: given.value for key, given in found.items()})


def _otlp(value: Any, where: Where) -> str:
    example = "http://127.0.0.1:4318"
    said = resolve(text(value, where, example=example), where).rstrip("/")
    wrong = where.wrong(
        f"write the base URL of a collector that takes OTLP over HTTP, for example {example!r}, without /v1/traces"
    )
    try:
        parts = urlsplit(said)
        _ = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise wrong
    if parts.username is not None or parts.password is not None:
        raise where.wrong("a URL is no place for a secret; write it as a reference in headers")
    if parts.path.endswith(("/v1/traces", "/v1/metrics")):
        raise wrong
    return said


def _headers(value: Any, where: Where) -> Mapping[str, str]:
    example = "{ authorization = 'env:OTLP_AUTHORIZATION' }"
    found = {}
    for name, item in table(value, where, example=example).items():
        inner = where.below(name)
        said = text(item, inner, example="env:OTLP_AUTHORIZATION")
        if not _HEADER.fullmatch(name):
            raise inner.wrong("this is no name of a header")
        if not said.startswith(("env:", "file:")):
            raise inner.wrong("a header may hold a secret: write a reference, 'env:NAME' or 'file:path'")
        resolved = resolve(said, inner)
        if not resolved.isprintable() or not resolved.isascii():
            raise inner.wrong(
                "what it stands for is no value of a header: it holds more than printable ASCII"
            )
        found[name] = resolved
    return found


def _service_name(value: Any, where: Where) -> str:
    said = text(value, where, example="toolgate")
    if not said.isprintable():
        raise where.wrong("write a printable name, for example 'toolgate'")
    return said


def _sample(value: Any, where: Where) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise where.wrong("write a share between 0 and 1, for example 0.1")
    return float(value)


def _switch(value: Any, where: Where) -> bool:
    if not isinstance(value, bool):
        raise where.wrong("write true or false")
    return value


def _every(value: Any, where: Where) -> float:
    said = duration(value, where)
    if said < _FASTEST:
        raise where.wrong("write at least '1s'")
    return said


KEYS: Final[Mapping[str, Callable[[Any, Where], Any]]] = MappingProxyType(
    {
        "otlp": _otlp,
        "headers": _headers,
        "service_name": _service_name,
        "sample": _sample,
        "traces": _switch,
        "metrics": _switch,
        "every": _every,
    }
)
