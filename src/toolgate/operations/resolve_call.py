"""A person says how an unknown effect ended, with a reason that the trail keeps."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from toolgate.domain.commands import Done, Resolve
from toolgate.domain.errors import GateFault, StoreInDoubt, StoreUnavailable
from toolgate.domain.lifecycle import EffectCause, EffectState
from toolgate.domain.principal import Action, Declined, forbids
from toolgate.domain.rows import ByCall, CallRow, SealedRow
from toolgate.gateway.prepare.seal import Unfit, seal
from toolgate.gateway.records import answer_row
from toolgate.operations.answers import declined
from toolgate.operations.decide_approval import SAY_WHY, said
from toolgate.operations.reopen import reopened
from toolgate.operations.reread import reread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolgate.domain.commands import DraftHold
    from toolgate.domain.principal import Principal
    from toolgate.gateway.world import World

_log = logging.getLogger("toolgate")
NO_SUCH_CALL = Declined("not_found", "there is no such call")
NOT_APPLIED = {
    "message": "It was found out that this did not happen. It may be asked for again.",
    "advice": "retry",
}


async def resolve_call(
    world: World, call_id: str, *, applied: bool, by: Principal, reason: str
) -> CallRow | Declined:
    """The call as it is now, or why it cannot be resolved so.

    ``applied`` replays a null result from then on. Not applied frees the key; if people had approved the
    call, a new approval is drafted, filled in. A call with an incident, where what was resolved and what came to
    light contradict each other, is closed by it the one way or the other. It takes the role ``operator``: whoever
    frees a key lets its effect happen again.
    """
    if why := forbids(by, Action.RESOLVE):
        return Declined("forbidden", why)
    if not (text := said(reason)):
        return SAY_WHY
    row = (await world.store.find(ByCall(call_id))).call
    if row is None or row.tenant != by.tenant:
        return NO_SUCH_CALL
    if row.effect_state is EffectState.UNKNOWN:
        command = await _resolution(world, row, applied=applied, by=by, reason=text)
    elif row.effect_state is not None and row.incident is not None:
        command = _correction(world, row, applied=applied, by=by, reason=text)
    else:
        state = row.effect_state.value if row.effect_state else "none"
        return Declined("conflict", f"its effect is {state}; only unknown ones are resolved")
    answer = await world.store.execute(command)
    if (refused := declined(answer, "it was resolved meanwhile")) is not None:
        return refused
    assert isinstance(answer, Done)
    assert answer.call is not None
    return answer.call


async def _resolution(world: World, row: CallRow, *, applied: bool, by: Principal, reason: str) -> Resolve:
    cause = EffectCause.RESOLVED_APPLIED if applied else EffectCause.RESOLVED_NOT_APPLIED
    reopen = None if applied else await _reopen(world, row)
    result = kept_words(world, row, {"result": None} if applied else NOT_APPLIED)
    return Resolve(row.call_id, cause, by.id, reason, result, reopen=reopen)


def _correction(world: World, row: CallRow, *, applied: bool, by: Principal, reason: str) -> Resolve:
    """A person's word on an incident. What was answered so far stays where they confirm it."""
    cause = EffectCause.CORRECTED_APPLIED if applied else EffectCause.CORRECTED_NOT_APPLIED
    if applied and row.effect_state is EffectState.APPLIED:
        return Resolve(row.call_id, cause, by.id, reason, None, status=row.status)
    result = kept_words(world, row, {"result": None} if applied else NOT_APPLIED)
    return Resolve(row.call_id, cause, by.id, reason, result)


async def _reopen(world: World, row: CallRow) -> DraftHold | None:
    registered = world.registry.get(row.tool)
    try:
        received = await reread(world, row)
    except (StoreUnavailable, StoreInDoubt):
        raise
    except GateFault as fault:
        # What cannot be opened cannot be asked for again; that it did nothing can still be said.
        _log.error("the request of %s cannot be opened: %s", row.call_id, type(fault).__name__)
        return None
    if registered is None or received is None or registered.contract.digest != row.contract_digest:
        return None
    sealed = seal(world, registered, received)
    return None if isinstance(sealed, Unfit) else await reopened(world, row, sealed)


def kept_words(world: World, row: CallRow, words: Mapping[str, Any]) -> SealedRow:
    """What the call answers from now on, in place of the words of its doubt."""
    return answer_row(world, row.tenant, row.call_id, words=words)
