"""What somebody typed into a search: texts, moments and ranges, read strictly and shown again as they were typed.

Not here: which of them a page offers, and the filters of the stores.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from toolgate.domain.duration import MICRO

if TYPE_CHECKING:
    from starlette.datastructures import QueryParams

LONGEST: Final = 200
"""Characters of one value that is looked for."""
_ID: Final = re.compile(r"[a-z]{1,12}_[0-9A-Za-z]{1,40}")

RANGES: Final[Mapping[str, tuple[str, int]]] = {
    "1h": ("Last hour", 3_600),
    "24h": ("Last 24 hours", 86_400),
    "7d": ("Last 7 days", 7 * 86_400),
    "30d": ("Last 30 days", 30 * 86_400),
}
"""A span before now → its words and its seconds."""

RANGE_CHOICES: Final = (("", "Any time"), *((name, words) for name, (words, _) in RANGES.items()))


class UnfitSearchError(ValueError):
    """What was typed cannot be looked for; the message says what would do."""


@dataclass(slots=True)
class Typed:
    """The values of a query as they were typed, and what they mean."""

    query: QueryParams
    now: int
    used: dict[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str | None:
        """One value, or None for nothing.

        Raises:
            UnfitSearchError: if it is longer than any name of ours.
        """
        value = self.query.get(name, "").strip()
        if not value:
            return None
        self.used[name] = value
        if len(value) > LONGEST:
            raise UnfitSearchError(f"{name}: at most {LONGEST} characters can be looked for")
        return value

    def one_of(self, name: str, choices: Sequence[str]) -> str | None:
        """One of ``choices``, or None for nothing.

        Raises:
            UnfitSearchError: for anything else.
        """
        value = self.text(name)
        if value is not None and value not in choices:
            raise UnfitSearchError(f"{name}: there is no such choice")
        return value

    def cursor(self, name: str = "before") -> str | None:
        """The id that the page before ended with.

        Raises:
            UnfitSearchError: if it is none.
        """
        value = self.query.get(name, "")
        if value and not _ID.fullmatch(value):
            raise UnfitSearchError("this page does not exist; begin with the newest")
        return value or None

    def number(self, name: str = "before") -> int | None:
        """A number of the trail.

        Raises:
            UnfitSearchError: if it is none.
        """
        value = self.query.get(name, "")
        if not value:
            return None
        if not (value.isascii() and value.isdigit() and len(value) <= 18):  # noqa: PLR2004 - below 2^63
            raise UnfitSearchError("this page does not exist; begin with the newest")
        return int(value)

    def since(self) -> int | None:
        """From when on (µs): what was typed, or the range before now.

        Raises:
            UnfitSearchError: for a moment that is none.
        """
        typed, span = self.moment("from"), self.one_of("range", tuple(RANGES))
        return typed if span is None or typed is not None else self.now - RANGES[span][1] * MICRO

    def moment(self, name: str) -> int | None:
        """A moment in UTC (µs).

        Raises:
            UnfitSearchError: for one that cannot be read.
        """
        value = self.text(name)
        if value is None:
            return None
        try:
            read = datetime.fromisoformat(value)
            read = read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
            return round(read.timestamp()) * MICRO
        except (ValueError, OverflowError):
            raise UnfitSearchError(f"{name}: write a moment as 2026-11-22T08:30, in UTC") from None


def took(microseconds: int) -> str:
    """How long something took, for a table: ``0.4 ms``, ``12 ms``, ``3.2 s``; a dash for nothing measured."""
    if microseconds <= 0:
        return "–"
    milliseconds = microseconds / 1_000
    if milliseconds < 10:  # noqa: PLR2004 - below ten one decimal says something
        return f"{milliseconds:.1f} ms"
    if milliseconds < 1_000:  # noqa: PLR2004 - a second
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / 1_000:.1f} s"
