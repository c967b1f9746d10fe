"""Text for a terminal and JSON for programs: how times, durations and other people's words are written.

What agents and callers wrote is shown as what it is, never obeyed: no control sequence and no mark that turns text
around reaches the terminal. Not here: tables (``tables``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from toolgate.domain.duration import MICRO

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


def printable(text: str) -> str:
    """``text`` that cannot move the cursor, hide or turn around what stands beside it on a terminal."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else _escaped(char) for char in text)


def one_line(text: str) -> str:
    """``text`` on one line, so that it cannot pass for another entry of a list."""
    return " ".join(str(text).split())


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def print_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """One JSON value on one line; whatever is not ASCII is escaped, so that no terminal obeys it."""
    click.echo(json.dumps(value, separators=(", ", ": ")))


def iso(at: int) -> str:
    """Microseconds since the epoch as RFC 3339, UTC."""
    return datetime.fromtimestamp(at / MICRO, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant(at: int) -> str:
    """As ``iso``, short enough for a table: ``22 Nov 08:31:07``, UTC."""
    return datetime.fromtimestamp(at / MICRO, UTC).strftime("%d %b %H:%M:%S")


def dated(at: int) -> str:
    """A moment far away, for a table: ``2026-11-22 08:31``, UTC."""
    return datetime.fromtimestamp(at / MICRO, UTC).strftime("%Y-%m-%d %H:%M")


def span(microseconds: int) -> str:
    """A time left or passed in its two largest units: ``23h 59m``."""
    seconds = max(0, microseconds // MICRO)
    if seconds >= _DAY:
        return f"{seconds // _DAY}d {seconds % _DAY // _HOUR}h"
    if seconds >= _HOUR:
        return f"{seconds // _HOUR}h {seconds % _HOUR // _MINUTE}m"
    return f"{seconds // _MINUTE}m {seconds % _MINUTE}s" if seconds >= _MINUTE else f"{seconds}s"
