"""``approval = {…}`` of an override: what an operator demands besides what the code demands.

A key that is left out is the code's own. The code's condition stays as it is, whatever the operator writes: where
both name a ``when``, either of them asks, each with its own approvers, and a call that both ask about needs both.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from toolgate.config.problems import Where
from toolgate.config.sections import duration, names, table, text, whole
from toolgate.domain.approval import CALLER, RISKS, Approval, When
from toolgate.domain.duration import spoken
from toolgate.domain.errors import ContractError

ALWAYS: Final = "always"
_EXAMPLE: Final = "{ approvers = ['billing_admin'], when = { amount_cents = { gt = 2000 } } }"
_KEYS: Final = frozenset({"approvers", "when", "risk", "expires_in", "quorum", "reason"})


def tightened_approval(own: Approval | None, value: Any, where: Where) -> Approval:
    """``own`` with what ``value`` demands besides.

    Raises:
        ConfigurationError: for what is unknown, cannot be used, or is less than the code demands.
    """
    given = table(value, where, example=_EXAMPLE)
    for key in given:
        if key not in _KEYS:
            raise where.below(key).unknown(_KEYS)
    added = _added(own, given, where)
    if own is None:
        return added
    _check_not_looser(own, added, where)
    return own.and_also(added)


def _added(own: Approval | None, given: Mapping[str, Any], where: Where) -> Approval:
    """The operator's demand as an approval of its own, the code's words where it says nothing."""
    approvers = _approvers(own, given, where)
    when: When | None = own.when if own else None
    if "when" in given:
        when = _when(given["when"], where.below("when"))
    stays_open = own.expires_in if own and own.expires_declared else None
    if "expires_in" in given:
        stays_open = duration(given["expires_in"], where.below("expires_in"))
    risk = given.get("risk", own.risk if own else "medium")
    if risk not in RISKS:
        raise where.below("risk").wrong(f"write one of {', '.join(RISKS)}")
    reason = (
        text(given["reason"], where.below("reason"), example="more than 20 euros")
        if "reason" in given
        else None
    )
    try:
        return Approval(
            approvers=approvers,
            when=when,
            risk=risk,
            expires_in=stays_open,
            quorum=whole(given["quorum"], where.below("quorum"))
            if "quorum" in given
            else own.quorum
            if own
            else 1,
            reason=reason,
        )
    except ContractError as refused:
        raise where.wrong(str(refused)) from None


def _approvers(own: Approval | None, given: Mapping[str, Any], where: Where) -> Iterable[str]:
    """Roles, or that whoever asks confirms it: the weakest demand, which never stands in place of roles."""
    at = where.below("approvers")
    if given.get("approvers") == CALLER:
        if own is not None and not own.own:
            raise _looser(at, f"'caller' is less than the tool's own approvers, {own.who}")
        return CALLER
    if "approvers" in given:
        named = names(given["approvers"], at, example="['billing_admin'], or 'caller'")
    elif own is not None and own.own:
        return CALLER
    else:
        named = tuple(sorted(own.approvers)) if own else ()
    if not named:
        raise where.wrong("name the roles that may decide: approvers = ['billing_admin']")
    return frozenset(named)


def _when(value: Any, where: Where) -> When | None:
    if value == ALWAYS:
        return None
    condition = table(value, where, example="{ amount_cents = { gt = 2000 } }, or 'always'")
    try:
        return Approval(approvers={"checked alone"}, when=condition).when
    except ValueError as refused:
        raise where.wrong(str(refused)) from None


def _check_not_looser(own: Approval, added: Approval, where: Where) -> None:
    if added.quorum < own.quorum:
        raise _looser(
            where.below("quorum"), f"{added.quorum} is less than the tool's own quorum, {own.quorum}"
        )
    if RISKS.index(added.risk) < RISKS.index(own.risk):
        raise _looser(where.below("risk"), f"{added.risk!r} is less than the tool's own risk, {own.risk!r}")
    if added.expires_declared and added.expires_in > own.expires_in:
        longer = f"{spoken(added.expires_in)} is longer than the tool's own {spoken(own.expires_in)}"
        raise _looser(where.below("expires_in"), longer)


def _looser(where: Where, what: str) -> Exception:
    return where.wrong(f"{what}; an override may tighten a tool and never loosen it")


def with_default_expiry(approval: Approval, expires_in: float) -> Approval:
    """``approval`` with ``expires_in`` seconds wherever neither the code nor an override says how long."""
    first, *rest = [_expiring(part, expires_in) for part in approval.parts]
    for part in rest:
        first = first.and_also(part)
    return first


def _expiring(part: Approval, expires_in: float) -> Approval:
    return Approval(
        approvers=CALLER if part.own else part.approvers,
        when=part.when,
        risk=part.risk,
        expires_in=part.expires_in if part.expires_declared else expires_in,
        quorum=part.quorum,
        reason=part.reason,
    )
