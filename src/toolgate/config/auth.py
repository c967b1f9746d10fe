"""``[auth]``, ``[auth.oidc]`` and ``[agents.NAME]``: who is believed, how long they stay, who answers for whom.

A mistake is found when the file is read. The client's secret is looked up only by whoever opens a gateway, so that a
command that signs nobody in needs none. Not here: asking an issuer anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from toolgate.config.problems import Where
from toolgate.config.references import resolve
from toolgate.config.sections import Given, duration, names, table, text
from toolgate.domain.names import name_problem

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
TYPES: Final = ("at+jwt", "jwt")
CLAIMS: Final = ("id", "tenant", "roles", "scope")
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_REFERENCES: Final = ("env:", "file:")


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """One issuer, as the file has it."""

    issuer: str
    audience: str
    jwks_url: str | None = None
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "EdDSA")
    types: tuple[str, ...] = TYPES
    skew: float = 60.0
    claims: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    client_id: str | None = None
    client_scopes: tuple[str, ...] = ("openid",)
    secret_reference: Given[str] | None = None

    def client_secret(self) -> str | None:
        """What the client shows to the issuer; None for a public client.

        Raises:
            ConfigurationError: if the reference leads nowhere; never with the secret in the words.
        """
        given = self.secret_reference
        return None if given is None else resolve(given.value, given.where)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthSettings:
    """How people and programs are known. ``session`` and ``idle`` in seconds."""

    session: float = 8 * 3600.0
    idle: float = 30 * 60.0
    oidc: OidcSettings | None = None


def read_auth(given: Mapping[str, Given[Any]]) -> AuthSettings:
    """What the files say together; keys of ``[auth.oidc]`` are given as ``oidc.issuer``.

    Raises:
        ConfigurationError: at the first key that is unknown, missing, or has a value that cannot be used.
    """
    for key, item in given.items():
        known = {
            name.removeprefix("oidc.")
            for name in READERS
            if name.startswith("oidc.") == key.startswith("oidc.")
        }
        if key not in READERS:
            raise item.where.unknown(known | (set() if key.startswith("oidc.") else {"oidc"}))
    said = {key: READERS[key](item.value, item.where) for key, item in given.items()}
    oidc = {key.removeprefix("oidc."): value for key, value in said.items() if key.startswith("oidc.")}
    plain = {key: value for key, value in said.items() if not key.startswith("oidc.")}
    return AuthSettings(**plain, oidc=_oidc(oidc, given) if oidc else None)


def read_agents(given: Mapping[str, Given[Any]]) -> Mapping[str, str]:
    """The agents and who answers for each.

    Raises:
        ConfigurationError: for an agent without an owner, or a name that is none.
    """
    owners: dict[str, str] = {}
    for name, item in given.items():
        said = table(item.value, item.where, example=f'[agents.{name}] with owner = "u7"')
        for key in said:
            if key != "owner":
                raise item.where.below(key).unknown({"owner"})
        owner = said.get("owner")
        for of, value in (("an agent's name", name), ("owner", owner)):
            if (problem := name_problem(value, of=of)) is not None:
                raise item.where.wrong(f"{problem}; write owner = 'the id of who answers for it'")
        owners[name] = str(owner)
    return MappingProxyType(owners)


def _oidc(said: dict[str, Any], given: Mapping[str, Given[Any]]) -> OidcSettings:
    where = next(item.where for key, item in given.items() if key.startswith("oidc."))
    where = Where(where.source, where.path[:-1])
    for needed, example in (("issuer", "https://login.example.com"), ("audience", "toolgate")):
        if needed not in said:
            raise where.wrong(f"{needed} is missing; write {needed} = {example!r}")
    claims = said.get("claims", {})
    if "roles" in said and "roles" not in claims:
        raise given["oidc.roles"].where.wrong(
            "say which claim holds the groups: claims = { roles = 'groups' }"
        )
    if "client_secret" in said and "client_id" not in said:
        raise given["oidc.client_secret"].where.wrong("write client_id too, or take the secret out")
    if said.get("client_id") == said["audience"] and "jwt" in said.get("types", TYPES):
        # Both kinds of token would then be meant for the same name, and an ID token could pass as an access token.
        raise given["oidc.client_id"].where.wrong(
            "client_id and audience are the same; give the gate an audience of its own, or demand "
            "types = ['at+jwt'], so that an ID token cannot pass as an access token"
        )
    renamed = {"client_secret": "secret_reference", "scopes": "client_scopes"}
    return OidcSettings(**{renamed.get(key, key): value for key, value in said.items()})


def _url(value: Any, where: Where) -> str:
    url = text(value, where, example="https://login.example.com")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise where.wrong("write a URL, for example 'https://login.example.com'") from None
    if not parts.hostname or parts.username is not None or parts.query or parts.fragment:
        raise where.wrong(
            "write a URL without user, query and fragment, for example 'https://login.example.com'"
        )
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        raise where.wrong("an issuer speaks https; http is for loopback alone")
    return url


def _algorithms(value: Any, where: Where) -> tuple[str, ...]:
    return _some_of(ALGORITHMS, value, where)


def _types(value: Any, where: Where) -> tuple[str, ...]:
    return _some_of(TYPES, value, where)


def _some_of(known: tuple[str, ...], value: Any, where: Where) -> tuple[str, ...]:
    said = names(value, where, example=f'["{known[0]}"]')
    for place, name in enumerate(said):
        if name not in known:
            raise where.below(place).wrong(f"this cannot be believed; what can is {', '.join(known)}")
    if not said:
        raise where.wrong("an empty list believes nothing; take it out, or name some")
    return said


def _claims(value: Any, where: Where) -> Mapping[str, str]:
    said = table(value, where, example="claims = { id = 'sub', tenant = 'org_id', roles = 'groups' }")
    for key, item in said.items():
        inner = where.below(key)
        if key not in CLAIMS:
            raise inner.unknown(CLAIMS)
        text(item, inner, example="sub")
    return said


def _roles(value: Any, where: Where) -> Mapping[str, tuple[str, ...]]:
    mapped: dict[str, tuple[str, ...]] = {}
    for group, item in table(value, where, example="roles = { grp-support = 'support' }").items():
        inner = where.below(group)
        roles = (item,) if isinstance(item, str) else names(item, inner, example='["support"]')
        for role in roles:
            if (problem := name_problem(role, of="a role")) is not None:
                raise inner.wrong(problem)
        mapped[group] = roles
    return mapped


def _name(value: Any, where: Where) -> str:
    return text(value, where, example="toolgate")


def _secret(value: Any, where: Where) -> Given[str]:
    reference = text(value, where, example="env:OIDC_CLIENT_SECRET")
    if not reference.startswith(_REFERENCES):
        raise where.wrong("a secret is given by reference: write 'env:OIDC_CLIENT_SECRET', or 'file:/path'")
    return Given(where, reference)


def _scopes(value: Any, where: Where) -> tuple[str, ...]:
    said = names(value, where, example='["openid", "groups"]')
    return said if "openid" in said else ("openid", *said)


READERS: Final[Mapping[str, Callable[[Any, Where], Any]]] = MappingProxyType(
    {
        "session": duration,
        "idle": duration,
        "oidc.issuer": _url,
        "oidc.audience": _name,
        "oidc.jwks_url": _url,
        "oidc.algorithms": _algorithms,
        "oidc.types": _types,
        "oidc.skew": duration,
        "oidc.claims": _claims,
        "oidc.roles": _roles,
        "oidc.client_id": _name,
        "oidc.client_secret": _secret,
        "oidc.scopes": _scopes,
    }
)
"""Key → how it is read."""
