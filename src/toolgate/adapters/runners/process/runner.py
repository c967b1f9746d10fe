"""One attempt of an isolated tool in a child: arguments go in and the result comes out as JSON.

How many may run at once is decided by the budget gate; here the same bound is only kept. ``deps`` is entered
in the child, once an attempt, and never in the gateway for the run's sake.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from toolgate.adapters.runners.process.importable import Reference, deps_reference, tool_reference
from toolgate.adapters.runners.process.wire import Garbled, Message, error_from_header
from toolgate.adapters.runners.process.worker import CannotStart, ChildDied, Job, Worker
from toolgate.domain.canonical import canonical_json
from toolgate.gateway.finish.check_result import HARD_FACTOR
from toolgate.ports import NotBegun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from toolgate.domain.call import ClearedCall
    from toolgate.domain.context import Context
    from toolgate.domain.tool import Tool
    from toolgate.ports import Deps

KILL_AFTER = 1.0
"""Seconds past its deadline after which a child is ended even if nobody asks: the gateway's loop may be blocked."""
_REAPED_WITHIN = 2.0


class Unusable:
    """Stands for a result that never left the child. It has no JSON form, and so the result is judged invalid."""

    __slots__ = ("why",)

    def __init__(self, why: str) -> None:
        self.why = why


class ProcessRunner:
    """Children kept warm, at most ``limit`` of them, each running one call at a time.

    Args:
        deps: the gateway's, which the child imports and enters itself.
        tools: all tools of the gateway; those of ``isolation="process"`` must be importable.
        limit: how many children there may be.
        result_size: bytes that a result may have where its contract says nothing.

    Raises:
        ContractError: for an isolated tool, or a ``deps`` beside one, that a child cannot import.
    """

    def __init__(
        self, deps: Deps | None, *, tools: Iterable[Tool[Any, Any]], limit: int, result_size: int
    ) -> None:
        isolated = [tool for tool in tools if tool.contract.isolation == "process"]
        self._tools = {tool.name: tool_reference(tool) for tool in isolated}
        self._deps = deps_reference(deps) if isolated and deps is not None else None
        self._limit = limit
        self._result_size = result_size
        self._lock = threading.Lock()
        self._workers: set[Worker] = set()
        self._waiting: list[Worker] = []
        self._count = 0

    async def run(self, call: ClearedCall, context: Context) -> Any:
        """The tool's result, read back as its type. Cancelled, it first ends the child and sees it reaped.

        Raises:
            ToolError: as the tool declared it. ``ConnectionError`` and ``TimeoutError`` keep their class; a
                child that died counts as a lost connection.
            NotBegun: if the function was never entered.
        """
        tool, contract = call.sealed.tool, call.sealed.contract
        bound = (contract.result_size or self._result_size) * HARD_FACTOR
        header = _header(self._tools[tool.name], self._deps, context, bound)
        request = Message(header, call.sealed.canonical or canonical_json(call.sealed.arguments))
        worker = self._take()
        job = Job(request, context.remaining() + KILL_AFTER, bound, Future(), _heard_by(context))
        worker.submit(job)
        try:
            reply = await _heard(worker, job)
        except CannotStart as refused:
            raise NotBegun("no child process could be started") from refused
        return _value(tool, reply)

    def _take(self) -> Worker:
        with self._lock:
            self._workers = {worker for worker in self._workers if not worker.dead}
            while self._waiting:
                worker = self._waiting.pop()
                if not worker.dead:
                    return worker
            if len(self._workers) >= self._limit:
                raise NotBegun("every child process is busy")
            self._count += 1
            worker = Worker(name=f"toolgate-child-{self._count}", idle=self._put_back)
            self._workers.add(worker)
            return worker

    def _put_back(self, worker: Worker) -> None:
        with self._lock:
            if not worker.dead:
                self._waiting.append(worker)

    def children(self) -> list[int]:
        """The process ids of the children that live now."""
        with self._lock:
            return [pid for worker in self._workers if (pid := worker.pid) is not None]

    def close(self) -> None:
        """End every child: idle ones, and what still runs with them."""
        with self._lock:
            workers, self._workers = self._workers, set()
            self._waiting.clear()
        for worker in workers:
            worker.close()
            worker.kill()
        for worker in workers:
            worker.join(_REAPED_WITHIN)


def _heard_by(context: Context) -> Callable[[Mapping[str, Any]], None]:
    # The child's own code may have written this: the gate checks it as it checks what a tool says here.
    return lambda said: context.progress(said.get("done", -1), said.get("total"), said.get("note"))


async def _heard(worker: Worker, job: Job) -> Message:
    answer = asyncio.wrap_future(job.reply)
    try:
        return await asyncio.shield(answer)
    except asyncio.CancelledError:
        worker.kill(job)
        while not answer.done():
            try:
                await asyncio.wait([answer])
            except asyncio.CancelledError:
                # Not before it is reaped: what is reported as over has to be over.
                continue
        if answer.exception() is None:
            # It had answered before it could be ended, and that is evidence.
            return answer.result()
        raise


def _value(tool: Tool[Any, Any], reply: Message) -> Any:
    kind = reply.header.get("kind")
    if kind == "returned":
        try:
            return tool.output.load_result(reply.body)
        except ValidationError:
            return Unusable("the result breaks its type")
    if kind == "unusable":
        return Unusable(str(reply.header.get("why")))
    if kind == "not_begun":
        raise NotBegun(f"the child could not begin: {reply.header.get('what')}")
    error = error_from_header(reply.header)
    if error is None:
        raise ChildDied("the child's answer is none") from Garbled(str(kind))
    raise error


def _header(tool: Reference, deps: Reference | None, context: Context, bound: int) -> dict[str, Any]:
    caller, approval = context.caller, context.approval
    return {
        "tool": [tool.module, tool.path],
        "deps": None if deps is None else [deps.module, deps.path],
        "bound": bound,
        "caller": {"id": caller.id, "roles": sorted(caller.roles), "tenant": caller.tenant},
        "context": {
            "tool": context.tool,
            "call_id": context.call_id,
            "workflow_id": context.workflow_id,
            "agent": context.agent,
            "model": context.model,
            "request_id": context.request_id,
            "idempotency_key": context.idempotency_key,
            "attempt": context.attempt,
            "remaining": context.remaining(),
            "listened_to": context.listener is not None,
            "approval": None
            if approval is None
            else {
                "approval_id": approval.approval_id,
                "approved_by": list(approval.approved_by),
                "reason": approval.reason,
            },
        },
    }
