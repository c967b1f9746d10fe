"""A held call, or a job, as whoever asked for it follows it: what it answers now, and what it waits for.

Not here: how anybody else sees a call (``see_call``), and calls that never had to wait, which have answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from toolgate.domain.principal import Declined
from toolgate.domain.rows import ByJob
from toolgate.gateway.finish.recall import observed, recall
from toolgate.operations.get_call import MAX_ID
from toolgate.operations.list_calls import is_own_call
from toolgate.operations.review import Review, reviewed

if TYPE_CHECKING:
    from toolgate.domain.outcome import Outcome
    from toolgate.domain.principal import Principal
    from toolgate.domain.rows import CallRow, JobRow
    from toolgate.gateway.world import World

_NO_SUCH_CALL: Final = Declined("not_found", "no held call of this caller")


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """A call at one moment: its row, what it answers, its approval as it is, without what edits replaced, and its job.

    Attributes:
        review: None where nobody was ever asked.
        job: None where it is none, or has not been put into its queue yet.
    """

    row: CallRow
    outcome: Outcome[Any]
    review: Review | None
    job: JobRow | None = None


async def follow_call(
    world: World, call_id: str, *, by: Principal, any_call: bool = False
) -> Followed | Declined:
    """The call, for whoever asked for it. Anybody else's, one never held and one that never was are answered alike.

    ``any_call``: one that never had to wait is found too.
    """
    # What was never an id of ours is not looked for: it may not even be text that a store takes.
    if not (call_id.isascii() and len(call_id) <= MAX_ID):
        return _NO_SUCH_CALL
    found = await world.store.find(ByJob(call_id))
    if found.call is None or not is_own_call(found.call, by):
        return _NO_SUCH_CALL
    job, found = found.job, await observed(world, found)
    review, row = reviewed(found, await world.store.now()), found.call
    if row is None or (review is None and job is None and not any_call):
        return _NO_SUCH_CALL
    outcome = await recall(world, found, replayed=False)
    return Followed(row=row if review is None else review.call, outcome=outcome, review=review, job=job)
