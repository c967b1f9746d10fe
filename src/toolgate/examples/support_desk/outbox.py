"""Mail that waits to be sent. The desk writes to its own customers and colleagues and to nobody else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolgate.examples.support_desk.customers import Customers
from toolgate.examples.support_desk.database import transaction
from toolgate.examples.support_desk.refusals import KeyReused, RecipientNotOnFile
from toolgate.examples.support_desk.users import Users

if TYPE_CHECKING:
    import sqlite3

    from toolgate.examples.support_desk.clock import Now


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A mail as it was asked for."""

    recipient: str
    subject: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedMail:
    """A mail that is in the outbox."""

    id: int
    subject: str


class Outbox:
    """The outgoing mail of one tenant."""

    def __init__(self, connection: sqlite3.Connection, *, tenant: str, now: Now) -> None:
        """See the outbox of `tenant`, through `connection`."""
        self._connection = connection
        self._tenant = tenant
        self._now = now
        self._customers = Customers(connection, tenant=tenant)
        self._users = Users(connection, tenant=tenant)

    def queue(self, draft: Draft, *, key: str, by: str) -> QueuedMail:
        """Put a mail into the outbox once for this key.

        Raises:
            RecipientNotOnFile: no open account and no active colleague of the tenant has this address.
            KeyReused: the key queued another mail.
        """
        with transaction(self._connection):
            earlier = self._earlier(draft, key)
            if earlier is not None:
                return earlier
            if not self._is_on_file(draft.recipient):
                raise RecipientNotOnFile("no customer and no colleague has this address")
            self._insert(draft, key=key, by=by)
            made = self.find(key)
        if made is None:
            raise RuntimeError("the mail that was just written cannot be read")  # the desk's own fault
        return made

    def find(self, key: str) -> QueuedMail | None:
        """Find the mail queued under `key`, or None."""
        row = self._connection.execute(
            "SELECT id, subject FROM outbox WHERE tenant = ? AND idempotency_key = ?", (self._tenant, key)
        ).fetchone()
        return None if row is None else QueuedMail(**dict(row))

    def _is_on_file(self, recipient: str) -> bool:
        return self._customers.with_email(recipient) is not None or self._users.has_email(recipient)

    def _earlier(self, draft: Draft, key: str) -> QueuedMail | None:
        row = self._connection.execute(
            "SELECT recipient, subject, body FROM outbox WHERE tenant = ? AND idempotency_key = ?",
            (self._tenant, key),
        ).fetchone()
        if row is None:
            return None
        if Draft(**dict(row)) != draft:
            raise KeyReused("this key belongs to another mail")
        return self.find(key)

    def _insert(self, draft: Draft, *, key: str, by: str) -> None:
        self._connection.execute(
            """
            INSERT INTO outbox (tenant, recipient, subject, body, queued_by, idempotency_key, queued_at)
            VALUES (?, ?, ?, ?, ?, ?, ?)
            """,
            (self._tenant, draft.recipient, draft.subject, draft.body, by, key, self._now().isoformat()),
        )
