"""Held calls and jobs as tasks: the extension ``io.modelcontextprotocol/tasks`` of 2026-07-28 (SEP-2663).

A task is the call itself, under its own id, read from the ledger each time. Nothing is kept here: asking for the same
call again joins its task, and any process on the same store knows it. Only whoever asked for the call finds it, so its
id opens nothing for anybody else. How far a job has come is its status message. Not here: what a task says
(``task_words``), tasks as clients of 2025-11-25 know them (``older_tasks``), and ``notifications/tasks``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_NAME_HEADER, decode_header_value
from mcp_types import RequestParams
from mcp_types.jsonrpc import (
    HEADER_MISMATCH,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
)
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.requests import HTTPConnection

from toolgate.domain.errors import GateFault
from toolgate.domain.principal import Declined
from toolgate.operations.follow_call import Followed, follow_call
from toolgate.operations.jobs import cancel_job
from toolgate.operations.see_call import has_ended
from toolgate.operations.withdraw import withdraw
from toolgate.surfaces.mcp.asked import asked_of
from toolgate.surfaces.mcp.calls import INVALID_PARAMS, is_unknown_tool
from toolgate.surfaces.mcp.confirm import not_confirmed, tell
from toolgate.surfaces.mcp.elicit import client_of
from toolgate.surfaces.mcp.older_tasks import (
    NO_SUCH_TASK,
    OLDER,
    as_older_task,
    asks_for_task,
    check_support,
)
from toolgate.surfaces.mcp.older_tasks import result as result_of_task
from toolgate.surfaces.mcp.plain import TASKS
from toolgate.surfaces.mcp.question import read_answer
from toolgate.surfaces.mcp.task_words import (
    described,
    described_before,
    detailed,
    key_of,
    question_of,
    status_of,
)

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext
    from mcp.server.lowlevel import Server

    from toolgate.surfaces.mcp.handlers import Answered, Ask, McpCall
    from toolgate.surfaces.mcp.service import Service

_OVER: Final = "It is over already, and stays as it ended"
_log = logging.getLogger("toolgate")
Context: TypeAlias = "ServerRequestContext[Any, Any]"


class TaskParams(RequestParams):
    """Of ``tasks/get`` and ``tasks/cancel``."""

    task_id: str


class UpdateParams(TaskParams):
    """Of ``tasks/update``."""

    input_responses: dict[str, Any]


async def as_task(call: McpCall, ask: Ask) -> Answered:
    """Stands around a call: what is held or runs as a job is a task, for a client that says that it knows them.

    One of 2026-07-28 says so on this very call; one of 2025-11-25 asks for a task (``older_tasks``).
    """
    older = asks_for_task(call.context)
    if older:
        check_support(call)
    answer = await ask()
    if isinstance(answer, Mapping):
        return answer
    if older and not is_unknown_tool(answer):
        return await as_older_task(call, answer.call_id) or answer
    if has_ended(answer) or not _declared(call.context):
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
    return {"resultType": "task", **described(task, "working")}


def serve_tasks(server: Server[Any], service: Service) -> None:
    """Declare the extension, and answer its methods."""
    tasks = Tasks(service)
    server.extensions[TASKS] = {}
    server.add_request_handler("tasks/get", TaskParams, tasks.get)
    server.add_request_handler("tasks/result", TaskParams, tasks.result)
    server.add_request_handler("tasks/update", UpdateParams, tasks.update)
    server.add_request_handler("tasks/cancel", TaskParams, tasks.cancel)


class Tasks:
    """The messages about tasks, of both eras. Each method answers the one of its name."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def get(self, context: Context, params: TaskParams) -> dict[str, Any]:
        """How does it stand?"""
        task = await self._found(context, params)
        if context.protocol_version == OLDER:
            return described_before(task, status_of(task))
        return detailed(task, shows_forms=client_of(context).answers_later)

    async def result(self, context: Context, params: TaskParams) -> dict[str, Any]:
        """What did it answer? Only 2025-11-25 asks that apart."""
        _only(context, OLDER)
        task = await self._found(context, params)
        return await result_of_task(self._service, task, by=asked_of(context.request).by)

    async def update(self, context: Context, params: UpdateParams) -> dict[str, Any]:
        """This is what the user said."""
        _only(context, *MODERN_PROTOCOL_VERSIONS)
        task = await self._found(context, params)
        review = task.review
        said = "nothing" if review is None else read_answer(params.input_responses.get(key_of(review)))
        if review is not None and said != "nothing" and question_of(task) is not None:
            why = await tell(
                self._service,
                asked_of(context.request),
                review.row.approval_id,
                through=client_of(context).name,
                accepted=said == "yes",
                digest=review.row.digest,
            )
            if why is not None and why.why == "forbidden":
                raise MCPError(INVALID_REQUEST, not_confirmed(why))
        return {"resultType": "complete"}

    async def cancel(self, context: Context, params: TaskParams) -> dict[str, Any]:
        """It is not wanted any more."""
        task = await self._found(context, params)
        if context.protocol_version != OLDER:
            await give_up(self._service, context, task)
            return {"resultType": "complete"}
        if has_ended(task.outcome):
            raise MCPError(INVALID_PARAMS, _OVER)
        await give_up(self._service, context, task)
        task = await self._found(context, params)
        return described_before(task, status_of(task))

    async def _found(self, context: Context, params: TaskParams) -> Followed:
        """The task that a message is about.

        Raises:
            MCPError: for a protocol without tasks, a header that says something else, a client that did not declare the
                extension, and a task that is not this caller's.
        """
        _only(context, OLDER, *MODERN_PROTOCOL_VERSIONS)
        older = context.protocol_version == OLDER
        if not older:
            _check_said(context, params)
        by = asked_of(context.request).by
        task = await self._service.gate.operate(follow_call, params.task_id, by=by, any_call=older)
        if isinstance(task, Declined):
            raise MCPError(INVALID_PARAMS, NO_SUCH_TASK)
        return task


def _only(context: Context, *versions: str) -> None:
    if context.protocol_version not in versions:
        raise MCPError(METHOD_NOT_FOUND, "Method not found", context.method)


def _check_said(context: Context, params: TaskParams) -> None:
    """What 2026-07-28 wants said beside the task's id."""
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


async def give_up(service: Service, context: Context, task: Followed) -> None:
    """Withdraw what waits for people, and have a job end."""
    asked = asked_of(context.request)
    why = f"cancelled through {asked.surface}: {client_of(context).name}"
    if task.review is not None and task.review.is_open:
        await service.gate.operate(withdraw, task.review.row.approval_id, by=asked.by, reason=why)
    elif task.job is not None and not has_ended(task.outcome):
        await service.gate.operate(cancel_job, task.job.job_id, by=asked.by, reason=why)
    else:
        # What people agreed to and has begun is not called back (``Gate.cancel``), whatever it does.
        return
    service.decided()


def _declared(context: Context) -> bool:
    """Whether this very request says that its client knows tasks."""
    capabilities = context.session.client_capabilities
    extensions = None if capabilities is None else capabilities.extensions
    return context.protocol_version in MODERN_PROTOCOL_VERSIONS and TASKS in (extensions or {})
