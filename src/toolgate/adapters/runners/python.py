"""Runs Python tools: async ones in the gateway's loop, sync ones in threads, isolated ones in a child process."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import queue
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from toolgate.adapters.mailbox import Mailbox
from toolgate.gateway.scope import contained
from toolgate.ports import NotBegun

if TYPE_CHECKING:
    from toolgate.domain.call import ClearedCall
    from toolgate.domain.context import Context
    from toolgate.ports import Runner


class PythonRunner:
    """One attempt of a Python tool.

    A thread cannot be killed: when a call that runs in one is given up, this waits on for its end, so that
    its slot stays taken and what it returns is still heard.
    """

    def __init__(self, threads: Threads, processes: Runner) -> None:
        self._threads = threads
        self._processes = processes

    async def run(self, call: ClearedCall, context: Context) -> Any:
        """The tool's return value. Raises whatever the tool raised."""
        tool = call.sealed.tool
        if tool.contract.isolation == "process":
            return await self._processes.run(call, context)
        try:
            arguments = tool.arguments(context, call.sealed.args_to_run())
        except Exception as error:  # noqa: BLE001 - the input's validators are the author's; the function was not entered
            raise NotBegun(f"the sealed arguments cannot be read again: {type(error).__name__}") from None
        with contained():
            if tool.is_async:
                return await tool.function(**arguments)
            result = await self._threads.run(lambda: tool.function(**arguments))
            return await result if inspect.isawaitable(result) else result


class Threads:
    """Daemon threads made when needed and kept; a stuck one cannot keep the interpreter from ending.

    How many may be busy is decided by the budget gate, which counts a stuck thread until it ends.
    """

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        self._count = 0

    async def run(self, function: Callable[[], Any]) -> Any:
        """``function()`` in a thread, in this context. Cancellation is answered only when the thread is done."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        mailbox = Mailbox(loop, _complete)
        context = contextvars.copy_context()

        def job() -> None:
            try:
                mailbox.post((future, context.run(function), None))
            except BaseException as error:  # noqa: BLE001 - carried to whoever awaits
                mailbox.post((future, None, error))

        self._submit(job)
        while not future.done():
            try:
                await asyncio.wait([future])
            except asyncio.CancelledError:
                # The thread runs on and its slot with it: keep waiting, its end is evidence.
                continue
        return future.result()

    def _submit(self, job: Callable[[], None]) -> None:
        with self._lock:
            if self._idle:
                self._idle -= 1
            else:
                self._count += 1
                threading.Thread(target=self._work, name=f"toolgate-tool-{self._count}", daemon=True).start()
        self._jobs.put(job)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            with self._lock:
                self._idle += 1

    def close(self) -> None:
        """Let idle threads end; busy ones end after their job."""
        with self._lock:
            for _ in range(self._count):
                self._jobs.put(None)


def _complete(item: tuple[asyncio.Future[Any], Any, BaseException | None]) -> None:
    future, value, error = item
    if future.done():
        return
    if error is None:
        future.set_result(value)
    elif isinstance(error, StopIteration):
        future.set_exception(RuntimeError("the tool raised StopIteration"))
    else:
        future.set_exception(error)
