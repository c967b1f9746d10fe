"""The handbook: how things are done at the desk. One for all tenants, open to everybody who works here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

EXCERPT_LENGTH = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class RunbookHit:
    """A page that matched. `slug` names it; the whole page is at the runbook site."""

    slug: str
    title: str
    excerpt: str


class Runbooks:
    """Every page of the handbook."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read the handbook through `connection`."""
        self._connection = connection

    def search(self, query: str, *, limit: int) -> tuple[RunbookHit, ...]:
        """Find the pages that hold the most words of `query`; a word in the title counts three times."""
        words = tuple(query.casefold().split())
        scored = [
            (3 * _holds(row["title"], words) + _holds(row["body"], words), row)
            for row in self._connection.execute("SELECT slug, title, body FROM runbooks ORDER BY slug")
        ]
        best = sorted((hit for hit in scored if hit[0]), key=lambda hit: -hit[0])
        return tuple(_hit(row) for _, row in best[:limit])

    def page(self, slug: str) -> str | None:
        """Read the whole of one page, or None."""
        row = self._connection.execute("SELECT body FROM runbooks WHERE slug = ?", (slug,)).fetchone()
        return None if row is None else str(row["body"])


def _holds(text: str, words: tuple[str, ...]) -> int:
    folded = text.casefold()
    return sum(word in folded for word in words)


def _hit(row: sqlite3.Row) -> RunbookHit:
    return RunbookHit(slug=row["slug"], title=row["title"], excerpt=row["body"][:EXCERPT_LENGTH])
