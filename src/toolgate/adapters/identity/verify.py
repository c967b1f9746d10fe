"""One signed token, checked: form, type, signature, issuer, audience, time. In this order, and closing at each step.

The signature is PyJWT's work; what may sign follows from the configuration. Everything that the claims have to say is
checked here against the gate's own clock (RFC 7519, 4.1; RFC 8725; RFC 9068, 4). A reason repeats nothing of the token.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import jwt

from toolgate.adapters.identity.trust import ACCESS, PLAIN, Refused

if TYPE_CHECKING:
    from toolgate.adapters.identity.trust import Trust

FindKey = Callable[[str | None, str], Awaitable["jwt.PyJWK | None"]]
Claims = Mapping[str, Any]

MAX_TOKEN: Final = 16_384
_APPLICATION: Final = "application/"
_OF_AN_ID_TOKEN: Final = ("nonce", "at_hash", "c_hash", "s_hash")
"""Claims that only an ID token holds (OpenID Connect Core, 2 and 3.3.2.11)."""
_YEAR_10_000: Final = 253_402_300_800
_SIGNED: Final = jwt.PyJWS()


async def verify_access_token(token: str, trust: Trust, find_key: FindKey, *, now: float) -> Claims | Refused:
    """The claims of an access token for this gate; ``now`` in seconds since the epoch. Raises what ``find_key`` does.

    An ID token is none: it says to a client who signed in, and whoever holds one may not act with it.
    """
    claims = await _verify(token, trust, find_key, audience=trust.audience, types=trust.types, now=now)
    if isinstance(claims, Refused):
        return claims
    said = str(claims.get("typ", "")).lower(), str(claims.get("token_use", "")).lower()
    if "id" in said or any(name in claims for name in _OF_AN_ID_TOKEN):
        return Refused("it is an ID token; send the access token")
    return claims


async def verify_id_token(
    token: str, trust: Trust, find_key: FindKey, *, client_id: str, nonce: str, now: float
) -> Claims | Refused:
    """The claims of the ID token that answers one sign-in (OpenID Connect Core, 3.1.3.7)."""
    types = frozenset({PLAIN})
    claims = await _verify(token, trust, find_key, audience=client_id, types=types, now=now)
    if isinstance(claims, Refused):
        return claims
    if claims.get("nonce") != nonce:
        return Refused("its nonce is not that of this sign-in")
    party = claims.get(
        "azp", None if isinstance(claims["aud"], list) and len(claims["aud"]) > 1 else client_id
    )
    return claims if party == client_id else Refused("it was issued to another client (azp)")


async def _verify(
    token: str, trust: Trust, find_key: FindKey, *, audience: str, types: frozenset[str], now: float
) -> Claims | Refused:
    header = _header(token, trust, types)
    if isinstance(header, Refused):
        return header
    key = await find_key(header.get("kid"), header["alg"])
    if key is None:
        return Refused("no key of the issuer fits its kid and algorithm")
    try:
        # The algorithm was found in the configuration, and the key was made for it and no other.
        claims = json.loads(_SIGNED.decode(token, key, algorithms=[header["alg"]]))
    except (jwt.PyJWTError, ValueError, RecursionError) as fault:
        return Refused(f"its signature or form is wrong: {type(fault).__name__}")
    if not isinstance(claims, dict):
        return Refused("its claims are no JSON object")
    return _problem(claims, trust, audience, now) or claims


def _header(token: str, trust: Trust, types: frozenset[str]) -> dict[str, Any] | Refused:
    """What the token says of itself, before anything of it is believed."""
    if len(token) > MAX_TOKEN or not token.isascii():
        return Refused(f"it is longer than {MAX_TOKEN} characters, or no token")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, RecursionError):
        return Refused("it is no signed token")
    if not isinstance(header.get("alg"), str) or header["alg"] not in trust.algorithms:
        return Refused("its alg is none of [auth.oidc] algorithms")
    if not isinstance(header.get("kid"), str | None):
        return Refused("its kid is no text")
    if "crit" in header or "b64" in header:
        return Refused("it demands an extension (crit) that is not understood here")
    kind = header.get("typ", PLAIN)
    if not isinstance(kind, str) or kind.lower().removeprefix(_APPLICATION) not in types:
        return Refused(
            f"its typ is not {' or '.join(sorted(types))}; see [auth.oidc] types ({ACCESS}: RFC 9068)"
        )
    return header


def _problem(claims: Claims, trust: Trust, audience: str, now: float) -> Refused | None:
    if claims.get("iss") != trust.issuer:
        return Refused("its issuer (iss) is not [auth.oidc] issuer")
    meant = claims.get("aud")
    if meant != audience and not (isinstance(meant, list) and audience in meant):
        return Refused("it is meant for somebody else (aud)")
    expires, begins, issued = (claims.get(name) for name in ("exp", "nbf", "iat"))
    if not _is_time(expires) or any(at is not None and not _is_time(at) for at in (begins, issued)):
        return Refused("exp is missing, or a time is no number")
    if now >= expires + trust.skew:
        return Refused("it expired")
    if any(at is not None and at > now + trust.skew for at in (begins, issued)):
        return Refused("it is not valid yet (nbf or iat); is a clock wrong?")
    return None


def _is_time(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _YEAR_10_000
