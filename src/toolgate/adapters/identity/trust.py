"""What is believed of an issuer: from the configuration, never from a token. And how a no is said inside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

ALGORITHMS: Final[Mapping[str, tuple[str, str | None]]] = MappingProxyType(
    {
        "RS256": ("RSA", None),
        "RS384": ("RSA", None),
        "RS512": ("RSA", None),
        "PS256": ("RSA", None),
        "PS384": ("RSA", None),
        "PS512": ("RSA", None),
        "ES256": ("EC", "P-256"),
        "ES384": ("EC", "P-384"),
        "ES512": ("EC", "P-521"),
        "EdDSA": ("OKP", "Ed25519"),
    }
)
"""Signatures that can be believed, with the key type and curve of each (RFC 7518, RFC 8037).

Nothing symmetric: with HS256 whoever knows the public key could sign. And never ``none``.
"""

PLAIN: Final = "jwt"
ACCESS: Final = "at+jwt"


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a token is not believed, for the log. It repeats nothing of the token."""

    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What the issuer knows us as when a browser signs in. A public client has no secret."""

    client_id: str
    secret: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] = ("openid",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """One issuer, and what its tokens have to say.

    Attributes:
        issuer: exactly as it stands in ``iss``.
        audience: exactly as it stands in ``aud`` of an access token.
        jwks_url: where its keys are; None to find it by discovery.
        algorithms: which signatures are believed, of ``ALGORITHMS``.
        types: ``typ`` of an access token, in small letters; ``jwt`` stands for none too (RFC 9068: ``at+jwt``).
        skew: seconds by which the issuer's clock may differ.
        id_claim, tenant_claim, roles_claim, scope_claim: where these stand; None where nothing says them.
        roles: a group of the issuer to roles here; a group that is not named gives nothing.
        agents: the owner of each agent that has one.
        client: how browsers sign in; None where they do not.
    """

    issuer: str
    audience: str
    jwks_url: str | None = None
    algorithms: frozenset[str] = frozenset({"RS256", "PS256", "ES256", "EdDSA"})
    types: frozenset[str] = frozenset({ACCESS, PLAIN})
    skew: float = 60.0
    id_claim: str = "sub"
    tenant_claim: str | None = None
    roles_claim: str | None = None
    scope_claim: str | None = None
    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    agents: Mapping[str, str] = field(default_factory=dict)
    client: Client | None = None
