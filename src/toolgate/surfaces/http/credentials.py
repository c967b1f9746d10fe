"""Who sends a request: the credential that it carries, turned into a principal by the operation that checks it.

Programs send ``Authorization: Bearer …`` (RFC 6750, section 2.1), the console a cookie. A credential in a URL or a body
is never read: those end up in logs and histories. Not here: what makes a credential good (``operations.authenticate``,
``operations.sessions``), and what a principal may do (``domain.principal``).
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from toolgate.domain.principal import Declined, Principal
from toolgate.operations.sessions import bare
from toolgate.operations.tokens import PREFIX
from toolgate.surfaces.http.marks import client_of

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.responses import Response

    from toolgate.operations.sessions import Shown
    from toolgate.surfaces.http.gate import Gate
    from toolgate.surfaces.http.settings import ServerSettings
    from toolgate.surfaces.http.throttle import Throttle

Check = Callable[[Any, str], Awaitable[Principal | Declined]]
"""An operation ``(world, credential)``."""

LONGEST: Final = 16_384
"""Characters of a credential; a JWT with many groups has some thousands."""
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE)
_REMEMBERED: Final = 4_096


@dataclass(frozen=True, slots=True)
class NotSignedIn:
    """Nobody can be told from this request. ``retry_after``: seconds to wait after too many failures."""

    reason: str
    retry_after: float | None = None


def cookie_name(settings: ServerSettings) -> str:
    """The console's cookie. Over TLS its prefix binds it to this host alone (RFC 6265bis, section 4.1.3.2)."""
    return "__Host-toolgate" if settings.secure else "toolgate"


def keep_signed_in(answer: Response, settings: ServerSettings, shown: Shown) -> None:
    """Have the browser show ``shown`` at the console from now on."""
    answer.set_cookie(
        cookie_name(settings),
        shown.text,
        max_age=shown.lasts,
        path="/",
        secure=settings.secure,
        httponly=True,
        samesite="strict",
    )


class Credentials:
    """Checks credentials, and slows down whoever shows bad ones.

    A credential that was good before is checked anew each time, but never made to wait: whoever guesses from the same
    address, or from behind the same proxy, locks nobody out who is already in.
    """

    def __init__(
        self,
        gate: Gate,
        settings: ServerSettings,
        throttle: Throttle,
        *,
        authenticate: Check,
        session: Check,
    ) -> None:
        self._gate = gate
        self._cookie = cookie_name(settings)
        self._throttle = throttle
        self._authenticate = authenticate
        self._session = session
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, None] = OrderedDict()

    async def bearer(self, request: HTTPConnection) -> Principal | NotSignedIn:
        """The principal of a program's request."""
        sent = request.headers.getlist("authorization")
        if not sent:
            return NotSignedIn("send a credential in the header: Authorization: Bearer <token>")
        found = _BEARER.fullmatch(sent[0].strip())
        if len(sent) > 1 or found is None or len(found[1]) > LONGEST:
            return NotSignedIn("the Authorization header has to be: Bearer <token>, once")
        return await self._checked(
            self._authenticate, found[1], client_of(request), in_place=_is_ours(found[1])
        )

    async def session(self, request: HTTPConnection) -> Principal | NotSignedIn:
        """The principal of a browser's request."""
        secret = request.cookies.get(self._cookie, "")
        if not secret or len(secret) > LONGEST:
            return NotSignedIn("sign in first")
        # Its mark is another one each time, and it is the same session.
        return await self._checked(self._session, secret, client_of(request), known_as=bare(secret))

    async def either(self, request: HTTPConnection) -> Principal | NotSignedIn:
        """The principal of a request that a program or a browser may send; the header counts before the cookie."""
        if "authorization" in request.headers or self._cookie not in request.cookies:
            return await self.bearer(request)
        return await self.session(request)

    async def _checked(
        self,
        check: Check,
        credential: str,
        address: str,
        *,
        in_place: bool = False,
        known_as: str | None = None,
    ) -> Principal | NotSignedIn:
        mark = hashlib.blake2b((known_as or credential).encode(), key=self._key, digest_size=16).digest()
        if mark not in self._known and (wait := self._throttle.wait(address)) > 0:
            return NotSignedIn("too many credentials from here opened nothing; wait", wait)
        found = await (self._gate.look if in_place else self._gate.operate)(check, credential)
        if isinstance(found, Declined):
            # One that worked until now has ended, which is nobody's guess; nor is an issuer that cannot be asked.
            if found.why != "conflict" and self._known.pop(mark, found) is found:
                self._throttle.failed(address)
            return NotSignedIn(found.reason)
        self._known[mark] = None
        self._known.move_to_end(mark)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return found


def _is_ours(credential: str) -> bool:
    """Whether it is a token of this gate, single rows of the ledger; an issuer is asked in the gateway's loop."""
    return credential.startswith(PREFIX)
