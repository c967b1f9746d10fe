"""Intents and what became of them: claim a key, settle, lapse, resolve, late evidence.

Not here: whether a person has to agree (``approvals``), and what a grant stands for (``grants``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.domain.commands import Done, NotAllowed, Superseded, Taken
from toolgate.domain.idempotency import KeyUse, judge_claim
from toolgate.domain.ledger.decision import Decision, said
from toolgate.domain.ledger.grants import spend
from toolgate.domain.ledger.jobs import queued, requeue
from toolgate.domain.ledger.notices import in_doubt, requested
from toolgate.domain.lifecycle import EffectCause, EffectState, next_effect
from toolgate.domain.outcome import ERRORS, ErrorType
from toolgate.domain.rows import CallChanged, CallRow, ClaimRow, Event, Found, NewCall, Row
from toolgate.domain.trail import call_record

if TYPE_CHECKING:
    from toolgate.domain.commands import Intend, Lapse, LateEvidence, Renew, Resolve, Settle


def claim_use(claim: ClaimRow, found: Found) -> KeyUse:
    """What the key means for a call that would claim it as ``claim``."""
    use = judge_claim(found, caller_id=claim.caller_id, fingerprint=claim.fingerprint)
    if claim.attach_only and use is not KeyUse.PENDING:
        # A call without a key never repeats another's outcome: it only joins a hold that is still open.
        return KeyUse.FREE
    return use


_CLOCKS_APART = 1_000_000
"""Microseconds between a gateway's clock and the store's above which a lease is counted anew; below, its margin covers
the wait for the writer."""


def intend(command: Intend, found: Found, now: int) -> Decision:
    """Claim the key, spend a use of the grant where one stands for consent, and write the intent, or queue the job."""
    call = _lasting(command.call, now)
    rows: tuple[Row, ...] = (NewCall(call), command.request, command.event)
    if command.job is not None:
        call, job = queued(call, command.job, now)
        rows = (NewCall(call), job, command.request, command.event)
    if command.claim is not None:
        use = claim_use(command.claim, found)
        if use is not KeyUse.FREE:
            return Decision(Taken(use, found))
        rows = (command.claim, *rows)
    if command.grant is None:
        return Decision(Done(call), rows)
    spent = spend(command.grant, found.grant, call, now)
    if isinstance(spent, str):
        return Decision(NotAllowed(spent, found))
    return Decision(Done(call), (spent, *rows))


def _lasting(call: CallRow, now: int) -> CallRow:
    """The lease counted from the store's clock, which never goes back.

    A gateway's clock that was set back must not make an attempt that has just begun look like one that died.
    """
    behind = now - call.updated_at
    return call if behind < _CLOCKS_APART else call._replace(lease_until=call.lease_until + behind)


def settle(command: Settle, found: Found) -> Decision:
    """The owner's word on its intent; not if others moved it meanwhile."""
    row = found.call
    if row is None or row.effect_state is not EffectState.INTENDED or row.owner != command.call.owner:
        return Decision(Superseded(row))
    after = next_effect(row.effect_state, command.cause)
    if after is not command.call.effect_state:
        return Decision(Superseded(row))
    call = command.call
    if row.lease_until > call.lease_until:
        # A lease is never cut short: in doubt, the attempt may still be running.
        call = call._replace(lease_until=row.lease_until)
    rows: list[Row] = [CallChanged(call), command.event]
    if command.result is not None:
        rows.insert(0, command.result)
    if after is EffectState.UNKNOWN:
        rows.append(in_doubt(call, call.updated_at))
    return Decision(Done(call), tuple(rows))


def lapse(command: Lapse, found: Found, now: int) -> Decision:
    """An intent whose lease ran out: unknown, or nothing where it only read; a job may go back to its queue."""
    call = found.call
    if call is None or call.effect_state is not EffectState.INTENDED:
        return Decision(Superseded(call))
    if call.lease_until > now and not (command.gone and call.owner == command.actor):
        return Decision(Superseded(call))
    if found.job is not None and (again := requeue(call, found.job, command.actor, now)) is not None:
        return again
    if call.effect == "read":
        # Somebody had to agree to it, so it has an intent; but a read leaves nothing in doubt.
        moved = call._replace(
            effect_state=EffectState.NOT_APPLIED, status="failed", error_type="timeout", updated_at=now
        )
    else:
        moved = call._replace(
            effect_state=EffectState.UNKNOWN, status="unknown", error_type="outcome_unknown", updated_at=now
        )
    record = call_record(
        moved,
        transition="lapsed",
        at=now,
        decision="allow",
        effect="none" if call.effect == "read" else "unknown",
        extra=said(command.actor, "the intent has no outcome and its owner's lease ran out"),
    )
    rows: tuple[Row, ...] = (CallChanged(moved), Event(call.call_id, now, record))
    return Decision(Done(moved), (*rows, in_doubt(moved, now)) if moved.status == "unknown" else rows)


