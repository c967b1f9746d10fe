"""A gateway for one MCP client at the other end of standard input and output, until that client leaves.

Not here: words for the terminal and where the credential comes from (``cli.serve``), and messages (``surfaces.mcp``).
"""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import TYPE_CHECKING, BinaryIO

from toolgate.bootstrap.gateway import Gateway
from toolgate.bootstrap.telemetry import share_telemetry
from toolgate.domain.principal import Action, Declined, forbids
from toolgate.operations.authenticate import authenticate
from toolgate.surfaces.mcp.around import standing
from toolgate.surfaces.mcp.service import open_service
from toolgate.surfaces.mcp.stdio import McpStdio

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

    from toolgate.config import Settings

_log = logging.getLogger("toolgate")


async def serve_stdio(
    settings: Settings, secret: str, source: BinaryIO, sink: BinaryIO, *, workflow: str | None = None
) -> str | None:
    """Serve until the client leaves, or SIGINT or SIGTERM; then settle what the gate runs.

    Why nobody was served, in words for whoever started it; None otherwise. ``workflow``: the piece of work of each
    call that names none.
    """
    async with Gateway.from_config(*settings.files) as gateway:
        share_telemetry(gateway.world.telemetry)
        by = await gateway.operate(authenticate, secret)
        why = by.reason if isinstance(by, Declined) else forbids(by, Action.CALL_TOOLS)
        if why is not None or isinstance(by, Declined):
            return why
        tools = len(gateway.tools(by.caller))
        who = by.id if by.agent is None else f"{by.id} through {by.agent}"
        _log.info("serving %d tools over stdio for %s of %s", tools, who, by.tenant)
        surface = McpStdio(
            open_service(gateway),
            lambda: gateway.operate(authenticate, secret),
            around=standing(),
            workflow=workflow,
        )
        await _until_told(surface.serve(source, sink))
        _log.info("the client has left; settling what is on its way")
    return None


async def _until_told(work: Coroutine[Any, Any, None]) -> None:
    """``work``, ended by the first SIGINT or SIGTERM."""
    serving = asyncio.create_task(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, serving.cancel)
    try:
        await asyncio.wait({serving})
        if not serving.cancelled():
            serving.result()
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
