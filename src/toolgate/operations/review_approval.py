"""Look at one approval: whoever has a say in it, asked for it, or sees every call of the tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.domain.errors import StoreInDoubt, StoreUnavailable
from toolgate.domain.principal import Declined
from toolgate.domain.rows import ByApproval
from toolgate.operations.list_calls import may_see_call, seen_by
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
    """The other calls of the same workflow, newest first, at most twenty.

    Whoever has no say in it gets those that they may see anyhow: a workflow is a name that anybody may give.
    """
    review = await review_approval(world, approval_id, by=by)
    if isinstance(review, Declined):
        return review
    wanted = CallFilter(tenant=by.tenant, workflow_id=review.call.workflow_id, limit=MOST_EVIDENCE + 1)
    theirs = wanted if review.may_look(by) is None else seen_by(wanted, by)
    if theirs is None or isinstance(theirs, Declined):
        return ()
    rows = (await world.store.calls(theirs)).rows
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


async def written_review(world: World, approval_id: str, *, tenant: str) -> Review | Declined:
    """The approval after something was written to it.

    Raises:
        StoreInDoubt: where it cannot be read. It was written, and nobody is told that it was not.
    """
    try:
        review = await find_review(world, approval_id, tenant=tenant)
    except StoreUnavailable as fault:
        raise StoreInDoubt("it was written, and cannot be read now") from fault
    return NO_SUCH_APPROVAL if review is None else review


def _may_look(review: Review, by: Principal) -> bool:
    return review.may_look(by) is None or may_see_call(review.call, by)
