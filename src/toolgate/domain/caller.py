"""Who calls, and who says no. A ``Caller`` comes from the application (token, session), never from arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from toolgate.domain.names import name_problem

if TYPE_CHECKING:
    from collections.abc import Iterable

R = TypeVar("R")
ANYONE: Final = "anyone"


@dataclass(frozen=True, slots=True, init=False)
class Caller:
    """A person or program on whose behalf a call is made.

    Args:
        id: stable and unique within ``tenant``; 1 to 256 printable characters, as ``tenant`` and each role.
        roles: what the application grants; matched against a contract's ``roles`` and ``approvers``.
        tenant: whose data; keys, approvals and stored arguments of tenants never meet.

    Raises:
        TypeError: if ``roles`` is one text.
        ValueError: if a name is empty, too long, or not printable.
    """

    id: str
    roles: frozenset[str]
    tenant: str

    def __init__(self, id: str, roles: Iterable[str] = (), tenant: str = "default") -> None:
        if isinstance(roles, str):
            raise TypeError("roles is a set of names, not one text: write roles={'support'}")
        granted = frozenset(roles)
        named = (("id", id), ("tenant", tenant), *(("role", role) for role in granted))
        for name, value in named:
            if problem := name_problem(value, of=f"a caller's {name}"):
                raise ValueError(problem)
        object.__setattr__(self, "id", id)
        object.__setattr__(self, "roles", granted)
        object.__setattr__(self, "tenant", tenant)


@dataclass(frozen=True, slots=True)
class Denied:
    """What a predicate returns to say no, with the true reason.

    ``reason`` reaches the audit trail and the application (``outcome.reasons``), never the model;
    ``message`` is for the model, if it may know more than that it was refused.
    """

    reason: str
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Applied(Generic[R]):
    """What ``reconcile`` returns when it found that the effect happened, with what the call would have returned."""

    result: R | None = None


@dataclass(frozen=True, slots=True)
class NotApplied:
    """What ``reconcile`` returns when it is sure that the effect did not happen, and cannot happen any more."""

    reason: str = ""
