"""The pure decision that each command of the ledger comes to.

A store loads what a command is about (``Command.subject`` → ``Found``), asks ``decide`` and writes the
rows, all in one transaction of one writer; so every store decides alike, and a decision can be tested
without one. No transition without its audit event.

Not here: SQL, encryption (rows carry sealed bytes), and what a gate would say.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from toolgate.domain.approval import Requirement, Vote, may_vote, person, tally
from toolgate.domain.canonical import JsonValue, canonical_json
from toolgate.domain.commands import (
    DONE,
    Answer,
    Append,
    Command,
    DecideApproval,
    Dispatch,
    Done,
    DraftHold,
    EndApproval,
    Intend,
    Lapse,
    LateEvidence,
    NotAllowed,
    PutToken,
    Record,
    Rehold,
    Renew,
    Resolve,
    Settle,
    Superseded,
    Taken,
)
from toolgate.domain.idempotency import KeyUse, judge_claim
from toolgate.domain.lifecycle import (
    ApprovalCause,
    ApprovalState,
    EffectCause,
    EffectState,
    is_open,
    next_approval,
    next_effect,
)
from toolgate.domain.outcome import ERRORS, ErrorType
from toolgate.domain.rows import (
    RUNNING,
    ApprovalRow,
    CallChanged,
    CallRow,
    ClaimRow,
    Event,
    Found,
    NewCall,
    Row,
)
from toolgate.domain.trail import CHAIN_OPENED, call_record, plain_record

if TYPE_CHECKING:
    from collections.abc import Mapping


class Decision(NamedTuple):
    """What to answer and what to write; an empty ``rows`` writes nothing."""

    answer: Answer
    rows: tuple[Row, ...] = ()


def decide(command: Command, found: Found, now: int) -> Decision:  # noqa: C901, PLR0912 - one line a command
    """What ``command`` comes to, given the rows it is about and the store's time (µs)."""
    match command:
        case Record(call, event):
            return Decision(DONE, (NewCall(call), event))
        case Append(events):
            return Decision(DONE, events)
        case Intend():
            return _intend(command, found, now)
        case DraftHold():
            return _draft_hold(command, found)
        case Settle():
            return _settle(command, found)
        case Rehold():
            return _rehold(command, found)
        case Dispatch():
            return _dispatch(command, found, now)
        case DecideApproval():
            return _decide_approval(command, found, now)
        case EndApproval():
            return _end_approval(command, found, now)
        case Lapse():
            return _lapse(command, found, now)
        case Resolve():
            return _resolve(command, found, now)
        case LateEvidence():
            return _late_evidence(command, found, now)
        case Renew():
            return _renew(command, found)
        case PutToken(token, event):
            return Decision(DONE, (token, event))


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


def _intend(command: Intend, found: Found, now: int) -> Decision:
    call = _lasting(command.call, now)
    rows: tuple[Row, ...] = (NewCall(call), command.request, command.event)
    if command.claim is None:
        return Decision(Done(call), rows)
    use = claim_use(command.claim, found)
    if use is not KeyUse.FREE:
        return Decision(Taken(use, found))
    return Decision(Done(call), (command.claim, *rows))


def _lasting(call: CallRow, now: int) -> CallRow:
    """The lease counted from the store's clock, which never goes back.

    A gateway's clock that was set back must not make an attempt that has just begun look like one that died.
    """
    behind = now - call.updated_at
    return call if behind < _CLOCKS_APART else call._replace(lease_until=call.lease_until + behind)


def _draft_hold(command: DraftHold, found: Found) -> Decision:
    use = claim_use(command.claim, found)
    if use is not KeyUse.FREE:
        return Decision(Taken(use, found))
    rows = (command.claim, NewCall(command.call), command.approval, command.request, command.event)
    return Decision(Done(command.call, command.approval), rows)


def _settle(command: Settle, found: Found) -> Decision:
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
    rows: tuple[Row, ...] = (CallChanged(call), command.event)
    return Decision(Done(call), (command.result, *rows) if command.result else rows)


def _rehold(command: Rehold, found: Found) -> Decision:
    row = found.call
    if row is None or row.effect_state is not EffectState.INTENDED or row.owner != command.call.owner:
        return Decision(Superseded(row))
    rows: tuple[Row, ...] = (CallChanged(command.call), command.approval, command.event)
    return Decision(Done(command.call, command.approval), (command.claim, *rows) if command.claim else rows)


