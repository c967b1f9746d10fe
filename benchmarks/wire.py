"""A load generator for MCP over HTTP: kept connections, requests as prepared bytes, answers read with no library.

It is the same for every subject and costs a fraction of what any of them does, so that what is seen is the server's.
Not here: which servers are asked (``mcp``), and how rounds are taken (``turns``).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

MODERN: Final = "2026-07-28"
HANDSHAKE: Final = "2025-11-25"
_ENVELOPE: Final = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
_OK: Final = b"HTTP/1.1 200"
_SESSION: Final = b"mcp-session-id:"


class Refused(Exception):
    """A server answered something else than what was asked for."""


class Line(asyncio.Protocol):
    """One kept connection, one request at a time."""

    def __init__(self) -> None:
        self._transport: Any = None
        self._read = bytearray()
        self._head = b""
        self._ends_at = -1
        self._waiting: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it."""
        self._transport = transport

    def connection_lost(self, _exc: Exception | None) -> None:
        """Whoever waits hears of it."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(Refused("the server hung up"))

    def ask(self, request: bytes) -> asyncio.Future[bytes]:
        """The body of the answer; ``head`` is that of the last one."""
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._waiting

    @property
    def head(self) -> bytes:
        """Status line and headers of the answer read last."""
        return self._head

    def data_received(self, data: bytes) -> None:
        """Collect until the answer is whole: by its length, or by the last chunk."""
        self._read += data
        if self._ends_at < 0 and (end := self._read.find(b"\r\n\r\n")) >= 0:
            self._head = bytes(self._read[:end])
            self._ends_at = end + 4 + _length(self._head) if b"content-length:" in self._head.lower() else 0
        if self._ends_at > 0:
            whole = len(self._read) >= self._ends_at
        else:
            whole = self._ends_at == 0 and self._read.endswith(b"0\r\n\r\n")
        if whole and self._waiting is not None:
            body = bytes(self._read[len(self._head) + 4 :])
            self._read.clear()
            self._ends_at = -1
            if self._head.startswith(_OK):
                self._waiting.set_result(body)
            else:
                self._waiting.set_exception(Refused((self._head[:80] + b" " + body[:2000]).decode()))

    def close(self) -> None:
        """Hang up."""
        self._transport.close()


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    raise Refused("no length")


class Peer:
    """One server as a client of ``connections`` kept connections sees it."""

    def __init__(self, url: str, *, token: str | None = None, protocol: str = MODERN) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._path = parts.hostname or "", parts.port or 80, parts.path
        self._token = token
        self._protocol = protocol
        self._lines: list[tuple[Line, str]] = []

    async def open(self, connections: int) -> None:
        """Connect; on the handshake wire each connection gets a session of its own."""
        loop = asyncio.get_running_loop()
        while len(self._lines) < connections:
            _, line = await loop.create_connection(Line, self._host, self._port)
            session = await self._shake_hands(line) if self._protocol != MODERN else ""
            self._lines.append((line, session))

    def close(self) -> None:
        """Hang up."""
        for line, _ in self._lines:
            line.close()
        self._lines.clear()

    async def load(
        self, asked: Callable[[int], tuple[str, dict[str, Any]]], *, calls: int, first: int
    ) -> None:
        """``calls`` requests, each connection waiting for its answer before it asks again.

        Raises:
            Refused: for any answer that is not a success.
        """
        numbers = iter(range(first, first + calls))

        async def one(line: Line, session: str) -> None:
            for number in numbers:
                method, params = asked(number)
                body = await line.ask(self.request(number, method, params, session=session))
                if b'"error":{' in body or b'"isError":true' in body:
                    raise Refused(body[:2000].decode())

        await asyncio.gather(*(one(line, session) for line, session in self._lines))

    def request(self, number: int, method: str, params: Mapping[str, Any], *, session: str = "") -> bytes:
        """One POST, as bytes."""
        headers = {"mcp-protocol-version": self._protocol}
        if self._protocol == MODERN:
            params = {**params, "_meta": {**_ENVELOPE, **params.get("_meta", {})}}
            headers["mcp-method"] = method
            if "name" in params:
                headers["mcp-name"] = params["name"]
        if session:
            headers["mcp-session-id"] = session
        return self._post({"jsonrpc": "2.0", "id": number, "method": method, "params": params}, headers)

    def _post(self, message: Mapping[str, Any], headers: Mapping[str, str]) -> bytes:
        body = json.dumps(message, separators=(",", ":")).encode()
        said = {
            "host": f"{self._host}:{self._port}",
            "accept": "application/json, text/event-stream",
            "content-type": "application/json",
            **headers,
            "content-length": str(len(body)),
        }
        if self._token is not None:
            said["authorization"] = f"Bearer {self._token}"
        head = "".join(f"{name}: {value}\r\n" for name, value in said.items())
        return f"POST {self._path} HTTP/1.1\r\n{head}\r\n".encode() + body

    async def _shake_hands(self, line: Line) -> str:
        hello = {
            "protocolVersion": self._protocol,
            "capabilities": {},
            "clientInfo": {"name": "bench", "version": "1"},
        }
        message = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}
        await line.ask(self._post(message, {}))
        session = next(
            each[len(_SESSION) :].strip().decode()
            for each in line.head.lower().split(b"\r\n")
            if each.startswith(_SESSION)
        )
        done = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        headers = {"mcp-session-id": session, "mcp-protocol-version": self._protocol}
        try:
            await line.ask(self._post(done, headers))
        except Refused as accepted:
            if " 202 " not in str(accepted):
                raise
        return session
