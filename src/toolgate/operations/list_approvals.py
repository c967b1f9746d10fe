"""What waits for somebody, and what was decided, a page at a time."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from toolgate.domain.approval import may_see
from toolgate.domain.ledger import stored_requirement
from toolgate.domain.principal import Action, Declined, forbids
from toolgate.domain.rows import ByApproval
from toolgate.operations.list_calls import is_own_call
from toolgate.operations.review import Review, reviewed

if TYPE_CHECKING:
    from toolgate.domain.principal import Principal
    from toolgate.domain.rows import ApprovalRow
    from toolgate.gateway.world import World
    from toolgate.ports import ApprovalFilter

MOST_LOOKED_AT = 2_000
"""Approvals that one page looks at: those that wait for others may stand before one's own."""
_AT_ONCE = 200


class ReviewPage(NamedTuple):
    """Approvals in the order asked for; ``next`` is the cursor from which to go on, None at the end."""

    rows: tuple[Review, ...]
    next: str | None = None


async def list_approvals(
    world: World, *, by: Principal, wanted: ApprovalFilter, for_me: bool = True
) -> ReviewPage | Declined:
    """Approvals of the tenant of ``by``.

    ``for_me``: those that ``by`` may approve now; otherwise those that they may look at: everything for whoever
    sees all calls, else what they have a say in or asked for themselves.
    """
    if for_me and (why := forbids(by, Action.DECIDE)):
        return Declined("forbidden", why)
    wanted = replace(wanted, tenant=by.tenant)
    now = await world.store.now()
    found: list[Review] = []
    after, looked_at = wanted.after, 0
    while looked_at < MOST_LOOKED_AT:
        rows = await world.store.approvals(replace(wanted, after=after, limit=_AT_ONCE))
        looked_at += len(rows)
        for row in rows:
            after = row.approval_id
            review = await _wanted(world, row, now, by, for_me=for_me)
            if review is None:
                continue
            found.append(review)
            if len(found) == wanted.limit:
                return ReviewPage(tuple(found), after)
        if len(rows) < _AT_ONCE:
            return ReviewPage(tuple(found))
    return ReviewPage(tuple(found), after)


async def _wanted(world: World, row: ApprovalRow, now: int, by: Principal, *, for_me: bool) -> Review | None:
    everything = not for_me and forbids(by, Action.SEE_ALL_CALLS) is None
    may_be_own = not for_me and row.caller_id == by.id
    if not (everything or may_be_own) and _is_none_of_theirs(row, by):
        # Told by the row alone: what was said of it is read for those that are shown.
        return None
    review = reviewed(await world.store.find(ByApproval(row.approval_id)), now)
    if review is None or (for_me and review.why_not(by) is not None):
        return None
    # Which agent asked stands in the call.
    own = may_be_own and not everything
    return None if own and _is_none_of_theirs(row, by) and not is_own_call(review.call, by) else review


def _is_none_of_theirs(row: ApprovalRow, by: Principal) -> bool:
    if forbids(by, Action.DECIDE):
        return True
    demanded = stored_requirement(row)
    return may_see(demanded, by.caller, requester=row.caller_id, tenant=row.tenant) is not None
