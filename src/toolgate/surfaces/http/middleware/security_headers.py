"""What browsers are told about each response: to run nothing that is not ours, to guess nothing, to keep nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
ALWAYS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
STATIC: Final = "/static/"
"""Below it lies what is the same for everybody, and may be kept by browsers as long as its route says."""
_A_YEAR: Final = "max-age=31536000"
_CACHE_CONTROL: Final = b"cache-control"


class SecurityHeaders:
    """Sets them on every response, those of refusals and errors too."""

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self.app = app
        always = ALWAYS | ({"Strict-Transport-Security": _A_YEAR} if secure else {})
        self._always = [(name.lower().encode(), value.encode()) for name, value in always.items()]
        self._ours = frozenset(name for name, _ in self._always)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        static = scope["path"].startswith(STATIC)

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._on_top_of(message.get("headers", ()), static=static)
            await send(message)

        await self.app(scope, receive, secured)

    def _on_top_of(self, said: Iterable[tuple[bytes, bytes]], *, static: bool) -> list[tuple[bytes, bytes]]:
        """The route's own headers without what is not its to say, and ours."""
        kept, may_be_kept = [], False
        for name, value in said:
            if name == _CACHE_CONTROL:
                if not static:
                    continue
                may_be_kept = True
            if name not in self._ours:
                kept.append((name, value))
        kept += self._always
        if not may_be_kept:
            kept.append((_CACHE_CONTROL, b"no-store"))
        return kept
