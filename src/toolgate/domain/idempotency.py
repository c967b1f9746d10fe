"""Keys: how one is rendered, and what a key that was used before answers.

A key comes from the workflow and the arguments, never from the model (HTTP Idempotency-Key semantics,
draft-ietf-httpapi-idempotency-key-header, but named by the application). Its claim is stored as a keyed
MAC scoped by tenant and tool. Not here: writing the claim, which happens with the intent (``ledger``).
"""

from __future__ import annotations

from enum import StrEnum
from string import Formatter
from typing import TYPE_CHECKING, Any

from toolgate.domain.contract import WORKFLOW_FIELD
from toolgate.domain.lifecycle import ApprovalState, EffectState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolgate.domain.call import Workflow
    from toolgate.domain.contract import Contract
    from toolgate.domain.rows import ApprovalRow, Found


def render_key(contract: Contract, arguments: Mapping[str, Any], workflow: Workflow) -> str:
    """Fill in the contract's template. Values are quoted so that no two sets of values give one text."""
    rendered = []
    for literal, name, _, _ in Formatter().parse(contract.idempotency or ""):
        rendered.append(literal)
        if name is not None:
            rendered.append(_quoted(workflow.id if name == WORKFLOW_FIELD else _value(arguments, name)))
    return "".join(rendered)


def needs_workflow(contract: Contract) -> bool:
    """Whether the key names ``{workflow_id}``, so that the application must send one."""
    return contract.idempotency is not None and WORKFLOW_FIELD in contract.key_fields()


def key_scope(tenant: str, tool: str, key: str) -> bytes:
    """What the MAC is taken over: tenant and tool and key, each length-prefixed."""
    parts = [part.encode() for part in (tenant, tool, key)]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _value(arguments: Mapping[str, Any], path: str) -> Any:
    value: Any = arguments
    for part in path.split("."):
        value = value[part] if isinstance(value, dict) else None
    return value


def _quoted(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    # A model chooses argument values: without this, ("a:b", "c") and ("a", "b:c") would be one key.
    return text.replace("%", "%25").replace(":", "%3A") if isinstance(value, str) else text


class KeyUse(StrEnum):
    """What a key that was claimed before means for a new call."""

    FREE = "free"
    REPLAY = "replay"
    PENDING = "pending"
    IN_FLIGHT = "in_flight"
    CONFLICT = "conflict"
    UNKNOWN = "unknown"
    DENIED = "denied"


def judge_claim(found: Found, *, caller_id: str, fingerprint: bytes) -> KeyUse:
    """What the ledger's rows under a key allow a call of ``caller_id`` with ``fingerprint``.

    Another caller's key conflicts whatever its arguments, so that a guessed key tells nothing.
    """
    claim, call, approval = found.claim, found.call, found.approval
    if claim is None:
        return KeyUse.FREE
    if claim.caller_id != caller_id or claim.fingerprint != fingerprint:
        return KeyUse.CONFLICT
    if call is None:
        return KeyUse.REPLAY
    match call.effect_state:
        case EffectState.APPLIED:
            return KeyUse.REPLAY
        case EffectState.UNKNOWN:
            return KeyUse.UNKNOWN
        case EffectState.INTENDED:
            return KeyUse.IN_FLIGHT
        case EffectState.NOT_APPLIED | None:
            return _judge_approval(approval)


def _judge_approval(approval: ApprovalRow | None) -> KeyUse:
    """A key without an effect so far: only people can stand in its way."""
    if approval is not None and approval.state in {ApprovalState.PENDING, ApprovalState.APPROVED}:
        return KeyUse.PENDING
    if approval is not None and approval.state is ApprovalState.DENIED:
        return KeyUse.DENIED
    return KeyUse.FREE
