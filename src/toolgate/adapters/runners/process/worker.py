"""One child process and the thread that serves it: started when needed, kept warm, killed whole, always reaped.

Killed whole means its session: what a tool started dies with it, unless that left for a session of its own.
The thread lives exactly as long as its child, because Linux ties the child's death to the thread that
started it. Not here: which call goes to which worker, and what a reply means.
"""

from __future__ import annotations

import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from toolgate.adapters.runners.process.wire import PROGRESS, Garbled, Message, receive, send

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_BOOT = (
    "import sys; sys.path[:] = sys.argv[3:]; "
    "from toolgate.adapters.runners.process.child import main; main(int(sys.argv[1]), int(sys.argv[2]))"
)


class ChildDied(ConnectionError):
    """The child ended, or was ended, before it answered. What it had done until then is not known."""


class CannotStart(OSError):
    """No child could be started, so nothing ran."""


class Job(NamedTuple):
    """A request, how long (seconds) and for how much (bytes) of an answer to wait, and where it goes.

    ``progress`` is told each header of progress that comes before the answer.
    """

    request: Message
    patience: float
    max_body: int
    reply: Future[Message]
    progress: Callable[[Mapping[str, Any]], None]


class Worker:
    """Runs one job at a time in its child. ``idle`` is told when it may take another."""

    def __init__(self, *, name: str, idle: Callable[[Worker], object]) -> None:
        self._idle = idle
        self._lock = threading.Lock()
        self._doomed = False
        self._job: Job | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._to_child = self._from_child = -1
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    @property
    def dead(self) -> bool:
        """Whether it takes no more jobs."""
        return self._doomed

    @property
    def pid(self) -> int | None:
        """The child's process id while it lives."""
        process = self._process
        return None if process is None else process.pid

    def submit(self, job: Job) -> None:
        """Queue a job; from any thread, one at a time."""
        job.reply.set_running_or_notify_cancel()
        with self._lock:
            self._job = job
        self._jobs.put(job)

    def kill(self, job: Job | None = None) -> None:
        """End the child and everything in its session, now. From any thread; its job fails as ``ChildDied``.

        With ``job``, only while it is that one's turn: a job that was answered meanwhile may have been followed by
        somebody else's.
        """
        with self._lock:
            if job is not None and self._job is not job:
                return
            self._doomed = True
            if self._process is not None:
                _kill_group(self._process.pid)

    def close(self) -> None:
        """End an idle worker."""
        self._jobs.put(None)

    def join(self, wait: float) -> None:
        """Wait until the child is reaped, at most ``wait`` seconds."""
        self._thread.join(wait)

    def _serve(self) -> None:
        try:
            while (job := self._jobs.get()) is not None:
                self._do(job)
                if self._doomed:
                    return
        finally:
            self._bury()

    def _do(self, job: Job) -> None:
        try:
            self._start()
            reply = self._exchange(job)
        except BaseException as error:  # noqa: BLE001 - carried to whoever awaits, who must never wait in vain
            self._bury()
            job.reply.set_exception(error)
        else:
            # First free, then heard: whoever gets the answer may send the next job at once.
            with self._lock:
                self._job = None
            self._idle(self)
            job.reply.set_result(reply)

    def _exchange(self, job: Job) -> Message:
        try:
            self._hand_over(job.request)
            until = time.monotonic() + job.patience
            while (reply := self._next(job, until)) is not None and reply.header.get("kind") == PROGRESS:
                job.progress(reply.header)
        except (OSError, Garbled) as lost:
            if isinstance(lost, ChildDied | CannotStart):
                raise
            raise ChildDied("the child's answer cannot be read") from lost
        if reply is None:
            raise ChildDied("the child ended before it answered")
        return reply

    def _next(self, job: Job, until: float) -> Message | None:
        if not _readable(self._from_child, within=max(0.0, until - time.monotonic())):
            raise ChildDied("the child was ended: it outlived its deadline")
        return receive(self._from_child, max_body=job.max_body)

    def _hand_over(self, request: Message) -> None:
        try:
            send(self._to_child, request)
        except OSError as refused:
            # A request that did not arrive whole was not begun.
            raise CannotStart("the child took no request") from refused

    def _start(self) -> None:
        if self._process is not None:
            if not _readable(self._from_child, within=0.0):
                return
            # An idle child has nothing to say: it ended meanwhile, and this job needs another.
            self._end_child()
        pipes: list[int] = []
        try:
            pipes += os.pipe()
            pipes += os.pipe()
            requests, to_child, from_child, replies = pipes
            process = subprocess.Popen(  # noqa: S603 - our own interpreter, our own words, no shell
                [sys.executable, "-c", _BOOT, str(requests), str(replies), *_import_path()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=(requests, replies),
                start_new_session=True,
            )
        except OSError as refused:
            for fd in pipes:
                os.close(fd)
            raise CannotStart("no child process could be started") from refused
        os.close(requests)
        os.close(replies)
        with self._lock:
            self._process, self._to_child, self._from_child = process, to_child, from_child
            if self._doomed:
                _kill_group(process.pid)

    def _bury(self) -> None:
        """End the child with all that it started, and reap it. Afterwards its id may be anybody's: never kill again."""
        self._doomed = True
        self._end_child()

    def _end_child(self) -> None:
        with self._lock:
            process, self._process = self._process, None
            if process is not None:
                _kill_group(process.pid)
        if process is not None:
            os.close(self._to_child)
            os.close(self._from_child)
            process.wait()


def _readable(fd: int, *, within: float) -> bool:
    """Whether there is something to read, or the end, ``within`` so many seconds."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(within * 1000))


def _import_path() -> list[str]:
    # The child imports what the gateway would, in the same order; an empty entry means the working directory.
    return [entry or os.getcwd() for entry in sys.path]  # noqa: PTH109 - entries of sys.path are texts


def _kill_group(pid: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
