"""An upstream's process: its start in a group of its own, its pipes, and its end, which nothing of it survives.

Here: bytes in and out. Not here: what they mean (``dialogue``), and when it is started again (``kept``).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from toolgate.adapters.upstreams.deadline import Deadline
from toolgate.adapters.upstreams.failures import NotSent
from toolgate.domain.upstream.settings import StdioSettings
from toolgate.ports import Clock

GRACE: Final = 2.0
"""Seconds between closing its input, SIGTERM, SIGKILL, and giving up waiting for the kernel."""
LAST_WORDS: Final = 1.0
"""Seconds in which what an ended process had written is still read."""
INHERITED: Final = (
    "HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER",
)  # fmt: skip
"""All that a child gets of the gateway's own environment, where its secrets lie."""

_LAUNCH: Final = str(Path(__file__).with_name("launch.py"))
_STDIN, _STDOUT, _STDERR = 0, 1, 2


def environment(own: Mapping[str, str], configured: Mapping[str, str]) -> dict[str, str]:
    """What the child gets: the few names above, and what is configured."""
    return {**{name: own[name] for name in INHERITED if name in own}, **configured}


class ServerProcess(asyncio.SubprocessProtocol):
    """A running program. Its group ends with it, and it ends with the gateway.

    Args:
        on_output: what it wrote to its output, as it came.
        on_errors: what it wrote to its error output.
        on_end: called once, with the reason, when it has ended or closed its output, and what it wrote was read.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        on_output: Callable[[bytes], None],
        on_errors: Callable[[bytes], None],
        on_end: Callable[[str], None],
    ) -> None:
        self._clock = clock
        self._on_output = on_output
        self._on_errors = on_errors
        self._on_end = on_end
        self._transport: asyncio.SubprocessTransport | None = None
        self._input: asyncio.WriteTransport | None = None
        self._lifeline = -1
        self._ended = False
        self._swept = False
        self._output_over = False
        self._exited = asyncio.Event()
        self.pid = -1

    @classmethod
    async def start(
        cls,
        settings: StdioSettings,
        *,
        clock: Clock,
        on_output: Callable[[bytes], None],
        on_errors: Callable[[bytes], None],
        on_end: Callable[[str], None],
    ) -> Self:
        """Start the program.

        Raises:
            NotSent: if it cannot be started. A program that is not found ends, and its last words say so.
        """
        process = cls(clock=clock, on_output=on_output, on_errors=on_errors, on_end=on_end)
        theirs, process._lifeline = os.pipe()
        bounds = [str(theirs), str(settings.memory_limit or 0)]
        try:
            await asyncio.get_running_loop().subprocess_exec(
                lambda: process,
                *(sys.executable, "-I", "-S", _LAUNCH, *bounds, settings.command, *settings.args),
                env=environment(os.environ, settings.env),
                cwd=settings.cwd,
                start_new_session=True,
                pass_fds=(theirs,),
            )
        except (OSError, ValueError) as error:
            process._let_go()
            raise NotSent(f"its process cannot be started: {_why_not(error, settings)}") from error
        except BaseException:
            process._abandon()
            raise
        finally:
            os.close(theirs)
        return process

    # --- what asyncio calls --------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The program was started."""
        assert isinstance(transport, asyncio.SubprocessTransport)
        self._transport = transport
        self.pid = transport.get_pid()
        pipe = transport.get_pipe_transport(_STDIN)
        assert isinstance(pipe, asyncio.WriteTransport)
        self._input = pipe

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """It wrote something."""
        if self._ended:
            return
        if fd == _STDOUT:
            self._on_output(data)
        else:
            self._on_errors(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio calls it
        """It closed one of its pipes."""
        if fd != _STDOUT:
            return
        self._output_over = True
        if self._exited.is_set():
            self._end()
        else:
            # Whoever closes its output answers nobody any more; its exit, if that is why, comes in a moment.
            self._clock.call_later(LAST_WORDS, self._end)

    def process_exited(self) -> None:
        """The program ended. What it left in its group, the guard included, ends with it."""
        self._exited.set()
        self._signal(signal.SIGKILL)
        self._swept = True
        if self._output_over:
            self._end()
        else:
            self._clock.call_later(LAST_WORDS, self._end)

    # --- what we call --------------------------------------------------------------------------------------------

    @property
    def backlog(self) -> int:
        """Bytes written that it has not read."""
        return 0 if self._input is None else self._input.get_write_buffer_size()

    def write(self, data: bytes) -> None:
        """Send ``data``.

        Raises:
            NotSent: if nobody can read it any more.
        """
        if self._ended or self._input is None or self._input.is_closing() or self._exited.is_set():
            raise NotSent("its process has ended")
        self._input.write(data)

    def kill(self, reason: str) -> None:
        """End it and its group at once."""
        self._signal(signal.SIGKILL)
        self._end(reason)

    async def close(self) -> None:
        """End it as the protocol says (basic/transports/stdio, "Shutdown"): its input, SIGTERM, SIGKILL. Bounded."""
        try:
            if self._input is not None:
                self._input.close()
            for after in (signal.SIGTERM, signal.SIGKILL):
                if await self._gone():
                    break
                self._signal(after)
            await self._gone()
        finally:
            self._abandon()

    async def _gone(self) -> bool:
        with suppress(TimeoutError), Deadline(self._clock, GRACE):
            await self._exited.wait()
        return self._exited.is_set()

    def _abandon(self) -> None:
        self._signal(signal.SIGKILL)
        self._end("it was closed")
        self._let_go()
        if self._transport is not None:
            # A process of its own group may hold our pipes: our ends are closed all the same.
            self._transport.close()

    def _let_go(self) -> None:
        lifeline, self._lifeline = self._lifeline, -1
        if lifeline >= 0:
            os.close(lifeline)

    def _signal(self, number: signal.Signals) -> None:
        # Never again once the group was swept: its number, held by the guard until then, may be another's by now.
        if self.pid > 0 and not self._swept:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, number)

    def _end(self, reason: str | None = None) -> None:
        if self._ended:
            return
        self._ended = True
        self._on_end(reason or self._how_it_ended())

    def _how_it_ended(self) -> str:
        status = None if self._transport is None else self._transport.get_returncode()
        if status is None:
            return "it closed its output"
        if status < 0:
            return f"its process was ended by {_signal_name(-status)}"
        return f"its process ended with status {status}"


def _why_not(error: OSError | ValueError, settings: StdioSettings) -> str:
    if isinstance(error, ValueError):
        return "an argument or a variable holds what none can hold"
    where = "its working directory: " if settings.cwd is not None else ""
    return f"{where}{error.strerror or type(error).__name__}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
