"""The tools as ``tools/list`` shows them: plain dicts, made from contracts. Not here: who may see which."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from toolgate.domain.duration import seconds
from toolgate.domain.outcome_schema import ANYBODY, answers_content, envelope_schema
from toolgate.domain.schema import DIALECT
from toolgate.surfaces.mcp.words import GET_CALL, description, may_wait

if TYPE_CHECKING:
    from toolgate.domain.contract import Contract

MAX_WAIT: Final = 30
LONGEST_ID: Final = 64
FRESH_MS: Final = int(seconds("1m") * 1000)
"""How long a client may keep the list: roles and tools change, and nobody is told when."""


def listed(contracts: Iterable[Contract]) -> list[dict[str, Any]]:
    """Every one of ``contracts``, in their order, and ``get_call`` last where it may be needed."""
    known = list(contracts)
    tools = [shown(contract) for contract in known]
    if any(may_wait(contract) for contract in known) and not any(each.name == GET_CALL for each in known):
        tools.append(get_call_tool())
    return tools


def shown(contract: Contract) -> dict[str, Any]:
    """One tool."""
    tool: dict[str, Any] = {
        "name": contract.name,
        "description": description(contract),
        "inputSchema": plain(contract.input_schema),
        "annotations": contract.annotations(),
    }
    if may_wait(contract):
        # 2025-11-25; later versions, which know tasks as an extension, leave it out.
        tool["execution"] = {"taskSupport": "optional"}
    if contract.title is not None:
        tool["title"] = contract.title
    # Without a schema of its own it may answer content, which is not of this form (an upstream's tool does).
    if contract.output_schema is not None and not answers_content(contract.output_schema):
        tool["outputSchema"] = envelope_schema(contract.output_schema)
    return tool


def get_call_tool() -> dict[str, Any]:
    """The tool by which a model finds out what became of a call."""
    return {
        "name": GET_CALL,
        "title": "Look after a call",
        "description": (
            "How a call stands that was answered with pending_approval, started or unknown, and its result once there "
            "is one. It asks for nothing anew and changes nothing: use it instead of repeating the call.\n\n"
            f"wait_seconds (0 to {MAX_WAIT}) waits so long for the call to end before it answers."
        ),
        "inputSchema": {
            "$schema": DIALECT,
            "type": "object",
            "properties": {
                "call_id": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": LONGEST_ID,
                    "description": "of the answer that the call had",
                },
                "wait_seconds": {"type": "integer", "minimum": 0, "maximum": MAX_WAIT, "default": 0},
            },
            "required": ["call_id"],
            "additionalProperties": False,
        },
        "annotations": {
            "readOnlyHint": True,
            "destructiveHint": False,
            "idempotentHint": True,
            "openWorldHint": False,
        },
        "outputSchema": envelope_schema(None, always=ANYBODY),
    }


def plain(value: Any) -> Any:
    """``value`` in dicts and lists, whatever it is kept in."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
