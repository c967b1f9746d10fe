"""A browser signs in at the configured issuer: authorization code with PKCE, and a session at the end of it.

What has to be known again when the browser comes back (state, nonce, code verifier, where to go on) travels in a
cookie that is encrypted with the gate's keys and good for ten minutes, so that nothing is kept for whoever never comes
back, and an answer is only taken by the browser that asked. The cookie belongs on the path of the callback alone, with
``HttpOnly``, ``SameSite=Lax`` (the issuer's redirect comes from another site), and ``Secure`` off loopback; the surface
deletes it with the callback's answer.

Not here: the issuer's side (``adapters.identity``), and routes.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from toolgate.domain.duration import MICRO
from toolgate.domain.errors import GateFault, OperatorFault
from toolgate.domain.principal import Declined
from toolgate.operations.authenticate import refused
from toolgate.operations.sessions import open_session_of

if TYPE_CHECKING:
    from toolgate.gateway.world import World
    from toolgate.operations.tokens import NewToken

LIFE: Final = 600.0
"""Seconds between leaving for the issuer and coming back."""
_KIND: Final = "sign_in"
_MAX_COOKIE: Final = 4_096
_MAX_ANSWER: Final = 8_192
_MAX_PAGE: Final = 1_024
_SENT_AWAY: Final = Declined("forbidden", "the sign-in did not succeed; begin it again")
_NOT_HERE: Final = Declined(
    "not_found", "nobody can sign in with an issuer here; [auth.oidc] client_id says how"
)


@dataclass(frozen=True, slots=True)
class SignInBegun:
    """Where to send the browser, and the cookie that it has to come back with."""

    url: str = field(repr=False)
    cookie: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The session, and the page of this gate that the browser wanted."""

    session: NewToken
    return_to: str


async def issuer_name(world: World) -> str | None:
    """Where browsers sign in, for the button that leads there; None where they cannot."""
    return None if world.sign_in is None else world.sign_in.name


async def begin_sign_in(world: World, *, redirect_uri: str, return_to: str = "/") -> SignInBegun | Declined:
    """Leave for the issuer. ``redirect_uri`` is the callback's public address, as it is registered there."""
    if world.sign_in is None:
        return _NOT_HERE
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    url = await world.sign_in.begin(
        redirect_uri=redirect_uri, state=state, nonce=nonce, code_verifier=verifier
    )
    if isinstance(url, Declined):
        refused(url.reason)
        return _SENT_AWAY
    known = {
        "state": state,
        "nonce": nonce,
        "verifier": verifier,
        "redirect_uri": redirect_uri,
        "return_to": own_page(return_to),
        "until": world.clock.now() + round(LIFE * MICRO),
    }
    sealed = world.keys.encrypt(json.dumps(known).encode(), tenant="", call_id="", kind=_KIND)
    return SignInBegun(url, base64.urlsafe_b64encode(sealed).rstrip(b"=").decode())


async def finish_sign_in(world: World, *, cookie: str, answer: Mapping[str, str]) -> SignedIn | Declined:
    """Come back from the issuer with the query's parameters as ``answer``.

    Raises:
        StoreUnavailable: if the session cannot be written.
    """
    if world.sign_in is None:
        return _NOT_HERE
    known = _opened(world, cookie)
    if known is None or world.clock.now() >= int(known["until"]):
        return _why("the cookie is missing, is not ours, or is older than ten minutes")
    if sum(len(name) + len(value) for name, value in answer.items()) > _MAX_ANSWER:
        return _why("the issuer's answer is too long")
    if not hmac.compare_digest(answer.get("state", "").encode(), known["state"].encode()):
        return _why("the state is not the one that this browser left with")
    principal = await world.sign_in.finish(
        answer, redirect_uri=known["redirect_uri"], nonce=known["nonce"], code_verifier=known["verifier"]
    )
    if isinstance(principal, Declined):
        return _why(principal.reason)
    opened = await open_session_of(world, principal)
    return _SENT_AWAY if isinstance(opened, Declined) else SignedIn(opened, known["return_to"])


def own_page(path: str) -> str:
    """``path`` if it is a page of this gate, else the first page: nobody is sent elsewhere after a sign-in."""
    plain = len(path) <= _MAX_PAGE and path.isascii() and path.isprintable() and "\\" not in path
    return path if plain and path.startswith("/") and not path.startswith("//") else "/"


def _opened(world: World, cookie: str) -> dict[str, str] | None:
    if not cookie or len(cookie) > _MAX_COOKIE:
        return None
    try:
        padded = cookie.encode() + b"=" * (-len(cookie) % 4)
        sealed = base64.b64decode(padded, altchars=b"-_", validate=True)
        known: dict[str, str] = json.loads(world.keys.decrypt(sealed, tenant="", call_id="", kind=_KIND))
    except (binascii.Error, UnicodeError, GateFault, OperatorFault):
        # Changed, made up, or sealed with keys that are gone.
        return None
    return known


def _why(reason: str) -> Declined:
    refused(reason)
    return _SENT_AWAY
