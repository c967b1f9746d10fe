"""Tasks as clients of 2025-11-25 know them: a call that asks for one is answered with it, whatever becomes of it.

The SDK has the words of that version and delivers none of them, so they are put around its own answers here. Not here:
the messages about a task, which both eras share (``tasks``), and what a task says (``task_words``).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from mcp.shared.exceptions import MCPError
from mcp_types.jsonrpc import METHOD_NOT_FOUND

from toolgate.domain.principal import Declined
from toolgate.operations.follow_call import follow_call
from toolgate.operations.see_call import has_ended
from toolgate.surfaces.http.streams import next_of
from toolgate.surfaces.mcp.calls import INVALID_PARAMS, result_of
from toolgate.surfaces.mcp.task_words import described_before, status_of
from toolgate.surfaces.mcp.words import may_wait

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

    from toolgate.domain.principal import Principal
    from toolgate.operations.follow_call import Followed
    from toolgate.surfaces.mcp.handlers import McpCall
    from toolgate.surfaces.mcp.service import Service

OLDER: Final = "2025-11-25"
CAPABILITY: Final[Mapping[str, Any]] = {"cancel": {}, "requests": {"tools": {"call": {}}}}
"""What a server says of its tasks. There is no list of them: each is found by its id."""
RELATED: Final = "io.modelcontextprotocol/related-task"
NO_SUCH_TASK: Final = "Task not found"
"""The same for whatever keeps somebody from a task."""
_LONGEST_WAIT: Final = 3600.0
"""Seconds for which ``tasks/result`` waits. Whoever wants to know later asks again."""
_NO_TASK: Final = "This tool does not run as a task; call it without one"
_WANTED: Final[ContextVar[list[dict[str, Any]] | None]] = ContextVar("toolgate_mcp_task_wanted", default=None)


async def with_tasks(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Middleware of the SDK's server, next to its handlers: says that there are tasks, and answers with them."""
    if ctx.method == "initialize":
        return _declaring(await call_next(ctx))
    if ctx.method != "tools/call" or not asks_for_task(ctx):
        return await call_next(ctx)
    made: list[dict[str, Any]] = []
    token = _WANTED.set(made)
    try:
        result = await call_next(ctx)
    finally:
        _WANTED.reset(token)
    return {"task": made[0]} if made else result


def _declaring(result: HandlerResult) -> HandlerResult:
    if not isinstance(result, dict) or result.get("protocolVersion") != OLDER:
        return result
    return {**result, "capabilities": {**result["capabilities"], "tasks": dict(CAPABILITY)}}


def asks_for_task(ctx: ServerRequestContext[Any, Any]) -> bool:
    """Whether a call is to be answered with a task."""
    return ctx.protocol_version == OLDER and isinstance((ctx.params or {}).get("task"), Mapping)


def check_support(call: McpCall) -> None:
    """A client asks for a task only where the tool says that it may (2025-11-25, tasks, "Tool-Level Negotiation").

    Raises:
        MCPError: for a tool that says no such thing. One that nobody sees is left to the gate.
    """
    tools = call.service.gate.tools(call.asked.by.caller)
    found = next((tool.contract for tool in tools if tool.name == call.request.tool), None)
    if found is not None and not may_wait(found):
        raise MCPError(METHOD_NOT_FOUND, _NO_TASK)


async def as_older_task(call: McpCall, call_id: str) -> Mapping[str, Any] | None:
    """Answer a call with its task; None where there is none to be found."""
    task = await call.service.gate.operate(follow_call, call_id, by=call.asked.by, any_call=True)
    made = _WANTED.get()
    if isinstance(task, Declined) or made is None:
        return None
    made.append(described_before(task, status_of(task)))
    # What the SDK takes for the answer, and ``with_tasks`` replaces.
    return {"content": []}


async def result(service: Service, task: Followed, *, by: Principal) -> dict[str, Any]:
    """The answer to ``tasks/result``: what ``tools/call`` would have answered, once there is that.

    Raises:
        MCPError: where it has not ended for very long, or too many wait already.
    """
    task = await _ended(service, task, by=by)
    return {**result_of(task.outcome), "_meta": {RELATED: {"taskId": task.row.call_id}}}


async def _ended(service: Service, task: Followed, *, by: Principal) -> Followed:
    if has_ended(task.outcome):
        return task
    if (busy := service.waits.why_not(by)) is not None:
        raise MCPError(INVALID_PARAMS, busy.detail)
    call_id = task.row.call_id
    with service.waits.held(by):
        async with service.feed.watch(lambda event: event.call_id == call_id) as watch:
            while not service.closing.begun:
                now = await service.gate.operate(follow_call, call_id, by=by, any_call=True)
                if isinstance(now, Declined):
                    break
                if has_ended(now.outcome):
                    return now
                await next_of(watch, service.closing, _LONGEST_WAIT)
    raise MCPError(INVALID_PARAMS, NO_SUCH_TASK)
