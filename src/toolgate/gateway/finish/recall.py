"""What the ledger answers for a call that is known already: replays, held calls, ``get_call``."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from toolgate.domain.approval import Requirement, tally
from toolgate.domain.commands import EndApproval
from toolgate.domain.errors import StoreInDoubt, StoreUnavailable, ToolgateError
from toolgate.domain.jobs import STARTED, job_id_of
from toolgate.domain.lifecycle import ApprovalCause, ApprovalState, EffectState, is_open
from toolgate.domain.outcome import (
    Advice,
    ErrorType,
    Outcome,
    PendingApproval,
    Started,
    Succeeded,
    WorldEffect,
    unsuccessful,
)
from toolgate.domain.rows import RUNNING, ByCall
from toolgate.gateway.finish.check_result import encode, shown_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toolgate.domain.approval import Vote
    from toolgate.domain.canonical import JsonValue
    from toolgate.domain.rows import ApprovalRow, CallRow, Found
    from toolgate.gateway.world import World

_log = logging.getLogger("toolgate")
_NOT_KEPT = "it was applied before; what it answered is kept no longer"
_UNOPENED = "What it answered before cannot be read any more. Do not repeat it; a person has to look."
_WORLD = {
    None: WorldEffect.NONE,
    EffectState.INTENDED: WorldEffect.UNKNOWN,
    EffectState.UNKNOWN: WorldEffect.UNKNOWN,
    EffectState.APPLIED: WorldEffect.APPLIED,
    EffectState.NOT_APPLIED: WorldEffect.NONE,
}


def pending(
    call: CallRow, approval: ApprovalRow, votes: Sequence[Vote] = (), *, replayed: bool = False
) -> PendingApproval:
    """The outcome of a held call."""
    required = Requirement.from_json(json.loads(approval.requirement))
    said = required.reason
    # More may be required by now than when it was approved: then it waits for people again.
    enough = tally(
        required,
        votes,
        revision=approval.revision,
        requester=approval.caller_id,
        barred=approval.barred,
    ).enough
    waits = approval.state is ApprovalState.PENDING or not enough
    whom = "whoever asked to confirm it" if required.own else "a person"
    agreed = "It is confirmed" if required.own else "A person approved"
    message = f"Waiting for {whom}: {said}. Nothing ran." if waits else f"{agreed}; it will run shortly."
    return PendingApproval(
        call_id=call.call_id,
        approval_id=approval.approval_id,
        advice=Advice.WAIT_FOR_APPROVAL,
        message=message,
        expires_at=datetime.fromtimestamp(approval.expires_at / 1e6, UTC).isoformat(timespec="seconds"),
        replayed=replayed,
        edited=edited(approval),
    )


def started(call_id: str, *, replayed: bool = False, effect: WorldEffect = WorldEffect.NONE) -> Started:
    """The outcome of a call whose job waits or runs."""
    return Started(
        call_id=call_id,
        job_id=job_id_of(call_id),
        advice=Advice.CHECK_JOB,
        effect=effect,
        replayed=replayed,
    )


def edited(approval: ApprovalRow | None) -> Mapping[str, JsonValue] | None:
    """What runs in place of what was asked for, sensitive values replaced; None where nobody changed it."""
    if approval is None or approval.revision == 1:
        return None
    arguments: Mapping[str, JsonValue] = json.loads(approval.shown)["arguments"]
    return arguments


async def recall(world: World, found: Found, *, replayed: bool) -> Outcome[Any]:
    """The outcome of ``found.call`` as it is now. Whoever asked is told what a person changed.

    Where only the claim is left, the call's own retention has ended: it was applied, and that is all that is known.
    """
    if found.call is None and found.claim is not None:
        return Succeeded(
            call_id=found.claim.call_id,
            result=None,
            effect=WorldEffect.APPLIED,
            replayed=replayed,
            reasons=(_NOT_KEPT,),
        )
    found = await observed(world, found)
    told = await _told(world, found, replayed=replayed)
    changed = edited(found.approval)
    return told if changed is None else replace(told, edited=changed)


async def _told(world: World, found: Found, *, replayed: bool) -> Outcome[Any]:
    call, approval = found.call, found.approval
    assert call is not None
    if call.effect_state is None and approval is not None and is_open(approval.state):
        return pending(call, approval, found.votes, replayed=replayed)
    if call.status == STARTED:
        return started(call.call_id, replayed=replayed)
    if call.status == RUNNING and await world.store.job(job_id_of(call.call_id)) is not None:
        writes = call.effect != "read"
        effect = WorldEffect.UNKNOWN if writes else WorldEffect.NONE
        return started(call.call_id, replayed=replayed, effect=effect)
    if call.status == RUNNING:
        return unsuccessful(
            ErrorType.IDEMPOTENCY_IN_FLIGHT,
            call_id=call.call_id,
            message="It is running. What it does is not known yet; look again, and do not repeat it.",
            effect=WorldEffect.UNKNOWN,
            retry_after=1.0,
        )
    if call.incident is not None:
        # Two witnesses contradict each other: neither is told as the truth.
        return unsuccessful(
            ErrorType.OUTCOME_UNKNOWN,
            call_id=call.call_id,
            approval_id=call.approval_id,
            replayed=replayed,
            reasons=(call.incident,),
        )
    try:
        kept = await _kept(world, call)
    except (StoreUnavailable, StoreInDoubt):
        raise
    except ToolgateError as fault:
        # What happened is known from the row; only its words are lost, and must not turn into "nothing happened".
        _log.error("what was kept of %s cannot be opened: %s", call.call_id, type(fault).__name__)
        return unsuccessful(
            ErrorType.INTERNAL_ERROR,
            call_id=call.call_id,
            message=_UNOPENED,
            effect=_WORLD[call.effect_state],
            approval_id=call.approval_id,
            replayed=replayed,
            reasons=(f"{type(fault).__name__}: the kept outcome cannot be opened",),
        )
    if call.status == "succeeded":
        return _succeeded(world, call, kept, replayed=replayed)
    return unsuccessful(
        ErrorType(call.error_type or "internal_error"),
        call_id=call.call_id,
        message=kept.get("message"),
        code=kept.get("code"),
        effect=_WORLD[call.effect_state],
        advice=Advice(kept["advice"]) if "advice" in kept else None,
        approval_id=call.approval_id,
        replayed=replayed,
        reasons=(approval.reason,) if approval is not None and approval.reason else (),
    )


async def observed(world: World, found: Found) -> Found:
    """``found``, once an expiry that shows in it is written: nobody is told to wait for what has ended."""
    call, approval = found.call, found.approval
    if call is None or approval is None or not is_open(approval.state):
        return found
    if await world.store.now() < approval.expires_at:
        return found
    await world.store.execute(
        EndApproval(
            approval.approval_id, ApprovalCause.LAPSED, "clock", "its time ran out", "approval_expired"
        )
    )
    return await world.store.find(ByCall(call.call_id))


def _succeeded(world: World, call: CallRow, kept: Mapping[str, Any], *, replayed: bool) -> Outcome[Any]:
    tree = kept.get("result")
    raw = encode(tree).encode()
    registered = world.registry.get(call.tool)
    limit = registered.result_size if registered else world.limits.result_size
    result = _typed(world, call, tree, raw)
    shown, truncated = shown_of(result, tree, limit=limit, measured=len(raw))
    lost = "what it answered is not kept: a read's result lives only in its answer"
    if call.effect_state is EffectState.APPLIED:
        lost = _NOT_KEPT
    return Succeeded(
        call_id=call.call_id,
        result=result,
        shown=encode(shown).encode(),
        truncated=truncated,
        effect=_WORLD[call.effect_state],
        replayed=replayed,
        reasons=() if kept else (lost,),
    )


def _typed(world: World, call: CallRow, tree: Any, raw: bytes) -> Any:
    """The result as its type; as plain values where the tool is gone, changed, or a person answered for it."""
    registered = world.registry.get(call.tool)
    if registered is None or tree is None:
        return tree
    try:
        return registered.tool.output.load_result(raw)
    except ValidationError:
        return tree


async def _kept(world: World, call: CallRow) -> Mapping[str, Any]:
    row = await world.store.sealed(call.call_id, "result")
    if row is None:
        return {}
    plain = world.keys.decrypt(row.sealed, tenant=call.tenant, call_id=call.call_id, kind="result")
    kept: Mapping[str, Any] = json.loads(plain)
    return kept
