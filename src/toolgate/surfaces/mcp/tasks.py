"""Held calls as tasks: the extension ``io.modelcontextprotocol/tasks`` of 2026-07-28 (SEP-2663).

A task is the call itself, under its own id, read from the ledger each time. Nothing is kept here: asking for the same
call again joins its task, and any process on the same store knows it. Only whoever asked for the call finds it, so its
id opens nothing for anybody else. Not here: jobs, progress of a task and ``notifications/tasks``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types import RequestParams, methods
from mcp_types.jsonrpc import (
    HEADER_MISMATCH,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.requests import HTTPConnection

from toolgate.domain.errors import GateFault
from toolgate.domain.lifecycle import ApprovalState
from toolgate.domain.outcome import ErrorType, PendingApproval, Refused, Succeeded
from toolgate.domain.principal import Declined
from toolgate.operations.follow_call import Followed, follow_call
from toolgate.operations.review import moment
from toolgate.operations.see_call import has_ended
from toolgate.operations.withdraw import withdraw
from toolgate.surfaces.mcp.asked import asked_of
from toolgate.surfaces.mcp.calls import INVALID_PARAMS, is_unknown_tool, result_of, unknown_tool
from toolgate.surfaces.mcp.confirm import not_confirmed, tell
from toolgate.surfaces.mcp.elicit import client_of
from toolgate.surfaces.mcp.plain import MODERN, TASKS
from toolgate.surfaces.mcp.question import FIELD, askable, form, read_answer

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext
    from mcp.server.lowlevel import Server

    from toolgate.domain.outcome import Outcome
    from toolgate.operations.review import Review
    from toolgate.surfaces.mcp.handlers import Answered, Ask, McpCall
    from toolgate.surfaces.mcp.service import Service

Status = Literal["working", "input_required", "completed", "cancelled", "failed"]
POLL_WAITING_MS: Final = 5_000
"""How long a client should wait between two looks while somebody is asked."""
POLL_RUNNING_MS: Final = 1_000
"""And once it runs."""
NO_SUCH_TASK: Final = "Task not found"
"""The same for whatever keeps somebody from a task."""
_WITHDRAWN: Final = "It was withdrawn. Nothing ran."
_log = logging.getLogger("toolgate")


class TaskParams(RequestParams):
    """Of ``tasks/get`` and ``tasks/cancel``."""

    task_id: str


class UpdateParams(TaskParams):
    """Of ``tasks/update``."""

    input_responses: dict[str, Any]


async def as_task(call: McpCall, ask: Ask) -> Answered:
    """Stands around a call: what is held is a task, for a client that says on this very call that it knows them."""
    answer = await ask()
    if isinstance(answer, Mapping) or has_ended(answer) or not _declared(call.context):
        return answer
    try:
        task = await call.service.gate.operate(follow_call, answer.call_id, by=call.asked.by)
    except GateFault as fault:
        # That it is held stays true, and its call_id leads to what comes of it.
        _log.warning("%s is answered as held, not as a task: %s", answer.call_id, type(fault).__name__)
        return answer
    if isinstance(task, Declined):
        return answer
    if has_ended(task.outcome):
        return task.outcome
    # The questions of a task are not told here: a client reads them where it answers them, in ``tasks/get``.
    return {"resultType": "task", **_task(task, "working")}


def serve_tasks(server: Server[Any], service: Service) -> None:
    """Declare the extension, and answer its methods."""

    async def get(context: ServerRequestContext[Any, Any], params: TaskParams) -> dict[str, Any]:
        task = await _found(service, context, params)
        return detailed(task, shows_forms=client_of(context).answers_later)

    async def update(context: ServerRequestContext[Any, Any], params: UpdateParams) -> dict[str, Any]:
        task = await _found(service, context, params)
        said = read_answer(params.input_responses.get(_key(task.review)))
        if said != "nothing" and askable(task.review) is not None:
            row, name = task.review.row, client_of(context).name
            why = await tell(
                service,
                asked_of(context.request),
                row.approval_id,
                through=name,
                accepted=said == "yes",
                digest=row.digest,
            )
            if why is not None and why.why == "forbidden":
                raise MCPError(INVALID_REQUEST, not_confirmed(why))
        return {"resultType": "complete"}

    async def cancel(context: ServerRequestContext[Any, Any], params: TaskParams) -> dict[str, Any]:
        task = await _found(service, context, params)
        asked = asked_of(context.request)
        if task.review.is_open:
            why = f"cancelled through {asked.surface}: {client_of(context).name}"
            await service.gate.operate(withdraw, task.review.row.approval_id, by=asked.by, reason=why)
            service.decided()
        # What people agreed to and has begun is not called back (``Gate.cancel``), whatever it does.
        return {"resultType": "complete"}

    server.extensions[TASKS] = {}
    server.add_request_handler("tasks/get", TaskParams, get)
    server.add_request_handler("tasks/update", UpdateParams, update)
    server.add_request_handler("tasks/cancel", TaskParams, cancel)


async def _found(service: Service, context: ServerRequestContext[Any, Any], params: TaskParams) -> Followed:
    """The task that a message is about.

    Raises:
        MCPError: for an older protocol, a header that says something else, a client that did not declare the
            extension, and a task that is not this caller's.
    """
    if context.protocol_version not in MODERN_PROTOCOL_VERSIONS:
        raise MCPError(METHOD_NOT_FOUND, "Method not found", context.method)
    if isinstance(context.request, HTTPConnection):
        named = decode_header_value(context.request.headers.get(MCP_NAME_HEADER))
        if named != params.task_id:
            raise MCPError(HEADER_MISMATCH, f"{MCP_NAME_HEADER} header does not match params.taskId")
    if not _declared(context):
        raise MCPError(
            MISSING_REQUIRED_CLIENT_CAPABILITY,
            f"Declare {TASKS} among the extensions of this request's client capabilities",
            {"requiredCapabilities": {"extensions": {TASKS: {}}}},
        )
    task = await service.gate.operate(follow_call, params.task_id, by=asked_of(context.request).by)
    if isinstance(task, Declined):
        raise MCPError(INVALID_PARAMS, NO_SUCH_TASK)
    return task


def _declared(context: ServerRequestContext[Any, Any]) -> bool:
    """Whether this very request says that its client knows tasks."""
    capabilities = context.session.client_capabilities
    extensions = None if capabilities is None else capabilities.extensions
    return context.protocol_version in MODERN_PROTOCOL_VERSIONS and TASKS in (extensions or {})


def detailed(task: Followed, *, shows_forms: bool) -> dict[str, Any]:
    """The answer to ``tasks/get``. ``shows_forms``: whether a question can be put before the client's user."""
    words = askable(task.review) if shows_forms else None
    status = _status(task, asks=words is not None)
    told: dict[str, Any] = {"resultType": "complete", **_task(task, status)}
    if words is not None:
        told["inputRequests"] = {_key(task.review): form(words)}
    elif status == "completed":
        # As ``tools/call`` sends it.
        result = {"resultType": "complete", **result_of(task.outcome)}
        told["result"] = methods.serialize_server_result("tools/call", MODERN, result)
    elif status == "failed":
        told["error"] = {"code": INVALID_PARAMS, "message": unknown_tool(task.row.tool)}
    return told


