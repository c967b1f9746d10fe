"""``python -m benchmarks.mcp_fastmcp PORT TOOLS`` or ``… PORT proxy URL``: FastMCP 4, as a server and as a proxy."""

from __future__ import annotations

import sys
from typing import Any

from fastmcp import FastMCP
from fastmcp.server import create_proxy

from benchmarks.mcp_tools import names
from benchmarks.mcp_ungoverned import run
from benchmarks.subjects import look_up


def server(size: int) -> FastMCP[Any]:
    """A server of ``size`` tools that all look up an order."""
    made: FastMCP[Any] = FastMCP("fastmcp")
    for name in names(size):
        made.tool(look_up, name=name, description="Look up one order.")
    return made


if __name__ == "__main__":
    port, what = int(sys.argv[1]), sys.argv[2]
    found = create_proxy(sys.argv[3]) if what == "proxy" else server(int(what))
    run(found.http_app(path="/mcp", json_response=True), port)
