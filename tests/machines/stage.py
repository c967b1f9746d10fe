"""A place where gateways come and go over one ledger: memory, SQLite or Postgres, on a clock that stands still.

Here: opening the next gateway on what the last one left, ending one as a crash does, and waiting until what
flies has landed. Not here: tools and what is expected of them.
"""

from __future__ import annotations

import asyncio
import itertools
import warnings
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tests.people import decide_approval
from tests.postgres.fixtures import ledger
from toolgate import Gateway, StoreUnavailable
from toolgate.adapters.keys import Keyring
from toolgate.adapters.stores.memory import MemoryStore
from toolgate.adapters.stores.postgres.store import PostgresStore
from toolgate.adapters.stores.sqlite import SqliteStore
from toolgate.testing.clock import FakeClock
from toolgate.testing.faults import FaultyStore

if TYPE_CHECKING:
    from toolgate import Caller, Tool
    from toolgate.domain.commands import Answer, Command
    from toolgate.domain.rows import ApprovalRow
    from toolgate.ports import Store

Kind = Literal["memory", "sqlite", "postgres"]
KINDS: tuple[Kind, ...] = ("memory", "sqlite")
"""For rules that need a store and are no store's."""
EVERY_KIND: tuple[Kind, ...] = ("memory", "sqlite", "postgres")
"""For what stores are for."""


class Guillotine(FaultyStore):
    """A store whose process can be killed: after ``fall`` every call of it raises, and nothing of it is written."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.fallen = False

    def fall(self) -> None:
        """The process is dead from here on."""
        self.fallen = True

    async def execute(self, command: Command) -> Answer:
        return await self._readable().execute(command)

    def _readable(self) -> Store:
        if self.fallen:
            raise StoreUnavailable("this process was killed")
        return self.inner


@dataclass(slots=True, kw_only=True)
class Stage:
    """One ledger, one clock, one set of keys; as many gateways on it as a test wants."""

    kind: Kind
    folder: Path
    clock: FakeClock = field(default_factory=FakeClock)
    keys: Keyring = field(default_factory=Keyring.ephemeral)
    _memory: MemoryStore | None = None
    _kept: ExitStack = field(default_factory=ExitStack)
    _dsn: str | None = None
    _boots: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def database(self) -> Path:
        """The file of the SQLite ledger."""
        return self.folder / "ledger.db"

    @property
    def dsn(self) -> str:
        """The address of the Postgres ledger, which is there until ``leave``."""
        if self._dsn is None:
            self._dsn = self._kept.enter_context(ledger())
        return self._dsn

    def leave(self) -> None:
        """Forget the ledger, once every gateway on it is closed."""
        self._kept.close()

    def store(self) -> Guillotine:
        """The ledger as the next process opens it."""
        boot = f"stage-{next(self._boots):06}"
        if self.kind == "postgres":
            return Guillotine(PostgresStore(self.dsn, boot_id=boot, now=self.clock.now))
        if self.kind == "sqlite":
            return Guillotine(SqliteStore(self.database, boot_id=boot, now=self.clock.now))
        last = self._memory
        self._memory = (
            MemoryStore(boot_id=boot, now=self.clock.now) if last is None else last.reopen(boot_id=boot)
        )
        return Guillotine(self._memory)

    def gateway(self, *tools: Tool[Any, Any], store: Store | None = None, **given: Any) -> Gateway:
        """A gateway on the ledger; housekeeping comes when the test says ``sweep``."""
        with warnings.catch_warnings():
            # That the memory store forgets is what a stage is not concerned with.
            warnings.simplefilter("ignore", UserWarning)
            return Gateway(
                tools,
                store=store or self.store(),
                clock=self.clock,
                keys=self.keys,
                housekeeping=None,
                **given,
            )


async def landed(gateway: Gateway) -> None:
    """Wait until every call that was on its way has ended, in whichever loop it runs."""
    for flight in list(gateway.world.flights.values()):
        if flight.lane is not None:
            await asyncio.wrap_future(flight.lane.start(end_of(flight)))


async def end_of(flight: Any) -> None:
    """Wait, in the loop of ``flight``, until its task has ended."""
    # The flight was handed to this loop before this coroutine was, so its task is there.
    if flight.task is not None:
        await asyncio.wait([flight.task])


async def sweep(gateway: Gateway) -> None:
    """One round of housekeeping, and what it started has ended."""
    await gateway.sweep()
    await landed(gateway)


async def approve(
    gateway: Gateway, approval_id: str, *voters: Caller, reason: str = "checked with the customer"
) -> ApprovalRow:
    """Each of ``voters`` approves; the test fails if one may not."""
    row: ApprovalRow | str = "nobody voted"
    for voter in voters:
        row = await decide_approval(gateway, approval_id, "approve", voter=voter, reason=reason)
        assert not isinstance(row, str), row
    assert not isinstance(row, str), row
    return row


async def deny(gateway: Gateway, approval_id: str, voter: Caller) -> ApprovalRow:
    """``voter`` denies; the test fails if they may not."""
    row = await decide_approval(gateway, approval_id, "deny", voter=voter, reason="not this one")
    assert not isinstance(row, str), row
    return row
