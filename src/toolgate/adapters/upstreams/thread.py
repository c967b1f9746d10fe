"""The thread in which all connections live: one loop of their own, that no tool of an author can block.

Here: going there and back. Not here: what is done there.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any, Final, TypeVar
from weakref import WeakKeyDictionary

from toolgate.adapters.mailbox import Mailbox
from toolgate.adapters.upstreams.failures import Lost, NotSent

T = TypeVar("T")

CLOSE_TIMEOUT: Final = 10.0
"""Seconds that the thread has for its end; longer than the end of any process takes."""


class _Errand:
    """Work on its way to the harbour, and its outcome on the way back."""

    __slots__ = ("future", "home", "task", "work")

    def __init__(self, work: Coroutine[Any, Any, Any], future: asyncio.Future[Any], home: Mailbox) -> None:
        self.work = work
        self.future = future
        self.home = home
        self.task: asyncio.Task[Any] | None = None


class Harbour:
    """A thread with a loop in which connections are opened, used and closed.

    Wake-ups are shared: under load many errands cost one each way.
    """

    def __init__(self, *, name: str = "toolgate-upstreams") -> None:
        self._loop = asyncio.new_event_loop()
        self._inbox = Mailbox(self._loop, self._begin)
        self._homes: WeakKeyDictionary[asyncio.AbstractEventLoop, Mailbox] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._closing = False
        self._tasks: set[asyncio.Task[Any]] = set()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        for errand in self._inbox.take_back():
            if errand.task is None:
                errand.work.close()
                errand.home.post((errand.future, None, NotSent("the gateway is closing its connections")))
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            self._loop.run_until_complete(asyncio.wait(self._tasks))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
        """Do ``work`` there; to be awaited in the calling loop. Cancelling what this gives cancels the work.

        Raises:
            NotSent: (awaited) if the harbour is closed, so that the work was not begun.
            Lost: (awaited) if it was closed meanwhile.
        """
        here = asyncio.get_running_loop()
        future: asyncio.Future[T] = here.create_future()
        errand = _Errand(work, future, self._home(here))
        with self._lock:
            taken = not self._closing and self._inbox.post(errand)
        if not taken:
            work.close()
            future.set_exception(NotSent("the gateway is closing its connections"))
            return future
        future.add_done_callback(lambda done: self._forget(errand) if done.cancelled() else None)
        return future

    def _forget(self, errand: _Errand) -> None:
        with self._lock:
            if not self._closing:
                self._inbox.post(errand)

    def _home(self, loop: asyncio.AbstractEventLoop) -> Mailbox:
        home = self._homes.get(loop)
        if home is None:
            with self._lock:
                home = self._homes.setdefault(loop, Mailbox(loop, _settle))
        return home

    def _begin(self, errand: _Errand) -> None:
        """Inside the loop: an errand that is new, or one that was begun and is not waited for any more."""
        if errand.task is not None:
            errand.task.cancel()
            return
        if errand.future.cancelled():
            errand.work.close()
            return
        task = self._loop.create_task(errand.work)
        errand.task = task
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._return(errand, done))

    def _return(self, errand: _Errand, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            errand.home.post((errand.future, None, Lost("the gateway closed its connections")))
        elif (error := task.exception()) is not None:
            errand.home.post((errand.future, None, error))
        else:
            errand.home.post((errand.future, task.result(), None))

    def close(self, *, wait: float = CLOSE_TIMEOUT) -> bool:
        """End the loop and its thread; connections are closed before. Any thread but its own. False if it hangs."""
        with self._lock:
            first, self._closing = not self._closing, True
        if first:
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(wait)
        return not self._thread.is_alive()


def _settle(outcome: tuple[asyncio.Future[Any], Any, BaseException | None]) -> None:
    future, result, error = outcome
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
