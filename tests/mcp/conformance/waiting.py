"""Tools of the fixture that wait for somebody, and the person who decides about them while the suite looks.

The suite's tools take a time; here it is a person who takes it, and the call that waits for them is the task. Not here:
tools that answer at once (``fixture``).
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import Field

from toolgate import Approval, Caller, Tool, ToolError, tool
from toolgate.domain.content import Content, TextBlock
from toolgate.domain.rows import ByApproval
from toolgate.surfaces.http.feed import FeedEvent

if TYPE_CHECKING:
    from toolgate.surfaces.http.office import Office

PASSING: Final = "passing"
"""A role that whoever calls has by their credential, and has lost when a person has decided."""
DECIDES: Final = Caller("u-decides", roles={"decides"}, tenant="conformance")

waits: Final[dict[str, Any]] = {
    "effect": "read",
    "roles": {"suite"},
    "timeout": 30.0,
    "approval": Approval(approvers={"decides"}),
}
confirmed: Final[dict[str, Any]] = {**waits, "approval": Approval(approvers="caller")}


@tool(**waits)
async def slow_compute(
    seconds: Annotated[int, Field(ge=0, le=60)], label: Annotated[str, Field(max_length=100)] = ""
) -> str:
    """Answer once a person has agreed, who takes so many seconds for it."""
    return f"{label} after {seconds} s"


@tool(**waits)
async def failing_job() -> str:
    """Fail once a person has agreed."""
    raise ToolError("This job always fails", effect="none")


@tool(**{**waits, "roles": {PASSING}})
async def protocol_error_job() -> str:
    """Be no tool of the caller's any more once a person has agreed."""
    return "never"


@tool(**confirmed)
async def confirm_delete(filename: Annotated[str, Field(max_length=100)]) -> str:
    """Answer once the caller has confirmed."""
    return f"{filename} would be deleted"


@tool(**confirmed)
async def multi_input() -> str:
    """Answer once the caller has confirmed: one question, whatever the suite hopes for."""
    return "confirmed"


@tool(**confirmed)
async def test_tool_with_task() -> str:
    """Answer once the caller has confirmed, and know nobody's name."""
    return "confirmed"


@tool(effect="read", roles={"suite"}, timeout=30.0)
async def greet(name: Annotated[str, Field(max_length=100)]) -> Content:
    """Answer at once: no task."""
    return Content(content=[TextBlock(text=f"Hello, {name}!")])


WAITING: Final[list[Tool[Any, Any]]] = [each for each in globals().values() if isinstance(each, Tool)]


async def rights(user_id: str, tenant: str) -> Caller:
    """What a caller may do when their call is decided."""
    return Caller(user_id, roles={"suite"}, tenant=tenant)


async def deciding(office: Office) -> None:
    """Agree to whatever waits, after as many seconds as the call says; what its caller has to confirm heeds nobody."""
    async with asyncio.TaskGroup() as taking_time, office.feed.watch(_is_held) as watch:
        while True:
            event = await watch.next()
            if isinstance(event, FeedEvent) and event.approval_id is not None:
                taking_time.create_task(_decide(office, event.approval_id))


async def _decide(office: Office, approval_id: str) -> None:
    gateway: Any = office.gate
    row = (await gateway.store.find(ByApproval(approval_id))).approval
    await asyncio.sleep(json.loads(row.shown)["arguments"].get("seconds", 0))
    await gateway.approve(approval_id, by=DECIDES, reason="the suite waits for it")


def _is_held(event: FeedEvent) -> bool:
    return event.transition == "held"
