"""When a person is asked, who may decide, and how votes count. All pure.

A *requirement* is what one source (contract, operator, policy, business service) demands; requirements
of several sources merge to the strictest. A *condition* is ``when`` as data: it can be shown, digested,
replayed and written in a file. *Own* is the least that can be required: that whoever asked confirms it. Not here:
the states of an approval (``lifecycle``) and its storage.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Literal

from toolgate.domain.canonical import JsonValue, canonical_json
from toolgate.domain.duration import Duration, seconds
from toolgate.domain.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from toolgate.domain.caller import Caller

Risk = Literal["low", "medium", "high"]
RISKS: tuple[Risk, ...] = ("low", "medium", "high")
DEFAULT_EXPIRY = 86_400.0
MAX_QUORUM = 20
CALLER: Final = "caller"
"""In place of roles: whoever asked confirms it, and nobody else."""
WHOEVER_ASKED: Final = "whoever asked"

When = Mapping[str, Any] | Callable[..., Any] | Callable[..., Awaitable[Any]]

_DECIMAL = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ].*")
_NO_ORDER_OF_LETTERS = re.compile(
    r"[-+]?P(?=[0-9T])([0-9.]+[YMWD])*(T([0-9.]+[HMS])+)?|[0-9]{2}:[0-9]{2}(:.*)?([Zz]|[+-][0-9:]{2,})"
)
"""Durations, and times of day with an offset."""


def _order(value: Any, bound: Any) -> int:
    """-1, 0 or 1. Texts that stand for numbers or moments are compared as these.

    Their letters order otherwise: "100.00" comes before "50.00", and whoever chooses the offset of a moment would
    choose its place.

    Raises:
        TypeError: for what has no order, or none that its letters show (durations, times of day with an offset).
        ValueError: for a moment that is none, and for a text beside a number where it is not plainly one: "1e3" comes
            before "50" by its letters, and a tool may read a thousand in it.
    """
    _check_alike(value, bound)
    if isinstance(value, str) and isinstance(bound, str):
        if _DECIMAL.fullmatch(value) or _DECIMAL.fullmatch(bound):
            value, bound = _number(value), _number(bound)
        elif _MOMENT.fullmatch(value) or _MOMENT.fullmatch(bound):
            value, bound = datetime.fromisoformat(value), datetime.fromisoformat(bound)
        elif _NO_ORDER_OF_LETTERS.fullmatch(value) or _NO_ORDER_OF_LETTERS.fullmatch(bound):
            raise TypeError("durations and times with an offset cannot be ordered")
    return int(value > bound) - int(value < bound)


def _number(text: str) -> Decimal:
    if not _DECIMAL.fullmatch(text):
        raise ValueError("not written as a decimal number")
    return Decimal(text)


def _check_alike(value: Any, bound: Any) -> None:
    """Python takes True for 1; nobody who writes a condition does. Raises ``TypeError``."""
    numbers = isinstance(value, int | float) and isinstance(bound, int | float)
    if numbers and isinstance(value, bool) != isinstance(bound, bool):
        raise TypeError("a yes or no is no number")


def _same(value: Any, bound: Any) -> bool:
    """Whether ``value`` is ``bound``, however it is spelt: ``"50.0"`` is ``"50.00"``. Raises as ``_order``."""
    _check_alike(value, bound)
    if value == bound:
        return True
    if not (isinstance(value, str) and isinstance(bound, str)):
        return False
    return any(
        form.fullmatch(value) and form.fullmatch(bound) for form in (_DECIMAL, _MOMENT)
    ) and not _order(value, bound)


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": lambda value, bound: _order(value, bound) > 0,
    "ge": lambda value, bound: _order(value, bound) >= 0,
    "lt": lambda value, bound: _order(value, bound) < 0,
    "le": lambda value, bound: _order(value, bound) <= 0,
    "eq": _same,
    "ne": lambda value, bound: bool(value != bound),
    "in": lambda value, bound: any(_same(value, one) for one in bound),
    "not_in": lambda value, bound: value not in bound,
}
_SPOKEN = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤", "eq": "=", "ne": "≠", "in": "in", "not_in": "not in"}


@dataclass(frozen=True, slots=True, kw_only=True, init=False)
class Approval:
    """The contract's word on when a person must agree.

    Args:
        approvers: roles, one of which a voter needs. Never empty: an approval that nobody may give is a mistake.
            ``"caller"`` asks no other person: whoever the call is made for confirms it, in person or through an MCP
            client that shows it to them. It is the weakest demand; beside any other it disappears.
        when: ``None`` asks always. A mapping ``{"amount_cents": {"gt": 5000}}`` asks when *every* condition
            holds (operators ``gt ge lt le eq ne in not_in``; dotted paths reach into objects; decimals and moments
            that are written as texts are ordered as what they stand for). A predicate
            ``(context, args)``, sync or async, returns the reason to ask or ``None``. A condition that
            raises, or whose path is missing, asks.
        risk: shown to the approver; ``"low"``, ``"medium"`` or ``"high"``.
        expires_in: how long a request stays open; expiry means no. Default: 24 h, or the operator's default.
        quorum: how many distinct people must agree, 1 to 20.
        reason: shown to the approver, beside what the condition found.

    Raises:
        ContractError: naming what to change.
    """

    approvers: frozenset[str]
    when: When | None = None
    risk: Risk = "medium"
    expires_in: float = DEFAULT_EXPIRY
    quorum: int = 1
    reason: str | None = None
    expires_declared: bool = field(default=False, compare=False)
    also: tuple[Approval, ...] = ()
    own: bool = False

    def __init__(
        self,
        *,
        approvers: Iterable[str] | Literal["caller"],
        when: When | None = None,
        risk: Risk = "medium",
        expires_in: Duration | None = None,
        quorum: int = 1,
        reason: str | None = None,
    ) -> None:
        names = _roles(approvers)
        if risk not in RISKS:
            raise ContractError(f"approval.risk: {risk!r} is not one of {', '.join(RISKS)}")
        if not 1 <= quorum <= MAX_QUORUM:
            raise ContractError(f"approval.quorum: {quorum} is not between 1 and {MAX_QUORUM}")
        if not names and quorum != 1:
            raise ContractError(
                "approval.quorum: whoever asks is one person; leave quorum out, or name roles as approvers"
            )
        if isinstance(when, Mapping):
            check_condition(when)
        elif when is not None and not callable(when):
            raise ContractError("approval.when: a mapping of conditions or a predicate (context, args)")
        set_ = object.__setattr__
        set_(self, "approvers", names)
        set_(self, "when", when)
        set_(self, "risk", risk)
        stays_open = DEFAULT_EXPIRY if expires_in is None else seconds(expires_in, of="approval.expires_in")
        set_(self, "expires_in", stays_open)
        set_(self, "expires_declared", expires_in is not None)
        set_(self, "quorum", quorum)
        set_(self, "reason", reason)
        set_(self, "also", ())
        set_(self, "own", not names)

    @property
    def parts(self) -> tuple[Approval, ...]:
        """This approval and what others demand besides: each asks by its own condition, and all that ask are met."""
        return (self, *self.also)

    @property
    def who(self) -> str:
        """Who is asked, in words."""
        return " or ".join(sorted(self.approvers)) if not self.own else WHOEVER_ASKED

    def and_also(self, other: Approval) -> Approval:
        """Both: whenever ``other``'s condition holds, its approvers, quorum and expiry are demanded as well."""
        both = object.__new__(Approval)
        for name in Approval.__slots__:
            object.__setattr__(both, name, getattr(self, name))
        object.__setattr__(both, "also", (*self.also, *other.parts))
        return both

    def described(self) -> dict[str, JsonValue]:
        """The approval as data, for digests, lists and the checklist. A predicate is named, not shown."""
        when: JsonValue
        if self.when is None or isinstance(self.when, Mapping):
            when = None if self.when is None else {path: _as_json(tests) for path, tests in self.when.items()}
        else:
            when = f"predicate:{getattr(self.when, '__qualname__', 'unnamed')}"
        described: dict[str, JsonValue] = {
            "approvers": CALLER if self.own else list[JsonValue](sorted(self.approvers)),
            "when": when,
            "risk": self.risk,
            "expires_in": self.expires_in,
            "quorum": self.quorum,
            "reason": self.reason,
        }
        if self.also:
            described["also"] = [part.described() for part in self.also]
        return described


