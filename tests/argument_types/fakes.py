"""A network in memory: names with scripted answers, addresses with scripted replies, and a record of what was tried.

Nothing here opens a socket.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import httpcore
import httpx

from toolgate.adapters.guards import guarded_async_client, guarded_client
from toolgate.domain.argument_types import AllowedUrl

#: Public addresses as far as the guard can tell. They are never dialled: only fakes get them.
PUBLIC = "93.184.215.14"
OTHER_PUBLIC = "93.184.216.34"
PUBLIC_IPV6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def redirect(location: str) -> bytes:
    return f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode("ascii")


def reply(body: bytes, *headers: str) -> bytes:
    head = "\r\n".join(["HTTP/1.1 200 OK", f"Content-Length: {len(body)}", *headers])
    return head.encode("ascii") + b"\r\n\r\n" + body


class Stream(httpcore.NetworkStream):
    """One connection that replays its script, a reply for each request."""

    def __init__(self, network: Network, peer: str) -> None:
        self.network, self.peer = network, peer
        self.pending = b""

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        chunk, self.pending = self.pending[:max_bytes], self.pending[max_bytes:]
        return chunk

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if b" HTTP/1.1\r\n" in buffer:
            self.network.sent.append(buffer)
            self.pending += self.network.next_reply()

    def close(self) -> None:
        self.network.closed += 1

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Stream:
        self.network.tls_names.append(server_hostname)
        return self

    def get_extra_info(self, info: str) -> Any:
        return (self.peer, 443) if info == "server_addr" else None


class AsyncStream(httpcore.AsyncNetworkStream):
    """The same for async clients."""

    def __init__(self, network: Network, peer: str) -> None:
        self.stream = Stream(network, peer)

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self.stream.read(max_bytes)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.stream.write(buffer)

    async def aclose(self) -> None:
        self.stream.close()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> AsyncStream:
        self.stream.start_tls(ssl_context, server_hostname)
        return self

    def get_extra_info(self, info: str) -> Any:
        return self.stream.get_extra_info(info)


@dataclass
class Network:
    """Names answer ``answers[name]`` in order (the last one for ever); every request gets the next of ``replies``."""

    answers: dict[str, list[Sequence[str]]] = field(default_factory=dict)
    replies: list[bytes] = field(default_factory=list)
    unreachable: set[str] = field(default_factory=set)
    rerouted_to: str | None = None

    lookups: list[str] = field(default_factory=list)
    dialled: list[tuple[str, int]] = field(default_factory=list)
    tls_names: list[str | None] = field(default_factory=list)
    sent: list[bytes] = field(default_factory=list)
    closed: int = 0

    def next_reply(self) -> bytes:
        return self.replies.pop(0) if self.replies else OK

    def resolve(self, host: str, port: int) -> Sequence[str]:
        self.lookups.append(host)
        script = self.answers.get(host)
        if not script:
            raise OSError("no such name")
        return script.pop(0) if len(script) > 1 else script[0]

    async def aresolve(self, host: str, port: int) -> Sequence[str]:
        return self.resolve(host, port)

    def _dial(self, address: IPv4Address | IPv6Address, port: int) -> str:
        self.dialled.append((str(address), port))
        if str(address) in self.unreachable:
            raise httpcore.ConnectError("unreachable")
        return self.rerouted_to or str(address)

    def connect(
        self, address: IPv4Address | IPv6Address, port: int, timeout: float | None
    ) -> httpcore.NetworkStream:
        return Stream(self, self._dial(address, port))

    async def aconnect(
        self, address: IPv4Address | IPv6Address, port: int, timeout: float | None
    ) -> httpcore.AsyncNetworkStream:
        return AsyncStream(self, self._dial(address, port))


def public_network(*hosts: str, replies: Iterable[bytes] = ()) -> Network:
    return Network(answers={host: [[PUBLIC]] for host in hosts}, replies=list(replies))


#: Fetches URLs one after the other with one client: ``fetch(allowed, network, *urls, **options)``.
Fetch = Callable[..., httpx.Response]


def fetch_sync(
    allowed: AllowedUrl, network: Network, *urls: str, request: dict[str, Any] | None = None, **options: Any
) -> httpx.Response:
    with guarded_client(allowed, resolver=network.resolve, connector=network.connect, **options) as client:
        return [client.get(url, **(request or {})) for url in urls][-1]


def fetch_async(
    allowed: AllowedUrl, network: Network, *urls: str, request: dict[str, Any] | None = None, **options: Any
) -> httpx.Response:
    async def run() -> httpx.Response:
        client = guarded_async_client(
            allowed, resolver=network.aresolve, connector=network.aconnect, **options
        )
        async with client:
            return [await client.get(url, **(request or {})) for url in urls][-1]

    return asyncio.run(run())
