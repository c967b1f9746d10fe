"""Whom verified claims stand for. What is demanded and missing, or said in a form that is no name, denies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from toolgate.adapters.identity.trust import Refused
from toolgate.domain.caller import Caller
from toolgate.domain.duration import MICRO
from toolgate.domain.names import name_problem
from toolgate.domain.principal import EVERY_SCOPE, Principal, Scope

if TYPE_CHECKING:
    from toolgate.adapters.identity.trust import Trust
    from toolgate.adapters.identity.verify import Claims

_UNSAID = frozenset({Scope.CALL, Scope.APPROVE, Scope.OPERATE})
"""What an access token is good for where no claim is configured that says it. ``admin`` is always said aloud."""
_PREFIX = "toolgate:"
_MAX_GROUPS = 1_000


def bearer_of(claims: Claims, trust: Trust) -> Principal | Refused:
    """Who acts with an access token, and which agent for them: the outermost actor of ``act`` (RFC 8693, 4.1)."""
    agent = _actor(claims)
    if isinstance(agent, Refused):
        return agent
    if agent is not None and agent not in trust.agents:
        # Whoever answers for it would not be barred from approving what it asks for.
        return Refused("the claim act names an agent that nobody answers for; say who in [agents.NAME] owner")
    caller = _caller(claims, trust)
    if isinstance(caller, Refused):
        return caller
    return Principal(
        caller=caller,
        agent=agent,
        owner=None if agent is None else trust.agents[agent],
        credential=f"jwt:{trust.issuer}",
        granted=_scopes(claims, trust),
        expires_at=round(claims["exp"] * MICRO),
    )


def person_of(claims: Claims, trust: Trust) -> Principal | Refused:
    """Who signed in by a browser. Their roles say what they may do; the session has every scope."""
    if "act" in claims:
        return Refused("an actor (act) signed in, and only people do")
    caller = _caller(claims, trust)
    if isinstance(caller, Refused):
        return caller
    return Principal(caller=caller, credential=f"oidc:{trust.issuer}", granted=EVERY_SCOPE)


def _caller(claims: Claims, trust: Trust) -> Caller | Refused:
    id = _at(claims, trust.id_claim)
    tenant = "default" if trust.tenant_claim is None else _at(claims, trust.tenant_claim)
    for of, value in ((trust.id_claim, id), (trust.tenant_claim, tenant)):
        if name_problem(value, of="it") is not None:
            return Refused(f"the claim {of} is missing, or is no name")
    if trust.id_claim == "email" and claims.get("email_verified") is not True:
        # Anybody may claim an address that nobody checked.
        return Refused("the claim email names the caller, and email_verified is not true")
    return Caller(id, roles=_roles(claims, trust), tenant=tenant)


def _roles(claims: Claims, trust: Trust) -> frozenset[str]:
    if trust.roles_claim is None:
        return frozenset()
    said = _at(claims, trust.roles_claim)
    groups = [said] if isinstance(said, str) else said if isinstance(said, list) else []
    known = [
        trust.roles[group]
        for group in groups[:_MAX_GROUPS]
        if isinstance(group, str) and group in trust.roles
    ]
    return frozenset[str]().union(*known)


def _scopes(claims: Claims, trust: Trust) -> frozenset[Scope]:
    """The scopes that the claim names, alone or as ``toolgate:call``; a text is split at spaces (RFC 9068, 2.2.3)."""
    if trust.scope_claim is None:
        return _UNSAID
    said = _at(claims, trust.scope_claim)
    words = said.split(" ") if isinstance(said, str) else said if isinstance(said, list) else []
    named = {word.removeprefix(_PREFIX) for word in words if isinstance(word, str)}
    return frozenset(scope for scope in Scope if scope.value in named)


def _actor(claims: Claims) -> str | Refused | None:
    if "act" not in claims:
        return None
    # The inner actors of a chain are history: they say nothing about who acts now.
    actor = claims["act"].get("sub") if isinstance(claims["act"], Mapping) else None
    if name_problem(actor, of="it") is not None:
        return Refused("the claim act names no actor")
    assert isinstance(actor, str)
    return actor


def _at(claims: Claims, name: str) -> Any:
    """The claim of this name, or what a path such as ``realm_access.roles`` leads to."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found
