"""The two ends of a pipe as lines of bytes, read and written by threads of their own.

A thread that waits for a peer cannot be called back, so neither is waited for when the program ends. Not here: what a
line says.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator
from typing import BinaryIO, Final

AHEAD: Final = 64
"""Lines that are read before somebody takes them."""


class LineTooLong(Exception):
    """A line of more bytes than are read; it was skipped."""


class Lines:
    """The lines that arrive, in the loop that iterates. ``limit``: bytes of one."""

    def __init__(self, source: BinaryIO, *, limit: int) -> None:
        self._source = source
        self._limit = limit
        self._room = threading.Semaphore(AHEAD)
        self._arrived: asyncio.Queue[bytes | LineTooLong | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._read, name="toolgate-stdin", daemon=True).start()

    async def __aiter__(self) -> AsyncIterator[bytes | LineTooLong]:
        """Every line without its end; one that is too long as the fault that it is."""
        while (line := await self._arrived.get()) is not None:
            self._room.release()
            yield line

    def _read(self) -> None:
        try:
            while line := self._source.readline(self._limit + 1):
                found: bytes | LineTooLong = line.strip()
                if len(line) > self._limit:
                    found = LineTooLong()
                    self._skip(line)
                self._room.acquire()
                self._post(found)
        except (OSError, ValueError):
            # The other end is gone, which is how it ends.
            pass
        self._post(None)

    def _skip(self, line: bytes) -> None:
        while line and not line.endswith(b"\n"):
            line = self._source.readline(self._limit)

    def _post(self, line: bytes | LineTooLong | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._arrived.put_nowait, line)
        except RuntimeError:
            # Nobody reads any more.
            return


class Writer:
    """Writes lines in the order in which they are given; whoever gives one waits until it is written."""

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._given: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]]] = queue.SimpleQueue()
        threading.Thread(target=self._write, name="toolgate-stdout", daemon=True).start()

    async def write(self, line: bytes) -> None:
        """Write ``line`` and its end.

        Raises:
            BrokenPipeError: if nobody reads any more.
        """
        written: asyncio.Future[None] = self._loop.create_future()
        self._given.put((line + b"\n", written))
        await written

    def _write(self) -> None:
        while True:
            line, written = self._given.get()
            fault: BaseException | None = None
            try:
                self._sink.write(line)
                self._sink.flush()
            except (OSError, ValueError) as gone:
                fault = BrokenPipeError(str(gone))
            try:
                self._loop.call_soon_threadsafe(_settle, written, fault)
            except RuntimeError:
                return


def _settle(written: asyncio.Future[None], fault: BaseException | None) -> None:
    if written.done():
        return
    if fault is None:
        written.set_result(None)
    else:
        written.set_exception(fault)
