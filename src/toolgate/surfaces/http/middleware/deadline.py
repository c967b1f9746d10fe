"""How long a request may take before it is answered at all. A response that has begun, such as a stream, is let be.

A call that is given up here goes on in the gate and settles by its own rules; asking again finds it. Whatever else was
asked is cancelled, and may have been written before it was: only what changes nothing is answered with a status that
clients repeat by themselves.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from starlette.requests import Request

from toolgate.surfaces.http.marks import DEADLINE
from toolgate.surfaces.http.middleware.own_origin import SAFE
from toolgate.surfaces.http.problems import Problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Deadline:
    """The time left to one request."""

    def __init__(self, timeout: asyncio.Timeout) -> None:
        self._timeout = timeout

    def extend(self, seconds: float) -> None:
        """Let it take ``seconds`` from now, if that is longer than it has."""
        until = asyncio.get_running_loop().time() + seconds
        before = self._timeout.when()
        if before is not None and until > before:
            self._timeout.reschedule(until)

    def lift(self) -> None:
        """It is being answered."""
        self._timeout.reschedule(None)


class InTime:
    """Answers 504, or 409 where something may have changed, for a request whose handler says nothing in ``seconds``."""

    def __init__(self, app: ASGIApp, *, seconds: float) -> None:
        self.app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        timeout = asyncio.timeout(self._seconds)
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            if not begun:
                begun = True
                deadline.lift()
            await send(message)

        try:
            async with timeout:
                scope[DEADLINE] = deadline = Deadline(timeout)
                await self.app(scope, receive, noting)
        except TimeoutError:
            if begun or not timeout.expired():
                raise
            detail = "it took too long and is not waited for any more"
            problem = Problem(code="timed_out", detail=f"{detail}; ask again later")
            if scope["method"] not in SAFE:
                problem = Problem(
                    code="in_doubt", detail=f"{detail}; look what became of it before asking again"
                )
            await problem.response(Request(scope))(scope, receive, send)