def _task(task: Followed, status: Status) -> dict[str, Any]:
    """What every form of a task says. It is never discarded, so it has no time to live."""
    told: dict[str, Any] = {
        "taskId": task.row.call_id,
        "status": status,
        "createdAt": moment(task.row.received_at),
        "lastUpdatedAt": moment(max(task.row.updated_at, task.review.row.updated_at)),
        "ttlMs": None,
    }
    if (words := _words(task, status)) is not None:
        told["statusMessage"] = words
    if not has_ended(task.outcome):
        waits = isinstance(task.outcome, PendingApproval)
        told["pollIntervalMs"] = POLL_WAITING_MS if waits else POLL_RUNNING_MS
    return told


def _status(task: Followed, *, asks: bool) -> Status:
    if not has_ended(task.outcome):
        return "input_required" if asks else "working"
    if is_unknown_tool(task.outcome):
        # The one end that ``tools/call`` answers with an error of the protocol.
        return "failed"
    return "cancelled" if _called_off(task) else "completed"


def _called_off(task: Followed) -> bool:
    """Whether somebody took it back. What the gate itself ends for a reason answers that reason."""
    return (
        isinstance(task.outcome, Refused)
        and task.outcome.error_type is ErrorType.APPROVAL_EXPIRED
        and task.review.row.state is ApprovalState.CANCELLED
    )


def _words(task: Followed, status: Status) -> str | None:
    outcome: Outcome[Any] = task.outcome
    if isinstance(outcome, PendingApproval):
        return f"{outcome.message} Undecided, it ends at {outcome.expires_at}."
    if isinstance(outcome, Succeeded):
        return None
    return _WITHDRAWN if status == "cancelled" else outcome.message


def _key(review: Review) -> str:
    """The name of the question, which says what was shown: whoever sends it back has seen this and nothing else."""
    return f"{FIELD}:{review.row.approval_id}:{review.row.digest.hex()}"
