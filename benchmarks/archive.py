"""A ledger as an office has it after a busy quarter: a million calls behind it, ten thousand waiting for somebody.

The past is written through the store's own writer, many commands a transaction, with a clock of its own that walks
through the last ninety days; what waits is asked for through a real gateway, so that it can be decided. The file is
kept in ``.cache/office`` and made anew when migrations, this module or the sizes change, or when it grew old.
Not here: what is measured on it (``office``).
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import BaseModel, Field

from toolgate import Approval, Caller, Gateway, Sensitive, Tool, ToolContext, tool
from toolgate.adapters.ids import UlidIds
from toolgate.adapters.stores import sqlite as sqlite_store
from toolgate.adapters.stores.sqlite import SqliteStore
from toolgate.bootstrap import open_keys
from toolgate.domain.commands import Command, Intend, Record
from toolgate.domain.lifecycle import EffectState
from toolgate.domain.rows import CallRow, ClaimRow, Event, SealedRow
from toolgate.domain.trail import call_record

TENANT: Final = "acme"
APPROVER: Final = Caller("omar", roles={"billing_admin"}, tenant=TENANT)
AGENTS: Final = ("support_assistant", "billing_assistant", "ops_assistant", "mail_assistant")
DAYS: Final = 90
GOOD_FOR: Final = 20 * 86_400
"""Seconds: what waits in the file stays open for thirty days."""
_AT_ONCE: Final = 256
_ENDS: Final = (
    # status, effect in the ledger of a write, error type, parts of a thousand
    ("succeeded", EffectState.APPLIED, None, 925),
    ("refused", None, "permission_denied", 30),
    ("refused", None, "invalid_arguments", 25),
    ("failed", EffectState.NOT_APPLIED, "tool_error", 19),
)
UNRESOLVED: Final = 200
"""Effects in doubt, all in all."""


class RefundInput(BaseModel):
    order_id: int = Field(gt=0, le=10**9)
    amount_cents: int = Field(gt=0, le=500_000)
    reason: str = Field(min_length=3, max_length=200)
    card_hint: Annotated[str, Sensitive()] = Field(default="4242", max_length=4)


def tools() -> list[Tool[Any, Any]]:
    """Twelve tools that wait for a person."""
    return [_refund(f"refund_{number:02}") for number in range(12)]


def _refund(name: str) -> Tool[Any, Any]:
    async def refund(context: ToolContext[None], args: RefundInput) -> int:
        """Refund a captured payment to the original card."""
        return args.amount_cents

    return tool(
        name=name,
        effect="write",
        roles={"support"},
        timeout=5.0,
        version="1",
        owner="payments",
        idempotency="refund:{order_id}:{workflow_id}",
        approval=Approval(approvers={"billing_admin"}, risk="high", expires_in="30d"),
        rate_limit="1000000000/second",
    )(refund)


def provide(folder: Path, *, calls: int, pending: int, note: Callable[[str], None]) -> Path:
    """The database, as kept or newly written. It is closed; its keys lie beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{_name(calls, pending)}.db"
    if path.exists() and time.time() - path.stat().st_mtime < GOOD_FOR:
        return path
    for old in folder.iterdir():
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    making = folder / "making"
    making.mkdir()
    draft = making / path.name
    asyncio.run(_write_past(draft, calls, note))
    note(f"asking for {pending:,} approvals")
    asyncio.run(_ask(draft, pending))
    for file in making.iterdir():
        # The database last: where it lies the rest lies, too.
        if file != draft:
            file.rename(folder / file.name)
    draft.rename(path)
    making.rmdir()
    return path


def copy(path: Path, folder: Path) -> Path:
    """The database and its keys once more, to be written to."""
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy2(file, folder / file.name)
    return folder / path.name


def _name(calls: int, pending: int) -> str:
    schema = hashlib.sha256(Path(__file__).read_bytes())
    for step in sorted((Path(sqlite_store.__file__).parent / "migrations").glob("*.sql")):
        schema.update(step.read_bytes())
    return f"{calls}-{pending}-{schema.hexdigest()[:12]}"


class _Walk:
    """Time from ``days`` ago until now, in even steps."""

    def __init__(self, steps: int, days: int) -> None:
        self._until = time.time_ns() // 1000
        self._step = days * 86_400 * 1_000_000 // max(steps, 1)
        self._left = steps

    def next(self) -> int:
        self._left -= 1
        return self.now()

    def now(self) -> int:
        return self._until - max(self._left, 0) * self._step


async def _write_past(path: Path, calls: int, note: Callable[[str], None]) -> None:
    keys = open_keys(path)
    walk = _Walk(calls, DAYS)
    store = SqliteStore(path, boot_id=UlidIds().new("boot"), now=walk.now, ring_id=keys.ring_id)
    await store.open()
    indexes = _without_listings(path)
    commands = _past(calls, walk)

    async def writer() -> None:
        for number, command in commands:
            await store.execute(command)
            if number % 100_000 == 0:
                note(f"writing the past: {number:,} of {calls:,} calls")

    await asyncio.gather(*(writer() for _ in range(_AT_ONCE)))
    await store.close()
    note("building the indexes of the listings")
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for statement in indexes:
            database.execute(statement)


