"""READ FIRST. Every call, from every surface, takes these steps in this order; nothing goes around them.

    identify   the caller of a held call, with the rights of now: those of then are gone
    find       the contract, for a caller who may see it: an unknown tool and a hidden one answer alike
    seal       arguments parsed strictly, key and digest fixed: from here on nothing rewrites the call
    GATES      may it run? pure judges; a deny beats every hold, several holds merge to the strictest
    permit     the intent made durable (or the approval consumed, or a grant spent, with it): no record, no run;
               a job is put into its queue instead, and takes these steps again when a worker begins it
    run        attempts under the deadline, each judged before another may follow
    check      the result against its contract, bounded
    settle     outcome and audit in one transaction; only then the answer

Refusals and holds are audited too. What an illegal order would need does not exist: only this module
makes a ``ClearedCall``, and only a ``ClearedCall`` can be run.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from toolgate.domain.approval import LEAST, ApprovalFact, Requirement, tally
from toolgate.domain.call import Clearance, ClearedCall
from toolgate.domain.commands import (
    BeginJob,
    Dispatch,
    Done,
    GrantUse,
    Intend,
    NotAllowed,
    Rehold,
    Superseded,
    Taken,
)
from toolgate.domain.duration import MICRO
from toolgate.domain.errors import StoreInDoubt, StoreUnavailable
from toolgate.domain.ledger import stored_requirement
from toolgate.domain.lifecycle import EffectState
from toolgate.domain.metrics import JOB_WAIT
from toolgate.domain.outcome import ErrorType, Outcome, unsuccessful
from toolgate.domain.rows import RUNNING, ByCall, ByJob
from toolgate.domain.verdict import Deny, Hold, Pass, Replay
from toolgate.gateway import granted, records
from toolgate.gateway.attempts import run, wants_approval
from toolgate.gateway.enqueue import hand_over, job_row, queued_call
from toolgate.gateway.finish.judge_end import Judgement, called_off, judge_end, timed_out
from toolgate.gateway.finish.recall import pending, recall, started
from toolgate.gateway.finish.settle import (
    audit_unavailable,
    evidence,
    late,
    refuse,
    refuse_found,
    refuse_unfit,
    settle,
)
from toolgate.gateway.flight import Flight
from toolgate.gateway.gates import approval, budget, idempotency, permission, pinned
from toolgate.gateway.hold import hold_command
from toolgate.gateway.job_run import cancelled, ended_by_wish
from toolgate.gateway.prepare.find import NotFound, find
from toolgate.gateway.prepare.identify import identify
from toolgate.gateway.prepare.seal import Unfit, seal
from toolgate.gateway.scope import Scope

if TYPE_CHECKING:
    from toolgate.domain.call import SealedCall
    from toolgate.domain.commands import Answer
    from toolgate.domain.rows import CallRow, Found, JobRow
    from toolgate.gateway.world import Registered, World

GATES = (
    permission.judge,  # who may, on which object: first, so that nobody learns anything of what is not theirs
    idempotency.judge,  # done before? a replay answers only somebody who may ask, and costs no budget
    pinned.judge,  # still the tool that was reviewed? what was done before it changed may be told all the same
    budget.judge,  # rates, breaker, slots: before a person is asked, so that a flood reaches nobody's inbox
    approval.judge,  # last: nobody is asked to approve what is not allowed
)

_CLEARANCE = Clearance()
_log = logging.getLogger("toolgate")


class Refusal(Exception):
    """The call ends here with ``outcome``; None where it was given up and is answered elsewhere."""

    def __init__(self, outcome: Outcome[Any] | None) -> None:
        super().__init__()
        self.outcome = outcome


async def handle(world: World, flight: Flight) -> Outcome[Any] | None:
    """The whole pipeline for one call. None: the call was given up meanwhile and somebody else answers."""
    flight.scope = Scope(world)
    try:
        registered, sealed = await prepare(world, flight)
        flight.step("prepare")
        required = await judge(world, flight, sealed)
        flight.step("gates")
        cleared = await permit(world, flight, sealed, required)
        flight.step("permit")
        if cleared is None:
            return None
        return await perform(world, flight, registered, cleared)
    except Refusal as refusal:
        flight.step("refuse")
        return refusal.outcome
    except (StoreUnavailable, StoreInDoubt) as fault:
        # No run without a record, and no word about it that could not be kept either.
        if flight.row is not None and flight.sealed is not None and not flight.dispatched:
            # Should the intent stand there after all: nothing ran.
            world.unsettled.append(evidence(world, flight.sealed, _given_up(flight)))
        return audit_unavailable(world, flight.received.call_id, fault, ran=flight.dispatched)
    finally:
        await leave_quietly(flight, sys.exception())


async def prepare(world: World, flight: Flight) -> tuple[Registered, SealedCall]:
    """Say on whose behalf, find the contract and seal the call."""
    if not await world.trail.writable(world.store, world.clock.now()):
        raise Refusal(audit_unavailable(world, flight.received.call_id, None))
    if (nobody := await identify(world, flight)) is not None:
        raise Refusal(await refuse_unfit(world, flight, None, nobody.error_type, nobody.reason))
    received = flight.received
    registered = find(world, received)
    if isinstance(registered, NotFound):
        raise Refusal(await refuse_unfit(world, flight, None, ErrorType.UNKNOWN_TOOL, registered.reason))
    sealed = seal(world, registered, received)
    if isinstance(sealed, Unfit):
        raise Refusal(await refuse_unfit(world, flight, registered, ErrorType.INVALID_ARGUMENTS, sealed))
    flight.sealed = sealed
    return registered, sealed


async def judge(world: World, flight: Flight, sealed: SealedCall) -> Requirement | None:
    """Ask every gate. What must still be given by people, or None."""
    required: Requirement | None = None
    for gate in GATES:
        match await gate(world, flight, sealed):
            case Pass(release):
                if release is not None:
                    flight.releases.append(release)
            case Deny() as deny:
                raise Refusal(await refuse(world, flight, sealed, deny))
            case Hold(requirement):
                required = requirement if required is None else required.merged(requirement)
            case Replay(found):
                raise Refusal(await refuse_found(world, flight, sealed, found))
    return required


async def permit(
    world: World, flight: Flight, sealed: SealedCall, required: Requirement | None
) -> ClearedCall | None:
    """Make durable that the call will run, or that a person is asked. None: it was given up meanwhile."""
    fact: ApprovalFact | None = None
    if flight.job is not None:
        fact = await _begin(world, flight, sealed)
    elif sealed.contract.job is not None:
        raise Refusal(await _enqueue(world, flight, sealed, required))
    elif flight.resuming:
        fact = await _consume(world, flight, sealed, required)
    elif required is not None:
        fact = await _granted_or_held(world, flight, sealed, required)
    elif sealed.contract.has_effects:
        await _intend(world, flight, sealed)
    if flight.job is not None and flight.job.stopped:
        # The wish came while the intent was being written. Nothing ran.
        raise Refusal(await settle(world, flight, sealed, cancelled(flight)))
    if flight.row is not None and not _lease_suffices(world, flight, flight.row):
        too_late = timed_out(writes=True, dispatched=False, seconds=sealed.contract.timeout)
        raise Refusal(await settle(world, flight, sealed, too_late))
    if not flight.begin_dispatch():
        # Given up while the intent was being written. Nothing ran, and the ledger must not be left to wonder.
        await late(world, flight, sealed, _given_up(flight))
        return None
    return ClearedCall(
        sealed=sealed,
        clearance=_CLEARANCE,
        deadline=flight.deadline,
        approval=fact,
        granted=fact is not None and flight.approval is None and flight.job is None,
    )


async def perform(
    world: World, flight: Flight, registered: Registered, call: ClearedCall
) -> Outcome[Any] | None:
    """Run, check, settle."""
    ended = await run(world, flight, call)
    # Each attempt is shown by itself.
    flight.step(None)
    if (
        (wish := wants_approval(ended)) is not None
        and (call.approval is None or call.granted)
        and call.sealed.contract.has_effects
        and not (flight.job is not None and flight.job.stopped)
    ):
        reason, expiry = registered.said(wish.message, call.sealed), world.limits.approval_expires_in
        wished = approval.wished(wish, call.sealed.contract, reason=reason, expires_in=expiry)
        if wished is not None:
            return await _rehold(world, flight, call.sealed, wished)
    judged = ended_by_wish(flight, judge_end(call.sealed, ended, limit=registered.result_size))
    answer = await settle(world, flight, call.sealed, judged)
    flight.step("settle")
    return answer


async def leave_quietly(flight: Flight, error: BaseException | None) -> None:
    """Leave ``deps`` of a call that ran nothing or was cut off: a failure changes no outcome, but is not swallowed."""
    try:
        await flight.scope.leave(error)
    except Exception as failed:  # noqa: BLE001 - the author's; the text of an undeclared exception is never kept
        _log.warning("leaving deps of %s failed: %s", flight.received.call_id, type(failed).__name__)


async def _granted_or_held(
    world: World, flight: Flight, sealed: SealedCall, required: Requirement
) -> ApprovalFact:
    """Spend a grant that stands for the consent that is required; without one, ask."""
    row = _intended_row(world, flight, sealed)
    for grant in await granted.covering(world, sealed, row, required):
        if await _intend(world, flight, sealed, grant=granted.use_of(grant, sealed, required)):
            return granted.fact_of(grant)
    raise Refusal(await _draft_hold(world, flight, sealed, required))


def _intended_row(world: World, flight: Flight, sealed: SealedCall) -> CallRow:
    return records.call_row(
        world,
        sealed.received,
        sealed.contract,
        now=world.clock.now(),
        status=RUNNING,
        sealed=sealed,
        effect_state=EffectState.INTENDED,
        lease_until=_lease(world, flight, world.clock.now()),
    )


async def _intend(world: World, flight: Flight, sealed: SealedCall, *, grant: GrantUse | None = None) -> bool:
    """Write the intent. False: the grant does not stand for it any more, and nothing was written."""
    row = _intended_row(world, flight, sealed)
    event = records.event(
        row,
        transition="intended",
        decision="allow",
        effect="unknown",
        arguments=sealed.redacted,
        approval_status="granted" if grant else None,
        extra={"toolgate.grant.id": grant.grant_id} if grant else None,
    )
    claim = records.claim_row(sealed, sealed.key_mac) if sealed.key_mac is not None else None
    command = Intend(row, claim, records.request_row(world, sealed), event, grant)
    if not flight.begin_intending(row):
        raise Refusal(None)
    try:
        answer = await world.store.execute(command)
    except StoreInDoubt:
        # The commit may have happened: read it again before anything is dispatched.
        if (await world.store.find(ByCall(row.call_id))).call is None:
            raise
        return True
    if isinstance(answer, Taken):
        flight.row = None
        raise Refusal(await _taken(world, flight, sealed, answer))
    if isinstance(answer, NotAllowed):
        # Another call spent its last use, or somebody revoked it, since it was found.
        flight.row = None
        return False
    return True


async def _enqueue(
    world: World, flight: Flight, sealed: SealedCall, required: Requirement | None
) -> Outcome[Any] | None:
    """Put the job into its queue, with whatever stands for consent spent in the same transaction; or ask."""
    if flight.resuming:
        return await _enqueue_approved(world, flight, sealed, required)
    if required is None:
        return await _queue(world, flight, sealed, None)
    row = queued_call(world, flight, sealed)
    for grant in await granted.covering(world, sealed, row, required):
        try:
            return await _queue(world, flight, sealed, granted.use_of(grant, sealed, required))
        except _GrantGone:
            continue
    return await _draft_hold(world, flight, sealed, required)


class _GrantGone(Exception):
    """Another call spent its last use, or somebody revoked it, since it was found."""


async def _queue(
    world: World, flight: Flight, sealed: SealedCall, grant: GrantUse | None
) -> Outcome[Any] | None:
    row, job = queued_call(world, flight, sealed), job_row(world, sealed)
    extra: dict[str, Any] = {"toolgate.job.id": job.job_id}
    if grant is not None:
        extra["toolgate.grant.id"] = grant.grant_id
    event = records.event(
        row,
        transition="job_started",
        decision="allow",
        effect="none",
        arguments=sealed.redacted,
        approval_status="granted" if grant else None,
        extra=extra,
    )
    claim = records.claim_row(sealed, sealed.key_mac) if sealed.key_mac is not None else None
    command = Intend(row, claim, records.request_row(world, sealed), event, grant, job)
    if not flight.begin_settling():
        return None
    try:
        answer = await world.store.execute(command)
    except StoreInDoubt as fault:
        if not await _is_there(world, row.call_id):
            # It may wait there all the same, and then a worker takes it: neither "nothing ran" nor "started" is true.
            world.trail.failed()
            reasons = (f"{type(fault).__name__}: {fault}",)
            return unsuccessful(ErrorType.OUTCOME_UNKNOWN, call_id=row.call_id, reasons=reasons)
        answer = Done(row)
    if isinstance(answer, Taken):
        return await _taken(world, flight, sealed, answer)
    if isinstance(answer, NotAllowed):
        raise _GrantGone
    await hand_over(world, sealed, job)
    return started(row.call_id)


async def _is_there(world: World, call_id: str) -> bool:
    try:
        return (await world.store.find(ByCall(call_id))).call is not None
    except (StoreUnavailable, StoreInDoubt):
        return False


async def _enqueue_approved(
    world: World, flight: Flight, sealed: SealedCall, required: Requirement | None
) -> Outcome[Any] | None:
    """Use up the approval and put the job into its queue, at once."""
    held = flight.approval
    assert held is not None
    if not flight.begin_settling():
        return None
    job = job_row(world, sealed)
    command = Dispatch(
        sealed.call_id, held.approval_id, world.owner, 0, sealed.digest, required or LEAST, job
    )
    answer = await world.store.execute(command)
    if isinstance(answer, Done):
        await hand_over(world, sealed, job)
    return await recall(world, await world.store.find(ByCall(sealed.call_id)), replayed=False)


async def _written(world: World, command: BeginJob | Dispatch) -> Answer:
    """The answer to a command that writes an intent. A commit in doubt is read again, and only then anything runs."""
    try:
        return await world.store.execute(command)
    except StoreInDoubt:
        kept = (await world.store.find(ByCall(command.call_id))).call
        if kept is None or kept.effect_state is not EffectState.INTENDED or kept.owner != world.owner:
            raise
        return Done(kept)


async def _begin(world: World, flight: Flight, sealed: SealedCall) -> ApprovalFact | None:
    """Take a queued job: the intent, unless the ledger says that it is another's, cancelled, or over."""
    job = flight.job
    assert job is not None
    if not flight.begin_intending(None):
        raise Refusal(None)
    lease_until = await world.store.now() + round(world.job_lease * MICRO)
    command = BeginJob(sealed.call_id, world.owner, lease_until, sealed.digest)
    answer = await _written(world, command)
    if isinstance(answer, NotAllowed) and not answer.wrote:
        why = Deny(error_type=ErrorType.CONTRACT_CHANGED, reason=answer.reason)
        raise Refusal(await refuse(world, flight, sealed, why))
    if not isinstance(answer, Done) or answer.call is None:
        found = await world.store.find(ByCall(sealed.call_id))
        raise Refusal(None if found.call is None else await recall(world, found, replayed=False))
    flight.row = answer.call
    found = await world.store.find(ByJob(sealed.call_id))
    if found.job is not None:
        job.row, job.attempt = found.job, found.job.attempts
        _note_wait(world, found.job)
    if answer.call.approval_id is None or found.approval is None:
        return None
    return _consent(answer.call.approval_id, found)


