"""Rows and commands of a ledger, made up: every value has a default, so that a test names only what it is about."""

from __future__ import annotations

from typing import Any

from toolgate.domain.approval import Requirement, Vote
from toolgate.domain.caller import Caller
from toolgate.domain.canonical import canonical_json
from toolgate.domain.commands import (
    DecideApproval,
    Dispatch,
    DraftHold,
    EndApproval,
    Intend,
    LateEvidence,
    PutToken,
    Record,
    Rehold,
    Resolve,
    Settle,
)
from toolgate.domain.jobs import STARTED, job_id_of
from toolgate.domain.lifecycle import ApprovalCause, ApprovalState, EffectCause, EffectState
from toolgate.domain.rows import (
    RUNNING,
    ApprovalRow,
    CallRow,
    ClaimRow,
    Event,
    JobRow,
    SealedRow,
    TokenRow,
)
from toolgate.domain.trail import call_record, plain_record

NOW = 1_800_000_000_000_000
SECOND = 1_000_000
LEASE = NOW + 40 * SECOND
EXPIRY = NOW + 3600 * SECOND
OWNER = "boot_a"
REQUESTER = "u-maya"

_SETTLED = {
    EffectCause.SETTLED_APPLIED: (EffectState.APPLIED, "succeeded"),
    EffectCause.SETTLED_NOT_APPLIED: (EffectState.NOT_APPLIED, "failed"),
    EffectCause.IN_DOUBT: (EffectState.UNKNOWN, "unknown"),
}


def call_row(call_id: str = "call_1", **changed: Any) -> CallRow:
    """An intent of Maya's, running."""
    row = CallRow(
        call_id=call_id,
        tenant="acme",
        tool="refund",
        version="1",
        contract_digest="d1",
        effect="write",
        caller_id=REQUESTER,
        agent="desk",
        model="m",
        workflow_id="flow_1",
        workflow_explicit=True,
        request_id=None,
        trace=None,
        surface="python",
        received_at=NOW,
        digest=b"digest",
        fingerprint=b"fingerprint",
        key_mac=None,
        updated_at=NOW,
        status=RUNNING,
        effect_state=EffectState.INTENDED,
        error_type=None,
        owner=OWNER,
        lease_until=LEASE,
        approval_id=None,
        duration_us=0,
        incident=None,
    )
    return row._replace(**changed)


def held_row(call_id: str = "call_1", **changed: Any) -> CallRow:
    """A call that waits for a person."""
    fields = {
        "status": "pending_approval",
        "effect_state": None,
        "lease_until": 0,
        "approval_id": f"appr_{call_id}",
    }
    return call_row(call_id, **{**fields, **changed})


def claim_row(key: bytes = b"key", call_id: str = "call_1", **changed: Any) -> ClaimRow:
    """Maya's claim."""
    return ClaimRow(key, call_id, REQUESTER, b"fingerprint", attach_only=False)._replace(**changed)


def requirement(quorum: int = 1, *roles: str) -> Requirement:
    """What a hold demands: ``quorum`` people, one of each of ``roles`` among them."""
    sets = tuple(frozenset({role}) for role in roles or ("billing",))
    return Requirement(reason="above the limit", approvers=sets, quorum=quorum)


def approval_row(
    call_id: str = "call_1", *, required: Requirement | None = None, **changed: Any
) -> ApprovalRow:
    """A pending approval of that call."""
    row = ApprovalRow(
        approval_id=f"appr_{call_id}",
        call_id=call_id,
        tenant="acme",
        tool="refund",
        caller_id=REQUESTER,
        revision=1,
        state=ApprovalState.PENDING,
        requirement=canonical_json((required or requirement()).to_json()),
        digest=b"digest",
        shown=b"{}",
        requested_at=NOW,
        expires_at=EXPIRY,
        updated_at=NOW,
        reason=None,
    )
    return row._replace(**changed)


def vote(voter: str = "u-ben", call_id: str = "call_1", *, revision: int = 1, roles: str = "billing") -> Vote:
    """Ben's approval."""
    return Vote(
        approval_id=f"appr_{call_id}",
        revision=revision,
        voter=voter,
        roles=frozenset(roles.split()),
        reason="checked",
        at=NOW,
    )


def person(voter: str = "u-ben", roles: str = "billing", tenant: str = "acme") -> Caller:
    """Somebody who may decide."""
    return Caller(voter, roles.split(), tenant)


def sealed_row(call_id: str = "call_1", kind: str = "request", sealed: bytes = b"sealed") -> SealedRow:
    """Encrypted bytes."""
    return SealedRow(call_id, kind, sealed)


def event_of(row: CallRow, transition: str = "intended") -> Event:
    """The audit event of a transition of ``row``."""
    record = call_record(row, transition=transition, at=row.updated_at, decision="allow", effect="unknown")
    return Event(row.call_id, row.updated_at, record)


def note(text: str = "noted") -> Event:
    """An event of no call."""
    return Event(None, NOW, plain_record(text, at=NOW, fields={}))


# --- commands -------------------------------------------------------------------------------------------------


def record(call_id: str = "call_r", **changed: Any) -> Record:
    """A read that is over."""
    row = call_row(call_id, **{"effect": "read", "effect_state": None, "status": "succeeded", **changed})
    return Record(row, event_of(row, "settled"))


