"""Holds and what people make of them: drafted, voted on, edited, revealed, ended, consumed.

Everything a person says comes through here, and is bound to the digest that they saw. Not here: what grants stand
for (``grants``), and who is told (``notices``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toolgate.domain.approval import Requirement, Tally, Vote, may_see, may_vote, person, tally
from toolgate.domain.canonical import JsonValue, canonical_json
from toolgate.domain.commands import Answer, Done, NotAllowed, Superseded, Taken
from toolgate.domain.idempotency import KeyUse
from toolgate.domain.ledger.decision import Decision, said, stored_requirement
from toolgate.domain.ledger.intents import claim_use
from toolgate.domain.ledger.jobs import queued
from toolgate.domain.ledger.notices import decided, edited, requested
from toolgate.domain.lifecycle import (
    ApprovalCause,
    ApprovalState,
    EffectState,
    is_open,
    next_approval,
)
from toolgate.domain.rows import (
    RUNNING,
    ApprovalRow,
    CallChanged,
    Event,
    Found,
    NewCall,
    Reveal,
    RevisionRow,
    Row,
    resealed,
)
from toolgate.domain.trail import call_record

if TYPE_CHECKING:
    from toolgate.domain.commands import (
        DecideApproval,
        Dispatch,
        DraftHold,
        EditApproval,
        EndApproval,
        Rehold,
        RevealMasked,
    )


NO_OWN_EDIT: Final = (
    "what waits for whoever asked is not edited; withdraw it, and ask for what is wanted instead"
)


def draft_hold(command: DraftHold, found: Found, now: int) -> Decision:
    """Claim the key and ask for a person."""
    use = claim_use(command.claim, found)
    if use is not KeyUse.FREE:
        return Decision(Taken(use, found))
    told = requested(command.call, command.approval, now)
    rows = (command.claim, NewCall(command.call), command.approval, command.request, command.event, told)
    return Decision(Done(command.call, command.approval), rows)


def rehold(command: Rehold, found: Found, now: int) -> Decision:
    """The business wants a person and has done nothing: held under the same key."""
    row = found.call
    if row is None or row.effect_state is not EffectState.INTENDED or row.owner != command.call.owner:
        return Decision(Superseded(row))
    told = requested(command.call, command.approval, now)
    rows: tuple[Row, ...] = (CallChanged(command.call), command.approval, command.event, told)
    return Decision(Done(command.call, command.approval), (command.claim, *rows) if command.claim else rows)


def dispatch(command: Dispatch, found: Found, now: int) -> Decision:
    """Consume the approval and write the intent, the votes counted anew."""
    call, approval = found.call, found.approval
    if call is None or approval is None or approval.state is not ApprovalState.APPROVED:
        return Decision(Superseded(call))
    if call.approval_id != approval.approval_id or call.effect_state is not None:
        return Decision(Superseded(call))
    if (over := _lapsed(found, now)) is not None:
        return over
    if approval.digest != command.digest:
        return Decision(NotAllowed("what would run is not what was approved", found))
    stored = stored_requirement(approval)
    required = stored.merged(command.requirement)
    counted = _counted(approval, required, found.votes)
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
    rows: tuple[Row, ...] = ()
    extra: dict[str, JsonValue] = {}
    if command.job is not None:
        moved, job = queued(moved, command.job, now)
        rows, extra = (job,), {"toolgate.job.id": command.job.job_id}
    if counted.voters:
        extra["toolgate.approval.voters"] = list[JsonValue](counted.voters)
    record = call_record(
        moved,
        transition="intended" if command.job is None else "job_started",
        at=now,
        decision="allow",
        effect="unknown" if command.job is None else "none",
        approval_status="approved",
        extra=extra or None,
    )
    event = Event(call.call_id, now, record)
    return Decision(Done(moved, after), (CallChanged(moved), *rows, after, event))


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
    told = requested(call, raised, now)
    return Decision(NotAllowed(reason, found, wrote=True), (raised, Event(call.call_id, now, record), told))


def decide_approval(command: DecideApproval, found: Found, now: int) -> Decision:
    """A person approves or denies what they saw."""
    call, approval = found.call, found.approval
    if call is None or approval is None:
        return Decision(NotAllowed("there is no such approval", found, why="not_found"))
    if (over := _lapsed(found, now)) is not None:
        return over
    requirement = stored_requirement(approval)
    if (refused := _undecidable(command, found, requirement)) is not None:
        return Decision(refused)
    if command.decision == "deny":
        return _ended(
            found,
            ApprovalCause.DENIED,
            command.voter.id,
            command.reason,
            "approval_denied",
            now,
            refused=False,
            through=command.through,
        )
    vote = Vote(
        approval_id=approval.approval_id,
        revision=approval.revision,
        voter=command.voter.id,
        roles=command.voter.roles,
        reason=command.reason,
        at=now,
    )
    counted = _counted(approval, requirement, (*found.votes, vote))
    state = ApprovalState.APPROVED if counted.enough else approval.state
    after = approval._replace(state=state, updated_at=now)
    record = call_record(
        call,
        transition="approval_approved",
        at=now,
        decision="hold",
        effect="none",
        approval_status=state.value,
        extra=said(command.voter.id, command.reason, command.through),
    )
    rows: tuple[Row, ...] = (after, vote, Event(call.call_id, now, record))
    return Decision(Done(call, after), (*rows, decided(call, after, now)) if counted.enough else rows)


def _lapsed(found: Found, now: int) -> Decision | None:
    """The end of an approval whose time is over, written down by whatever command sees it first; None while it runs."""
    approval = found.approval
    assert approval is not None
    if not is_open(approval.state) or now < approval.expires_at:
        return None
    return _ended(found, ApprovalCause.LAPSED, "clock", "its time ran out", "approval_expired", now)


def _undecidable(command: DecideApproval, found: Found, requirement: Requirement) -> NotAllowed | None:
    approval = found.approval
    assert approval is not None
    if approval.state is ApprovalState.APPROVED and command.decision == "approve":
        if _counted(approval, requirement, found.votes).enough:
            return NotAllowed("it is approved already", found)
    elif approval.state is not ApprovalState.PENDING:
        return NotAllowed(f"it is {approval.state.value} already", found)
    if approval.digest != command.digest:
        return NotAllowed("it changed since it was shown; look at it again", found)
    barred = approval.barred if command.decision == "approve" else ()
    who = command.voter
    if why := may_vote(requirement, who, requester=approval.caller_id, tenant=approval.tenant, barred=barred):
        return NotAllowed(why, found, why="forbidden")
    if command.decision == "approve" and _voted(approval, found, who.id):
        return NotAllowed("you approved it already; another person is needed", found)
    if command.decision == "approve" and approval.must_reveal and not _looked(approval, found, who.id):
        return NotAllowed("part of it is masked for no reason that its author gave; reveal it first", found)
    return None


def _voted(approval: ApprovalRow, found: Found, voter: str) -> bool:
    return any(
        person(vote.voter) == person(voter) and vote.revision == approval.revision for vote in found.votes
    )


def _looked(approval: ApprovalRow, found: Found, voter: str) -> bool:
    return any(
        person(seen.viewer) == person(voter) and seen.revision == approval.revision for seen in found.reveals
    )


def _counted(approval: ApprovalRow, requirement: Requirement, votes: tuple[Vote, ...]) -> Tally:
    return tally(
        requirement,
        votes,
        revision=approval.revision,
        requester=approval.caller_id,
        barred=approval.barred,
    )


def edit_approval(command: EditApproval, found: Found, now: int) -> Decision:
    """A new revision of the same call: bound to other arguments, every vote void, and no vote itself."""
    call, approval = found.call, found.approval
    if call is None or approval is None:
        return Decision(NotAllowed("there is no such approval", found, why="not_found"))
    if (over := _lapsed(found, now)) is not None:
        return over
    if (refused := _uneditable(command, found)) is not None:
        return Decision(refused)
    required = stored_requirement(approval).merged(stored_requirement(command.approval))
    after = command.approval._replace(
        state=ApprovalState.PENDING,
        revision=approval.revision + 1,
        requirement=canonical_json(required.to_json()),
        requested_at=approval.requested_at,
        # An edit gives nobody more time.
        expires_at=min(approval.expires_at, command.approval.expires_at),
        updated_at=now,
        barred=tuple(sorted({*approval.barred, *command.approval.barred, command.editor.id})),
    )
    archived = RevisionRow(
        approval.approval_id,
        approval.revision,
        approval.digest,
        approval.shown,
        now,
        command.editor.id,
        command.reason,
    )
    record = call_record(
        call,
        transition="approval_edited",
        at=now,
        decision="hold",
        effect="none",
        arguments=command.redacted,
        approval_status=after.state.value,
        extra={**said(command.editor.id, command.reason), "toolgate.approval.revision": after.revision},
    )
    rows: list[Row] = [archived, command.resealed, after, command.request]
    if command.claim is not None and not _holds_itself(found):
        rows.append(command.claim)
    rows += [Event(call.call_id, now, record), edited(call, after, now)]
    return Decision(Done(resealed(call, command.resealed), after), tuple(rows))


def _uneditable(command: EditApproval, found: Found) -> NotAllowed | None:
    approval = found.approval
    assert approval is not None
    if next_approval(approval.state, ApprovalCause.EDITED) is None:
        return NotAllowed(f"it is {approval.state.value} already", found)
    if stored_requirement(approval).own:
        return NotAllowed(NO_OWN_EDIT, found)
    if approval.digest != command.seen or command.approval.revision != approval.revision + 1:
        return NotAllowed("it changed since it was shown; look at it again", found)
    if why := may_see(
        stored_requirement(approval),
        command.editor,
        requester=approval.caller_id,
        tenant=approval.tenant,
    ):
        return NotAllowed(why, found, why="forbidden")
    if command.claim is None or found.holder is None or _holds_itself(found):
        return None
    if claim_use(command.claim, found.holder) is KeyUse.FREE:
        return None
    return NotAllowed(
        "the changed arguments come to a key that another call has claimed; they cannot be run under it",
        found,
    )


def _holds_itself(found: Found) -> bool:
    """Whether the other key is one that this very call had claimed: an edit back, whose claim stays as it is."""
    holder, call = found.holder, found.call
    return (
        holder is not None
        and holder.claim is not None
        and call is not None
        and holder.claim.call_id == call.call_id
    )


def reveal_masked(command: RevealMasked, found: Found, now: int) -> Decision:
    """Write down who is about to see what is masked, before they do."""
    call, approval = found.call, found.approval
    if call is None or approval is None:
        return Decision(NotAllowed("there is no such approval", found, why="not_found"))
    if not is_open(approval.state):
        return Decision(NotAllowed(f"it is {approval.state.value} already", found))
    if (over := _lapsed(found, now)) is not None:
        return over
    if approval.digest != command.digest:
        return Decision(NotAllowed("it changed since it was shown; look at it again", found))
    if why := may_see(
        stored_requirement(approval),
        command.viewer,
        requester=approval.caller_id,
        tenant=approval.tenant,
    ):
        return Decision(NotAllowed(why, found, why="forbidden"))
    record = call_record(
        call,
        transition="approval_revealed",
        at=now,
        decision="hold",
        effect="none",
        approval_status=approval.state.value,
        extra={
            **said(command.viewer.id, command.reason),
            "toolgate.approval.revision": approval.revision,
        },
    )
    seen = Reveal(approval.approval_id, approval.revision, command.viewer.id, now)
    return Decision(Done(call, approval), (seen, Event(call.call_id, now, record)))


def end_approval(command: EndApproval, found: Found, now: int) -> Decision:
    """Expired, withdrawn, or its contract changed."""
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
    through: str | None = None,
) -> Decision:
    """Close an approval and its call. ``refused``: the command that saw it wanted something else."""
    call, approval = found.call, found.approval
    assert call is not None
    assert approval is not None
    state = next_approval(approval.state, cause)
    assert state is not None
    after = approval._replace(state=state, updated_at=now, reason=reason, ended_by=actor)
    moved = call._replace(status="refused", error_type=error_type, updated_at=now)
    record = call_record(
        moved,
        transition=f"approval_{state.value}",
        at=now,
        decision="deny",
        effect="none",
        approval_status=state.value,
        extra=said(actor, reason, through),
    )
    answer: Answer = (
        NotAllowed(f"it is {state.value}: {reason}", found, wrote=True) if refused else Done(moved, after)
    )
    event = Event(call.call_id, now, record)
    return Decision(answer, (after, CallChanged(moved), event, decided(moved, after, now)))
