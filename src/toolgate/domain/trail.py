"""What one audit event says: the record's fields, and the flat line that readers of a trail know.

Names are those of OpenTelemetry's GenAI and general semantic conventions where one exists, and
``toolgate.*`` where none does. Arguments come in redacted. Not here: hashing (``audit``), redaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolgate.domain.canonical import canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolgate.domain.canonical import JsonValue
    from toolgate.domain.rows import CallRow

TOOL_CALL = "llm_tool_call"
CHAIN_OPENED = "chain_opened"

FLAT_NAMES: Mapping[str, str] = {
    "event": "event",
    "time": "time",
    "toolgate.transition": "transition",
    "toolgate.call.id": "call_id",
    "toolgate.request.id": "request_id",
    "user.id": "user_id",
    "toolgate.tenant": "tenant",
    "gen_ai.agent.name": "agent",
    "gen_ai.request.model": "model",
    "gen_ai.tool.name": "tool",
    "toolgate.tool.version": "tool_version",
    "toolgate.workflow.id": "workflow_id",
    "gen_ai.tool.call.arguments": "arguments",
    "toolgate.decision": "decision",
    "toolgate.reasons": "reasons",
    "toolgate.approval.status": "approval_status",
    "toolgate.approval.id": "approval_id",
    "toolgate.status": "status",
    "error.type": "error_type",
    "toolgate.effect": "effect",
    "toolgate.duration_ms": "duration_ms",
    "toolgate.attempts": "attempts",
    "toolgate.surface": "surface",
    "toolgate.trace": "trace",
    "toolgate.actor": "actor",
    "toolgate.reason": "reason",
}
"""The record's field → its name in ``toolgate audit tail --json``."""


def call_record(
    call: CallRow,
    *,
    transition: str,
    at: int,
    decision: str,
    effect: str,
    arguments: Mapping[str, JsonValue] | None = None,
    reasons: tuple[str, ...] = (),
    approval_status: str | None = None,
    attempts: int = 0,
    extra: Mapping[str, JsonValue] | None = None,
) -> bytes:
    """One transition of a call as the canonical bytes that the chain is built of.

    ``at`` in microseconds since the epoch, UTC. Fields without a value are left out.
    """
    record: dict[str, Any] = {
        "event": TOOL_CALL,
        "time": at,
        "toolgate.transition": transition,
        "toolgate.call.id": call.call_id,
        "user.id": call.caller_id,
        "toolgate.tenant": call.tenant,
        "gen_ai.tool.name": call.tool,
        "toolgate.tool.version": call.version,
        "toolgate.workflow.id": call.workflow_id,
        "toolgate.decision": decision,
        "toolgate.status": call.status,
        "toolgate.effect": effect,
        "toolgate.duration_ms": call.duration_us // 1000,
        "toolgate.surface": call.surface,
    }
    if call.agent is not None:
        record["gen_ai.agent.name"] = call.agent
    if call.model is not None:
        record["gen_ai.request.model"] = call.model
    if call.request_id is not None:
        record["toolgate.request.id"] = call.request_id
    if call.trace is not None:
        record["toolgate.trace"] = call.trace
    if call.error_type is not None:
        record["error.type"] = call.error_type
    if call.approval_id is not None:
        record["toolgate.approval.id"] = call.approval_id
    if approval_status is not None:
        record["toolgate.approval.status"] = approval_status
    if arguments is not None:
        record["gen_ai.tool.call.arguments"] = arguments
    if reasons:
        record["toolgate.reasons"] = list(reasons)
    if attempts:
        record["toolgate.attempts"] = attempts
    if extra:
        record.update(extra)
    return canonical_json(record)


def plain_record(event: str, *, at: int, fields: Mapping[str, JsonValue]) -> bytes:
    """An event that is no call's: a chain opened, a token made, a probe."""
    return canonical_json({"event": event, "time": at, **fields})


def flat_line(record: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The record under the short names, known ones first, none lost."""
    line = {flat: record[name] for name, flat in FLAT_NAMES.items() if name in record}
    line.update({name: value for name, value in record.items() if name not in FLAT_NAMES})
    return line
