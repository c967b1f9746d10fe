"""Whose address counts: that of the connection, unless the operator trusts the proxy at its other end.

Of ``X-Forwarded-For`` the last address that is no trusted proxy counts: everything before it could be made up by
whoever sent the request. Without ``trusted_proxies`` the header is not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from typing import TYPE_CHECKING

from starlette.datastructures import Headers

from toolgate.surfaces.http.marks import CLIENT

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from toolgate.surfaces.http.settings import Network


class ClientAddress:
    """Notes the address on the request."""

    def __init__(self, app: ASGIApp, *, trusted: Sequence[Network]) -> None:
        self.app = app
        self._trusted = tuple(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        peer = scope["client"][0] if scope.get("client") else ""
        forwarded = Headers(scope=scope).getlist("x-forwarded-for")
        scope[CLIENT] = client_behind(peer, forwarded, self._trusted)
        await self.app(scope, receive, send)


def client_behind(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The nearest address that is no trusted proxy; ``peer`` itself if it is none, or the header is unreadable."""
    if not _is_trusted(peer, trusted):
        return peer
    hops = [hop.strip() for line in forwarded for hop in line.split(",")]
    for hop in reversed(hops):
        try:
            address = str(ip_address(hop))
        except ValueError:
            return peer
        if not _is_trusted(address, trusted):
            return address
    return peer


def _is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    if not trusted:
        return False
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed.version == network.version and parsed in network for network in trusted)
