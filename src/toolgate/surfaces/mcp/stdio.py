"""MCP over standard input and output: one client, known by the one credential that the process was started with.

The credential is looked at anew for each message, as over HTTP, so that one that is revoked opens nothing more. A
client that has sent its last message still gets the answers that it waits for. Not here: messages (``handlers``), where
the credential comes from, and signals (``cli.serve``).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import anyio
from mcp.shared.message import ServerMessageMetadata, SessionMessage
from mcp_types import JSONRPCError, JSONRPCRequest, JSONRPCResponse, jsonrpc_message_adapter
from pydantic import ValidationError

from toolgate.domain.canonical import UnfitJson
from toolgate.domain.principal import Action, Declined, Principal, forbids
from toolgate.surfaces.mcp.asked import Asked
from toolgate.surfaces.mcp.handlers import mcp_server
from toolgate.surfaces.mcp.pipes import Lines, LineTooLong, Writer
from toolgate.surfaces.mcp.wire import read

if TYPE_CHECKING:
    from typing import BinaryIO

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from toolgate.surfaces.mcp.handlers import Around
    from toolgate.surfaces.mcp.service import Service
    from toolgate.surfaces.mcp.wire import Message

SURFACE: Final = "mcp-stdio"
LINE_LIMIT: Final = 1024 * 1024
"""Bytes of one message."""
LAST_ANSWERS: Final = 30.0
"""Seconds that a client which has sent its last message is given to be answered."""
_PARSE_ERROR: Final = -32700
_INVALID_REQUEST: Final = -32600

Identify = Callable[[], Awaitable["Principal | Declined"]]


class McpStdio:
    """The gate for one client at the other end of two pipes.

    ``workflow``: the piece of work of each call that names none.
    """

    def __init__(
        self,
        service: Service,
        identify: Identify,
        *,
        around: Around | None = None,
        workflow: str | None = None,
    ) -> None:
        self._workflow = workflow
        self._service = service
        self._identify = identify
        self._server = mcp_server(service, around=around)
        self._unanswered: set[str | int] = set()
        self._all_answered = asyncio.Event()
        self._all_answered.set()

    async def serve(self, source: BinaryIO, sink: BinaryIO) -> None:
        """Serve until the client has sent its last message and was answered, or is gone."""
        to_server, from_client = anyio.create_memory_object_stream[SessionMessage | Exception](0)
        to_client, from_server = anyio.create_memory_object_stream[SessionMessage](0)
        writer = Writer(sink)
        serving = asyncio.create_task(
            self._server.run(from_client, to_client, self._server.create_initialization_options())
        )
        reading = asyncio.create_task(self._read(Lines(source, limit=LINE_LIMIT), to_server, writer))
        writing = asyncio.create_task(self._write(from_server, writer))
        answering = asyncio.create_task(self._after(reading))
        try:
            await asyncio.wait({serving, reading, writing}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done() and not writing.done():
                await asyncio.wait(
                    {writing, answering}, timeout=LAST_ANSWERS, return_when=asyncio.FIRST_COMPLETED
                )
        finally:
            self._service.closing.begin()
            to_server.close()
            for task in (reading, serving, writing, answering):
                task.cancel()
            await asyncio.gather(reading, serving, writing, answering, return_exceptions=True)
            for end in (from_client, to_client, from_server):
                end.close()

    async def _after(self, reading: asyncio.Task[None]) -> None:
        """Until everything that was read is answered."""
        await asyncio.wait({reading})
        await self._all_answered.wait()

    async def _read(
        self, lines: Lines, to_server: MemoryObjectSendStream[SessionMessage | Exception], writer: Writer
    ) -> None:
        async for line in lines:
            if not line:
                continue
            refusal = await self._take(line, to_server)
            if refusal is not None:
                await writer.write(refusal)

    async def _take(
        self, line: bytes | LineTooLong, to_server: MemoryObjectSendStream[SessionMessage | Exception]
    ) -> bytes | None:
        """Hand a message on. What its sender is told instead, where there is something to tell."""
        if isinstance(line, LineTooLong):
            return _error(None, _PARSE_ERROR, f"at most {LINE_LIMIT} bytes of one message are read")
        try:
            taken = read(line)
            json_message = jsonrpc_message_adapter.validate_json(taken.raw, by_name=False)
        except UnfitJson as unfit:
            return _error(None, _PARSE_ERROR, f"the message is no JSON that everybody reads alike: {unfit}")
        except ValidationError as unfit:
            is_json = all(error["type"] != "json_invalid" for error in unfit.errors(include_input=False))
            code = _INVALID_REQUEST if is_json else _PARSE_ERROR
            return _error(None, code, "this is no JSON-RPC message")
        by = await self._identify()
        why = by.reason if isinstance(by, Declined) else forbids(by, Action.CALL_TOOLS)
        if why is not None or isinstance(by, Declined):
            # Only a request is answered.
            asks = isinstance(json_message, JSONRPCRequest)
            return _error(getattr(json_message, "id", None), _INVALID_REQUEST, why or "") if asks else None
        await to_server.send(self._noted(json_message, taken, by))
        return None

    def _noted(self, message: Any, taken: Message, by: Principal) -> SessionMessage:
        id = message.id if isinstance(message, JSONRPCRequest) else None
        if id is not None:
            self._unanswered.add(id)
            self._all_answered.clear()

        async def unanswered() -> None:
            self._answered(id)

        asked = Asked(
            by=by,
            surface=SURFACE,
            request_id=None if id is None else str(id),
            workflow=self._workflow,
            arguments=taken.arguments,
        )
        return SessionMessage(
            message, metadata=ServerMessageMetadata(request_context=asked, on_request_unanswered=unanswered)
        )

    def _answered(self, id: str | int | None) -> None:
        if id is not None:
            self._unanswered.discard(id)
        if not self._unanswered:
            self._all_answered.set()

    async def _write(self, from_server: MemoryObjectReceiveStream[SessionMessage], writer: Writer) -> None:
        with contextlib.suppress(BrokenPipeError):
            async for sent in from_server:
                message = sent.message
                await writer.write(message.model_dump_json(by_alias=True, exclude_unset=True).encode())
                if isinstance(message, JSONRPCResponse | JSONRPCError):
                    self._answered(message.id)


def _error(id: str | int | None, code: int, words: str) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": words}}).encode()
