"""How deep JSON may be nested, whoever parses it: found in one pass over the bytes, before any parser sees them.

Not here: whether it is JSON at all, which the parser says.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers
from starlette.requests import Request

from toolgate.surfaces.http.middleware.again import again
from toolgate.surfaces.http.problems import Problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

MOST_LEVELS: Final = 66
"""Those that a call's arguments may have (64), and the two that a message puts around them."""
_STRING_OR_BRACKET: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)


class FlatJson:
    """Refuses a JSON body that is nested deeper than ``levels``. Behind ``WholeBody``: the body is one message."""

    def __init__(self, app: ASGIApp, *, levels: int = MOST_LEVELS) -> None:
        self.app = app
        self._levels = levels

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if not _is_json(Headers(scope=scope).get("content-type", "")):
            await self.app(scope, receive, send)
            return
        first = await receive()
        if is_deeper(first.get("body", b""), self._levels):
            detail = f"the JSON is nested deeper than {self._levels} levels"
            await Problem(code="bad_request", detail=detail).response(Request(scope))(scope, receive, send)
            return
        await self.app(scope, again(first, receive), send)


def is_deeper(raw: bytes, levels: int) -> bool:
    """Whether ``raw`` opens more than ``levels`` brackets within each other."""
    if raw.count(b"{") + raw.count(b"[") <= levels:
        return False
    depth = 0
    for found in _STRING_OR_BRACKET.finditer(raw):
        piece = found[0]
        if piece in b"[{":
            depth += 1
            if depth > levels:
                return True
        elif piece in b"]}":
            depth -= 1
    return False


def _is_json(content_type: str) -> bool:
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type.endswith(("/json", "+json"))
