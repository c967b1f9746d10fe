"""The one writer of a process: takes commands from any thread, decides and writes them in groups.

How it is used (``store``)::

    writer = Writer(link, boot_id=boot_id, now=None, ring_id=ring, committed=wake.told)
    await writer.start()  # migrates; any loop; after link.open()
    writer.submit(Job(command, reply))  # any thread; ``reply`` is called in the link's thread, exactly once
    writer.decided_at, writer.offset  # the store's time of the last group; the server's clock less ours (µs)
    writer.tell(at)  # callers were told this time: no decision may come before it
    await writer.stop()  # writes what waits; before link.close()

A group is one transaction: many callers share one wait for the disk. Commands that cannot be decided or kept are
refused alone. Where another replica was first, the group is decided again on rows read anew; where the data of one
command fails in the database, the group is halved until that command is alone. While the server is gone, one group
waits for it, and those behind are refused at once. Every command is answered, whatever happens here.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import asyncpg

from toolgate.adapters.mailbox import Mailbox
from toolgate.adapters.stores.postgres.faults import (
    FAULTS,
    is_conflict,
    is_of_the_data,
    told_at_start,
    unavailable,
)
from toolgate.adapters.stores.postgres.migrate import migrate
from toolgate.adapters.stores.postgres.session import Lost, NoPartition, Session
from toolgate.adapters.stores.postgres.writing import Forked
from toolgate.domain.commands import Command
from toolgate.domain.errors import StoreInDoubt, StoreUnavailable

if TYPE_CHECKING:
    from toolgate.adapters.stores.postgres.link import Link
    from toolgate.domain.commands import Answer
    from toolgate.ports import StoreNotes

MAX_GROUP = 256
MOST_TRIES = 12
"""Times that a group is decided, because another replica was first or the connection was lost."""
_log = logging.getLogger("toolgate")

Reply = Callable[[Any], object]
"""Called in the link's thread with the answer, or with the exception."""


class Job(NamedTuple):
    """A command and where its answer goes."""

    command: Command
    reply: Reply


