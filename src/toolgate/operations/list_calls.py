"""The calls that somebody may see, newest first.

``may_see_call``, ``is_own_call`` and ``list_calls`` are the one rule: whoever may see every call sees those of their
tenant, everybody else their own, and an agent only what it asked for itself. What an approver sees of a held call goes
through its review (``call_story``). Not here: how a store finds them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from toolgate.domain.principal import Action, Declined, forbids
from toolgate.ports import CallFilter, CallPage

if TYPE_CHECKING:
    from toolgate.domain.principal import Principal
    from toolgate.domain.rows import CallRow
    from toolgate.gateway.world import World

MOST: Final = 200
"""Calls of one page."""


async def list_calls(world: World, wanted: CallFilter, *, by: Principal) -> CallPage | Declined:
    """A page of the calls that ``by`` may see and that fit ``wanted``; its tenant and limit are bounded here."""
    bounded = seen_by(replace(wanted, limit=min(max(wanted.limit, 1), MOST)), by)
    if isinstance(bounded, Declined):
        return bounded
    return CallPage(()) if bounded is None else await world.store.calls(bounded)


def seen_by(wanted: CallFilter, by: Principal) -> CallFilter | Declined | None:
    """What is left of ``wanted`` for ``by``: within their tenant, and without the right to see all, their own calls.

    None where that is nothing.
    """
    bounded = replace(wanted, tenant=by.tenant)
    if forbids(by, Action.SEE_ALL_CALLS) is None:
        return bounded
    if (why := forbids(by, Action.CALL_TOOLS)) is not None:
        return Declined("forbidden", why)
    if bounded.caller_id not in {None, by.id}:
        return None
    if by.agent is not None and bounded.agent not in {None, by.agent}:
        return None
    return replace(bounded, caller_id=by.id, agent=bounded.agent if by.agent is None else by.agent)


def may_see_call(row: CallRow, by: Principal) -> bool:
    """Whether ``by`` may see this call without having to decide about it."""
    if row.tenant == by.tenant and forbids(by, Action.SEE_ALL_CALLS) is None:
        return True
    return is_own_call(row, by)


def is_own_call(row: CallRow, by: Principal) -> bool:
    """Whether ``by`` asked for it, under this very id; an agent, whether it did so itself."""
    if row.tenant != by.tenant or row.caller_id != by.id or forbids(by, Action.CALL_TOOLS) is not None:
        return False
    return by.agent is None or row.agent == by.agent


async def ledger_time(world: World) -> int:
    """The store's time (µs), from which a reader's "last hour" is counted."""
    return await world.store.now()