def _dispatch(command: Dispatch, found: Found, now: int) -> Decision:
    call, approval = found.call, found.approval
    if call is None or approval is None or approval.state is not ApprovalState.APPROVED:
        return Decision(Superseded(call))
    if call.approval_id != approval.approval_id or call.effect_state is not None:
        return Decision(Superseded(call))
    if now >= approval.expires_at:
        return _ended(found, ApprovalCause.LAPSED, "clock", "its time ran out", "approval_expired", now)
    if approval.digest != command.digest:
        return Decision(NotAllowed("what would run is not what was approved", found))
    stored = stored_requirement(approval)
    required = stored.merged(command.requirement)
    counted = tally(required, found.votes, revision=approval.revision, requester=call.caller_id)
    if not counted.enough:
        return _raise_requirement(found, required, counted.missing, now)
    after = approval._replace(state=ApprovalState.CONSUMED, updated_at=now)
    moved = call._replace(
        status=RUNNING,
        effect_state=EffectState.INTENDED,
        owner=command.owner,
        lease_until=command.lease_until,
        updated_at=now,
    )
    record = call_record(
        moved,
        transition="intended",
        at=now,
        decision="allow",
        effect="unknown",
        approval_status="approved",
        extra={"toolgate.approval.voters": list[JsonValue](counted.voters)} if counted.voters else None,
    )
    return Decision(Done(moved, after), (CallChanged(moved), after, Event(call.call_id, now, record)))


def _raise_requirement(found: Found, required: Requirement, missing: str, now: int) -> Decision:
    """More is required than when it was approved: keep the votes, show the new requirement, run nothing."""
    call, approval = found.call, found.approval
    assert call is not None
    assert approval is not None
    reason = f"more is required than when it was approved: {missing}"
    if not required.demands_more_than(stored_requirement(approval)):
        return Decision(NotAllowed(reason, found))
    raised = approval._replace(requirement=canonical_json(required.to_json()), updated_at=now)
    record = call_record(
        call, transition="requirement_raised", at=now, decision="hold", effect="none", reasons=(reason,)
    )
    return Decision(NotAllowed(reason, found, wrote=True), (raised, Event(call.call_id, now, record)))


def _decide_approval(command: DecideApproval, found: Found, now: int) -> Decision:
    call, approval = found.call, found.approval
    if call is None or approval is None:
        return Decision(NotAllowed("there is no such approval", found))
    if is_open(approval.state) and now >= approval.expires_at:
        return _ended(found, ApprovalCause.LAPSED, "clock", "its time ran out", "approval_expired", now)
    requirement = stored_requirement(approval)
    if (why := _undecidable(command, found, requirement)) is not None:
        return Decision(NotAllowed(why, found))
    if command.decision == "deny":
        return _ended(
            found,
            ApprovalCause.DENIED,
            command.voter.id,
            command.reason,
            "approval_denied",
            now,
            refused=False,
        )
    vote = Vote(
        approval_id=approval.approval_id,
        revision=approval.revision,
        voter=command.voter.id,
        roles=command.voter.roles,
        reason=command.reason,
        at=now,
    )
    counted = tally(requirement, (*found.votes, vote), revision=approval.revision, requester=call.caller_id)
    state = ApprovalState.APPROVED if counted.enough else approval.state
    after = approval._replace(state=state, updated_at=now)
    record = call_record(
        call,
        transition="approval_approved",
        at=now,
        decision="hold",
        effect="none",
        approval_status=state.value,
        extra=_said(command.voter.id, command.reason),
    )
    return Decision(Done(call, after), (after, vote, Event(call.call_id, now, record)))


def _undecidable(command: DecideApproval, found: Found, requirement: Requirement) -> str | None:
    approval = found.approval
    assert approval is not None
    if approval.state is ApprovalState.APPROVED and command.decision == "approve":
        counted = tally(requirement, found.votes, revision=approval.revision, requester=approval.caller_id)
        if counted.enough:
            return "it is approved already"
    elif approval.state is not ApprovalState.PENDING:
        return f"it is {approval.state.value} already"
    if approval.digest != command.digest:
        return "it changed since it was shown; look at it again"
    if why := may_vote(requirement, command.voter, requester=approval.caller_id, tenant=approval.tenant):
        return why
    if command.decision == "approve" and any(
        person(vote.voter) == person(command.voter.id) and vote.revision == approval.revision
        for vote in found.votes
    ):
        return "you approved it already; another person is needed"
    return None


