"""How a call stands, for whoever may see it: the caller gets what the call answers, others how it ended.

Not here: all that is known about it (``call_story``), and waiting for its end, which is the surface's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from toolgate.domain.outcome import ErrorType, Outcome, PendingApproval, Refused, Started, WorldEffect
from toolgate.domain.principal import Declined
from toolgate.domain.rows import RUNNING, ByCall
from toolgate.operations.call_story import how_it_ended
from toolgate.operations.get_call import MAX_ID, get_call
from toolgate.operations.list_calls import may_see_call

if TYPE_CHECKING:
    from toolgate.domain.principal import Principal
    from toolgate.domain.rows import CallRow
    from toolgate.gateway.world import World

_NO_SUCH_CALL: Final = Declined("not_found", "there is no such call")
_UNDER_WAY: Final = frozenset({RUNNING, "pending_approval", "started"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A call at one moment.

    Attributes:
        outcome: the JSON of its answer as it is now; without the result for anybody but the caller.
        ended: whether this is its last word, as far as anybody knows.
    """

    row: CallRow
    outcome: dict[str, Any]
    ended: bool


async def see_call(world: World, call_id: str, *, by: Principal) -> Seen | Declined:
    """The call; one that ``by`` may not see is answered like one that never was."""
    ours = call_id.isascii() and len(call_id) <= MAX_ID
    row = (await world.store.find(ByCall(call_id))).call if ours else None
    if row is None or not may_see_call(row, by):
        return _NO_SUCH_CALL
    # The caller's own answer comes first also for an operator who asked for the call in person.
    if row.caller_id != by.id:
        told = {**how_it_ended(row), "call_id": row.call_id}
        return Seen(row=row, outcome=told, ended=row.status not in _UNDER_WAY)
    outcome = await get_call(world, call_id, caller=by.caller)
    return Seen(row=row, outcome=outcome.to_model(), ended=has_ended(outcome))


def has_ended(outcome: Outcome[Any]) -> bool:
    """Whether ``outcome`` is the last word on a call, as far as anybody knows."""
    if isinstance(outcome, PendingApproval | Started):
        return False
    # One that ended as `in flight` did nothing; of one that runs nobody knows yet what it does.
    running = isinstance(outcome, Refused) and outcome.error_type is ErrorType.IDEMPOTENCY_IN_FLIGHT
    return not (running and outcome.effect is WorldEffect.UNKNOWN)
