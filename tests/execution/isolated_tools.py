"""Tools that a child process can import, and how their deeds are seen from outside: by files they leave.

Module level only: a child finds these by name. Not here: any expectation.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from toolgate import BusinessRule, Caller, NeedsApproval, ToolContext, ToolError, TransientError, tool

Word = Annotated[str, Field(max_length=500)]


class CardDeclined(ToolError):
    """The card was declined."""

    code = "card_declined"
    effect = "none"


class Report(BaseModel):
    pid: int
    parent: int
    words: list[str]
    caller: str
    roles: list[str]
    tenant: str
    key: str | None
    attempt: int
    has_time: bool
    desk: str | None


@dataclass
class Desk:
    name: str


@asynccontextmanager
async def desk(caller: Caller) -> AsyncIterator[Desk]:
    """Dependencies that write down where they were entered and how they were left."""
    book = Path(os.environ["TOOLGATE_TEST_BOOK"])
    _note(book, f"entered {os.getpid()} for {caller.id}")
    try:
        yield Desk(f"desk of {caller.id}")
    except BaseException as error:
        _note(book, f"left with {type(error).__name__}")
        raise
    else:
        _note(book, "left")


@asynccontextmanager
async def broken_desk(caller: Caller) -> AsyncIterator[Desk]:
    if caller.id:
        raise RuntimeError("sk-live-secret-in-deps")
    yield Desk("never")


@asynccontextmanager
async def sticky_desk(caller: Caller) -> AsyncIterator[Desk]:
    yield Desk("sticky")
    raise RuntimeError("could not commit")


def _note(book: Path, line: str) -> None:
    with book.open("a") as file:
        file.write(line + "\n")


def _report(context: ToolContext[Any], words: list[str]) -> Report:
    return Report(
        pid=os.getpid(),
        parent=os.getppid(),
        words=words,
        caller=context.caller.id,
        roles=sorted(context.caller.roles),
        tenant=context.tenant,
        key=context.idempotency_key,
        attempt=context.attempt,
        has_time=context.remaining() > 0,
        desk=None if context.deps is None else context.deps.name,
    )


@tool(effect="read", roles={"support"}, timeout=60, isolation="process")
async def report_async(context: ToolContext[Any], words: list[Word]) -> Report:
    """Tell where this runs."""
    return _report(context, words)


@tool(effect="read", roles={"support"}, timeout=60, isolation="process")
def report_sync(context: ToolContext[Any], words: list[Word]) -> Report:
    """Tell where this runs, without a coroutine."""
    return _report(context, words)


@tool(effect="write", roles={"support"}, timeout=60, isolation="process", idempotency="w:{word}", retries=3)
async def raise_in_child(  # noqa: C901, PLR0912 - one line a way to fail is the point
    context: ToolContext[Any], word: Word, count: Word = ""
) -> str:
    """Raise what the word names; ``count`` is a file that counts the attempts."""
    if count:
        _note(Path(count), f"attempt {context.attempt}")
    match word:
        case "declined":
            raise CardDeclined("The card was declined by its bank.")
        case "rule":
            raise BusinessRule("Not on a Sunday.", code="sunday")
        case "transient":
            raise TransientError("Busy.")
        case "approval":
            if context.approval is None:
                raise NeedsApproval("More than a person may spend.", approvers={"boss"}, risk="high")
            return f"approved by {', '.join(context.approval.approved_by)}"
        case "connection":
            raise ConnectionResetError("to host 10.0.0.7")
        case "timeout":
            raise TimeoutError("to host 10.0.0.7")
        case "undeclared":
            raise ValueError("sk-live-secret")
        case "exit":
            sys.exit("sk-live-secret")
        case "die":
            os._exit(3)
        case "crash":
            ctypes.string_at(0)
        case "cancelled":
            raise asyncio.CancelledError
        case _:
            return word
    return "not reached"


@tool(effect="write", roles={"support"}, timeout=60, isolation="process", idempotency="loop:{started}")
async def never_return(started: Word) -> str:
    """Start a grandchild, say so, and hold the interpreter for ever."""
    grandchild = subprocess.Popen(  # noqa: ASYNC220 - as blocking as its tool
        [sys.executable, "-c", "import signal; signal.pause()"]
    )
    _note(Path(started), f"{os.getpid()} {grandchild.pid}")
    threading.Event().wait()
    return "never"


@tool(effect="read", roles={"support"}, timeout=60, isolation="process")
def shout(words: Word) -> str:
    """Write on every stream that there is."""
    for _ in range(200):
        sys.stdout.write(words * 100)
        sys.stdout.flush()
        sys.stderr.write(words * 100)
        sys.stderr.flush()
    for fd in (0, 1, 2):
        with suppress(OSError):
            os.write(fd, words.encode())
    assert sys.stdin.read() == ""
    return "calm"


@tool(effect="read", roles={"support"}, timeout=60, isolation="process", result_size=1000)
def long_text(size: Annotated[int, Field(ge=0, le=10_000_000)]) -> str:
    """So many letters."""
    return "x" * size


@tool(effect="write", roles={"support"}, timeout=60, isolation="process", idempotency="lie:{word}")
def lie(word: Word) -> int:
    """Promise a number and answer a word."""
    return word  # type: ignore[return-value]


@tool(effect="read", roles={"support"}, timeout=60, isolation="process")
async def leave_a_task_behind(file: Word) -> str:
    """Start something that would run on inside the next call."""

    async def haunt() -> None:
        while True:
            await asyncio.sleep(0.001)
            _note(Path(file), "boo")

    _tasks.append(asyncio.create_task(haunt()))
    return "gone"


_tasks: list[asyncio.Task[None]] = []


@tool(effect="read", roles={"support"}, timeout=60, isolation="process")
def wait_for_file(started: Word, file: Word) -> str:
    """Say that it runs, then wait until ``file`` is there."""
    _note(Path(started), str(os.getpid()))
    while not Path(file).exists():
        threading.Event().wait(0.005)
    return "seen"


async def may_look(context: ToolContext[Any], args: Any) -> bool:
    return context.deps is not None


@tool(effect="read", roles={"support"}, timeout=60, isolation="process", authorize=may_look)
async def guarded_report(context: ToolContext[Any], words: list[Word]) -> Report:
    """Needs deps for its permission, too."""
    return _report(context, words)


@tool(effect="read", roles={"support"}, timeout=60, isolation="process")
async def count_in_child(context: ToolContext[Any]) -> int:
    """Count to three."""
    for number in (1, 2, 3):
        context.progress(number, 3, f"number {number}")
    return 3


_calls: list[int] = []


@tool(effect="read", roles={"support"}, timeout=60, isolation="process")
async def report_on_and_on(context: ToolContext[Any]) -> int:
    """Leave a thread behind that reports for ever."""
    _calls.append(1)
    mine = f"call {len(_calls)}"
    begun = threading.Event()

    def talk() -> None:
        while True:
            context.progress(1, note=mine)
            begun.set()

    threading.Thread(target=talk, daemon=True).start()
    await asyncio.to_thread(begun.wait)
    return os.getpid()


@tool(effect="read", roles={"support"}, timeout=60, isolation="process")
async def read_for_ever(started: Word) -> str:
    """Say that it began, and hold the interpreter for ever."""
    _note(Path(started), str(os.getpid()))
    threading.Event().wait()
    return "never"
