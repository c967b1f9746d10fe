"""The desk's staff: who they are, what they may do, and whether they still work here.

Belongs here: reading users. Does not belong here: proving who somebody is; the application's login does that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person on the staff of one tenant."""

    id: str
    tenant: str
    name: str
    email: str
    roles: frozenset[str]
    active: bool


class Users:
    """The staff of one tenant."""

    def __init__(self, connection: sqlite3.Connection, *, tenant: str) -> None:
        """See the staff of `tenant`, through `connection`."""
        self._connection = connection
        self._tenant = tenant

    def find(self, user_id: str) -> User | None:
        """Find a user, active or not, or None."""
        row = self._connection.execute(
            "SELECT id, tenant, name, email, roles, active FROM users WHERE tenant = ? AND id = ?",
            (self._tenant, user_id),
        ).fetchone()
        if row is None:
            return None
        return User(
            id=row["id"],
            tenant=row["tenant"],
            name=row["name"],
            email=row["email"],
            roles=frozenset(row["roles"].split()),
            active=bool(row["active"]),
        )

    def has_email(self, email: str) -> bool:
        """Whether an active colleague has this address."""
        found = self._connection.execute(
            "SELECT 1 FROM users WHERE tenant = ? AND email = ? AND active = 1", (self._tenant, email)
        ).fetchone()
        return found is not None
