"""A small process that forks the children: they start in milliseconds, because everything is imported already.

It has one thread, so that forking it is safe, and speaks lines of JSON on its standard input and output. Run as
``python -m tests.crash.nursery``. Not here: what a child does (``child``) and what is expected of it (the tests).
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.crash.child import Orders, live

ROOT = Path(__file__).parents[2]


class Nursery:
    """The parent's end: starts children and tells how they ended. Use as a context manager."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.nursery"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def run(self, **orders: Any) -> str:
        """Run a child to its end, or to its stop: ``"exited 0"``, ``"killed 9"``, ``"stopped"``."""
        return self._ask("run", [orders])[0]

    def wake(self) -> str:
        """Let the stopped child go on; how it ended."""
        return self._ask("wake", [])[0]

    def bury(self) -> None:
        """End a child that is stopped still, if there is one."""
        self._ask("bury", [])

    def race(self, orders: list[dict[str, Any]]) -> list[str]:
        """Start children at one moment; how each ended."""
        return self._ask("run", orders)

    def _ask(self, what: str, orders: list[dict[str, Any]]) -> list[str]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"what": what, "orders": orders}) + "\n")
        self._process.stdin.flush()
        answer: list[str] = json.loads(self._process.stdout.readline())
        return answer


class _Cradle:
    """The nursery's own end."""

    def __init__(self) -> None:
        self._stopped: int | None = None

    def run(self, orders: list[dict[str, Any]]) -> list[str]:
        gate, release = os.pipe()
        children = [self._fork(Orders(**order), gate, release) for order in orders]
        os.close(gate)
        os.close(release)
        return [self._wait(child) for child in children]

    def wake(self) -> list[str]:
        assert self._stopped is not None
        child, self._stopped = self._stopped, None
        os.kill(child, signal.SIGCONT)
        return [self._wait(child)]

    def bury(self) -> list[str]:
        """Nobody will wake a child that is stopped still."""
        child, self._stopped = self._stopped, None
        if child is None:
            return []
        os.kill(child, signal.SIGKILL)
        return [self._wait(child)]

    def _fork(self, orders: Orders, gate: int, release: int) -> int:
        child = os.fork()
        if child:
            return child
        os.close(release)
        os.read(gate, 1)  # answers once every child is born and the nursery has let go
        os._exit(_life(orders))

    def _wait(self, child: int) -> str:
        _, status = os.waitpid(child, os.WUNTRACED)
        if os.WIFSTOPPED(status):
            self._stopped = child
            return "stopped"
        if os.WIFSIGNALED(status):
            return f"killed {os.WTERMSIG(status)}"
        return f"exited {os.WEXITSTATUS(status)}"


def _life(orders: Orders) -> int:
    log = os.open(Path(orders.folder) / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    try:
        asyncio.run(live(orders))
    except BaseException:  # noqa: BLE001 - the log is the only witness of a child
        traceback.print_exc()
        sys.stderr.flush()
        return 1
    return 0


def main() -> None:
    """Serve until the parent closes the pipe."""
    cradle = _Cradle()
    gc.freeze()
    for line in sys.stdin:
        asked = json.loads(line)
        match asked["what"]:
            case "wake":
                answer = cradle.wake()
            case "bury":
                answer = cradle.bury()
            case _:
                answer = cradle.run(asked["orders"])
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    cradle.bury()


if __name__ == "__main__":
    main()
