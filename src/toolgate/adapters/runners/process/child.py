"""What runs in a child process: reads a request, imports the tool, runs it once, answers, and waits for the next.

The gateway's end of the pipe is the child's life line: when it closes, the child ends itself and whatever it
had started. Standard input, output and error lead nowhere, so that nothing a tool prints can pass for an
answer. Not here: deadlines; the gateway kills.
"""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import os
import queue
import signal
import sys
import threading
import time
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

from toolgate.adapters.runners.process.importable import Reference
from toolgate.adapters.runners.process.wire import (
    Garbled,
    Message,
    error_to_header,
    progress_to_header,
    receive,
    send,
)
from toolgate.domain.approval import ApprovalFact
from toolgate.domain.caller import Caller
from toolgate.domain.context import ToolContext

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_ARGUMENTS = 1 << 26
_PR_SET_PDEATHSIG = 1

Requests = queue.SimpleQueue[Message]


def main(requests_fd: int, replies_fd: int) -> None:
    """Serve requests until the gateway lets go. ``sys.argv`` of the start-up belongs to the gateway alone."""
    sys.argv = ["toolgate-child"]
    _die_with_parent()
    _keep_to_ourselves(requests_fd, replies_fd)
    requests: Requests = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(requests_fd, requests), daemon=True).start()
    with asyncio.Runner() as runner:
        while True:
            request = requests.get()
            reporter = Reporter(replies_fd)
            reply = runner.run(_answer(request, reporter), context=contextvars.Context())
            reporter.close()
            send(replies_fd, reply)


class Reporter:
    """Sends what one run reports, ahead of its answer and never behind it: what comes then is the next call's."""

    def __init__(self, replies_fd: int) -> None:
        self._fd = replies_fd
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._open = True

    def __call__(self, done: float, total: float | None = None, note: str | None = None) -> None:
        """Send it; from any thread."""
        header = progress_to_header(done, total, note)
        if header is None or os.getpid() != self._pid:
            # In what a tool forked the pipe is closed, and its number may be anything by now.
            return
        with self._lock:
            if self._open:
                # A gateway that is gone ends us by other means; a tool is not the one to hear of it.
                with suppress(OSError):
                    send(self._fd, Message(header))

    def close(self) -> None:
        """Nothing is sent any more."""
        with self._lock:
            self._open = False


def _die_with_parent() -> None:
    """Linux ends us with the thread that started us, even where a tool holds the interpreter and nobody listens."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _keep_to_ourselves(*pipes: int) -> None:
    """What a tool starts must hold no end of our pipes: the gateway would wait for it instead of for us."""
    for fd in pipes:
        os.set_inheritable(fd, False)

    def let_go() -> None:
        for fd in pipes:
            os.close(fd)

    os.register_at_fork(after_in_child=let_go)


def _listen(fd: int, requests: Requests) -> None:
    try:
        while (request := receive(fd, max_body=MAX_ARGUMENTS)) is not None:
            requests.put(request)
    except (OSError, Garbled):
        pass  # the same as the end: whoever wrote this is no gateway of ours
    os.killpg(os.getpgrp(), signal.SIGKILL)


async def _answer(request: Message, reporter: Reporter) -> Message:
    """The reply to ``request``: a result, a declared error or the bare fact of a failure."""
    try:
        # SystemExit and the like must reach the gateway as failures, and not end the loop that serves the next call.
        reply = await asyncio.ensure_future(_guarded(request, reporter))
    finally:
        await _sweep()
    return reply


async def _guarded(request: Message, reporter: Reporter) -> Message:
    raised: BaseException | None = None
    value: Any = None
    begun = False
    try:
        header = request.header
        tool = Reference(*header["tool"]).load()
        deps = None if header["deps"] is None else Reference(*header["deps"]).load()
        args = tool.input.load_stable(request.body)
        caller = Caller(header["caller"]["id"], header["caller"]["roles"], header["caller"]["tenant"])
        async with nullcontext() if deps is None else deps(caller) as entered:
            context = _context(header, caller, entered, reporter)
            begun = True
            try:
                value = await _run(tool, context, args)
            except BaseException as error:
                # Kept beside: a deps that swallows it does not turn a failure into a result.
                raised = error
                raise
    except BaseException as error:  # noqa: BLE001 - whatever an author's code raises, the gateway is answered
        return Message(
            error_to_header(error) if begun else {"kind": "not_begun", "what": type(error).__name__}
        )
    if raised is not None:
        return Message(error_to_header(raised))
    return _result(tool, value, bound=header["bound"])


async def _run(tool: Any, context: ToolContext[Any], args: Any) -> Any:
    arguments = tool.arguments(context, args)
    if tool.is_async:
        return await tool.function(**arguments)
    result = await asyncio.to_thread(tool.function, **arguments)
    return await result if asyncio.iscoroutine(result) else result


def _result(tool: Any, value: Any, *, bound: int) -> Message:
    try:
        body = tool.output.to_json(value)
    except Exception as error:  # noqa: BLE001 - serialisers of a result are the author's, too
        return Message({"kind": "unusable", "why": type(error).__name__})
    if len(body) > bound:
        return Message({"kind": "unusable", "why": f"{len(body)} bytes, more than {bound}"})
    return Message({"kind": "returned"}, body)


def _context(header: Mapping[str, Any], caller: Caller, deps: Any, reporter: Reporter) -> ToolContext[Any]:
    plain = dict(header["context"])
    approval = plain.pop("approval")
    until = time.monotonic() + plain.pop("remaining")
    listened_to = plain.pop("listened_to")
    fact = None
    if approval is not None:
        fact = ApprovalFact(
            approval_id=approval["approval_id"],
            approved_by=tuple(approval["approved_by"]),
            reason=approval["reason"],
        )
    return ToolContext(
        caller=caller,
        deps=deps,
        approval=fact,
        remaining=lambda: max(0.0, until - time.monotonic()),
        listener=reporter if listened_to else None,
        **plain,
    )


async def _sweep() -> None:
    """End the tasks that a tool left behind: they would run on inside somebody else's call."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    if left:
        await asyncio.wait(left, timeout=1.0)
