"""Notes about a customer, by staff and by the customers themselves.

What a customer wrote is an outsider's text. Some of it is addressed to whatever reads it. The desk stores it
as it came and says who wrote it; the contract of the tool that reads it says that it is not to be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


class Author(StrEnum):
    """Who wrote a note."""

    CUSTOMER = "customer"
    STAFF = "staff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One note, newest first where there are several."""

    written_on: str
    author: Author
    body: str


class Notes:
    """The notes of one tenant."""

    def __init__(self, connection: sqlite3.Connection, *, tenant: str) -> None:
        """See the notes of `tenant`, through `connection`."""
        self._connection = connection
        self._tenant = tenant

    def about(self, customer_id: str, *, newest: int) -> tuple[Note, ...]:
        """Read at most `newest` notes about a customer, the latest first."""
        rows = self._connection.execute(
            """
            SELECT written_on, author, body FROM notes
            WHERE tenant = ? AND customer_id = ? ORDER BY written_on DESC, id DESC LIMIT ?
            """,
            (self._tenant, customer_id, newest),
        )
        return tuple(
            Note(written_on=row["written_on"], author=Author(row["author"]), body=row["body"]) for row in rows
        )