_CORRECTIONS = frozenset({EffectCause.CORRECTED_APPLIED, EffectCause.CORRECTED_NOT_APPLIED})
_NOT_APPLIED_CAUSES = frozenset(
    {
        EffectCause.RECONCILED_NOT_APPLIED,
        EffectCause.RESOLVED_NOT_APPLIED,
        EffectCause.CORRECTED_NOT_APPLIED,
    }
)


def resolve(command: Resolve, found: Found, now: int) -> Decision:
    """A person, or the contract's reconcile, knows how an unknown effect ended."""
    call = found.call
    if call is None or call.effect_state is None:
        return Decision(NotAllowed("there is no such effect", found))
    after = next_effect(call.effect_state, command.cause)
    if after is None or (command.cause in _CORRECTIONS and call.incident is None):
        return Decision(NotAllowed(f"the effect is {call.effect_state.value}, not unknown", found))
    if command.cause in _NOT_APPLIED_CAUSES and call.lease_until > now:
        return Decision(
            NotAllowed("an attempt may still be running; it cannot be called not applied yet", found)
        )
    applied = after is EffectState.APPLIED
    moved = call._replace(
        effect_state=after,
        status=command.status if applied else "failed",
        error_type=None if applied else "tool_error",
        updated_at=now,
        incident=None if command.cause in _CORRECTIONS else call.incident,
    )
    record = call_record(
        moved,
        transition="resolved",
        at=now,
        decision="allow",
        effect="applied" if applied else "none",
        extra={**said(command.actor, command.reason), "toolgate.cause": command.cause.value},
    )
    rows: list[Row] = [CallChanged(moved), Event(call.call_id, now, record)]
    if command.result is not None:
        rows.append(command.result)
    if command.reopen is not None and not applied:
        again = command.reopen
        rows += [again.claim, *again.also, NewCall(again.call), again.approval, again.request, again.event]
        rows.append(requested(again.call, again.approval, now))
    return Decision(Done(moved), tuple(rows))


def late_evidence(command: LateEvidence, found: Found, now: int) -> Decision:
    """What an attempt that had been given up says after all: evidence, or an incident."""
    call = found.call
    if call is None or call.effect_state is None or call.owner != command.owner:
        return Decision(Superseded(call))
    # The attempt is over, so nothing of it "may still be running".
    call = call._replace(lease_until=min(call.lease_until, now), updated_at=now)
    if command.applied is None:
        return Decision(Done(call), (CallChanged(call),))
    before = found.call.effect_state if found.call else None
    assert before is not None
    cause = EffectCause.LATE_APPLIED if command.applied else EffectCause.LATE_NOT_APPLIED
    wanted = EffectState.APPLIED if command.applied else EffectState.NOT_APPLIED
    if before is EffectState.INTENDED:
        cause = EffectCause.SETTLED_APPLIED if command.applied else EffectCause.SETTLED_NOT_APPLIED
    after = next_effect(before, cause)
    incident = None
    if after is None and before is not wanted:
        incident = f"a late result says {wanted.value}, but it was resolved as {before.value}"
    if after is not None:
        call = call._replace(
            effect_state=after,
            status=_late_status(command),
            error_type=command.error_type if command.applied else command.error_type or "tool_error",
        )
    call = call._replace(incident=incident or call.incident)
    record = call_record(
        call,
        transition="incident" if incident else "late_evidence",
        at=now,
        decision="allow",
        effect="applied" if command.applied else "none",
        extra={"toolgate.reason": incident or command.detail, "toolgate.cause": cause.value},
    )
    rows: list[Row] = [CallChanged(call), Event(call.call_id, now, record)]
    if command.result is not None and call.effect_state is wanted:
        rows.append(command.result)
    return Decision(Done(call), tuple(rows))


def _late_status(command: LateEvidence) -> str:
    """An attempt that did something may have failed all the same: late or not, it says what it would have said."""
    if command.error_type is None:
        return "succeeded" if command.applied else "failed"
    return ERRORS[ErrorType(command.error_type)].status.value


def renew(command: Renew, found: Found) -> Decision:
    """The owner's attempt still runs."""
    call = found.call
    if call is None or call.owner != command.owner or call.effect_state is None:
        return Decision(Superseded(call))
    moved = call._replace(lease_until=max(call.lease_until, command.lease_until))
    return Decision(Done(moved), (CallChanged(moved),))
