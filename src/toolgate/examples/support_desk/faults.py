"""What can go wrong with the systems behind the desk, switched on by whoever runs the world.

Belongs here: the switch. No tool and no argument reaches it, so no model can.
Does not belong here: what is done about a fault. That is the gate's work.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from contextlib import asynccontextmanager
from enum import Enum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Operation = Literal["refund", "mail", "report", "carrier", "scanner"]
"""Where a fault can be: the payment provider, the mail server, the report's database, the carrier, the scanner."""


class Fault(Enum):
    """One way in which one operation goes wrong, once."""

    NONE = "none"
    """It goes well: for attempts that come before one that does not. Only what is done ``on_the_wire`` uses it up."""

    SLOW = "slow"
    """It hangs before anything has happened, until it is cancelled."""

    FLAKY = "flaky"
    """The connection drops before anything has happened."""

    LOST_REPLY = "lost_reply"
    """It is done and committed, and then the answer never comes."""

    DROPPED_REPLY = "dropped_reply"
    """It is done and committed, and then the connection drops."""


class ConnectionDroppedError(ConnectionError):
    """The other side went away. `happened` says whether it did so after the work was done."""

    def __init__(self, operation: Operation, *, happened: bool) -> None:
        super().__init__(f"the connection for {operation!r} dropped")
        self.happened = happened


class Faults:
    """The faults that are armed, per operation, each used up by one attempt."""

    def __init__(self) -> None:
        """Start with everything working."""
        self._armed: defaultdict[Operation, deque[Fault]] = defaultdict(deque)

    def arm(self, operation: Operation, fault: Fault, *, times: int = 1) -> None:
        """Let the next `times` attempts at `operation` go wrong in this way."""
        self._armed[operation].extend([fault] * times)

    def armed(self, operation: Operation) -> int:
        """Count the attempts at `operation` that are still to go wrong."""
        return len(self._armed[operation])

    @asynccontextmanager
    async def on_the_wire(self, operation: Operation) -> AsyncIterator[None]:
        """Do the work of `operation` as if it were done by a system at the other end of a wire.

        Raises:
            ConnectionDroppedError: an armed fault; see `before` and `after`.
        """
        await self.before(operation)
        yield
        await self.after(operation)

    async def before(self, operation: Operation) -> None:
        """Stand where the work is about to begin.

        Raises:
            ConnectionDroppedError: an armed `FLAKY`; nothing has happened.
        """
        match self._next(operation):
            case Fault.FLAKY:
                self._armed[operation].popleft()
                raise ConnectionDroppedError(operation, happened=False)
            case Fault.SLOW:
                self._armed[operation].popleft()
                await _never()
            case Fault.LOST_REPLY | Fault.DROPPED_REPLY | Fault.NONE | None:
                return

    async def after(self, operation: Operation) -> None:
        """Stand where the work is committed and the answer is on its way.

        Raises:
            ConnectionDroppedError: an armed `DROPPED_REPLY`; the work is done.
        """
        match self._next(operation):
            case Fault.NONE:
                self._armed[operation].popleft()
            case Fault.DROPPED_REPLY:
                self._armed[operation].popleft()
                raise ConnectionDroppedError(operation, happened=True)
            case Fault.LOST_REPLY:
                self._armed[operation].popleft()
                await _never()
            case Fault.FLAKY | Fault.SLOW | None:
                return

    def _next(self, operation: Operation) -> Fault | None:
        waiting = self._armed[operation]
        return waiting[0] if waiting else None


async def _never() -> None:
    # A future nobody completes: only a cancellation ends the wait, so no test has to guess a time.
    await asyncio.get_running_loop().create_future()
