"""The id under which a request is found again, in log, problem and trail: its sender's, if well-formed."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers, MutableHeaders

from toolgate.surfaces.http.marks import REQUEST_ID

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER: Final = "X-Request-ID"
_WELL_FORMED: Final = re.compile(r"[A-Za-z0-9._:\-]{8,128}")


class RequestId:
    """Notes the id on the request and repeats it in the response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        said = Headers(scope=scope).get(HEADER, "")
        request_id = said if _WELL_FORMED.fullmatch(said) else f"req_{secrets.token_hex(12)}"
        scope[REQUEST_ID] = request_id

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        await self.app(scope, receive, marked)