def intend(call_id: str = "call_1", key: bytes | None = None, **changed: Any) -> Intend:
    """An intent, with a claim of ``key`` if there is one."""
    row = call_row(call_id, **{"key_mac": key, **changed})
    claim = (
        None if key is None else claim_row(key, call_id, caller_id=row.caller_id, fingerprint=row.fingerprint)
    )
    return Intend(row, claim, sealed_row(call_id), event_of(row))


def job_row(call_id: str = "call_1", **changed: Any) -> JobRow:
    """A job of Maya's that may not run again once it was lost."""
    row = JobRow(
        job_id=job_id_of(call_id),
        call_id=call_id,
        tenant="acme",
        tool="refund",
        caller_id=REQUESTER,
        queue="refund/acme",
        priority=0,
        not_before=NOW,
        created_at=NOW,
        timeout_us=60 * SECOND,
        rerun=False,
    )
    return row._replace(**changed)


def queued_row(call_id: str = "call_1", **changed: Any) -> CallRow:
    """A call whose job waits for a worker."""
    return call_row(call_id, **{"status": STARTED, "effect_state": None, "lease_until": 0, **changed})


def queue(
    call_id: str = "call_1", key: bytes | None = None, *, rerun: bool = False, **changed: Any
) -> Intend:
    """A job put into its queue, with a claim of ``key`` if there is one."""
    asked = intend(call_id, key, **changed)
    row = queued_row(call_id, key_mac=key, caller_id=asked.call.caller_id)
    return asked._replace(
        call=row,
        event=event_of(row, "job_started"),
        job=job_row(call_id, rerun=rerun, caller_id=row.caller_id),
    )


def draft(
    call_id: str = "call_1",
    key: bytes = b"key",
    *,
    required: Requirement | None = None,
    attach_only: bool = False,
    **changed: Any,
) -> DraftHold:
    """A hold."""
    row = held_row(call_id, **changed)
    claim = claim_row(
        key, call_id, caller_id=row.caller_id, fingerprint=row.fingerprint, attach_only=attach_only
    )
    approval = approval_row(call_id, required=required, caller_id=row.caller_id)
    return DraftHold(row, claim, approval, sealed_row(call_id), event_of(row, "held"))


def settle(
    call_id: str = "call_1",
    cause: EffectCause = EffectCause.SETTLED_APPLIED,
    *,
    result: bytes | None = b"result",
    **changed: Any,
) -> Settle:
    """How the owner says that its intent ended."""
    state, status = _SETTLED[cause]
    row = call_row(call_id, **{"effect_state": state, "status": status, **changed})
    kept = None if result is None else sealed_row(call_id, "result", result)
    return Settle(row, cause, kept, event_of(row, "settled"))


def rehold(call_id: str = "call_1", **changed: Any) -> Rehold:
    """The business wants a person."""
    row = held_row(call_id, **changed)
    return Rehold(row, approval_row(call_id), None, event_of(row, "held"))


def dispatch(
    call_id: str = "call_1",
    *,
    digest: bytes = b"digest",
    required: Requirement | None = None,
    owner: str = OWNER,
    lease_until: int = LEASE,
    job: JobRow | None = None,
) -> Dispatch:
    """Consume the approval."""
    floor = required or Requirement(reason="", approvers=())
    return Dispatch(call_id, f"appr_{call_id}", owner, lease_until, digest, floor, job)


def approve(
    call_id: str = "call_1", voter: Caller | None = None, *, digest: bytes = b"digest"
) -> DecideApproval:
    """A vote."""
    return DecideApproval(f"appr_{call_id}", "approve", voter or person(), "checked", digest)


def deny(
    call_id: str = "call_1", voter: Caller | None = None, *, digest: bytes = b"digest"
) -> DecideApproval:
    """A no."""
    return DecideApproval(f"appr_{call_id}", "deny", voter or person(), "not this one", digest)


def end(call_id: str = "call_1", cause: ApprovalCause = ApprovalCause.WITHDRAWN) -> EndApproval:
    """Expire or cancel."""
    return EndApproval(f"appr_{call_id}", cause, "clock", "over", "approval_expired")


def resolve(
    call_id: str = "call_1",
    cause: EffectCause = EffectCause.RESOLVED_APPLIED,
    *,
    result: bytes | None = None,
    reopen: DraftHold | None = None,
) -> Resolve:
    """A person or reconcile knows."""
    kept = None if result is None else sealed_row(call_id, "result", result)
    return Resolve(call_id, cause, "u-ops", "looked it up", kept, reopen=reopen)


def evidence(
    call_id: str = "call_1", *, applied: bool | None = True, owner: str = OWNER, result: bytes | None = None
) -> LateEvidence:
    """An attempt that had been given up ended after all."""
    kept = None if result is None else sealed_row(call_id, "result", result)
    return LateEvidence(call_id, owner, applied, "the tool returned", kept)


def put_token(token_id: str = "tok_1", token_hash: str = "hash_1", **changed: Any) -> PutToken:
    """A token made."""
    row = TokenRow(
        token_id=token_id,
        token_hash=token_hash,
        caller_id="u-ben",
        tenant="acme",
        roles=frozenset({"billing", "support"}),
        created_at=NOW,
        expires_at=EXPIRY,
        revoked_at=None,
    )
    return PutToken(row._replace(**changed), note("token_created"))