class Writer:
    """Owns the writing connection; lives in the link's loop. ``notes``, if set, hear how its work goes.

    Args:
        boot_id: names this process's chain.
        now: the time in microseconds in place of the server's own, for tests; None for the server's.
        ring_id: of the keys that belong to the database; empty for none.
        committed: called in the link's loop after each commit that wrote something.
    """

    def __init__(
        self,
        link: Link,
        *,
        boot_id: str,
        now: Callable[[], int] | None = None,
        ring_id: str = "",
        committed: Callable[[], object] | None = None,
    ) -> None:
        self._link = link
        self._now = now
        self._ring = ring_id
        self._committed = committed
        self._session = Session(link, boot_id=boot_id, now=now)
        self._mailbox: Mailbox | None = None
        self._waiting: deque[Job] = deque()
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = self._ended = False
        self._out = False
        self.notes: StoreNotes | None = None

    async def start(self) -> None:
        """Migrate the database, so that a fault shows at once, then take commands.

        Raises:
            ConfigurationError: if the database is not fit, newer, edited or of other keys, or refuses this user.
            StoreUnavailable: if the server cannot be reached.
        """
        await self._link.run(self._start())

    async def _start(self) -> None:
        try:
            connection = await self._link.connect("migrate", endless=True)
        except FAULTS as fault:
            raise told_at_start(fault, self._link.address.shown) from None
        try:
            at = None if self._now is None else self._now()
            await migrate(connection, self._link.address, now=at, ring_id=self._ring)
        finally:
            await connection.close(timeout=self._link.patience.connect)
        await self._session.connect(self._link.loop.time())
        self._stopping = self._ended = False
        self._mailbox = Mailbox(self._link.loop, self._take_in)
        self._task = asyncio.create_task(self._run(), name="toolgate-writer")
        # However it ends, its callers are told; nobody else waits for it.
        self._task.add_done_callback(lambda task: task.cancelled() or task.exception())

    @property
    def decided_at(self) -> int:
        """The store's time (µs) of the last group, whether or not it was written; some caller was told it."""
        return self._session.times.at

    @property
    def offset(self) -> int:
        """How far the server's clock is ahead of this machine's (µs), as last seen."""
        return self._session.times.offset

    def tell(self, at: int) -> None:
        """Callers were told that it is ``at`` (µs); no decision of this store comes before it. In the link's loop."""
        self._session.times.told = max(self._session.times.told, at)

    def submit(self, job: Job) -> None:
        """Queue a command; any thread. Answered even if the writer has ended or ends at this moment."""
        mailbox = self._mailbox
        if mailbox is None:
            _reply(job, StoreUnavailable("the store is closed"))
            return
        there = mailbox.post(job)
        # The writer says that it ended before it clears the queue: whichever of the two comes last finds the job.
        if self._ended or not there:
            self._refuse_rest()

    async def stop(self) -> None:
        """Write what waits, then end the session."""
        if self._task is not None:
            # A link whose thread was ended from outside has closed everything already.
            with suppress(StoreUnavailable):
                await self._link.run(self._stop())

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is None:
            return
        self._stopping = True
        self._arrived.set()
        await asyncio.wait([task])
        await self._session.close()

    def _take_in(self, job: Job) -> None:
        self._waiting.append(job)
        self._arrived.set()

    async def _run(self) -> None:
        try:
            while group := await self._next_group():
                await self._write(group)
        finally:
            self._ended = True
            self._refuse_rest()

    async def _next_group(self) -> list[Job]:
        """Wait for a command and take what came with it. Empty: the writer shall end."""
        while not self._waiting:
            if self._stopping:
                return []
            self._arrived.clear()
            await self._arrived.wait()
            # What was posted in the same moment is delivered before this goes on.
            await asyncio.sleep(0)
        return [self._waiting.popleft() for _ in range(min(MAX_GROUP, len(self._waiting)))]

    def _refuse_rest(self) -> None:
        mailbox = self._mailbox
        rest = [] if mailbox is None else mailbox.take_back()
        while self._waiting:
            try:
                rest.append(self._waiting.popleft())
            except IndexError:
                break
        _refuse(rest, StoreUnavailable("the store is closed"))

    async def _write(self, group: list[Job], *, hurried: bool = False) -> None:
        try:
            answers = await self._answers([job.command for job in group], hurried=hurried)
        except (StoreUnavailable, StoreInDoubt) as fault:
            if self.notes is not None and isinstance(fault, StoreInDoubt):
                self.notes.in_doubt()
            _refuse(group, fault)
        except Exception as broken:  # noqa: BLE001 - whatever it is, each caller must be answered
            if len(group) > 1:
                await self._write_by_halves(group, hurried=isinstance(broken, asyncpg.LockNotAvailableError))
            else:
                _refuse(group, unavailable(broken))
        except BaseException:
            _refuse(group, StoreInDoubt("the writer was ended from outside"))
            raise
        else:
            for job, answer in zip(group, answers, strict=True):
                _reply(job, answer)

    async def _write_by_halves(self, group: list[Job], *, hurried: bool) -> None:
        middle = len(group) // 2
        try:
            await self._write(group[:middle], hurried=hurried)
        except BaseException:
            _refuse(group[middle:], StoreUnavailable("the writer was ended from outside"))
            raise
        await self._write(group[middle:], hurried=hurried)

    async def _answers(self, commands: list[Command], *, hurried: bool) -> list[Answer | StoreUnavailable]:
        """What the group comes to, tried again where that may help.

        Raises:
            StoreUnavailable: if nothing was written and none of the commands is to blame.
            StoreInDoubt: if that is not certain.
            Exception: if one of the commands is to blame.
        """
        # Behind a group that waited for the server in vain nobody waits any more: callers have been waiting already.
        until = self._link.loop.time() + (0.0 if self._out else self._link.patience.outage)
        for tried in range(MOST_TRIES):
            began = time.perf_counter()
            try:
                answers = await self._session.transact(commands, until=until, hurried=hurried)
            except StoreUnavailable:
                self._out = True
                raise
            except (*FAULTS, Lost, NoPartition, Forked) as fault:
                await self._mend(fault, until, tried)
            else:
                self._out = False
                self._tell(len(commands), time.perf_counter() - began)
                return answers
        raise StoreUnavailable("the store refused to write: it was tried again too often")

    def _tell(self, size: int, seconds: float) -> None:
        if not self._session.wrote:
            return
        if self.notes is not None:
            self.notes.group(size, seconds)
        if self._committed is not None:
            self._committed()

    async def _mend(self, fault: Exception, until: float, tried: int) -> None:
        """Return if the group shall be tried again; raise what its callers shall hear if not."""
        if isinstance(fault, NoPartition):
            await self._session.make_partition(until)
        elif isinstance(fault, Forked):
            self._session.chain.in_doubt = True
        elif isinstance(fault, Lost):
            if self._link.loop.time() >= until:
                self._out = True
                raise StoreUnavailable(f"the store refused to write: {fault}") from None
            await self._session.connect(until)
            if self.notes is not None:
                self.notes.reconnected()
        elif is_conflict(fault) and tried < MOST_TRIES - 1:
            await asyncio.sleep(random.uniform(0, 0.002) * tried)  # noqa: S311 - nothing is secret about it
        else:
            raise (fault if is_of_the_data(fault) else unavailable(fault)) from None


def _reply(job: Job, answer: object) -> None:
    try:
        job.reply(answer)
    except Exception as error:  # noqa: BLE001 - one caller's fault must not leave the others unanswered
        _log.error("an answer of the store could not be delivered: %s", type(error).__name__)


def _refuse(group: Iterable[Job], fault: StoreUnavailable | StoreInDoubt) -> None:
    """Each its own exception: one that is raised in several tasks collects all their tracebacks."""
    for job in group:
        _reply(job, type(fault)(*fault.args))
