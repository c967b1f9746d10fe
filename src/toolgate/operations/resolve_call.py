"""A person says how an unknown effect ended, with a reason that the trail keeps."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from toolgate.domain.commands import Done, NotAllowed, Resolve
from toolgate.domain.errors import GateFault, StoreInDoubt, StoreUnavailable
from toolgate.domain.lifecycle import EffectCause, EffectState
from toolgate.domain.redaction import redact_text
from toolgate.domain.rows import ByCall, CallRow, SealedRow
from toolgate.gateway.prepare.seal import Unfit, seal
from toolgate.gateway.records import answer_row
from toolgate.operations.reopen import reopened
from toolgate.operations.reread import reread

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolgate.domain.caller import Caller
    from toolgate.domain.commands import DraftHold
    from toolgate.gateway.world import World

_log = logging.getLogger("toolgate")
MAX_REASON = 2000
RESOLVER_ROLE = "operator"
"""What a person needs to say how an effect ended: whoever frees a key lets its effect happen again."""
NOT_APPLIED = {
    "message": "It was found out that this did not happen. It may be asked for again.",
    "advice": "retry",
}


def may_resolve(caller: Caller) -> str | None:
    """Why ``caller`` may not resolve calls, or None where they may. For surfaces that people act through."""
    return None if RESOLVER_ROLE in caller.roles else f"resolving a call needs the role {RESOLVER_ROLE}"


async def resolve_call(
    world: World, call_id: str, *, applied: bool, by: Caller, reason: str
) -> CallRow | str:
    """The call as it is now, or why it cannot be resolved so.

    ``applied`` replays a null result from then on. Not applied frees the key; if people had approved the
    call, a new approval is drafted, filled in.
    """
    text = redact_text(reason.strip())[:MAX_REASON]
    if not text:
        return "say why, in a few words; the trail keeps it"
    row = (await world.store.find(ByCall(call_id))).call
    if row is None or row.tenant != by.tenant:
        return "there is no such call"
    if row.effect_state is not EffectState.UNKNOWN:
        return f"its effect is {row.effect_state.value if row.effect_state else 'none'}; only unknown ones are resolved"
    cause = EffectCause.RESOLVED_APPLIED if applied else EffectCause.RESOLVED_NOT_APPLIED
    reopen = None if applied else await _reopen(world, row)
    result = kept_words(world, row, {"result": None} if applied else NOT_APPLIED)
    answer = await world.store.execute(Resolve(call_id, cause, by.id, text, result, reopen=reopen))
    match answer:
        case Done(call=moved) if moved is not None:
            return moved
        case NotAllowed(why):
            return why
        case _:
            return "it was resolved meanwhile"


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