def _note_wait(world: World, job: JobRow) -> None:
    """How long a job waited for its first run, from when it could have begun."""
    if world.meter is not None and job.attempts == 1 and job.started_at is not None:
        waited = max(0, job.started_at - max(job.created_at, job.not_before))
        world.meter.record(JOB_WAIT, waited / MICRO, (job.tool,))


async def _taken(world: World, flight: Flight, sealed: SealedCall, taken: Taken) -> Outcome[Any] | None:
    """Somebody else claimed the key between the gate's look and the write."""
    verdict = await idempotency.verdict(world, taken.use, taken.found)
    if isinstance(verdict, Deny):
        return await refuse(world, flight, sealed, verdict)
    return await refuse_found(world, flight, sealed, taken.found)


async def _draft_hold(
    world: World, flight: Flight, sealed: SealedCall, required: Requirement
) -> Outcome[Any] | None:
    command = await hold_command(world, flight, sealed, required)
    if not flight.begin_settling():
        return None
    answer = await world.store.execute(command)
    if isinstance(answer, Taken):
        return await _taken(world, flight, sealed, answer)
    return pending(command.call, command.approval)


async def _consume(
    world: World, flight: Flight, sealed: SealedCall, required: Requirement | None
) -> ApprovalFact | None:
    """Use up the approval and write the intent, at once. What the gates demand now counts, votes are counted anew."""
    held = flight.approval
    assert held is not None
    if not flight.begin_intending(None):
        raise Refusal(None)
    floor = required or LEAST
    lease_until = _lease(world, flight, await world.store.now())
    command = Dispatch(sealed.call_id, held.approval_id, world.owner, lease_until, sealed.digest, floor)
    answer = await _written(world, command)
    match answer:
        case Done(call=row) if row is not None:
            flight.row = row
        case NotAllowed() | Superseded() | Taken() | Done():
            found = await world.store.find(ByCall(sealed.call_id))
            raise Refusal(await recall(world, found, replayed=False))
    return _consent(held.approval_id, await world.store.find(ByCall(sealed.call_id)))


