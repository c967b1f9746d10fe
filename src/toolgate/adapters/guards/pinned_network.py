"""Connecting to the very address that was judged.

Here: ``httpcore`` network backends that ask a resolver once, judge every answer, and hand one of those addresses, not
the name, to a connector. There is no second look-up for a rebinding name to answer otherwise. Not here: URLs.

Why not ``ssrfguard`` (0.4.1, looked at): its table passes 168.63.129.16 and 6to4/NAT64 addresses, it has no seam for a
connector, so that its tests and ours would open sockets, and it replaces a private attribute of httpx.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

import anyio
import httpcore
from httpcore import SOCKET_OPTION

from toolgate.adapters.guards.refusal import UrlRefused
from toolgate.domain.argument_types.address_ranges import refused_range
from toolgate.domain.argument_types.allowed_url import AllowedUrl
from toolgate.domain.argument_types.host_names import HostRule

Address = IPv4Address | IPv6Address

#: How many judged addresses of one name are tried. The name's owner decides how many there are, and each may cost a
#: whole connect timeout.
MAX_ATTEMPTS = 3


#: Looks a name up: every address of a host, as text. Raises ``OSError`` if there is none.
Resolver = Callable[[str, int], Sequence[str]]
#: The same for async clients.
AsyncResolver = Callable[[str, int], Awaitable[Sequence[str]]]

#: Opens a connection to an address and port within a timeout in seconds. It is never given a name.
Connector = Callable[[Address, int, float | None], httpcore.NetworkStream]
#: The same for async clients.
AsyncConnector = Callable[[Address, int, float | None], Awaitable[httpcore.AsyncNetworkStream]]


def system_resolver(host: str, port: int) -> Sequence[str]:
    """Ask the operating system. It takes no timeout: the deadline of the tool is the one that holds."""
    return [str(answer[4][0]) for answer in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


async def async_system_resolver(host: str, port: int) -> Sequence[str]:
    """Ask the operating system in a worker thread."""
    answers = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(answer[4][0]) for answer in answers]


def socket_connector(address: Address, port: int, timeout: float | None) -> httpcore.NetworkStream:
    """Open a TCP connection."""
    return httpcore.SyncBackend().connect_tcp(str(address), port, timeout=timeout)


async def async_socket_connector(
    address: Address, port: int, timeout: float | None
) -> httpcore.AsyncNetworkStream:
    """Open a TCP connection on the running event loop (asyncio or trio)."""
    backend: httpcore.AsyncNetworkBackend = httpcore.AnyIOBackend()
    return await backend.connect_tcp(str(address), port, timeout=timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class PinnedBackend(httpcore.NetworkBackend):
    """The network of a sync client, reduced to what an ``AllowedUrl`` allows."""

    allowed: AllowedUrl
    resolver: Resolver
    connector: Connector

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002 - the signature is httpcore\'s
        socket_options: Iterable[SOCKET_OPTION] | None = None,  # noqa: ARG002 - as above
    ) -> httpcore.NetworkStream:
        """Resolve once, judge, connect to what was judged. ``timeout`` is seconds for each attempt."""
        rule = _declared(self.allowed, host, port)
        addresses = _judged(self._answers(rule, host, port), rule)
        for address in addresses[:-1]:
            try:
                return self._connect(address, port, timeout)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return self._connect(addresses[-1], port, timeout)

    def _answers(self, rule: HostRule, host: str, port: int) -> Sequence[str]:
        if rule.address is not None:
            return [str(rule.address)]
        try:
            return self.resolver(host, port)
        except OSError as error:
            raise httpcore.ConnectError(f"the host name could not be resolved: {error}") from error

    def _connect(self, address: Address, port: int, timeout: float | None) -> httpcore.NetworkStream:
        stream = self.connector(address, port, timeout)
        if _is_peer(stream.get_extra_info("server_addr"), address):
            return stream
        stream.close()
        raise _rerouted()

    def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002 - the signature is httpcore's
        timeout: float | None = None,  # noqa: ARG002 - as above
        socket_options: Iterable[SOCKET_OPTION] | None = None,  # noqa: ARG002 - as above
    ) -> httpcore.NetworkStream:
        """Refused: no URL names a socket on this machine."""
        raise _no_unix_socket()


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncPinnedBackend(httpcore.AsyncNetworkBackend):
    """The network of an async client, reduced to what an ``AllowedUrl`` allows."""

    allowed: AllowedUrl
    resolver: AsyncResolver
    connector: AsyncConnector

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,  # noqa: ARG002 - the signature is httpcore\'s
        socket_options: Iterable[SOCKET_OPTION] | None = None,  # noqa: ARG002 - as above
    ) -> httpcore.AsyncNetworkStream:
        """Resolve once, judge, connect to what was judged. ``timeout`` is seconds, for the look-up and each attempt."""
        rule = _declared(self.allowed, host, port)
        addresses = _judged(await self._answers(rule, host, port, timeout), rule)
        for address in addresses[:-1]:
            try:
                return await self._connect(address, port, timeout)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return await self._connect(addresses[-1], port, timeout)

    async def _answers(self, rule: HostRule, host: str, port: int, timeout: float | None) -> Sequence[str]:
        if rule.address is not None:
            return [str(rule.address)]
        try:
            with anyio.fail_after(timeout):
                return await self.resolver(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout("the host name was not resolved in time") from error
        except OSError as error:
            raise httpcore.ConnectError(f"the host name could not be resolved: {error}") from error

    async def _connect(
        self, address: Address, port: int, timeout: float | None
    ) -> httpcore.AsyncNetworkStream:
        stream = await self.connector(address, port, timeout)
        if _is_peer(stream.get_extra_info("server_addr"), address):
            return stream
        await stream.aclose()
        raise _rerouted()

    async def connect_unix_socket(
        self,
        path: str,  # noqa: ARG002 - the signature is httpcore's
        timeout: float | None = None,  # noqa: ARG002 - as above
        socket_options: Iterable[SOCKET_OPTION] | None = None,  # noqa: ARG002 - as above
    ) -> httpcore.AsyncNetworkStream:
        """Refused: no URL names a socket on this machine."""
        raise _no_unix_socket()

    async def sleep(self, seconds: float) -> None:
        """Wait between connection attempts, as the pool asks."""
        await anyio.sleep(seconds)


def _declared(allowed: AllowedUrl, host: str, port: int) -> HostRule:
    """The rule for an origin, looked up again here so that no path to a socket goes around it."""
    rule = allowed.rule_for(host)
    if rule is None:
        raise UrlRefused("The connection leads to a host that is not allowed.", code="url_host_not_allowed")
    if not allowed.permits_port(port):
        raise UrlRefused("The connection leads to a port that is not allowed.", code="url_port")
    return rule


def _judged(answers: Sequence[str], rule: HostRule) -> tuple[Address, ...]:
    """Every address to try, at most ``MAX_ATTEMPTS``. One refused answer refuses the name.

    A name with both good and bad addresses is how rebinding looks, not how a healthy service does.
    """
    addresses: list[Address] = []
    for answer in dict.fromkeys(answers):
        try:
            address = ip_address(answer)
        except ValueError:
            raise _address_refused("an answer that is no IP address") from None
        reason = refused_range(address, rule.networks)
        if reason is not None:
            raise _address_refused(reason)
        addresses.append(address)
    if not addresses:
        raise httpcore.ConnectError("the host name has no address")
    return tuple(addresses[:MAX_ATTEMPTS])


def _address_refused(reason: str) -> UrlRefused:
    return UrlRefused(
        f"The host leads to an address that may not be reached ({reason}). Use another URL.",
        code="address_refused",
    )


def _is_peer(peer: object, address: Address) -> bool:
    """Whether the connection ends where it was meant to; a stream that cannot say is believed."""
    return not isinstance(peer, tuple) or ip_address(str(peer[0])) == address


def _rerouted() -> UrlRefused:
    return UrlRefused(
        "The connection was led to another address than the one checked.", code="address_refused"
    )


def _no_unix_socket() -> UrlRefused:
    return UrlRefused("A URL cannot lead to a socket on this machine.", code="url_host_not_allowed")
