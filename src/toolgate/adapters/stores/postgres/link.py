"""The way to the server: one thread with one event loop a store, in which every connection of the driver lives.

How it is used (from any thread and any loop; a caller's loop is only ever waited in, never used for I/O)::

    link = Link(Address.parse(dsn), boot_id=boot_id)
    await link.open()  # starts the thread; connects nothing yet
    rows = await link.read(
        lambda c: c.fetch(query, 1)
    )  # one of the pool's readers; tried once more if it was lost
    value = await link.run(coroutine)  # any coroutine, in the link's loop; its result or exception
    link.post(callback)  # a plain call in the link's loop; False once it is closed
    await link.close()  # after the writer has stopped

Inside the link's loop (in a coroutine given to ``run``): ``async with link.reader() as connection`` for several
statements on one connection, ``await link.connect("listen")`` for a connection of one's own (LISTEN, the writer),
``link.loop`` and ``link.pool``. A coroutine for ``run`` must not block: everybody's statements wait for that loop.

Sessions have ``search_path`` on the ledger's schema alone, UTC, ``synchronous_commit=on``, ``statement_timeout``,
``lock_timeout`` and ``idle_in_transaction_session_timeout``; connections of the pool are not reset when they are given
back, so nobody may SET anything there except with SET LOCAL.

Driver errors come out as ``StoreUnavailable``, in words without the address. Not here: what is asked (``reading``,
``writer``), and what the errors mean (``faults``).
"""

from __future__ import annotations

import asyncio
import random
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import asyncpg

from toolgate.adapters.mailbox import Mailbox
from toolgate.adapters.stores.answers import Answers
from toolgate.adapters.stores.postgres.faults import FAULTS, is_gone, told_at_start, words
from toolgate.domain.errors import ConfigurationError, StoreUnavailable

if TYPE_CHECKING:
    from toolgate.adapters.stores.postgres.address import Address

