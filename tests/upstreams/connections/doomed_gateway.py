"""Opens a connection to an upstream that starts a process of its own, tells their ids, and waits to be killed."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from toolgate.adapters.clock import SystemClock
from toolgate.adapters.upstreams.connection import open_connection
from toolgate.domain.upstream.settings import StdioSettings

EVIL = str(Path(__file__).parent.parent / "servers" / "evil.py")


async def main() -> None:
    connection = open_connection(
        StdioSettings(command=sys.executable, args=(EVIL, "legacy", "stubborn")),
        name="up",
        on_tools_changed=lambda: None,
        clock=SystemClock(),
    )
    called = await connection.call("grandchild", {}, seconds=30, meta={}, progress=None)
    sys.stdout.write(f"{connection.state().pid} {called.content[0]['text']}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


asyncio.run(main())
