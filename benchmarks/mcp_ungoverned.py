"""``python -m benchmarks.mcp_ungoverned PORT TOOLS``: the SDK's low-level server, with no check of anything.

The cheapest that the SDK can be: arguments go to the function as they came, each answer is one JSON object, and it is
told where to find a tool's schema, so that no call lists the tools first.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import mcp_types as types
import uvicorn
from mcp.server.lowlevel.server import Server

from benchmarks.mcp_tools import names
from benchmarks.subjects import Order, OrderInput, look_up

SCHEMA = OrderInput.model_json_schema()
OUTPUT = Order.model_json_schema()


def server(size: int) -> Server[Any]:
    """A server of ``size`` tools that all look up an order."""
    listed = [
        types.Tool(name=name, description="Look up one order.", input_schema=SCHEMA, output_schema=OUTPUT)
        for name in names(size)
    ]
    known = {each.name for each in listed}

    async def list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=listed)

    async def call_tool(_context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        assert params.name in known
        found = (await look_up(**(params.arguments or {}))).model_dump()
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=json.dumps(found))], structured_content=found
        )

    return Server(
        "ungoverned",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        get_tool_input_schema=lambda name: SCHEMA if name in known else None,
    )


def run(app: Any, port: int) -> None:
    """Serve as ``toolgate serve`` does: uvicorn over h11, asyncio's loop, no access log."""
    config = uvicorn.Config(
        app,
        host="127.0.0.1",
        port=port,
        http="h11",
        ws="none",
        loop="asyncio",
        access_log=False,
        log_config=None,
        log_level="error",
        server_header=False,
        timeout_keep_alive=300,
    )
    uvicorn.Server(config).run()


if __name__ == "__main__":
    run(server(int(sys.argv[2])).streamable_http_app(json_response=True), int(sys.argv[1]))
