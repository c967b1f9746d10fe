"""A client that knows tasks: the SDK's own, with the extension as its author would write it.

Not here: who it belongs to, and what is expected of any of it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Literal

import mcp_types as types
from mcp.client.extension import ClientExtension, ResultClaim
from pydantic import ConfigDict

from tests.mcp.confirm.house import beside
from tests.mcp.server.desk import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp import Client
    from mcp.client.extension import ClaimContext
    from mcp.client.session import ClientSession

TASKS: Final = "io.modelcontextprotocol/tasks"
OVER: Final = frozenset({"completed", "failed", "cancelled"})


class Created(types.Result):
    """``CreateTaskResult``."""

    result_type: Literal["task"] = "task"
    task_id: str
    status: str
    status_message: str | None = None
    created_at: str
    last_updated_at: str
    ttl_ms: int | None
    poll_interval_ms: int | None = None


class Task(types.Result):
    """``GetTaskResult``."""

    result_type: Literal["complete"]
    task_id: str
    status: str
    status_message: str | None = None
    created_at: str
    last_updated_at: str
    ttl_ms: int | None
    poll_interval_ms: int | None = None
    input_requests: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    error: dict[str, Any] | None = None

    @property
    def body(self) -> dict[str, Any]:
        """What the model is told at its end."""
        assert self.result is not None
        return dict(types.CallToolResult.model_validate(self.result).structured_content or {})


class Acknowledged(types.Result):
    """The answer to what changes a task, which says nothing else."""

    model_config = ConfigDict(extra="forbid")
    result_type: Literal["complete"]


class Named(types.RequestParams):
    """Of every message about a task."""

    task_id: str


class Answers(Named):
    """What a user said."""

    input_responses: dict[str, Any]


class GetTask(types.Request[Named, Literal["tasks/get"]]):
    """How does it stand?"""

    method: Literal["tasks/get"] = "tasks/get"
    params: Named
    name_param = "taskId"


class UpdateTask(types.Request[Answers, Literal["tasks/update"]]):
    """This was said."""

    method: Literal["tasks/update"] = "tasks/update"
    params: Answers
    name_param = "taskId"


class CancelTask(types.Request[Named, Literal["tasks/cancel"]]):
    """It is not wanted any more."""

    method: Literal["tasks/cancel"] = "tasks/cancel"
    params: Named
    name_param = "taskId"


class KnowsTasks(ClientExtension):
    """Finishes a call that is answered with a task: looks after it until it is over."""

    identifier = TASKS

    def __init__(self) -> None:
        self.created: asyncio.Queue[Created] = asyncio.Queue()

    def claims(self) -> list[ResultClaim[Created]]:
        """``resultType: "task"``."""
        return [ResultClaim(result_type="task", model=Created, resolve=self._follow)]

    async def _follow(self, created: Created, context: ClaimContext) -> types.CallToolResult:
        self.created.put_nowait(created)
        task = await over(context.session, created.task_id)
        return types.CallToolResult.model_validate(task.result)


async def begun(client: Client, name: str, workflow: str = "wf", **arguments: Any) -> Created:
    """The task that a call is answered with."""
    result = await asked(client, name, workflow, **arguments)
    assert isinstance(result, Created), result
    return result


async def asked(client: Client, name: str, workflow: str = "wf", **arguments: Any) -> types.Result:
    """Whatever a call is answered with."""
    return await client.session.call_tool(name, arguments, meta=beside(workflow), allow_claimed=True)


async def get(session: ClientSession, task_id: str) -> Task:
    """The task as it stands."""
    return await session.send_request(GetTask(params=Named(task_id=task_id)), Task)


async def update(session: ClientSession, task_id: str, said: Mapping[str, Any]) -> Acknowledged:
    """Send what a user said."""
    params = Answers(task_id=task_id, input_responses=dict(said))
    return await session.send_request(UpdateTask(params=params), Acknowledged)


async def cancel(session: ClientSession, task_id: str) -> Acknowledged:
    """Give it up."""
    return await session.send_request(CancelTask(params=Named(task_id=task_id)), Acknowledged)


async def over(session: ClientSession, task_id: str) -> Task:
    """The task once it is over."""
    async with asyncio.timeout(PATIENCE):
        while (task := await get(session, task_id)).status not in OVER:
            pass
    return task
