"""Whether a request means this server, by its Host header.

A page of another site whose name was made to resolve to this machine (DNS rebinding) reaches the port, but its
browser still sends that site's name. Not here: which names are ours (``ServerSettings.names``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers
from starlette.requests import Request

from toolgate.surfaces.http.problems import Problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

ANYHOW: Final = frozenset({"/healthz", "/readyz"})
"""What a prober may ask under any name, often a bare address: there is nothing in it to steal."""


class OwnHost:
    """Refuses every name that is not ours with 421 (RFC 9110, section 15.5.20)."""

    def __init__(self, app: ASGIApp, *, names: frozenset[str]) -> None:
        self.app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        said = Headers(scope=scope).getlist("host")
        if scope["path"] in ANYHOW or (len(said) == 1 and said[0].lower() in self._names):
            await self.app(scope, receive, send)
            return
        detail = (
            "the Host header names no server of ours; whoever runs it sets [server] public_url to its name"
        )
        await Problem(code="wrong_host", detail=detail).response(Request(scope))(scope, receive, send)
