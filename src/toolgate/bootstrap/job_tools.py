"""``get_job`` and ``cancel_job``: governed tools like any other, of a gateway that has a tool which runs as a job.

They are granted to whoever is granted a tool that runs as a job, and to nobody else. They see the gate through the
operations that people use, as the caller and the agent of their call. Not here: who may see or end what
(``operations.jobs``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, cast

from pydantic import Field
from typing_extensions import TypedDict  # pydantic reads no other before Python 3.12

from toolgate.domain.argument_types import Identifier
from toolgate.domain.caller import ANYONE
from toolgate.domain.context import ToolContext
from toolgate.domain.errors import BusinessRule
from toolgate.domain.principal import Declined, Principal
from toolgate.domain.tool import Tool, tool
from toolgate.operations.jobs import JobView, cancel_job, see_job

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toolgate.gateway.world import World

JobId = Annotated[
    str,
    Identifier(prefix="job_", max_length=64),
    Field(description="The job_id of the answer that said started."),
]
Reason = Annotated[
    str, Field(min_length=1, max_length=500, description="Why, in a few words, for the trail.")
]


class Came(TypedDict):
    """How far a job says it came."""

    done: float
    at: str
    total: NotRequired[float]
    note: NotRequired[str]


class Wished(TypedDict):
    """Who wants a job to end."""

    at: str
    by: str | None
    reason: str | None


class Told(TypedDict):
    """``JobView.to_json``, for a model."""

    job_id: str
    call_id: str
    tool: str
    state: str
    caller_id: str
    created_at: str
    priority: int
    attempts: int
    not_before: NotRequired[str]
    started_at: NotRequired[str]
    deadline_at: NotRequired[str]
    progress: NotRequired[Came]
    cancel: NotRequired[Wished]
    ended_at: NotRequired[str]
    outcome: NotRequired[dict[str, Any]]


class UnknownJob(BusinessRule):
    """There is no such job."""

    code = "unknown_job"


class NotCancelled(BusinessRule):
    """The job cannot be cancelled."""

    code = "not_cancelled"


def granted_a_job(tools: Iterable[object]) -> frozenset[str] | Literal["anyone"]:
    """The roles that open any of ``tools`` which runs as a job and is switched on; none where there is no such tool."""
    found: set[str] = set()
    for one in tools:
        if not isinstance(one, Tool) or one.contract.job is None or not one.contract.enabled:
            continue
        if one.contract.roles == ANYONE:
            return ANYONE
        found |= one.contract.roles
    return frozenset(found)


class JobTools:
    """The two tools, and the world that they look at once there is one. No tools where ``roles`` are none."""

    def __init__(self, roles: frozenset[str] | Literal["anyone"]) -> None:
        self.world: World | None = None
        self.tools = self._made(roles) if roles else ()

    def _made(self, roles: frozenset[str] | Literal["anyone"]) -> tuple[Tool[Any, Any], ...]:
        async def is_theirs(context: ToolContext[Any], args: Any) -> bool:
            """One that never was is answered like one that they may not see."""
            return not isinstance(await see_job(self._world(), args.job_id, by=_whom(context)), Declined)

        @tool(
            name="get_job",
            title="Look at a job",
            description="Say how a job stands: queued, running with its progress, or how it ended, with its result.",
            effect="read",
            roles=roles,
            timeout="10s",
            owner="toolgate",
            authorize=is_theirs,
            raises=[UnknownJob],
        )
        async def look(context: ToolContext[Any], job_id: JobId) -> Told:
            found = await see_job(self._world(), job_id, by=_whom(context))
            if isinstance(found, Declined):
                raise UnknownJob
            return cast("Told", found.to_json())

        @tool(
            name="cancel_job",
            title="Cancel a job",
            description="Ask for a job of one's own to end. What it has done by then stays done.",
            effect="write",
            roles=roles,
            timeout="10s",
            owner="toolgate",
            approval_waiver="it ends only what the same caller asked for, and undoes nothing",
            authorize=is_theirs,
            idempotency="cancel_job:{job_id}:{reason}",
            raises=[UnknownJob, NotCancelled],
        )
        async def end(context: ToolContext[Any], job_id: JobId, reason: Reason) -> Told:
            found: JobView | Declined
            found = await cancel_job(self._world(), job_id, by=_whom(context), reason=reason)
            if isinstance(found, Declined) and found.why == "not_found":
                raise UnknownJob
            if isinstance(found, Declined):
                raise NotCancelled(f"It was not cancelled: {found.reason}.")
            return cast("Told", found.to_json())

        return look, end

    def _world(self) -> World:
        assert self.world is not None
        return self.world


def _whom(context: ToolContext[Any]) -> Principal:
    return Principal(caller=context.caller, agent=context.agent, credential="application")