def _roles(approvers: Iterable[str] | Literal["caller"]) -> frozenset[str]:
    """The roles; none for ``"caller"``."""
    if approvers == CALLER:
        return frozenset()
    if isinstance(approvers, str) or not (names := frozenset(approvers)):
        raise ContractError(
            "approval.approvers: name the roles that may decide, for example {'billing_admin'}, or write 'caller'"
        )
    if CALLER in names:
        raise ContractError(
            "approval.approvers: 'caller' is no role; write approvers='caller' alone, or name roles without it"
        )
    return names


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalFact:
    """What ``context.approval`` tells a tool that runs after people agreed.

    Whoever asked agrees with themself: their own confirmation is no such fact.
    """

    approval_id: str
    approved_by: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What must be given before a held call may run.

    ``own``: that whoever asked confirms it, nobody else, and nothing more. No role is demanded then.
    """

    reason: str
    approvers: tuple[frozenset[str], ...]
    risk: Risk = "medium"
    expires_in: float = DEFAULT_EXPIRY
    quorum: int = 1
    own: bool = False

    def merged(self, other: Requirement) -> Requirement:
        """Both at once, each the strictest: all role sets, the higher quorum and risk, the earlier expiry.

        Where one demands other people, the word of whoever asked counts for nothing any more.
        """
        reasons = dict.fromkeys(filter(None, (*self.reason.split("; "), *other.reason.split("; "))))
        return Requirement(
            reason="; ".join(reasons),
            approvers=tuple(dict.fromkeys((*self.approvers, *other.approvers))),
            risk=max(self.risk, other.risk, key=RISKS.index),
            expires_in=min(self.expires_in, other.expires_in),
            quorum=max(self.quorum, other.quorum),
            own=self.own and other.own,
        )

    def demands_more_than(self, other: Requirement) -> bool:
        """Whether people or time that suffice for ``other`` may not suffice for this; its words count for nothing."""
        return replace(other.merged(self), reason=other.reason) != other

    def to_json(self) -> dict[str, JsonValue]:
        """As data, for the store and the trail. ``own`` stands there only where it is so."""
        data: dict[str, JsonValue] = {
            "reason": self.reason,
            "approvers": [list[JsonValue](sorted(roles)) for roles in self.approvers],
            "risk": self.risk,
            "expires_in": self.expires_in,
            "quorum": self.quorum,
        }
        return {**data, "own": True} if self.own else data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Requirement:
        """What ``to_json`` wrote."""
        return cls(
            reason=data["reason"],
            approvers=tuple(frozenset(roles) for roles in data["approvers"]),
            risk=data["risk"],
            expires_in=data["expires_in"],
            quorum=data["quorum"],
            own=data.get("own") is True,
        )

    def shown_roles(self) -> str:
        """The roles in words: sets are alternatives, several sets must each be met."""
        if self.own:
            return WHOEVER_ASKED
        return " and ".join(" or ".join(sorted(roles)) for roles in self.approvers)


LEAST: Final = Requirement(reason="", approvers=(), own=True)
"""What merges with anything without adding to it: it names nobody besides whoever asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """One person's approval of one revision."""

    approval_id: str
    revision: int
    voter: str
    roles: frozenset[str]
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class Tally:
    """Whether the votes suffice, and what is missing in words."""

    enough: bool
    missing: str
    voters: tuple[str, ...] = field(default=())


