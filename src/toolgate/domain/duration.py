"""Durations as people write them: seconds, ``"24h"``, ISO 8601. Sizes and rates are in ``limits``."""

from __future__ import annotations

import math
import re
from datetime import timedelta

from toolgate.domain.errors import ContractError

MICRO = 1_000_000
"""Microseconds in a second: rows and records count the one, people and deadlines the other."""

_SHORT = re.compile(r"(?P<count>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>ms|s|m|h|d|w)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}
_ISO = re.compile(
    r"P(?:(?P<w>[0-9]+)W)?(?:(?P<d>[0-9]+)D)?(?:T(?:(?P<h>[0-9]+)H)?(?:(?P<m>[0-9]+)M)?(?:(?P<s>[0-9]+(?:\.[0-9]+)?)S)?)?"
)

Duration = float | int | str | timedelta


def seconds(value: Duration, *, of: str = "duration") -> float:
    """The number of seconds in ``value``: a number, ``"90s"``, ``"1.5h"``, ``"2h 30m"`` or ``"PT24H"``.

    Years and months are not accepted (ISO 8601 leaves their length open).

    Raises:
        ContractError: if it is none of those, is negative, or is not finite; ``of`` names the key.
    """
    if isinstance(value, timedelta):
        found = value.total_seconds()
    elif isinstance(value, bool):
        raise ContractError(f"{of}: a duration is a number of seconds or a text such as '24h', not a bool")
    elif isinstance(value, int | float):
        found = float(value)
    elif isinstance(value, str):
        found = _written(value.strip(), of)
    else:
        raise ContractError(f"{of}: a duration is a number of seconds or a text, not {type(value).__name__}")
    if not math.isfinite(found) or found <= 0:
        raise ContractError(f"{of}: a duration must be positive and finite, not {value!r}")
    return found


def _written(text: str, of: str) -> float:
    if text.startswith("P") and text not in {"P", "PT"} and (iso := _ISO.fullmatch(text)):
        return sum(float(count) * _UNITS[unit] for unit, count in iso.groupdict(default="0").items())
    total, at = 0.0, 0
    while at < len(text) and (part := _SHORT.match(text, at)):
        total += float(part["count"]) * _UNITS[part["unit"]]
        at = part.end() + len(text[part.end() :]) - len(text[part.end() :].lstrip())
    if at != len(text) or not text:
        raise ContractError(f"{of}: {text!r} is no duration; write seconds (90), '90s', '24h' or 'PT24H'")
    return total


def spoken(value: float) -> str:
    """``value`` seconds in words short enough for a table: ``"24h"``, ``"1.5s"``, ``"250ms"``."""
    if value < 1:
        return f"{value * 1000:g}ms"
    for unit in ("d", "h", "m"):
        if value >= _UNITS[unit] and value % _UNITS[unit] == 0:
            return f"{value / _UNITS[unit]:g}{unit}"
    return f"{value:g}s"
