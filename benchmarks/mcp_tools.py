"""The tools of every MCP server that is measured: a read, a keyed write, and others that are only registered.

Not here: the servers (``mcp_ungoverned`` and ``mcp_fastmcp`` are programs; the gate's is ``toolgate serve``).
"""

from __future__ import annotations

from typing import Any, Final

from benchmarks.subjects import Order, OrderInput, change_order, look_up, read_order
from toolgate import Tool, ToolContext, tool

SIZES: Final = (10, 50)
"""How many tools a server has."""


def _another(number: int) -> Tool[Any, Any]:
    @tool(name=f"tool_{number}", effect="read", roles={"support"}, timeout=5.0, version="1", owner="orders")
    async def another(context: ToolContext[None], args: OrderInput) -> Order:
        """Look up one order, under another name."""
        return await look_up(args.order_id, args.customer, args.note)

    return another


def _tools(size: int) -> list[Tool[Any, Any]]:
    return [read_order, change_order, *(_another(number) for number in range(size - 2))]


TOOLS_10: Final = _tools(10)
"""For a configuration to name."""
TOOLS_50: Final = _tools(50)
NONE: Final[list[Tool[Any, Any]]] = []


def names(size: int) -> list[str]:
    """What the tools are called."""
    return ["read_order", "change_order", *(f"tool_{number}" for number in range(size - 2))]
