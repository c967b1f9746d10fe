"""MCP over standard input and output: the server's own code at two pipes, and a client that writes bytes into one.

The pipes are real and the process is this one, so that a case can move its clock; ``test_a_process_of_its_own`` starts
the real program. Not here: what a message looks like (``over_mcp``).
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import IO, Any, Final

from tests.surfaces import over_mcp
from tests.surfaces.stage import Ask, Heard, Stage
from tests.surfaces.table import Asked
from toolgate.domain.principal import Declined, Principal
from toolgate.operations.authenticate import authenticate
from toolgate.surfaces.mcp.service import open_service
from toolgate.surfaces.mcp.stdio import McpStdio

PATIENCE: Final = 120.0
Say = Callable[[Asked, str], Awaitable[Heard]]


@asynccontextmanager
async def modern(stage: Stage, asked: Asked) -> AsyncIterator[Ask]:
    """A client of 2026-07-28."""
    async with piped(stage, asked) as line, talking(line, envelope=True) as say:
        yield partial(say, asked)


@asynccontextmanager
async def handshake(stage: Stage, asked: Asked) -> AsyncIterator[Ask]:
    """A client of 2025-11-25."""
    async with piped(stage, asked) as line:
        await line.tell(over_mcp.initialize_message())
        assert (await line.hear())["result"]["protocolVersion"] == over_mcp.HANDSHAKE
        await line.tell(over_mcp.INITIALIZED)
        async with talking(line, envelope=False) as say:
            yield partial(say, asked)


class Line:
    """A client's two ends: one to write into, one to read from."""

    def __init__(self, sink: IO[bytes], source: IO[bytes]) -> None:
        self._sink = sink
        self._source = source

    async def tell(self, message: bytes) -> None:
        """Send a message."""
        await asyncio.to_thread(self._write, message + b"\n")

    async def hear(self) -> dict[str, Any]:
        """The next message."""
        line = await asyncio.wait_for(asyncio.to_thread(self._source.readline), PATIENCE)
        assert line, "the server has left"
        said = json.loads(line)
        assert isinstance(said, dict)
        return said

    def leave(self) -> None:
        """Say nothing any more, which ends the server."""
        self._sink.close()

    def _write(self, data: bytes) -> None:
        self._sink.write(data)
        self._sink.flush()


@asynccontextmanager
async def talking(line: Line, *, envelope: bool) -> AsyncIterator[Say]:
    """Ask anything over ``line``; answers find their requests by id, in whatever order they come."""
    waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def read() -> None:
        while True:
            answer = await line.hear()
            # What could not be read has no id that could be told: it is the last one.
            number = max(waiting) if answer["id"] is None else answer["id"]
            waiting[number].set_result(answer)

    async def say(asked: Asked, arguments: str) -> Heard:
        number = len(waiting) + 2
        waiting[number] = asyncio.get_running_loop().create_future()
        await line.tell(over_mcp.call_message(asked, arguments, number=number, envelope=envelope))
        return over_mcp.heard(await waiting[number])

    reading = asyncio.create_task(read())
    try:
        yield say
    finally:
        line.leave()
        await asyncio.wait({reading})
        # It ends with the server, and with nothing else.
        assert isinstance(reading.exception(), AssertionError)


@asynccontextmanager
async def piped(stage: Stage, asked: Asked) -> AsyncIterator[Line]:
    """The server at the other end of two pipes, until its client leaves."""
    token = await stage.token(asked.caller, asked.agent)

    async def identify() -> Principal | Declined:
        return await stage.gateway.operate(authenticate, token)

    server = McpStdio(open_service(stage.gateway), identify)
    (theirs_in, our_out), (our_in, theirs_out) = os.pipe(), os.pipe()
    with (
        os.fdopen(our_out, "wb") as sink,
        os.fdopen(our_in, "rb") as source,
        os.fdopen(theirs_in, "rb") as server_in,
    ):
        server_out = os.fdopen(theirs_out, "wb")
        serving = asyncio.create_task(server.serve(server_in, server_out))
        serving.add_done_callback(lambda _: server_out.close())
        try:
            yield Line(sink, source)
        finally:
            sink.close()
            await asyncio.wait_for(serving, PATIENCE)
