"""A well-behaved MCP server made with the official SDK: over stdio as a program, over HTTP as an application.

``python sdk.py`` speaks on its standard streams, in both eras.
"""

from __future__ import annotations

from typing import Any

import anyio
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server

Context = ServerRequestContext[Any]

ECHO = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "additionalProperties": False,
}
NOTHING: dict[str, Any] = {"type": "object", "properties": {}}


def tools() -> list[types.Tool]:
    return [
        types.Tool(name="echo", description="Says it again.", input_schema=ECHO),
        types.Tool(
            name="measure",
            description="Its length.",
            input_schema=ECHO,
            output_schema={
                "type": "object",
                "properties": {"length": {"type": "integer"}},
                "required": ["length"],
            },
        ),
        types.Tool(name="steps", description="Reports three steps.", input_schema=NOTHING),
        types.Tool(name="wait", description="Waits until it is cancelled.", input_schema=NOTHING),
        types.Tool(name="cancelled", description="How many waits were cancelled.", input_schema=NOTHING),
        types.Tool(name="fail", description="Says that it failed.", input_schema=NOTHING),
        types.Tool(name="meta", description="The _meta that came.", input_schema=NOTHING),
    ]


class Handlers:
    """What the tools do."""

    def __init__(self) -> None:
        self.cancelled = 0
        self.waiting = anyio.Event()

    async def list_tools(
        self, ctx: Context, params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """Two pages."""
        if params is None or params.cursor is None:
            return types.ListToolsResult(tools=tools()[:3], next_cursor="more")
        return types.ListToolsResult(tools=tools()[3:])

    async def call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        arguments = params.arguments or {}
        match params.name:
            case "echo":
                return said(arguments["text"])
            case "measure":
                length = len(arguments["text"])
                return types.CallToolResult(content=[], structured_content={"length": length})
            case "steps":
                return await self.steps(ctx)
            case "wait":
                return await self.wait()
            case "cancelled":
                return said(str(self.cancelled))
            case "meta":
                meta = dict(params.meta or {})
                return types.CallToolResult(content=[], structured_content=meta)
            case _:
                return types.CallToolResult(content=[types.TextContent(text="it failed")], is_error=True)

    async def steps(self, ctx: Context) -> types.CallToolResult:
        for step in (1, 2, 3):
            await ctx.session.report_progress(step, 3, f"step {step}")
        return said("done")

    async def wait(self) -> types.CallToolResult:
        self.waiting.set()
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            self.cancelled += 1
            raise
        return said("never")


def said(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(text=text)])


def server(handlers: Handlers | None = None) -> Server[Any]:
    handlers = handlers or Handlers()
    schemas = {tool.name: tool.input_schema for tool in tools()}
    return Server(
        "well-behaved",
        version="1.2.3",
        get_tool_input_schema=schemas.get,
        on_list_tools=handlers.list_tools,
        on_call_tool=handlers.call_tool,
    )


async def main() -> None:
    async with stdio_server() as (read, write):
        serving = server()
        await serving.run(read, write, serving.create_initialization_options())


if __name__ == "__main__":
    anyio.run(main)
