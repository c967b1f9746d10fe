"""A store that fails on demand, so that a test sees what a tool does when a record cannot be written.

Here: faults between the gate and its ledger. Not here: faults of a tool's own upstream, and the clock.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from toolgate.domain.errors import StoreInDoubt, StoreUnavailable, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from toolgate.domain.audit import StoredRecord
    from toolgate.domain.commands import Answer, Command
    from toolgate.domain.retention import Prune, Pruned, TrailCut
    from toolgate.domain.rows import (
        ApprovalRow,
        CallRow,
        DeliveryRow,
        Found,
        GrantRow,
        JobRow,
        NoticeRow,
        RevisionRow,
        SealedRow,
        Subject,
        TokenRow,
    )
    from toolgate.ports import ApprovalFilter, CallFilter, CallPage, Change, JobFilter, JobPage, Store

How: TypeAlias = Literal["refuse", "doubt", "hang"]
When: TypeAlias = Literal["before", "after"]

FOREVER: Final = -1


class Fault:
    """One planned fault. ``struck`` counts how often it has happened.

    A fault that hangs holds its command until ``release``; ``wait`` blocks a test's own thread until it struck.
    """

    def __init__(self, how: How, kinds: tuple[type, ...], when: When, *, first: int, times: int) -> None:
        self.how: Final = how
        self.when: Final = when
        self.struck = 0
        self._kinds = kinds
        self._before = first - 1
        self._left = times
        self._happened = threading.Event()
        self._lock = threading.Lock()
        self._released = False
        self._held: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []

    def take(self, command: Command) -> bool:
        """Whether this command meets the fault; counts it."""
        with self._lock:
            if self._left == 0 or (self._kinds and not isinstance(command, self._kinds)):
                return False
            if self._before:
                self._before -= 1
                return False
            self._left -= self._left > 0
            return True

    async def strike(self) -> None:
        """Fail as planned.

        Raises:
            StoreUnavailable: for ``refuse``.
            StoreInDoubt: for ``doubt``.
        """
        self.struck += 1
        self._happened.set()
        match self.how:
            case "refuse":
                raise StoreUnavailable("a planned fault refuses this command")
            case "doubt":
                raise StoreInDoubt("a planned fault loses the answer to this commit")
            case "hang":
                await self._hold()

    async def _hold(self) -> None:
        loop = asyncio.get_running_loop()
        held: asyncio.Future[None] = loop.create_future()
        with self._lock:
            if self._released:
                return
            self._held.append((loop, held))
        await held

    def release(self) -> None:
        """Let go of what hangs, now and from now on. Any thread."""
        with self._lock:
            self._released = True
            held, self._held = self._held, []
        for loop, future in held:
            loop.call_soon_threadsafe(_let_go, future)

    def wait(self, patience: float = 10.0) -> None:
        """Block until the fault struck; ``patience`` is real seconds, after which the test has failed.

        Raises:
            TimeoutError: if it did not.
        """
        if not self._happened.wait(patience):
            raise TimeoutError("the planned fault did not strike: no such command was executed")


class FaultyStore:
    """A ``Store`` around another that fails where a test says so, and otherwise does as the other does.

    ``store.fail("refuse", Settle)`` refuses the next ``Settle``; ``nth`` skips commands before the first fault,
    ``times=None`` keeps failing until ``mend``. ``when="after"`` lets the inner store write first, so that what
    is told and what is true fall apart; with ``"doubt"`` that is a commit whose answer was lost.

    Args:
        inner: the store that really keeps the rows.
    """

    def __init__(self, inner: Store) -> None:
        self.inner: Final = inner
        self.executed: Final[list[Command]] = []
        self._faults: list[Fault] = []
        self._unreadable = False

    def fail(
        self,
        how: How = "refuse",
        *kinds: type[Command],
        nth: int = 1,
        times: int | None = 1,
        when: When = "before",
    ) -> Fault:
        """Plan a fault.

        Args:
            how: ``refuse`` raises ``StoreUnavailable``, ``doubt`` ``StoreInDoubt``, ``hang`` holds the command.
            kinds: the commands that meet it; none named means all.
            nth: the first one to meet it, counted from 1 among those kinds, from now on.
            times: how many meet it; ``None`` for all until ``mend``.
            when: before or after the inner store wrote the command.

        Raises:
            UsageError: for an ``nth`` below 1, or a refusal after the write, which no store may answer.
        """
        if nth < 1:
            raise UsageError("fail(nth=...): commands are counted from 1")
        if how == "refuse" and when == "after":
            raise UsageError(
                "fail('refuse', when='after'): a refusal promises that nothing was written; use 'doubt'"
            )
        fault = Fault(how, kinds, when, first=nth, times=FOREVER if times is None else times)
        self._faults.append(fault)
        return fault

    def fail_reads(self) -> None:
        """Refuse every look-up until ``mend``."""
        self._unreadable = True

    def mend(self) -> None:
        """Forget every fault and let go of what hangs."""
        self._unreadable = False
        faults, self._faults = self._faults, []
        for fault in faults:
            fault.release()

    async def execute(self, command: Command) -> Answer:
        """Decide and write one command, unless a fault was planned for it."""
        self.executed.append(command)
        # Every fault counts every command, whether or not another one strikes first.
        met = [fault for fault in self._faults if fault.take(command)]
        await _strike(met, "before")
        answer = await self.inner.execute(command)
        await _strike(met, "after")
        return answer

    def _readable(self) -> Store:
        if self._unreadable:
            raise StoreUnavailable("a planned fault refuses every look-up")
        return self.inner

    async def open(self) -> None:
        """Open the inner store."""
        await self.inner.open()

    async def close(self) -> None:
        """Close the inner store; what hangs is let go."""
        self.mend()
        await self.inner.close()

    async def find(self, subject: Subject) -> Found:
        """The rows around a key, call or approval."""
        return await self._readable().find(subject)

    async def sealed(self, call_id: str, kind: str) -> SealedRow | None:
        """Encrypted bytes of a call."""
        return await self._readable().sealed(call_id, kind)

    async def calls(self, wanted: CallFilter) -> CallPage:
        """Calls, newest first."""
        return await self._readable().calls(wanted)

    async def job(self, job_id: str) -> JobRow | None:
        """The job of this id."""
        return await self._readable().job(job_id)

    async def jobs(self, wanted: JobFilter) -> JobPage:
        """Jobs, newest first."""
        return await self._readable().jobs(wanted)

    async def approvals(self, wanted: ApprovalFilter) -> Sequence[ApprovalRow]:
        """Approvals, oldest first where only open ones are asked for, else newest first."""
        return await self._readable().approvals(wanted)

    async def revisions(self, approval_id: str) -> Sequence[RevisionRow]:
        """What edits of an approval replaced, oldest first."""
        return await self._readable().revisions(approval_id)

    async def grants(
        self,
        *,
        tenant: str,
        tool: str | None = None,
        active_at: int | None = None,
        before: str | None = None,
        limit: int = 100,
    ) -> Sequence[GrantRow]:
        """Grants, newest first."""
        return await self._readable().grants(
            tenant=tenant, tool=tool, active_at=active_at, before=before, limit=limit
        )

    async def lapsed(self, limit: int = 100) -> Sequence[CallRow]:
        """Intents whose lease ran out."""
        return await self._readable().lapsed(limit)

    async def unknown(self, limit: int = 100) -> Sequence[CallRow]:
        """Effects in doubt."""
        return await self._readable().unknown(limit)

    async def dispatchable(self, limit: int = 100, after: str | None = None) -> Sequence[ApprovalRow]:
        """Approvals that are approved and not consumed."""
        return await self._readable().dispatchable(limit, after)

    async def lapsed_grants(self, limit: int = 100) -> Sequence[GrantRow]:
        """Grants whose time ran out."""
        return await self._readable().lapsed_grants(limit)

    async def unplanned(self, limit: int = 100) -> Sequence[NoticeRow]:
        """Notices that nobody has planned deliveries of."""
        return await self._readable().unplanned(limit)

    async def deliveries(
        self,
        *,
        state: str,
        due: int | None = None,
        tenant: str | None = None,
        sink: str | None = None,
        limit: int = 100,
    ) -> Sequence[tuple[DeliveryRow, NoticeRow]]:
        """Deliveries in ``state`` with what they carry."""
        return await self._readable().deliveries(state=state, due=due, tenant=tenant, sink=sink, limit=limit)

    async def changes(self, after: int | None, limit: int = 500) -> Sequence[Change]:
        """What the trail says behind ``after``."""
        return await self._readable().changes(after, limit)

    async def newest_changes(self, *, before: int | None = None, limit: int = 50) -> Sequence[Change]:
        """The trail backwards."""
        return await self._readable().newest_changes(before=before, limit=limit)

    async def token(self, token_hash: str) -> TokenRow | None:
        """The token of this hash."""
        return await self._readable().token(token_hash)

    async def tokens(
        self, *, tenant: str | None = None, live_at: int | None = None, limit: int = 1000
    ) -> Sequence[TokenRow]:
        """Tokens, newest first."""
        return await self._readable().tokens(tenant=tenant, live_at=live_at, limit=limit)

    def records(
        self, *, call_id: str | None = None, newest: int | None = None
    ) -> AsyncIterator[StoredRecord]:
        """The trail in the order it was written."""
        return self._readable().records(call_id=call_id, newest=newest)

    async def heads(self) -> dict[str, tuple[int, bytes]]:
        """Where each chain ends."""
        return await self._readable().heads()

    async def now(self) -> int:
        """The store's time, microseconds since the epoch."""
        return await self._readable().now()

    def watch(self, wake: Callable[[], object], *, elsewhere: bool = False) -> Callable[[], None]:
        """Call ``wake`` when something was committed."""
        return self.inner.watch(wake, elsewhere=elsewhere)

    async def prune(self, batch: Prune, *, dry: bool = False) -> Pruned:
        """Remove one bounded batch."""
        return await self._readable().prune(batch, dry=dry)

    async def oldest(self, before: int, *, limit: int = 10_000) -> TrailCut | None:
        """The oldest records of the trail."""
        return await self._readable().oldest(before, limit=limit)

    async def turn(self, name: str, *, every: float) -> bool:
        """Whether the work of this name is the caller's to do now."""
        return await self._readable().turn(name, every=every)

    async def turn_taken(self, name: str) -> int | None:
        """When the last turn of this name was taken."""
        return await self._readable().turn_taken(name)


def _let_go(held: asyncio.Future[None]) -> None:
    if not held.done():
        held.set_result(None)


async def _strike(met: Iterable[Fault], when: When) -> None:
    for fault in met:
        if fault.when == when:
            await fault.strike()
