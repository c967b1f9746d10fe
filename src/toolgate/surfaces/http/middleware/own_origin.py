"""Whether a request that changes something was sent by a page of ours, or by no page at all.

Browsers say in ``Origin`` and ``Sec-Fetch-Site`` whose page sends a request, and no page can change that. Programs send
neither, and need none: their credential is not sent by a browser by itself. A cookie is, so with a cookie one of the
two has to vouch for the request. The console's own token against forgery comes on top of this.

A form of a page with ``Referrer-Policy: no-referrer`` is sent with ``Origin: null`` (Fetch, "append a request Origin
header"), as is one of a sandboxed page of anybody's: then ``Sec-Fetch-Site`` alone decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers
from starlette.requests import Request

from toolgate.surfaces.http.problems import Problem

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing here (RFC 9110, section 9.2.1)."""
_OURS: Final = frozenset({"same-origin", "none"})


class OwnOrigin:
    """Refuses what another site's page sends with 403."""

    def __init__(self, app: ASGIApp, *, origins: frozenset[str]) -> None:
        self.app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["method"] in SAFE or (why := why_not(Headers(scope=scope), self._origins)) is None:
            await self.app(scope, receive, send)
            return
        await Problem(code="cross_origin", detail=why).response(Request(scope))(scope, receive, send)


def why_not(headers: Headers, ours: frozenset[str]) -> str | None:
    """Why a request with these ``headers`` was not sent by a page of ``ours``, or by none; None where it was."""
    origins, site = headers.getlist("origin"), headers.get("sec-fetch-site", "").lower()
    if site and site not in _OURS:
        return "the browser says that another site's page sends it"
    if origins == ["null"]:
        return None if site == "same-origin" else "its Origin is hidden, and nothing else vouches for it"
    if len(origins) > 1 or any(origin.lower() not in ours for origin in origins):
        return "its Origin is another site's; only pages of this server may send this"
    if not (origins or site) and "cookie" in headers:
        return "a request with a cookie has to carry an Origin; programs send Authorization: Bearer instead"
    return None
