"""Rows and audit events of a call, built in one place from what the pipeline knows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from toolgate.domain.canonical import JsonValue, canonical_json
from toolgate.domain.duration import MICRO
from toolgate.domain.lifecycle import ApprovalState
from toolgate.domain.masked import masked
from toolgate.domain.names import label
from toolgate.domain.redaction import redact_text
from toolgate.domain.rows import ApprovalRow, CallRow, ClaimRow, Event, SealedRow
from toolgate.domain.trail import call_record
from toolgate.gateway.scope import ask, context_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolgate.domain.approval import Requirement
    from toolgate.domain.call import ReceivedCall, SealedCall
    from toolgate.domain.contract import Contract
    from toolgate.domain.lifecycle import EffectState
    from toolgate.gateway.flight import Flight
    from toolgate.gateway.world import World


def call_row(
    world: World,
    received: ReceivedCall,
    contract: Contract | None,
    *,
    now: int,
    status: str,
    sealed: SealedCall | None = None,
    effect_state: EffectState | None = None,
    error_type: str | None = None,
    lease_until: int = 0,
    approval_id: str | None = None,
    duration_us: int = 0,
) -> CallRow:
    """The call as its row, positionally: this is the hot path, and the order is that of ``CallRow``."""
    workflow = received.workflow
    return CallRow(
        received.call_id,
        received.caller.tenant,
        contract.name if contract is not None else label(received.tool, limit=64),
        contract.version if contract is not None else "",
        contract.digest if contract is not None else "",
        contract.effect.value if contract is not None else "read",
        received.caller.id,
        workflow.agent,
        workflow.model,
        workflow.id,
        workflow.explicit,
        received.request_id,
        received.trace,
        received.surface,
        received.received_at,
        sealed.digest if sealed is not None else b"",
        sealed.fingerprint if sealed is not None else b"",
        sealed.key_mac if sealed is not None else None,
        now,
        status,
        effect_state,
        error_type,
        world.owner,
        lease_until,
        approval_id,
        duration_us,
        None,
    )


def event(
    row: CallRow,
    *,
    transition: str,
    decision: str,
    effect: str,
    arguments: Mapping[str, JsonValue] | None = None,
    reasons: tuple[str, ...] = (),
    approval_status: str | None = None,
    attempts: int = 0,
    extra: Mapping[str, JsonValue] | None = None,
) -> Event:
    """The audit event of one transition of ``row``."""
    record = call_record(
        row,
        transition=transition,
        at=row.updated_at,
        decision=decision,
        effect=effect,
        arguments=arguments,
        reasons=tuple(redact_text(reason) for reason in reasons),
        approval_status=approval_status,
        attempts=attempts,
        extra=extra,
    )
    return Event(row.call_id, row.updated_at, record)


def request_row(world: World, sealed: SealedCall) -> SealedRow:
    """What is needed to run the call later, or to reconcile it: encrypted, bound to tenant and call."""
    received = sealed.received
    plain = {
        "arguments": sealed.arguments,
        "roles": sorted(sealed.caller.roles),
        "key": sealed.key,
        "rationale": received.rationale,
        "user_input": received.workflow.user_input,
        "barred": received.barred,
        **_when(received),
        "claimed": [[mac.hex(), fingerprint.hex()] for mac, fingerprint in received.claimed],
    }
    return _sealed(
        world, sealed.caller.tenant, sealed.call_id, "request", json.dumps(plain, ensure_ascii=False).encode()
    )


def _when(received: ReceivedCall) -> dict[str, Any]:
    """When a job should run, where the application said so: it may be held before."""
    said = {"priority": received.priority, "delay": received.delay or None}
    return {name: value for name, value in said.items() if value is not None}


def result_row(world: World, sealed: SealedCall, raw: bytes | None, kept: Mapping[str, Any]) -> SealedRow:
    """What a replay answers: the result, or the words of the failure; encrypted."""
    return answer_row(world, sealed.caller.tenant, sealed.call_id, raw=raw, words=kept)


def answer_row(
    world: World,
    tenant: str,
    call_id: str,
    *,
    raw: bytes | None = None,
    words: Mapping[str, Any] | None = None,
) -> SealedRow:
    """What a call answers from now on: ``raw`` (a result's JSON), or else ``words``; encrypted."""
    # The result's bytes are spliced in as they are: parsing them again would buy nothing.
    plain = b'{"result":' + raw + b"}" if raw is not None else json.dumps(dict(words or {})).encode()
    return _sealed(world, tenant, call_id, "result", plain)


def _sealed(world: World, tenant: str, call_id: str, kind: str, plain: bytes) -> SealedRow:
    return SealedRow(call_id, kind, world.keys.encrypt(plain, tenant=tenant, call_id=call_id, kind=kind))


def claim_row(sealed: SealedCall, key_mac: bytes, *, attach_only: bool = False) -> ClaimRow:
    """The claim of ``key_mac`` for this call."""
    return ClaimRow(key_mac, sealed.call_id, sealed.caller.id, sealed.fingerprint, attach_only)


async def approval_row(
    world: World, flight: Flight, sealed: SealedCall, required: Requirement, *, now: int
) -> ApprovalRow:
    """A pending approval that shows exactly what will run, rendered by the gate from the sealed arguments."""
    received, contract = sealed.received, sealed.contract
    registered = world.registry[contract.name]
    arguments = registered.shown(sealed.arguments, world.keys)
    hidden = masked(sealed.arguments, arguments, contract.sensitive, contract.input_schema)
    shown: dict[str, JsonValue] = {
        "tool": contract.name,
        "version": contract.version,
        "description": contract.description,
        "effect": contract.effect.value,
        "external": contract.external,
        "arguments": arguments,
        "masked": [{"path": list[JsonValue](place.path), "by": place.by} for place in hidden],
        "caller": received.caller.id,
        "tenant": received.caller.tenant,
        "agent": received.workflow.agent,
        "model": received.workflow.model,
        "workflow_id": received.workflow.id,
        "preview": await _preview(world, flight, sealed),
        "claimed_reason": _claimed(world, sealed),
    }
    return ApprovalRow(
        approval_id=world.ids.new("appr"),
        call_id=received.call_id,
        tenant=received.caller.tenant,
        tool=contract.name,
        caller_id=received.caller.id,
        revision=1,
        state=ApprovalState.PENDING,
        requirement=canonical_json(required.to_json()),
        digest=sealed.digest,
        shown=canonical_json(shown),
        requested_at=now,
        expires_at=now + round(required.expires_in * MICRO),
        updated_at=now,
        reason=None,
        barred=received.barred,
        must_reveal=any(place.by == "likeness" for place in hidden),
    )


def _claimed(world: World, sealed: SealedCall) -> str | None:
    """The model's own reason: its claim, which may repeat what its arguments hide."""
    rationale = sealed.received.rationale
    return None if rationale is None else world.registry[sealed.contract.name].said(rationale, sealed)


async def _preview(world: World, flight: Flight, sealed: SealedCall) -> str | None:
    """The contract's plain preview. It decides nothing, so its failure is shown and no more."""
    if sealed.tool.preview is None:
        return None
    try:
        text = await ask(sealed.tool.preview, await context_of(world, flight, sealed), sealed.args)
    except Exception as error:  # noqa: BLE001 - an author's preview may raise anything; the approver sees that it did
        return f"[the tool's preview failed: {type(error).__name__}]"
    return None if text is None else world.registry[sealed.contract.name].said(str(text), sealed)
