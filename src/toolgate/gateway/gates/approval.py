"""Must a person agree? Evaluates the contract's ``approval``; a condition that cannot be evaluated asks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from toolgate.domain.approval import Approval, Requirement, condition_reason
from toolgate.domain.verdict import PASS, Hold, Verdict
from toolgate.gateway.scope import ask, context_of

if TYPE_CHECKING:
    from toolgate.domain.call import SealedCall
    from toolgate.domain.contract import Contract
    from toolgate.domain.errors import NeedsApproval
    from toolgate.gateway.flight import Flight
    from toolgate.gateway.world import World


_OWN_WORD: Final = "whoever asks for this has to confirm it"


async def judge(world: World, flight: Flight, sealed: SealedCall) -> Verdict:
    """Pass or Hold."""
    approval = sealed.contract.approval
    if approval is None or flight.job is not None:
        # A job was judged when it was put into its queue; its digest binds it to what was agreed to.
        return PASS
    required: Requirement | None = None
    for part in approval.parts:
        if (reason := await _reason(world, flight, sealed, part)) is not None:
            asked = requirement(part, reason)
            required = asked if required is None else required.merged(asked)
    return PASS if required is None else Hold(required)


def requirement(approval: Approval, reason: str) -> Requirement:
    """What the contract demands, with the reason that was found."""
    return Requirement(
        reason=f"{approval.reason}: {reason}" if approval.reason else reason,
        approvers=() if approval.own else (approval.approvers,),
        risk=approval.risk,
        expires_in=approval.expires_in,
        quorum=approval.quorum,
        own=approval.own,
    )


def wished(wish: NeedsApproval, contract: Contract, *, reason: str, expires_in: float) -> Requirement | None:
    """What the business service demands: its own roles, or else those of the contract.

    ``reason`` is its message without secrets; ``expires_in`` (seconds) is how long it stays open where the
    contract says nothing.

    A contract that names no approvers, or asks whoever called alone, leaves nobody in particular: then whoever
    holds a role of the tool but did not ask may decide. None where a tool for anyone leaves nobody at all: that wish
    could never be granted, and is the failure that the tool raised.
    """
    declared = contract.approval
    roles = wish.approvers or _declared_roles(declared) or _own_roles(contract)
    if not roles:
        return None
    demanded = Requirement(
        reason=reason,
        approvers=(roles,),
        risk=wish.risk,
        expires_in=declared.expires_in if declared else expires_in,
    )
    for part in declared.parts if declared else ():
        demanded = demanded.merged(requirement(part, reason))
    return demanded


def _declared_roles(approval: Approval | None) -> frozenset[str]:
    """Those of the first part that names any."""
    parts = () if approval is None else approval.parts
    return next((part.approvers for part in parts if not part.own), frozenset())


def _own_roles(contract: Contract) -> frozenset[str]:
    return contract.roles if isinstance(contract.roles, frozenset) else frozenset()


async def _reason(world: World, flight: Flight, sealed: SealedCall, approval: Approval) -> str | None:
    if approval.when is None:
        return "each call of this tool needs a person" if not approval.own else _OWN_WORD
    if isinstance(approval.when, Mapping):
        return condition_reason(approval.when, sealed.arguments)
    try:
        answer = await ask(approval.when, await context_of(world, flight, sealed), sealed.args)
    except Exception as error:  # noqa: BLE001 - whatever an author's condition raises, it asks
        return f"the condition raised {type(error).__name__}; errors ask"
    if answer is None or answer is False:
        return None
    if not isinstance(answer, str) or not answer:
        return "the contract's condition asks for a person"
    return world.registry[sealed.contract.name].said(answer, sealed)
