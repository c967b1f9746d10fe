"""What stands between a call and its answer over MCP, in one visible order, the same over HTTP and over stdio.

Not here: what each of them does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.surfaces.mcp.asking import Asking
from toolgate.surfaces.mcp.confirm import Confirming
from toolgate.surfaces.mcp.tasks import as_task

if TYPE_CHECKING:
    from toolgate.surfaces.mcp.handlers import Answered, Around, Ask, McpCall


def standing() -> Around:
    """All of them, outermost first. What the first asks is answered by the second, and so on to the gate."""
    return nested(
        # Asks for a tool that wants input: outermost, because each of its rounds is a whole call.
        Asking(),
        # Asks the caller in their client where the call is held still, which it is not for a client that knows tasks.
        Confirming(),
        # Next to the gate: what it holds is a task, and whatever is asked meanwhile is asked through that.
        as_task,
    )


def nested(*around: Around) -> Around:
    """One for all of ``around``, outermost first."""

    async def all_of_them(call: McpCall, ask: Ask) -> Answered:
        for each in reversed(around):
            ask = _within(each, call, ask)
        return await ask()

    return all_of_them


def _within(outer: Around, call: McpCall, ask: Ask) -> Ask:
    async def asking() -> Answered:
        return await outer(call, ask)

    return asking
