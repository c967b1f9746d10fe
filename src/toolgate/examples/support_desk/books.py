"""Two sets of books, read side by side: what the gate's ledger says, and what the desk's own tables hold.

Belongs here: counting, each side from its own rows and never from the other's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from toolgate.domain.lifecycle import EffectState
from toolgate.domain.rows import CallRow
from toolgate.examples.support_desk import database
from toolgate.examples.support_desk.world import World
from toolgate.ports import CallFilter, Store

_MOST_CALLS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """One kind of effect in both sets of books."""

    what: str
    applied: int
    unknown: int
    rows: int

    @property
    def agrees(self) -> bool:
        """Whether every row is accounted for: said to be applied, or said to be in doubt, and none is missing."""
        return self.applied <= self.rows <= self.applied + self.unknown


async def all_calls(store: Store) -> Sequence[CallRow]:
    """Every call in the ledger, the newest first."""
    return (await store.calls(CallFilter(limit=_MOST_CALLS))).rows


async def balances(store: Store, world: World) -> tuple[Balance, ...]:
    """Every kind of effect, from both sides."""
    states = Counter((call.tool, call.effect_state) for call in await all_calls(store))
    return tuple(
        Balance(
            what=what,
            applied=states[tool, EffectState.APPLIED],
            unknown=states[tool, EffectState.UNKNOWN],
            rows=rows(world),
        )
        for tool, what, rows in _KINDS
    )


def tickets(world: World) -> int:
    """Count the tickets that were really opened."""
    return _count(world, "SELECT count(*) FROM tickets")


def erasures(world: World) -> int:
    """Count the customers who were really erased."""
    return _count(world, "SELECT count(*) FROM customers WHERE state = 'erased'")


def refunds(world: World) -> int:
    """Count the refunds that were really made."""
    return _count(world, "SELECT count(*) FROM refunds")


def mails(world: World) -> int:
    """Count the mails that really lie in the outbox."""
    return _count(world, "SELECT count(*) FROM outbox")


def scans(world: World) -> int:
    """Count how often the scanner really read a script."""
    return _count(world, "SELECT count(*) FROM scans")


def scanned(world: World) -> int:
    """Count the scripts that the scanner has read at least once."""
    return _count(world, "SELECT count(DISTINCT path) FROM scans")


_KINDS: tuple[tuple[str, str, Callable[[World], int]], ...] = (
    ("create_support_ticket", "tickets", tickets),
    ("create_refund", "refunds", refunds),
    ("send_email", "mails", mails),
    ("delete_customer", "erasures", erasures),
)


def _count(world: World, statement: str) -> int:
    """Count rows of the desk's own database."""
    with closing(database.connect(world.path)) as connection:
        return int(connection.execute(statement).fetchone()[0])
