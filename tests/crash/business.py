"""The business behind the gate: refunds in a database of its own, and the tools that make them.

The service trusts nobody to call it once: it keeps the key of each refund, and what it does twice can be counted.
Here: the service and its tools. Not here: which process runs them, and when it is stopped.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from toolgate import Applied, Approval, Caller, NeedsApproval, NotApplied, Retry, ToolContext, tool

Mark = Callable[[str], None]
TENANT = "acme"
AGENT = Caller("maya", roles={"support"}, tenant=TENANT)
BOSS = Caller("bo", roles={"billing_admin"}, tenant=TENANT)
AUDITOR = Caller("ann", roles={"auditor"}, tenant=TENANT)
TIMEOUT = 5.0


class Refund(BaseModel):
    """What a refund answers, made once or found again."""

    order_id: int
    refund_id: int


@dataclass(slots=True)
class Business:
    """The refund service of one process.

    Attributes:
        mark: called at each step inside the service.
        loses_reply: the first answer of a call is lost after the commit.
        lingers: called after the commit of a slow refund; None where nothing is slow.
        never_ends: a slow refund does not come back at all.
    """

    path: Path
    mark: Mark = lambda _: None
    loses_reply: bool = False
    lingers: Callable[[], None] | None = None
    never_ends: bool = False

    def create(self) -> None:
        """An empty table."""
        with closing(self._connect()) as db:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("CREATE TABLE refunds (refund_id INTEGER PRIMARY KEY, order_id INTEGER, key TEXT)")

    def refund(self, order_id: int, key: str | None, *, once: bool = False) -> Refund:
        """Pay back. ``once``: a key that was paid before is answered, not paid again."""
        with closing(self._connect()) as db:
            self.mark("business: before BEGIN")
            db.execute("BEGIN IMMEDIATE")
            known = (
                db.execute("SELECT refund_id FROM refunds WHERE key = ?", (key,)).fetchone() if once else None
            )
            if known is None:
                insert = "INSERT INTO refunds (order_id, key) VALUES (?, ?) RETURNING refund_id"
                known = db.execute(insert, (order_id, key)).fetchone()
            self.mark("business: before COMMIT")
            db.execute("COMMIT")
            self.mark("business: after COMMIT")
        return Refund(order_id=order_id, refund_id=known[0])

    def paid(self, order_id: int) -> list[int]:
        """The refunds of an order: more than one means that the customer was paid twice."""
        with closing(self._connect()) as db:
            rows = db.execute("SELECT refund_id FROM refunds WHERE order_id = ?", (order_id,)).fetchall()
        return [row[0] for row in rows]

    def find(self, key: str | None) -> Refund | None:
        """The refund with this key."""
        with closing(self._connect()) as db:
            row = db.execute("SELECT order_id, refund_id FROM refunds WHERE key = ?", (key,)).fetchone()
        return None if row is None else Refund(order_id=row[0], refund_id=row[1])

    def deps(self) -> Callable[[Caller], AbstractAsyncContextManager[Business]]:
        """The gateway's ``deps``: this service, with a mark where it is entered and left."""

        @asynccontextmanager
        async def deps(caller: Caller) -> AsyncIterator[Business]:
            self.mark("deps: entered")
            yield self
            self.mark("deps: leaving")

        return deps

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, isolation_level=None, timeout=10)


Desk = ToolContext[Business]
_KEY = "refund:{order_id}"


async def found_in_the_books(context: Desk, args: Any) -> Applied[Refund] | NotApplied:
    """What the service's own books say of this key."""
    refund = context.deps.find(context.idempotency_key)
    return NotApplied("the books hold no such refund") if refund is None else Applied(refund)


@tool(effect="write", roles={"support"}, timeout=TIMEOUT, idempotency=_KEY)
async def refund_plain(context: Desk, order_id: int) -> Refund:
    """Refund an order, by a service that would pay twice."""
    return _paid(context, order_id)


@tool(
    effect="write",
    roles={"support"},
    timeout=TIMEOUT,
    idempotency=_KEY,
    reconcile=found_in_the_books,
    horizon="1m",
)
async def refund_reconciled(context: Desk, order_id: int) -> Refund:
    """Refund an order, by a service that would pay twice, whose books can be asked."""
    return _paid(context, order_id)


@tool(
    effect="write",
    roles={"support"},
    timeout=TIMEOUT,
    idempotency=_KEY,
    honours_key=True,
    retries=Retry(attempts=3),
    reconcile=found_in_the_books,
    horizon="1m",
)
async def refund_honoured(context: Desk, order_id: int) -> Refund:
    """Refund an order, by a service that pays a key once."""
    refund = _paid(context, order_id, once=True)
    if context.deps.loses_reply and context.attempt == 1:
        raise ConnectionError
    return refund


_BOSS = Approval(approvers={"billing_admin"}, risk="high")


@tool(effect="write", roles={"support"}, timeout=TIMEOUT, idempotency=_KEY, approval=_BOSS)
async def refund_held(context: Desk, order_id: int) -> Refund:
    """Refund an order, once somebody of billing agrees."""
    return _paid(context, order_id)


@tool(
    effect="write",
    roles={"support"},
    timeout=TIMEOUT,
    idempotency=_KEY,
    approval=_BOSS,
    reconcile=found_in_the_books,
    horizon="1m",
)
async def refund_held_reconciled(context: Desk, order_id: int) -> Refund:
    """Refund an order, once somebody of billing agrees, by a service whose books can be asked."""
    return _paid(context, order_id)


@tool(effect="write", roles={"support"}, timeout=TIMEOUT, idempotency=_KEY)
async def refund_wished(context: Desk, order_id: int) -> Refund:
    """Refund an order; the service itself asks for a person."""
    if context.approval is None:
        context.deps.mark("business: asks for a person")
        raise NeedsApproval("this order was refunded before", approvers={"billing_admin"})
    return _paid(context, order_id)


@tool(effect="write", roles={"support"}, timeout=TIMEOUT, idempotency=_KEY)
async def refund_late(context: Desk, order_id: int) -> Refund:
    """Refund an order, and answer after the deadline, deaf to the cancellation."""
    refund = _paid(context, order_id)
    if context.deps.lingers is not None:
        context.deps.lingers()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            context.deps.mark("business: ignores its cancellation")
        if context.deps.never_ends:
            await asyncio.Event().wait()
    return refund


@tool(
    effect="destructive",
    roles={"support"},
    timeout=TIMEOUT,
    idempotency=_KEY,
    approval_waiver="nobody is there to ask",
)
def refund_blocking(context: Desk, order_id: int) -> Refund:
    """Refund an order for good, in a thread."""
    return _paid(context, order_id)


@tool(effect="read", roles={"support"}, timeout=TIMEOUT)
async def count_refunds(context: Desk, order_id: int) -> int:
    """Count the refunds of an order."""
    context.deps.mark("business: reads")
    return len(context.deps.paid(order_id))


TOOLS = (
    refund_plain,
    refund_reconciled,
    refund_honoured,
    refund_held,
    refund_held_reconciled,
    refund_wished,
    refund_late,
    refund_blocking,
    count_refunds,
)


def _paid(context: Any, order_id: int, *, once: bool = False) -> Refund:
    context.deps.mark("tool: entered")
    refund: Refund = context.deps.refund(order_id, context.idempotency_key, once=once)
    context.deps.mark("tool: returns")
    return refund