def _consent(approval_id: str, found: Found) -> ApprovalFact | None:
    """Who agreed, as the tool is told.

    None where that was whoever asked and nobody else: a business that wants a person has not had one.
    """
    approval = found.approval
    assert approval is not None
    required = stored_requirement(approval)
    if required.own:
        return None
    voters = tally(
        required,
        found.votes,
        revision=approval.revision,
        requester=approval.caller_id,
        barred=approval.barred,
    ).voters
    said = [vote for vote in found.votes if vote.revision == approval.revision and vote.voter in voters]
    return ApprovalFact(
        approval_id=approval_id,
        approved_by=tuple(vote.voter for vote in said),
        reason="; ".join(vote.reason for vote in said),
    )


async def _rehold(
    world: World, flight: Flight, sealed: SealedCall, required: Requirement
) -> Outcome[Any] | None:
    """The business wants a person and has done nothing: not applied, and held under the same key."""
    flight.judged = _nothing_happened()
    if not flight.begin_settling():
        return await settle(world, flight, sealed, flight.judged)
    now = world.clock.now()
    approval_row = await records.approval_row(world, flight, sealed, required, now=now)
    assert flight.row is not None
    before = flight.row
    row = before._replace(
        status="pending_approval",
        effect_state=None,
        approval_id=approval_row.approval_id,
        updated_at=now,
        lease_until=0,
    )
    event = records.event(
        row,
        transition="held",
        decision="hold",
        effect="none",
        reasons=(required.reason,),
        approval_status="pending",
        attempts=flight.attempts,
        extra={"toolgate.settled": "not_applied"},
    )
    claim = None
    if sealed.key_mac is None and before.approval_id is None:
        claim = records.claim_row(sealed, idempotency.attach_mac(world, sealed), attach_only=True)
    try:
        answer = await world.store.execute(Rehold(row, approval_row, claim, event))
    except (StoreUnavailable, StoreInDoubt):
        world.unsettled.append(evidence(world, sealed, _nothing_happened()))
        raise
    if isinstance(answer, Superseded):
        # Taken for lost meanwhile. That nothing happened is evidence, and the ledger has the last word.
        await late(world, flight, sealed, _nothing_happened())
        return await recall(world, await world.store.find(ByCall(sealed.call_id)), replayed=False)
    return pending(row, approval_row)


def _given_up(flight: Flight) -> Judgement:
    return called_off() if flight.called_off else _nothing_happened()


def _nothing_happened() -> Judgement:
    return timed_out(writes=True, dispatched=False, seconds=0.0)


def _lease(world: World, flight: Flight, now: int) -> int:
    """When the intent may be taken for lost (µs): the deadline and a margin, in which settling falls."""
    left = max(0.0, flight.deadline - world.clock.monotonic())
    return now + round((left + world.lease_margin) * MICRO)


def _lease_suffices(world: World, flight: Flight, row: CallRow) -> bool:
    """Whether the lease outlives the deadline. A process that was stopped meanwhile must not dispatch.

    That of a job is shorter and renewed while it runs: here it only has to stand.
    """
    left = flight.deadline - world.clock.monotonic()
    if flight.job is not None:
        return left > 0 and world.clock.now() < row.lease_until
    return left > 0 and world.clock.now() + round(left * MICRO) < row.lease_until
