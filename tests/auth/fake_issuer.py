"""An OpenID Connect issuer of a test: real keys, real signatures, and a record of what it was asked."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from jwt.algorithms import get_default_algorithms

from toolgate.adapters.identity import Client, OidcIssuer, Trust
from toolgate.testing import FakeClock
from toolgate.testing.clock import EPOCH

ISSUER = "https://login.example.com"
AUDIENCE = "toolgate"
NOW = EPOCH // 1_000_000
REDIRECT = "https://gate.example.com/console/sign-in/back"
CLIENT = Client(client_id="gate-console", secret="cl1ent-s3cret", scopes=("openid", "groups"))
TRUST = Trust(
    issuer=ISSUER,
    audience=AUDIENCE,
    tenant_claim="org_id",
    roles_claim="groups",
    roles={"grp-support": frozenset({"support"}), "grp-leads": frozenset({"lead", "support"})},
    agents={"support_assistant": "u7"},
    client=CLIENT,
)


@cache
def private_key(kind: str, number: int = 0) -> Any:
    """The same key each time: RSA keys take a while to make."""
    match kind:
        case "RSA":
            return generate_rsa(public_exponent=65537, key_size=2048)
        case "short RSA":
            return generate_rsa(public_exponent=65537, key_size=1024)
        case "EC":
            return generate_private_key(SECP256R1())
        case _:
            return Ed25519PrivateKey.generate()


KINDS = {"RS256": "RSA", "PS256": "RSA", "ES256": "EC", "EdDSA": "Ed25519"}


def public_jwk(key: Any, algorithm: str, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(get_default_algorithms()[algorithm].to_jwk(key.public_key()))
    found.pop("key_ops", None)
    return found | more


@dataclass
class FakeIssuer:
    """What stands behind the transport. ``down`` answers nothing; ``asked`` is every request in order."""

    clock: FakeClock = field(default_factory=FakeClock)
    trust: Trust = TRUST
    keys: list[dict[str, Any]] = field(default_factory=list)
    description: dict[str, Any] = field(default_factory=dict)
    down: bool = False
    asked: list[httpx.Request] = field(default_factory=list)
    codes: dict[str, dict[str, Any]] = field(default_factory=dict)
    answer: Callable[[httpx.Request], httpx.Response] | None = None

    def __post_init__(self) -> None:
        self.keys = self.keys or [public_jwk(private_key("RSA"), "RS256", kid="k1", use="sig")]
        self.description = {
            "issuer": ISSUER,
            "jwks_uri": f"{ISSUER}/keys",
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
        } | self.description

    def gate_side(self, **changed: Any) -> OidcIssuer:
        """The adapter that trusts this issuer."""
        trust = Trust(**{name: getattr(self.trust, name) for name in Trust.__slots__} | changed)
        return OidcIssuer(trust, clock=self.clock, transport=httpx.MockTransport(self._reply))

    def times_asked(self, path: str) -> int:
        return sum(request.url.path == path for request in self.asked)

    def _reply(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.answer is not None:
            return self.answer(request)
        if self.down:
            raise httpx.ConnectError("refused")
        match request.url.path:
            case "/.well-known/openid-configuration":
                return httpx.Response(200, json=self.description)
            case "/keys":
                return httpx.Response(200, json={"keys": self.keys})
            case "/token":
                return self._tokens(request)
            case _:
                return httpx.Response(404)

    def _tokens(self, request: httpx.Request) -> httpx.Response:
        form = {name: values[0] for name, values in parse_qs(request.content.decode()).items()}
        code = self.codes.pop(form.get("code", ""), None)
        secret = base64.b64encode(b"gate-console:cl1ent-s3cret").decode()
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        good = (
            code is not None
            and request.headers.get("authorization") == f"Basic {secret}"
            and (form["grant_type"], form["redirect_uri"]) == ("authorization_code", REDIRECT)
            and challenge == code["challenge"]
        )
        if code is None or not good:
            return httpx.Response(400, json={"error": "invalid_grant"})
        return httpx.Response(
            200, json={"access_token": "x", "token_type": "Bearer", "id_token": code["id_token"]}
        )


def access_token(
    *,
    key: Any = None,
    algorithm: str = "RS256",
    headers: dict[str, Any] | None = None,
    without: tuple[str, ...] = (),
    **claims: Any,
) -> str:
    """A token that the issuer of ``FakeIssuer`` could have signed at ``EPOCH``, with what a test changes of it."""
    said = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "u481",
        "org_id": "acme",
        "groups": ["grp-support", "grp-unknown"],
        "iat": NOW,
        "exp": NOW + 300,
    } | claims
    said = {name: value for name, value in said.items() if name not in without}
    named = {"kid": "k1", "typ": "at+jwt"} | (headers or {})
    named = {name: value for name, value in named.items() if value is not ...}
    return jwt.encode(said, key or private_key("RSA"), algorithm, headers=named)


def id_token(*, nonce: str, **claims: Any) -> str:
    said = {"aud": CLIENT.client_id, "nonce": nonce, "headers": {"typ": "JWT"}} | claims
    return access_token(**said)


def segment(value: object) -> str:
    """One part of a token that nobody signed."""
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(body).rstrip(b"=").decode()
