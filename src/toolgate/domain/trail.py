"""What one audit event says: the record's fields, and the flat line that readers of a trail know.

Names are those of OpenTelemetry's GenAI and general semantic conventions where one exists, and
``toolgate.*`` where none does. Arguments come in redacted. Not here: hashing (``audit``), redaction.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from toolgate.domain.canonical import canonical_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolgate.domain.canonical import JsonValue
    from toolgate.domain.rows import CallRow

TOOL_CALL = "llm_tool_call"
CHAIN_OPENED = "chain_opened"
AUDIT_PRUNED = "audit_pruned"

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
    "toolgate.through": "through",
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
    # Written field by field, in the order that RFC 8785 sorts their names into: each call writes one or two of
    # these, and sorting a dictionary of known names anew each time would cost twice as much.
    told = _text
    parts = [
        f'"error.type":{told(call.error_type)}' if call.error_type is not None else "",
        f'"event":"{TOOL_CALL}"',
        f'"gen_ai.agent.name":{told(call.agent)}' if call.agent is not None else "",
        f'"gen_ai.request.model":{told(call.model)}' if call.model is not None else "",
        f'"gen_ai.tool.call.arguments":{canonical_json(arguments).decode()}' if arguments is not None else "",  # type: ignore[arg-type]
        f'"gen_ai.tool.name":{told(call.tool)},"time":{at}',
        f'"toolgate.approval.id":{told(call.approval_id)}' if call.approval_id is not None else "",
        f'"toolgate.approval.status":{told(approval_status)}' if approval_status is not None else "",
        f'"toolgate.attempts":{attempts}' if attempts else "",
        f'"toolgate.call.id":{told(call.call_id)},"toolgate.decision":{told(decision)}',
        f'"toolgate.duration_ms":{call.duration_us // 1000},"toolgate.effect":{told(effect)}',
        f'"toolgate.reasons":{canonical_json(list(reasons)).decode()}' if reasons else "",
        f'"toolgate.request.id":{told(call.request_id)}' if call.request_id is not None else "",
        f'"toolgate.status":{told(call.status)},"toolgate.surface":{told(call.surface)}',
        f'"toolgate.tenant":{told(call.tenant)},"toolgate.tool.version":{told(call.version)}',
        f'"toolgate.trace":{told(call.trace)}' if call.trace is not None else "",
        f'"toolgate.transition":{told(transition)},"toolgate.workflow.id":{told(call.workflow_id)}',
        f'"user.id":{told(call.caller_id)}',
    ]
    record = f"{{{','.join([part for part in parts if part])}}}".encode()
    return canonical_json({**json.loads(record), **extra}) if extra else record


_text = json.encoder.encode_basestring
"""A string as RFC 8785 writes it, in C where the interpreter has it."""


def plain_record(event: str, *, at: int, fields: Mapping[str, JsonValue]) -> bytes:
    """An event that is no call's: a chain opened, a token made, a probe."""
    return canonical_json({"event": event, "time": at, **fields})


def flat_line(record: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The record under the short names, known ones first, none lost."""
    line = {flat: record[name] for name, flat in FLAT_NAMES.items() if name in record}
    line.update({name: value for name, value in record.items() if name not in FLAT_NAMES})
    return line