def person(caller_id: str) -> str:
    """Whom an id means when people are counted: case, surrounding space and Unicode form make nobody a second person.

    An identity provider that writes an address once as ``Ann@`` and once as ``ann@`` must not give anybody two votes,
    or let them approve what they asked for. Everywhere else an id is taken as it is.
    """
    return " ".join(unicodedata.normalize("NFKC", caller_id).casefold().split())


_OWN_WORD: Final = f"the confirmation of {WHOEVER_ASKED}"


def tally(
    requirement: Requirement,
    votes: Iterable[Vote],
    *,
    revision: int,
    requester: str,
    barred: Iterable[str] = (),
) -> Tally:
    """Count the distinct people who approved ``revision``; every role set must be met.

    Neither the requester nor anybody ``barred`` (the agent's owner, who edited it) ever counts; where the requester's
    own word is what is required, nothing but that counts, under exactly their id.
    """
    if requirement.own:
        given = any(vote.revision == revision and vote.voter == requester for vote in votes)
        return (
            Tally(enough=True, missing="", voters=(requester,))
            if given
            else Tally(enough=False, missing=_OWN_WORD)
        )
    out = {person(requester), *map(person, barred)}
    counted: dict[str, Vote] = {}
    for vote in votes:
        if vote.revision == revision and (who := person(vote.voter)) not in out:
            counted[who] = vote
    unmet = [
        " or ".join(sorted(roles))
        for roles in requirement.approvers
        if not any(roles & vote.roles for vote in counted.values())
    ]
    lacking = requirement.quorum - len(counted)
    missing = []
    if lacking > 0:
        missing.append(f"{lacking} more approval{'s' if lacking > 1 else ''}")
    if unmet:
        missing.append(f"one by {' and one by '.join(unmet)}")
    return Tally(not missing, ", ".join(missing), tuple(vote.voter for vote in counted.values()))


