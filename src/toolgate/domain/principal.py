"""Who acts over HTTP or the console: a caller, the agent that acts for them, and what their credential is good for.

A *scope* says what a credential may be used for, a *role* what the person may do: both are needed, and a
principal with an agent has the scope ``call`` alone, whatever its credential says: a model may request, only people
decide. ``ACCESS`` is the one table of both; the matrix of the documentation and of the tests is drawn from it.
Not here: how a credential is checked (``operations.authenticate``) and who may vote on one approval (``approval``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal, NamedTuple

from toolgate.domain.caller import Caller

OPERATOR: Final = "operator"
"""The role that sees every call of its tenant, says how unknown effects ended, and may stop everything."""
AUDITOR: Final = "auditor"
"""The role that sees every call and the trail of its tenant, and changes nothing."""
ADMIN: Final = "admin"
"""The role that makes and revokes credentials."""


class Scope(StrEnum):
    """What a credential may be used for."""

    CALL = "call"
    APPROVE = "approve"
    OPERATE = "operate"
    ADMIN = "admin"


EVERY_SCOPE: Final = frozenset(Scope)


class Action(StrEnum):
    """What somebody wants of the gate besides a tool's effect."""

    CALL_TOOLS = "call tools and see one's own calls"
    DECIDE = "see and decide approvals"
    GRANT = "make and revoke grants"
    SEE_ALL_CALLS = "see every call of the tenant"
    RESOLVE = "say how an unknown effect ended"
    READ_AUDIT = "read, verify and export the trail"
    STOP = "cancel everything that waits"
    SEE_NOTIFICATIONS = "see and retry notifications"
    MANAGE_TOKENS = "make and revoke tokens"


class Need(NamedTuple):
    """The scope of the credential, and one of ``roles``; none are needed where it is empty."""

    scope: Scope
    roles: frozenset[str] = frozenset()


ACCESS: Final[Mapping[Action, Need]] = MappingProxyType(
    {
        Action.CALL_TOOLS: Need(Scope.CALL),
        # Whether this person may decide this approval follows from what it requires.
        Action.DECIDE: Need(Scope.APPROVE),
        Action.GRANT: Need(Scope.APPROVE),
        Action.SEE_ALL_CALLS: Need(Scope.OPERATE, frozenset({OPERATOR, AUDITOR})),
        Action.RESOLVE: Need(Scope.OPERATE, frozenset({OPERATOR})),
        Action.READ_AUDIT: Need(Scope.OPERATE, frozenset({OPERATOR, AUDITOR})),
        Action.STOP: Need(Scope.OPERATE, frozenset({OPERATOR})),
        Action.SEE_NOTIFICATIONS: Need(Scope.OPERATE, frozenset({OPERATOR})),
        Action.MANAGE_TOKENS: Need(Scope.ADMIN, frozenset({ADMIN})),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Somebody whose credential was checked.

    Attributes:
        caller: on whose behalf.
        agent: the program that acts for the caller; None where the caller acts in person.
        owner: who answers for the agent, and so may not approve what it asks for.
        credential: what was shown, for the trail: a token's id, or ``jwt:<issuer>``; never a secret.
        granted: what the credential may be used for, before an agent narrows it.
        expires_at: microseconds since the epoch after which it is good for nothing.
    """

    caller: Caller
    agent: str | None = None
    owner: str | None = None
    credential: str = ""
    granted: frozenset[Scope] = field(default=EVERY_SCOPE)
    expires_at: int | None = None

    @property
    def scopes(self) -> frozenset[Scope]:
        """What the credential may be used for. Whatever acts through an agent only asks."""
        return self.granted if self.agent is None else self.granted & {Scope.CALL}

    @property
    def id(self) -> str:
        """The caller's id."""
        return self.caller.id

    @property
    def tenant(self) -> str:
        """The caller's tenant."""
        return self.caller.tenant


def in_person(caller: Caller) -> Principal:
    """``caller`` as the application itself vouches for them, every scope included."""
    return Principal(caller=caller, credential="application")


def forbids(principal: Principal, action: Action) -> str | None:
    """Why ``principal`` may not do ``action``, in words for them; None where they may."""
    need = ACCESS[action]
    if need.scope not in principal.scopes:
        if principal.agent is not None and need.scope in principal.granted:
            return "an agent may only ask; a person has to do this with a credential of their own"
        return f"this credential lacks the scope {need.scope.value}"
    if need.roles and not need.roles & principal.caller.roles:
        return f"this needs the role {' or '.join(sorted(need.roles))}"
    return None


Why = Literal["not_found", "forbidden", "conflict", "invalid"]


@dataclass(frozen=True, slots=True)
class Declined:
    """Why an operation did nothing: a value, for a surface to translate. ``reason`` is for whoever asked."""

    why: Why
    reason: str