T = TypeVar("T")
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two attempts to connect: doubled from the one to the other, each with up to a half of it more or
less, so that many processes do not come back to a restarted server at the same moment."""


class Patience(NamedTuple):
    """How long the store waits, in seconds.

    ``connect``: for one connection. ``outage``: for a server that is gone to come back, before callers are refused.
    ``statement``: for one statement. ``lock``: for another replica's row. ``idle``: after so long the server itself
    ends a transaction of a process that fell silent in it, and frees its rows.
    """

    connect: float = 5.0
    outage: float = 8.0
    statement: float = 30.0
    lock: float = 8.0
    idle: float = 5.0


class Link:
    """A thread, its event loop, and the connections that live in it.

    Args:
        boot_id: names the process to the server (``application_name``).
        readers: the most connections that reads may use at once; the writer and listeners have their own.
    """

    def __init__(
        self, address: Address, *, boot_id: str, readers: int = 4, patience: Patience | None = None
    ) -> None:
        self.address = address
        self.patience = patience or Patience()
        self.name = f"toolgate/{boot_id}"
        self._readers = readers
        self._answers = Answers()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inbox: Mailbox | None = None
        self._pool: asyncpg.Pool | None = None
        self._ending = False
        self._own: weakref.WeakSet[asyncpg.Connection] = weakref.WeakSet()

    @property
    def is_open(self) -> bool:
        """Whether its thread is there to work."""
        return self._loop is not None and not self._ending

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The link's loop. Raises ``StoreUnavailable`` while the link is closed."""
        if self._loop is None:
            raise StoreUnavailable("the store is closed")
        return self._loop

    @property
    def pool(self) -> asyncpg.Pool:
        """The readers. To be used inside the link's loop alone."""
        if self._pool is None:
            raise StoreUnavailable("the store is closed")
        return self._pool

    async def open(self) -> None:
        """Start the thread. Nothing is connected yet, so nothing can be wrong with the server here.

        Raises:
            ConfigurationError: if the driver cannot read the address.
        """
        if self._thread is not None:
            return
        self._ending = False
        started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        caller = asyncio.get_running_loop()
        self._thread = threading.Thread(
            target=self._run,
            args=(lambda: caller.call_soon_threadsafe(started.set_result, None),),
            name="toolgate-postgres",
            daemon=True,
        )
        self._thread.start()
        await started
        try:
            await self.run(self._make_pool())
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close every connection of the pool and end the thread. What still runs there is cancelled."""
        thread, loop = self._thread, self._loop
        if thread is None or loop is None:
            return
        if self.is_open:
            await self.run(self._close_pool())
            loop.call_soon_threadsafe(self._halt)
        self._thread = self._loop = None
        await asyncio.to_thread(thread.join)

    def _run(self, started: Callable[[], object]) -> None:
        with asyncio.Runner() as runner:
            loop = runner.get_loop()
            self._inbox = Mailbox(loop, _call)
            self._loop = loop
            started()
            try:
                loop.run_forever()
            finally:
                self._ending = True
                runner.run(self._drop())
        # The runner cancels what is left and closes the loop.

    def _halt(self) -> None:
        # A loop that is ending already has its last things to do, and a stop would cut them short.
        if not self._ending:
            asyncio.get_running_loop().stop()

    async def _drop(self) -> None:
        """What nobody has closed, because the thread was ended from outside."""
        for connection in list(self._own):
            connection.terminate()
        if self._pool is not None:
            self._pool.terminate()
            self._pool = None
        # A transport lets go of its socket in the next turn of the loop.
        await asyncio.sleep(0)

    def post(self, callback: Callable[[], object]) -> bool:
        """Call ``callback`` in the link's loop. False if the link is closed."""
        return self.is_open and self._inbox is not None and self._inbox.post(callback)

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of ``work``, run in the link's loop; cancelled there if the caller is cancelled here."""
        if self._loop is asyncio.get_running_loop():
            return await work
        future, mailbox = self._answers.future()
        running: list[asyncio.Task[T]] = []

        def begin() -> None:
            if self._ending:
                work.close()
                mailbox.post((future, StoreUnavailable("the store is closed")))
                return
            task = asyncio.get_running_loop().create_task(work)
            running.append(task)
            task.add_done_callback(lambda done: mailbox.post((future, _result(done))))

        if not self.post(begin):
            work.close()
            raise StoreUnavailable("the store is closed")
        try:
            result: T = await future
        except asyncio.CancelledError:
            self.post(lambda: [task.cancel() for task in running])
            raise
        return result

    async def read(self, query: Callable[[asyncpg.pool.PoolConnectionProxy], Awaitable[T]]) -> T:
        """What ``query`` finds on a reader; from any loop. Tried once more on a new connection if the first was lost.

        Raises:
            StoreUnavailable: if the server cannot be asked.
        """
        return await self.run(self._read(query))

    async def _read(self, query: Callable[[asyncpg.pool.PoolConnectionProxy], Awaitable[T]]) -> T:
        until = self.loop.time() + self.patience.outage
        pause = _FIRST_PAUSE
        while True:
            try:
                async with self.pool.acquire(timeout=self.patience.connect) as connection:
                    return await query(connection)
            except FAULTS as fault:
                if not is_gone(fault) or self.loop.time() >= until:
                    raise StoreUnavailable(f"the store cannot be read: {words(fault)}") from None
            await asyncio.sleep(_jittered(pause))
            pause = min(pause * 2, _LONGEST_PAUSE)

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        """A reader for several statements, inside the link's loop. Driver errors come out as ``StoreUnavailable``."""
        try:
            async with self.pool.acquire(timeout=self.patience.connect) as connection:
                yield connection
        except FAULTS as fault:
            raise StoreUnavailable(f"the store cannot be read: {words(fault)}") from None

    async def connect(
        self, purpose: str, *, endless: bool = False, settings: Mapping[str, str] | None = None
    ) -> asyncpg.Connection:
        """A connection of one's own, one attempt, inside the link's loop. Raises what the driver raises.

        ``endless``: its statements may take any time and wait for any lock (migrations, copies).
        """
        given = self._settings(self.application(purpose))
        if endless:
            given |= {"statement_timeout": "0", "lock_timeout": "0"}
        connection = await asyncpg.connect(
            self.address.dsn,
            timeout=self.patience.connect,
            command_timeout=None if endless else self.patience.statement + self.patience.connect,
            server_settings={**given, **(settings or {})},
        )
        self._own.add(connection)
        return connection

    async def reconnect(
        self, purpose: str, *, until: float, settings: Mapping[str, str] | None = None
    ) -> asyncpg.Connection:
        """A connection of one's own, tried with pauses until ``until`` (the loop's time).

        Raises:
            StoreUnavailable: if there is none by then, or the server refuses this user.
        """
        pause = _FIRST_PAUSE
        while True:
            try:
                return await self.connect(purpose, settings=settings)
            except FAULTS as fault:
                if isinstance(refused := told_at_start(fault, self.address.shown), ConfigurationError):
                    # A running gateway answers its callers; only at the start there is somebody to mend it.
                    raise StoreUnavailable(str(refused)) from None
                if self.loop.time() + pause >= until:
                    raise refused from None
            await asyncio.sleep(_jittered(pause))
            pause = min(pause * 2, _LONGEST_PAUSE)

    def application(self, purpose: str) -> str:
        """What the server calls a connection of this process, in ``pg_stat_activity``."""
        return f"{self.name} {purpose}"[:63]

    def _settings(self, application: str) -> dict[str, str]:
        patience = self.patience
        return {
            "application_name": application,
            "search_path": f'"{self.address.schema}", pg_temp',
            "timezone": "UTC",
            "synchronous_commit": "on",
            "default_transaction_isolation": "read committed",
            "jit": "off",
            "statement_timeout": _milliseconds(patience.statement),
            "lock_timeout": _milliseconds(patience.lock),
            "idle_in_transaction_session_timeout": _milliseconds(patience.idle),
            # A network that is cut without a word: the server ends what is left of us, and frees its rows.
            "tcp_keepalives_idle": "10",
            "tcp_keepalives_interval": "5",
            "tcp_keepalives_count": "3",
        }

    async def _make_pool(self) -> None:
        try:
            self._pool = await asyncpg.create_pool(
                self.address.dsn,
                min_size=0,
                max_size=self._readers,
                max_inactive_connection_lifetime=300,
                timeout=self.patience.connect,
                command_timeout=self.patience.statement + self.patience.connect,
                server_settings=self._settings(self.application("reader")),
                reset=_leave,
            )
        except FAULTS as fault:
            raise told_at_start(fault, self.address.shown) from None

    async def _close_pool(self) -> None:
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            async with asyncio.timeout(self.patience.connect):
                await pool.close()
        except FAULTS:
            with suppress(*FAULTS):
                pool.terminate()


async def _leave(_: Any) -> None:
    """Nothing is set on a reader, so nothing has to be put back: that would be a round trip for each read."""


def _call(callback: Callable[[], object]) -> None:
    callback()


def _result(task: asyncio.Task[Any]) -> Any:
    if task.cancelled():
        return StoreUnavailable("the store is closed")
    return task.exception() or task.result()


def _jittered(pause: float) -> float:
    return pause * random.uniform(0.5, 1.5)  # noqa: S311 - nothing is secret about it


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))