def may_see(requirement: Requirement, who: Caller, *, requester: str, tenant: str) -> str | None:
    """Why ``who`` has no say in it, or None: they are of the call's tenant, have a role, and did not ask for it.

    Where the requester's own word is required, they alone have a say, under exactly their id.
    """
    if who.tenant != tenant:
        return "the approval belongs to another tenant"
    if requirement.own:
        return None if who.id == requester else "only whoever asked for a call may confirm it"
    if person(who.id) == person(requester):
        return "whoever asked for a call may not approve it"
    if not any(roles & who.roles for roles in requirement.approvers):
        return f"deciding needs the role {requirement.shown_roles()}"
    return None


def may_vote(
    requirement: Requirement, voter: Caller, *, requester: str, tenant: str, barred: Iterable[str] = ()
) -> str | None:
    """Why ``voter`` may not decide, or None where they may. ``barred``: the agent's owner, and who edited it."""
    if why := may_see(requirement, voter, requester=requester, tenant=tenant):
        return why
    if not requirement.own and person(voter.id) in set(map(person, barred)):
        return "whoever edited a call, or answers for the agent that asks, may not approve it; another person is needed"
    return None


def check_condition(when: Mapping[str, Any]) -> None:
    """Refuse a condition that could never be evaluated.

    Raises:
        ContractError: naming the path.
    """
    if not when:
        raise ContractError("approval.when: an empty condition; leave `when` out to ask always")
    for path, tests in when.items():
        if not isinstance(tests, Mapping) or not tests:
            raise ContractError(f"approval.when.{path}: write an operator, for example {{'gt': 5000}}")
        for operator, bound in tests.items():
            if operator not in _OPERATORS:
                raise ContractError(
                    f"approval.when.{path}: {operator!r} is not one of {', '.join(_OPERATORS)}"
                )
            if operator in {"in", "not_in"} and (
                isinstance(bound, str) or not isinstance(bound, list | tuple)
            ):
                raise ContractError(f"approval.when.{path}.{operator}: write a list of values")
            canonical_json(list(bound) if isinstance(bound, tuple) else bound)


def _as_json(tests: Mapping[str, Any]) -> dict[str, JsonValue]:
    return {operator: list(bound) if isinstance(bound, tuple) else bound for operator, bound in tests.items()}


def condition_reason(when: Mapping[str, Any], arguments: JsonValue) -> str | None:
    """Why the condition asks for a person, or None. What cannot be evaluated asks: it never passes."""
    found = []
    for path, tests in when.items():
        try:
            value = _at(arguments, path)
            if not all(_OPERATORS[operator](value, bound) for operator, bound in tests.items()):
                return None
        except (KeyError, IndexError, TypeError, ValueError):
            return f"the condition on {path} could not be evaluated"
        found.append(" and ".join(f"{path} {_SPOKEN[op]} {bound}" for op, bound in tests.items()))
    return ", ".join(found)


def within(bounds: Mapping[str, Any], arguments: JsonValue) -> bool:
    """Whether ``arguments`` lie within ``bounds``: a condition as data, of which every part must hold.

    The other way round than ``condition_reason``: what is missing or cannot be compared is outside.
    """
    try:
        return all(
            _OPERATORS[operator](_at(arguments, path), bound)
            for path, tests in bounds.items()
            for operator, bound in tests.items()
        )
    except (KeyError, IndexError, TypeError, ValueError):
        return False


def spoken(bounds: Mapping[str, Any]) -> str:
    """A condition in words: ``amount_cents > 5000 and currency = "EUR"``. Texts are quoted: none imitates a bound."""
    return " and ".join(
        f"{path} {_SPOKEN[operator]} {json.dumps(bound, ensure_ascii=False)}"
        for path, tests in bounds.items()
        for operator, bound in tests.items()
    )


def _at(value: Any, path: str) -> Any:
    for part in path.split("."):
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value
