"""The body of a request, read whole before a handler begins: bounded in size and in time.

Nothing here takes bodies that are larger than memory, so that a handler never waits for a slow sender and never holds
more than the limit. Not here: what the bytes mean.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.requests import Request

from toolgate.surfaces.http.middleware.again import again
from toolgate.surfaces.http.problems import Problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class WholeBody:
    """Refuses a body of more than ``limit`` bytes with 413, one that is not there in ``seconds`` with 408."""

    def __init__(self, app: ASGIApp, *, limit: int, seconds: float) -> None:
        self.app = app
        self._limit = limit
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        found = await self._read(Headers(scope=scope), receive)
        if found is None:
            return
        if isinstance(found, Problem):
            response = found.response(Request(scope))
            # What it has not read yet would be taken for the next request.
            response.headers["Connection"] = "close"
            await response(scope, receive, send)
            return
        whole = {"type": "http.request", "body": found, "more_body": False}
        await self.app(scope, again(whole, receive), send)

    async def _read(self, headers: Headers, receive: Receive) -> bytes | Problem | None:
        """The body, why it is refused, or None where its sender is gone."""
        declared = headers.get("content-length", "")
        if declared and "transfer-encoding" in headers:
            # A proxy before us may have believed the other one (RFC 9112, section 6.1).
            return Problem(code="bad_request", detail="it says in two ways how long its body is")
        if declared.isdigit() and (len(declared) > len(str(self._limit)) or int(declared) > self._limit):
            return self._too_large()
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        return None
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > self._limit:
                        return self._too_large()
                    if not message.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            return Problem(
                code="request_timeout", detail=f"the body has to arrive within {self._seconds:g} s"
            )

    def _too_large(self) -> Problem:
        return Problem(code="too_large", detail=f"at most {self._limit} bytes are read")
