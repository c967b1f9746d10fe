"""The tools behind the gate, as somebody may see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.domain.principal import Declined
from toolgate.operations.list_tools import list_tools
from toolgate.surfaces.rest.answers import ToolInfo, ToolList
from toolgate.surfaces.rest.endpoint import Answer, Asked, NoBody, Reply
from toolgate.surfaces.rest.requests import Query

if TYPE_CHECKING:
    from typing import Any


async def list_(asked: Asked[Query, NoBody]) -> Reply:
    """List the tools that you may call; operators and auditors see every tool."""
    tools = await _seen(asked)
    return tools if isinstance(tools, Declined) else Answer(content=ToolList(tools=tools))


async def get(asked: Asked[Query, NoBody]) -> Reply:
    """One tool: its schemas, its effect, and when a person is asked."""
    tools = await _seen(asked)
    if isinstance(tools, Declined):
        return tools
    found = next((tool for tool in tools if tool.name == asked.id), None)
    return Declined("not_found", "there is no such tool for you") if found is None else Answer(content=found)


async def _seen(asked: Asked[Any, Any]) -> list[ToolInfo] | Declined:
    listed = await asked.office.gate.operate(list_tools, by=asked.by)
    if isinstance(listed, Declined):
        return listed
    return [ToolInfo.of(tool) for tool in listed]
