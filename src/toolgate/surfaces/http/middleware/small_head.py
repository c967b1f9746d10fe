"""How much a request's head may hold: its target and its headers, together and in number.

The server process bounds a head that is still arriving; one that arrives at once is measured here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.requests import Request

from toolgate.surfaces.http.problems import Problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

MOST_HEADERS: Final = 100
HEAD_LIMIT: Final = 32 * 1024
"""Bytes."""


class SmallHead:
    """Refuses more than ``most`` headers, or a head beyond ``limit`` bytes, with 431 (RFC 6585, section 5)."""

    def __init__(self, app: ASGIApp, *, most: int = MOST_HEADERS, limit: int = HEAD_LIMIT) -> None:
        self.app = app
        self._most = most
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if (why := self._why_not(scope)) is None:
            await self.app(scope, receive, send)
            return
        await Problem(code="too_many_headers", detail=why).response(Request(scope))(scope, receive, send)

    def _why_not(self, scope: Scope) -> str | None:
        headers = scope["headers"]
        if len(headers) > self._most:
            return f"at most {self._most} headers are read"
        target = len(scope.get("raw_path") or b"") + len(scope.get("query_string", b""))
        if target + sum(len(name) + len(value) for name, value in headers) > self._limit:
            return f"at most {self._limit} bytes of address and headers are read"
        return None