def _end_approval(command: EndApproval, found: Found, now: int) -> Decision:
    if found.approval is None or next_approval(found.approval.state, command.cause) is None:
        return Decision(Superseded(found.call))
    if command.cause is ApprovalCause.LAPSED and now < found.approval.expires_at:
        return Decision(Superseded(found.call))
    return _ended(found, command.cause, command.actor, command.reason, command.error_type, now, refused=False)


def _ended(  # noqa: PLR0917 - told from one another by their types and names in every call
    found: Found,
    cause: ApprovalCause,
    actor: str,
    reason: str,
    error_type: str,
    now: int,
    *,
    refused: bool = True,
) -> Decision:
    """Close an approval and its call. ``refused``: the command that saw it wanted something else."""
    call, approval = found.call, found.approval
    assert call is not None
    assert approval is not None
    state = next_approval(approval.state, cause)
    assert state is not None
    after = approval._replace(state=state, updated_at=now, reason=reason)
    moved = call._replace(status="refused", error_type=error_type, updated_at=now)
    record = call_record(
        moved,
        transition=f"approval_{state.value}",
        at=now,
        decision="deny",
        effect="none",
        approval_status=state.value,
        extra=_said(actor, reason),
    )
    answer: Answer = (
        NotAllowed(f"it is {state.value}: {reason}", found, wrote=True) if refused else Done(moved, after)
    )
    return Decision(answer, (after, CallChanged(moved), Event(call.call_id, now, record)))


def _lapse(command: Lapse, found: Found, now: int) -> Decision:
    call = found.call
    if call is None or call.effect_state is not EffectState.INTENDED or call.lease_until > now:
        return Decision(Superseded(call))
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
        extra=_said(command.actor, "the intent has no outcome and its owner's lease ran out"),
    )
    return Decision(Done(moved), (CallChanged(moved), Event(call.call_id, now, record)))


_NOT_APPLIED_CAUSES = frozenset({EffectCause.RECONCILED_NOT_APPLIED, EffectCause.RESOLVED_NOT_APPLIED})


def _resolve(command: Resolve, found: Found, now: int) -> Decision:
    call = found.call
    if call is None or call.effect_state is None:
        return Decision(NotAllowed("there is no such effect", found))
    after = next_effect(call.effect_state, command.cause)
    if after is None:
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
    )
    record = call_record(
        moved,
        transition="resolved",
        at=now,
        decision="allow",
        effect="applied" if applied else "none",
        extra={**_said(command.actor, command.reason), "toolgate.cause": command.cause.value},
    )
    rows: list[Row] = [CallChanged(moved), Event(call.call_id, now, record)]
    if command.result is not None:
        rows.append(command.result)
    if command.reopen is not None and not applied:
        again = command.reopen
        rows += [again.claim, NewCall(again.call), again.approval, again.request, again.event]
    return Decision(Done(moved), tuple(rows))


def _late_evidence(command: LateEvidence, found: Found, now: int) -> Decision:
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


def _renew(command: Renew, found: Found) -> Decision:
    call = found.call
    if call is None or call.owner != command.owner or call.effect_state is None:
        return Decision(Superseded(call))
    moved = call._replace(lease_until=max(call.lease_until, command.lease_until))
    return Decision(Done(moved), (CallChanged(moved),))


def _said(actor: str, reason: str) -> Mapping[str, JsonValue]:
    return {"toolgate.actor": actor, "toolgate.reason": reason}


def stored_requirement(approval: ApprovalRow) -> Requirement:
    """What the approval demands, as it was last written."""
    return Requirement.from_json(json.loads(approval.requirement))


def chain_opened_event(
    *, at: int, known_heads: Mapping[str, tuple[int, str]], boot: Mapping[str, JsonValue]
) -> Event:
    """The first event of a boot's chain: it names every head known, so that a dropped chain shows."""
    heads: dict[str, JsonValue] = {chain: [seq, link] for chain, (seq, link) in sorted(known_heads.items())}
    return Event(None, at, plain_record(CHAIN_OPENED, at=at, fields={"known_heads": heads, **boot}))
