"""``python with_fastmcp.py``: a FastMCP server over HTTP, on a port that it prints. It knows nothing of any gate."""

from __future__ import annotations

import asyncio
import socket
from typing import Annotated

from fastmcp import Context, FastMCP
from pydantic import BaseModel, Field

server: FastMCP[None] = FastMCP("ledger", version="1.2.3")
entries: list[str] = []


class Balance(BaseModel):
    """What is on an account."""

    account: str
    cents: int


@server.tool(annotations={"readOnlyHint": True})
def balance(account: Annotated[str, Field(max_length=20)]) -> Balance:
    """The balance of an account."""
    return Balance(account=account, cents=4200)


@server.tool(annotations={"destructiveHint": False})
def book(account: str, cents: int) -> str:
    """Book an amount."""
    entries.append(f"{account} {cents}")
    return f"booked as number {len(entries)}"


@server.tool(annotations={"readOnlyHint": True})
async def audit(context: Context, steps: Annotated[int, Field(ge=1, le=10)] = 3) -> int:
    """Look at every entry, and tell how far it has come."""
    for step in range(1, steps + 1):
        await context.report_progress(step, steps)
    return len(entries)


@server.tool
def wipe() -> str:
    """Forget every entry."""
    entries.clear()
    return "wiped"


def main() -> None:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listening.getsockname()[1]}/mcp", flush=True)  # noqa: T201 - how it is found
    asyncio.run(server.run_http_async(show_banner=False, sockets=[listening], log_level="error"))


if __name__ == "__main__":
    main()
