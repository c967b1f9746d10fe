"""Look at one approval: whoever has a say in it, asked for it, or sees every call of the tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.domain.approval import person
from toolgate.domain.principal import Action, Declined, Scope, forbids
from toolgate.domain.rows import ByApproval
from toolgate.operations.review import Review, reviewed
from toolgate.ports import CallFilter

if TYPE_CHECKING:
    from toolgate.domain.principal import Principal
    from toolgate.domain.rows import CallRow
    from toolgate.gateway.world import World

NO_SUCH_APPROVAL = Declined("not_found", "there is no such approval")
MAX_ID = 64
MOST_EVIDENCE = 20


async def review_approval(world: World, approval_id: str, *, by: Principal) -> Review | Declined:
    """The approval as it is now. One of another tenant, and one that is none of theirs, are as if they were not."""
    review = await find_review(world, approval_id, tenant=by.tenant)
    if review is None or not _may_look(review, by):
        return NO_SUCH_APPROVAL
    return review


async def evidence(world: World, approval_id: str, *, by: Principal) -> tuple[CallRow, ...] | Declined:
    """The other calls of the same workflow, newest first, at most twenty."""
    review = await review_approval(world, approval_id, by=by)
    if isinstance(review, Declined):
        return review
    wanted = CallFilter(tenant=by.tenant, workflow_id=review.call.workflow_id, limit=MOST_EVIDENCE + 1)
    rows = (await world.store.calls(wanted)).rows
    return tuple(row for row in rows if row.call_id != review.call.call_id)[:MOST_EVIDENCE]


async def find_review(world: World, approval_id: str, *, tenant: str) -> Review | None:
    """The approval with everything that was said of it, within ``tenant``."""
    # What was never an id of ours is not looked for: it may not even be text that a store takes.
    if not (approval_id.isascii() and len(approval_id) <= MAX_ID):
        return None
    found = await world.store.find(ByApproval(approval_id))
    if found.approval is None or found.approval.tenant != tenant:
        return None
    revisions = tuple(await world.store.revisions(approval_id)) if found.approval.revision > 1 else ()
    return reviewed(found, await world.store.now(), revisions)


def _may_look(review: Review, by: Principal) -> bool:
    if review.may_look(by) is None or forbids(by, Action.SEE_ALL_CALLS) is None:
        return True
    return person(review.row.caller_id) == person(by.id) and Scope.CALL in by.scopes