def _without_listings(path: Path) -> list[str]:
    """Take away the indexes that only listings use, and say how to make them again.

    Built at the end they are the same, and a million rows are written in a fraction of the time.
    """
    query = (
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = 'calls' AND sql IS NOT NULL"
    )
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        found = database.execute(query).fetchall()
        for name, _ in found:
            database.execute(f'DROP INDEX "{name}"')
    return [statement for _, statement in found]


def _past(calls: int, walk: _Walk) -> Iterator[tuple[int, Command]]:
    chance = random.Random(7)
    ends = [end for end in _ENDS for _ in range(end[3])]
    doubtful = set(range(0, calls, max(calls // UNRESOLVED, 10)))
    names = [*(f"read_{number:02}" for number in range(20)), *(f"refund_{number:02}" for number in range(12))]
    for number in range(calls):
        status, state, error, _ = chance.choice(ends)
        if number in doubtful:
            status, state, error = "unknown", EffectState.UNKNOWN, "effect_unknown"
        name = names[-1] if number in doubtful else chance.choice(names)
        row = _row(number, name, walk.next(), chance)
        wrote = row.effect == "write"
        row = row._replace(status=status, effect_state=state if wrote else None, error_type=error)
        yield number, _command(row, claims=wrote and state is EffectState.APPLIED)


def _row(number: int, name: str, at: int, chance: random.Random) -> CallRow:
    digest = hashlib.sha256(number.to_bytes(8, "big")).digest()
    return CallRow(
        call_id=f"call_{_ulid(at, number)}",
        tenant=TENANT if chance.random() < 0.97 else "globex",
        tool=name,
        version="1",
        contract_digest=digest.hex(),
        effect="write" if name.startswith("refund") else "read",
        caller_id=f"u{chance.randrange(997)}",
        agent=chance.choice(AGENTS),
        model="made-up-1",
        workflow_id=f"case-{number // 4}",
        workflow_explicit=True,
        request_id=None,
        trace=None,
        surface=chance.choice(("rest", "python")),
        received_at=at,
        digest=digest,
        fingerprint=digest,
        key_mac=None,
        updated_at=at,
        status="succeeded",
        effect_state=None,
        error_type=None,
        owner="boot_past",
        lease_until=0,
        approval_id=None,
        duration_us=chance.randrange(500, 900_000),
        incident=None,
    )


def _command(row: CallRow, *, claims: bool) -> Command:
    effect = {EffectState.APPLIED: "applied", EffectState.UNKNOWN: "unknown"}.get(row.effect_state, "none")  # type: ignore[arg-type]
    record = call_record(
        row,
        transition="refused" if row.status == "refused" else "settled",
        at=row.received_at,
        decision="deny" if row.status == "refused" else "allow",
        effect=effect,
        arguments={"order_id": row.duration_us, "amount_cents": 2500, "reason": "arrived broken"},
    )
    event = Event(row.call_id, row.received_at, record)
    if row.effect_state is None:
        return Record(row, event)
    claim = None
    if claims:
        row = row._replace(key_mac=row.digest)
        claim = ClaimRow(row.digest, row.call_id, row.caller_id, row.fingerprint, attach_only=False)
    return Intend(row, claim, SealedRow(row.call_id, "request", bytes(160)), event)


_DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def _ulid(at: int, number: int) -> str:
    """26 digits that sort by time, then by number (Crockford's base 32, as the ids of a gateway)."""
    value = (at // 1000 << 80) | number
    return "".join(_DIGITS[(value >> shift) & 31] for shift in range(125, -1, -5))


async def _ask(path: Path, pending: int) -> None:
    asked = tools()
    numbers = iter(range(pending))
    callers = [Caller(f"u{number}", roles={"support"}, tenant=TENANT) for number in range(50)]
    async with Gateway(asked, store=f"sqlite:///{path}", housekeeping=None) as gateway:

        async def one() -> None:
            for number in numbers:
                outcome = await gateway.call(
                    asked[number % len(asked)].contract.name,
                    {"order_id": number + 1, "amount_cents": 1000 + number, "reason": "arrived broken"},
                    caller=callers[number % len(callers)],
                    workflow=f"today-{number // 3}",
                    agent=AGENTS[number % len(AGENTS)],
                    model="made-up-1",
                    rationale="The customer sent a picture of the damage.",
                )
                assert outcome.status == "pending_approval", outcome

        await asyncio.gather(*(one() for _ in range(64)))
        # A server that has just been started would be busy with their notices, and measured with that.
        while await gateway.store.unplanned(1):
            await gateway.sweep()


TOOLS: Final = tools()
"""For a configuration to name."""
