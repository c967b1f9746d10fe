"""This boot's chain in the database: begun with the heads of all others, and read again where its end is in doubt.

Not here: how records are linked (``stores.chain``), and how they are written (``writing``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import asyncpg

from toolgate.adapters.stores.chain import ChainHead
from toolgate.adapters.stores.postgres.overlay import Overlay, Turn
from toolgate.adapters.stores.postgres.writing import write
from toolgate.domain.audit import GENESIS
from toolgate.domain.errors import StoreUnavailable
from toolgate.domain.ledger import chain_opened_event

if TYPE_CHECKING:
    from toolgate.adapters.stores.postgres.moments import Times

_LOCK = 0x54474156
"""The advisory lock under which chains are begun, so that each head is named by one of them."""
_RECENT = 3_600_000_000
"""Microseconds after which a chain that wrote nothing need not be looked at for the newest time."""
_HEAD = "SELECT chain_no, head_seq, head_link, groups FROM chains WHERE chain_id = $1"
_UNNAMED = (
    "SELECT chain_no, chain_id, head_seq, head_link FROM chains WHERE head_seq > named_seq "
    "ORDER BY chain_no FOR UPDATE"
)
_NAME = "UPDATE chains SET named_seq = head_seq WHERE chain_no = ANY($1::bigint[])"
_FADE = "UPDATE chains SET recent = false WHERE recent AND head_at < $1"
_BEGIN = (
    "INSERT INTO chains (chain_id, head_seq, head_link, named_seq, head_at, recent) VALUES ($1, 0, $2, 0, $3, true) "
    "RETURNING chain_no"
)
_LATER = "UPDATE chains SET head_at = head_at WHERE chain_no = $1 RETURNING xmin"


class Mark(NamedTuple):
    """A chain's end, and how many groups have been written to it: two that left no event differ in that alone."""

    seq: int
    link: bytes
    groups: int


class OwnChain:
    """The chain that this process writes.

    Attributes:
        head: its end in memory.
        no: its number, once it is begun.
        in_doubt: whether the end in memory may not be the one in the database.
    """

    def __init__(self, boot_id: str) -> None:
        self.head = ChainHead(boot_id)
        self.no: int | None = None
        self.in_doubt = False
        self._tried = False
        self._groups = 0

    async def make_ready(self, db: asyncpg.Connection, times: Times) -> None:
        """Begin the chain if there is none yet, in a transaction of its own; read its end anew if that is in doubt."""
        if self.in_doubt:
            # FOR UPDATE waits for a transaction of ours that the server has not ended yet.
            row = await db.fetchrow(f"{_HEAD} FOR UPDATE", self.head.chain_id)
            self.no, *mark = (None, 0, GENESIS, 0) if row is None else row
            self.back_to(Mark(*mark))
            self.in_doubt = False
        if self.no is None:
            await self._begin(db, times)

    async def _begin(self, db: asyncpg.Connection, times: Times) -> None:
        """The chain's row and its first event, which names every head that no chain has named yet."""
        if (row := await db.fetchrow(_HEAD, self.head.chain_id)) is not None:
            if not self._tried:
                raise StoreUnavailable("another process has begun a chain of this boot id")
            self.no, *mark = row
            self.back_to(Mark(*mark))
            return
        self._tried = True
        await db.execute("BEGIN")
        await db.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        unnamed = await db.fetch(_UNNAMED)
        await db.execute(_NAME, [row[0] for row in unnamed])
        moment = await times.ask(db, ever=True)
        at = times.of(moment)
        await db.execute(_FADE, at - _RECENT)
        number: int = await db.fetchval(_BEGIN, self.head.chain_id, GENESIS, at)
        heads = {row[1]: (row[2], row[3].hex()) for row in unnamed}
        opened = chain_opened_event(at=at, known_heads=heads, boot={"toolgate.boot": self.head.chain_id})
        overlay, turn = Overlay(), Turn(at, number, moment.first_seq(moment.number))
        overlay.apply((opened,), self.head, turn)
        await self.write(db, overlay, turn)
        # If the answer to this is lost, the chain is found by its name the next time.
        await db.execute("COMMIT")
        self.no = number

    async def later_number(self, db: asyncpg.Connection, number: int) -> int:
        """A number greater than those of the transactions whose rows were found.

        This transaction got its number with its first lock, and then waited for one with a greater number: its events
        would stand before those that they follow. A subtransaction has a number of its own, which is given out now.
        """
        await db.execute("SAVEPOINT later")
        later = await db.fetchval(_LATER, self.no)
        return number + ((int(later) - number) & 0xFFFFFFFF)

    async def write(self, db: asyncpg.Connection, overlay: Overlay, turn: Turn) -> None:
        """What a group put, counted as one more of this chain's. Raises ``Forked``."""
        self._groups += 1
        await write(db, overlay, turn=turn, head=self.head, groups=self._groups - 1)

    def mark(self) -> Mark:
        """Where the chain is in memory, for ``back_to``."""
        return Mark(*self.head.mark(), self._groups)

    def back_to(self, mark: Mark) -> None:
        """Forget what came after ``mark``: it was not committed."""
        self.head.back_to((mark.seq, mark.link))
        self._groups = mark.groups

    async def ends_at(self, db: asyncpg.Connection) -> Mark | None:
        """Where it is in the database."""
        row = await db.fetchrow(_HEAD, self.head.chain_id)
        return None if row is None else Mark(*row[1:])


def is_later(writer: int, number: int) -> bool:
    """Whether the transaction ``writer`` (32 bits, which wrap around) has a greater number than this one."""
    return 0 < ((writer - number) & 0xFFFFFFFF) < 2**31
