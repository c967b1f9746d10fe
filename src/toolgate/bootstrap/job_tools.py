"""``get_job`` and ``cancel_job``: governed tools like any other, of a gateway that has a tool which runs as a job.

They see the gate through the operations that people use, as the caller and the agent of their call. Not here: who
may see or end what (``operations.jobs``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from toolgate.domain.context import ToolContext
from toolgate.domain.errors import BusinessRule
from toolgate.domain.principal import Declined, Principal
from toolgate.domain.tool import Tool, tool
from toolgate.operations.jobs import JobView, cancel_job, see_job

if TYPE_CHECKING:
    from toolgate.gateway.world import World

JobId = Annotated[
    str, Field(min_length=1, max_length=64, description="The job_id of the answer that said started.")
]
Reason = Annotated[
    str, Field(min_length=1, max_length=500, description="Why, in a few words, for the trail.")
]


class UnknownJob(BusinessRule):
    """There is no such job."""

    code = "unknown_job"


class NotCancelled(BusinessRule):
    """The job cannot be cancelled."""

    code = "not_cancelled"


class JobTools:
    """The two tools, and the world that they look at once there is one."""

    def __init__(self) -> None:
        self.world: World | None = None
        self.tools = self._made()

    def _made(self) -> tuple[Tool[Any, Any], ...]:
        @tool(
            name="get_job",
            title="Look at a job",
            description="Say how a job stands: queued, running with its progress, or how it ended, with its result.",
            effect="read",
            roles="anyone",
            timeout="10s",
            owner="toolgate",
            raises=[UnknownJob],
        )
        async def look(context: ToolContext[Any], job_id: JobId) -> dict[str, Any]:
            found = await see_job(self._world(), job_id, by=_whom(context))
            if isinstance(found, Declined):
                raise UnknownJob
            return found.to_json()

        @tool(
            name="cancel_job",
            title="Cancel a job",
            description="Ask for a job of one's own to end. What it has done by then stays done.",
            effect="write",
            roles="anyone",
            timeout="10s",
            owner="toolgate",
            approval_waiver="it ends only what the same caller asked for, and undoes nothing",
            raises=[UnknownJob, NotCancelled],
        )
        async def end(context: ToolContext[Any], job_id: JobId, reason: Reason) -> dict[str, Any]:
            found: JobView | Declined
            found = await cancel_job(self._world(), job_id, by=_whom(context), reason=reason)
            if isinstance(found, Declined) and found.why == "not_found":
                raise UnknownJob
            if isinstance(found, Declined):
                raise NotCancelled(f"It was not cancelled: {found.reason}.")
            return found.to_json()

        return look, end

    def _world(self) -> World:
        assert self.world is not None
        return self.world


def _whom(context: ToolContext[Any]) -> Principal:
    return Principal(caller=context.caller, agent=context.agent, credential="application")
