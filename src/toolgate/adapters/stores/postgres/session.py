"""One group is one transaction: load and lock, decide, write, commit; and whether a lost COMMIT was one.

Not here: who waits for an answer, and what is tried again (``writer``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import asyncpg

from toolgate.adapters.stores.postgres.chains import Mark, OwnChain, is_later
from toolgate.adapters.stores.postgres.connection import WritingConnection
from toolgate.adapters.stores.postgres.faults import FAULTS, is_gone, unavailable, words
from toolgate.adapters.stores.postgres.loading import Loading, Wanted
from toolgate.adapters.stores.postgres.moments import Moment, Times
from toolgate.adapters.stores.postgres.overlay import GroupFull, Overlay, Refused, Turn
from toolgate.adapters.stores.postgres.partitions import make_partitions
from toolgate.adapters.stores.postgres.rows import Unkeepable
from toolgate.domain.errors import StoreInDoubt, StoreUnavailable
from toolgate.domain.ledger import decide

if TYPE_CHECKING:
    from toolgate.adapters.stores.postgres.link import Link
    from toolgate.domain.commands import Answer, Command

_HURRIED = "SET LOCAL lock_timeout = '100ms'"


class Lost(Exception):
    """The connection went away, and nothing of the group was written."""


class NoPartition(Exception):
    """The trail has no partition for the group's time yet."""


class Session:
    """One transaction after another, inside the link's loop.

    Attributes:
        times: the store's time.
        chain: this boot's chain.
        wrote: whether the last group left anything behind.
    """

    def __init__(self, link: Link, *, boot_id: str, now: Callable[[], int] | None) -> None:
        self._connection = WritingConnection(link)
        self._partition_due = 0
        self.times = Times(now)
        self.chain = OwnChain(boot_id)
        self.wrote = False

    async def connect(self, until: float) -> None:
        """Connect, if that is to be done; see ``WritingConnection.made``."""
        await self._connection.made(until)

    async def close(self) -> None:
        """End the session in good order."""
        await self._connection.close()

    async def transact(
        self, commands: Sequence[Command], *, until: float, hurried: bool = False
    ) -> list[Answer | StoreUnavailable]:
        """Decide and write ``commands``, one after another, all of them in one transaction.

        A command that cannot be decided or kept has an exception in place of its answer; the others are written.
        ``hurried``: do not wait for rows that another replica holds.

        Raises:
            Lost: if the connection went away and nothing was written.
            NoPartition: if one has to be made first; nothing was written.
            StoreUnavailable: if there is no connection until ``until``.
            StoreInDoubt: if nobody can say whether the group was written.
        """
        db = await self._connection.made(until)
        mark = self.chain.mark()
        try:
            await self._make_ready(db)
            mark = self.chain.mark()
            await db.execute(f"BEGIN; {_HURRIED}" if hurried else "BEGIN")
            overlay, moment, answers = await self._decide(db, commands)
        except Exception as broken:
            self.chain.back_to(mark)
            await self._roll_back(db, broken)
            raise _plain(broken, db) from broken
        except BaseException:
            self.chain.back_to(mark)
            self._connection.let_go()
            raise
        if overlay.writes:
            await self._commit(db, mark, moment)
        else:
            await self._roll_back(db, None)
        self.wrote = overlay.writes
        return answers

    async def _make_ready(self, db: asyncpg.Connection) -> None:
        """What has to be there before anything can be decided: a partition, and this boot's chain."""
        if (at := self.times.about()) >= self._partition_due:
            self._partition_due = await make_partitions(db, at)
        await self.chain.make_ready(db, self.times)

    async def make_partition(self, until: float) -> None:
        """The one that the last group's time falls into.

        Raises:
            StoreUnavailable: if it cannot be made.
        """
        db = await self._connection.made(until)
        try:
            await make_partitions(db, self.times.at)
        except FAULTS as fault:
            await self._roll_back(db, fault)
            raise unavailable(fault) from None

    async def _decide(
        self, db: asyncpg.Connection, commands: Sequence[Command]
    ) -> tuple[Overlay, Moment, list[Answer | StoreUnavailable]]:
        assert self.chain.no is not None
        loading = Loading(db, lock=True)
        overlay = await loading.load(Wanted.by(commands))
        moment = await self.times.ask(db)
        number = moment.number
        if any(is_later(writer, number) for writer in loading.writers):
            number = await self.chain.later_number(db, number)
        turn = Turn(self.times.of(moment), self.chain.no, moment.first_seq(number))
        answers = [self._one(command, overlay, turn) for command in commands]
        if overlay.writes:
            await self.chain.write(db, overlay, turn)
        return overlay, moment, answers

    def _one(self, command: Command, overlay: Overlay, turn: Turn) -> Answer | StoreUnavailable:
        try:
            decision = decide(command, overlay.found(command.subject), turn.at)
            overlay.apply(decision.rows, self.chain.head, turn)
        except GroupFull:
            raise
        except (Refused, Unkeepable) as refused:
            return StoreUnavailable(f"the store refused to write: {refused}")
        except Exception as broken:  # noqa: BLE001 - whatever it is, it is this command's alone
            # Its text may hold anything.
            return StoreUnavailable(f"the store refused to write: {type(broken).__name__}")
        return decision.answer

    async def _roll_back(self, db: asyncpg.Connection, broken: BaseException | None) -> None:
        if broken is not None and is_gone(broken, db):
            self._connection.let_go()
        elif db.is_in_transaction():
            try:
                await db.execute("ROLLBACK")
            except FAULTS:
                self._connection.let_go()

    async def _commit(self, db: asyncpg.Connection, mark: Mark, moment: Moment) -> None:
        try:
            tag = await db.execute("COMMIT")
        except Exception as broken:
            if not is_gone(broken, db):
                self.chain.back_to(mark)
                await self._roll_back(db, broken)
                raise _plain(broken, db) from broken
            if not await self._was_committed(mark, moment.number):
                self.chain.back_to(mark)
                raise Lost(words(broken)) from broken
        except BaseException:
            self.chain.in_doubt = True
            self._connection.let_go()
            raise
        else:
            if tag != "COMMIT":
                self.chain.back_to(mark)
                raise StoreUnavailable("the server rolled the group back")

    async def _was_committed(self, mark: Mark, number: int) -> bool:
        """What became of a group whose COMMIT was not answered: its chain says so, once the server is done with it.

        The server's word alone would not do: one that crashed may give the same number to another transaction.

        Raises:
            StoreInDoubt: if the server cannot be asked in time, or is not the one that was asked to commit.
        """
        self.chain.in_doubt = True
        db = await self._connection.ended(number)
        try:
            there = await self.chain.ends_at(db)
        except FAULTS as fault:
            self._connection.let_go()
            raise StoreInDoubt(f"a commit was sent and cannot be confirmed: {words(fault)}") from None
        if there not in {mark, self.chain.mark()}:
            raise StoreInDoubt("a commit was sent, and the database is not the one that it was sent to")
        self.chain.in_doubt = False
        return there != mark


def _plain(broken: Exception, db: asyncpg.Connection) -> Exception:
    """What the writer has to know of a failure that left nothing behind."""
    if isinstance(broken, StoreUnavailable | StoreInDoubt):
        return broken
    if is_gone(broken, db):
        return Lost(words(broken))
    if isinstance(broken, asyncpg.CheckViolationError) and getattr(broken, "constraint_name", None) is None:
        return NoPartition()
    return broken
