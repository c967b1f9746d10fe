"""An MCP server over HTTP/1.1 written byte by byte, so that it can misbehave in any of them. Loopback only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass
class Request:
    """What a client sent. ``message`` is the JSON of its body; ``form`` the body as text."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value

    @property
    def asked(self) -> str:
        """``tools/call ok`` and the like; the HTTP method where there is no message."""
        if self.method != "POST" or not self.body.startswith(b"{"):
            return self.method
        params = self.message.get("params", {})
        return f"{self.message.get('method', 'answer')} {params.get('name', '')}".strip()


Handler = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


def reply(
    status: int, body: bytes | dict[str, Any] = b"", *, kind: str = "application/json", **headers: str
) -> bytes:
    """The bytes of a whole answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"content-type: {kind}", f"content-length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def stream(*events: dict[str, Any], end: bool = True) -> bytes:
    """The head of a stream of events, and its first ones."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    return head + b"".join(event(each) for each in events) + (b"0\r\n\r\n" if end else b"")


def event(message: dict[str, Any] | None = None, *, id: str = "", retry: int | None = None) -> bytes:
    """One event as a chunk."""
    text = f"id: {id}\n" if id else ""
    text += f"retry: {retry}\n" if retry is not None else ""
    text += f"data: {json.dumps(message)}\n\n" if message is not None else "data:\n\n"
    return chunk(text.encode())


def chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def result(request: Request, value: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request.message["id"], "result": value}


def said(request: Request, text: str) -> dict[str, Any]:
    return result(request, {"content": [{"type": "text", "text": text}]})


def error(request: Request, code: int, message: str, data: Any = None) -> dict[str, Any]:
    return {
        "jsonrpc": "2.0",
        "id": request.message["id"],
        "error": {"code": code, "message": message, "data": data},
    }


@dataclass
class RawServer:
    """Answers each request by ``acts``, keyed by what is asked; handshakes of its era where nothing else is said."""

    modern: bool = True
    session: str | None = None
    acts: dict[str, Handler] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    port: int = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        self._tasks: set[asyncio.Task[Any]] = set()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    def asked(self, what: str) -> list[Request]:
        return [request for request in self.requests if request.asked == what]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while not writer.is_closing():
                    request = await read(reader)
                    self.requests.append(request)
                    act = self.acts.get(request.asked, self._plainly)
                    await act(request, writer)
                    await writer.drain()
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _plainly(self, request: Request, writer: asyncio.StreamWriter) -> None:
        match request.asked.partition(" ")[0]:
            case "server/discover" if self.modern:
                info = {"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}}
                writer.write(reply(200, result(request, {"resultType": "complete", **info})))
            case "initialize":
                info = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}}
                extra = {} if self.session is None else {"mcp_session_id": self.session}
                writer.write(reply(200, result(request, info), **extra))
            case "tools/list":
                tools = [{"name": "ok", "inputSchema": {"type": "object"}}]
                writer.write(reply(200, result(request, {"tools": tools})))
            case "tools/call":
                writer.write(reply(200, said(request, "ok")))
            case "DELETE" | "GET":
                writer.write(reply(405))
            case _ if "id" in request.message:
                writer.write(reply(404, error(request, -32601, "Method not found")))
            case _:
                writer.write(reply(202))


async def read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method=method, path=path, headers=headers, body=body)
