"""A small ledger behind the gate: entries, payouts that a controller agrees to, and a month that is closed by a job.

The books trust nobody to write once: each effect is one row with its key, and nothing keeps a key from standing there
twice. So whoever counts rows by key sees from outside whether the gate doubled or lost one. Not here: who counts
(``aftermath``).
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from toolgate import Applied, Approval, Caller, Job, NotApplied, ToolContext, tool

BOOKS = "LEDGER_BOOKS"
"""Names the file of the books; ``books.db`` beside the configuration by default."""
PAUSE = "LEDGER_PAUSE_MS"
"""How long each effect takes, as a real one would: milliseconds before it, and as many after it."""
REMINDERS = 30
"""A minute, of one caller's tenant, whichever gateway is asked."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS effects (
    id INTEGER PRIMARY KEY, tenant TEXT, kind TEXT, account TEXT, cents INTEGER, key TEXT, process INTEGER)
"""


class Entry(BaseModel):
    """An entry as it stands in the books."""

    entry_id: int
    account: str
    cents: int


class Month(BaseModel):
    """What closing a month came to."""

    account: str
    pages: int
    entry_id: int


@dataclass(frozen=True, slots=True)
class Books:
    """The books of one tenant."""

    path: Path
    tenant: str
    pause: float = 0.0

    async def enter(self, kind: str, account: str, cents: int, key: str | None) -> Entry:
        """Write one effect, whether or not its key stands there already."""
        await asyncio.sleep(self.pause)
        entry = await asyncio.to_thread(self._enter, kind, account, cents, key)
        await asyncio.sleep(self.pause)
        return entry

    def _enter(self, kind: str, account: str, cents: int, key: str | None) -> Entry:
        insert = "INSERT INTO effects (tenant, kind, account, cents, key, process) VALUES (?, ?, ?, ?, ?, ?)"
        with closing(open_books(self.path)) as books:
            done = books.execute(insert, (self.tenant, kind, account, cents, key, os.getpid()))
            return Entry(entry_id=done.lastrowid or 0, account=account, cents=cents)

    def find(self, key: str | None) -> Entry | None:
        """The entry with this key."""
        query = "SELECT id, account, cents FROM effects WHERE tenant = ? AND key = ?"
        with closing(open_books(self.path)) as books:
            row = books.execute(query, (self.tenant, key)).fetchone()
        return None if row is None else Entry(entry_id=row[0], account=row[1], cents=row[2])

    def balance(self, account: str) -> int:
        """What an account of this tenant comes to, in cents."""
        query = "SELECT coalesce(sum(cents), 0) FROM effects WHERE tenant = ? AND account = ?"
        with closing(open_books(self.path)) as books:
            return int(books.execute(query, (self.tenant, account)).fetchone()[0])


def open_books(path: Path) -> sqlite3.Connection:
    """A connection that commits each statement; the file and its table are made where they are missing."""
    books = sqlite3.connect(path, isolation_level=None, timeout=30)
    books.execute("PRAGMA journal_mode = WAL")
    books.execute(_SCHEMA)
    return books


@asynccontextmanager
async def deps(caller: Caller) -> AsyncIterator[Books]:
    """The books of the caller's tenant, for one call."""
    path = Path(os.environ.get(BOOKS) or Path(__file__).with_name("books.db"))
    yield Books(path, caller.tenant, float(os.environ.get(PAUSE) or 0) / 1000)


Desk = ToolContext[Books]
Account = Annotated[str, Field(pattern=r"^[a-z0-9-]+$", min_length=1, max_length=40)]
Cents = Annotated[int, Field(gt=0, le=100_000)]
Number = Annotated[int, Field(ge=0, le=1_000_000_000)]


async def found_in_the_books(context: Desk, args: Any) -> Applied[Entry] | NotApplied:
    """What the books say of this key, for a call whose end nobody saw."""
    entry = await asyncio.to_thread(context.deps.find, context.idempotency_key)
    return NotApplied("the books hold no such entry") if entry is None else Applied(entry)


@tool(
    effect="write",
    roles={"bookkeeper"},
    timeout="3s",
    idempotency="entry:{account}:{number}",
    reconcile=found_in_the_books,
    horizon="1m",
    owner="ledger",
    version="1",
)
async def post_entry(context: Desk, account: Account, number: Number, cents: Cents) -> Entry:
    """Post one entry to an account. Its number makes it one entry, however often it is asked for."""
    return await context.deps.enter("entry", account, cents, context.idempotency_key)


@tool(
    effect="write",
    roles={"bookkeeper"},
    timeout="3s",
    idempotency="payout:{account}:{number}",
    reconcile=found_in_the_books,
    horizon="1m",
    approval=Approval(approvers={"controller"}, risk="high", expires_in="1h"),
    owner="ledger",
    version="1",
)
async def pay_out(context: Desk, account: Account, number: Number, cents: Cents) -> Entry:
    """Pay money out of an account, once a controller agrees."""
    return await context.deps.enter("payout", account, -cents, context.idempotency_key)


@tool(
    effect="write",
    roles={"bookkeeper"},
    timeout="3s",
    idempotency="write-off:{account}:{number}",
    reconcile=found_in_the_books,
    horizon="1m",
    approval=Approval(approvers="caller", expires_in="1h"),
    owner="ledger",
    version="1",
)
async def write_off(context: Desk, account: Account, number: Number, cents: Cents) -> Entry:
    """Write an entry off, once whoever asks for it confirms that it is meant."""
    return await context.deps.enter("write-off", account, -cents, context.idempotency_key)


@tool(effect="read", roles={"bookkeeper"}, timeout="3s", owner="ledger", version="1")
async def read_balance(context: Desk, account: Account) -> int:
    """Read what an account comes to, in cents."""
    return await asyncio.to_thread(context.deps.balance, account)


@tool(
    effect="read",
    roles={"bookkeeper"},
    timeout="3s",
    rate_limit=f"{REMINDERS}/minute",
    owner="ledger",
    version="1",
)
async def count_reminders(context: Desk) -> int:
    """Count the reminders that are due: a tool that may be asked for so often a minute."""
    return 0


@tool(
    effect="write",
    roles={"bookkeeper"},
    timeout="2m",
    idempotency="month:{account}:{number}",
    reconcile=found_in_the_books,
    horizon="1m",
    job=Job(concurrency=8),
    owner="ledger",
    version="1",
)
async def close_month(
    context: Desk, account: Account, number: Number, pages: Annotated[int, Field(ge=1, le=50)]
) -> Month:
    """Close a month: its pages are read in durable steps, and one entry is written at the end."""
    total = 0
    for page in range(pages):
        balance: int = await context.step(f"page {page + 1}", lambda: _read_page(context.deps, account))
        total += balance
        context.progress(page + 1, pages, f"page {page + 1} of {pages}")
    entry = await context.deps.enter("month", account, 1, context.idempotency_key)
    return Month(account=account, pages=pages, entry_id=entry.entry_id)


async def _read_page(books: Books, account: str) -> int:
    await asyncio.sleep(books.pause)
    return await asyncio.to_thread(books.balance, account)


tools = [post_entry, pay_out, write_off, read_balance, count_reminders, close_month]
