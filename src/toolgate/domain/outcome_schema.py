"""What a call answers, as a schema: the JSON that a model gets (``Outcome.to_model``), whoever carries it to them.

Not here: the answer itself (``outcome``), and how a surface wraps it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from toolgate.domain.content import Content
from toolgate.domain.outcome import Advice, WorldEffect
from toolgate.domain.schema import DIALECT, Shape

ANYBODY: Final = ("ok", "status", "effect")
"""Members of whatever somebody is told about a call."""
CALLER: Final = (*ANYBODY, "advice", "call_id")
"""Members of every answer to whoever called."""

MEMBERS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "ok": {"type": "boolean", "description": "whether there is a result"},
        "status": {
            "enum": ["running", "succeeded", "refused", "pending_approval", "started", "failed", "unknown"]
        },
        "effect": {
            "enum": [effect.value for effect in WorldEffect],
            "description": "what happened to the world",
        },
        "advice": {"enum": [advice.value for advice in Advice], "description": "what to do next"},
        "call_id": {"type": "string"},
        "result": {"description": "what the tool answered, where it succeeded"},
        "error_type": {"type": "string"},
        "message": {"type": "string", "description": "why there is no result, in words"},
        "code": {"type": "string", "description": "the tool's own name of its error"},
        "approval_id": {"type": "string"},
        "job_id": {"type": "string"},
        "expires_at": {
            "type": "string",
            "format": "date-time",
            "description": "until when somebody may decide",
        },
        "retry_after_s": {"type": "number"},
        "replayed": {"type": "boolean", "description": "recorded before; this call did nothing anew"},
        "truncated": {"type": "boolean", "description": "the result was too long and is a cut copy"},
        "edited": {
            "type": "object",
            "description": "the arguments that a person put in place of those asked for",
        },
    }
)

_CONTENT: Final = Shape[Content](Content, where="Content", mode="serialization").schema
_RESULT: Final = "#/anyOf/0/properties/result"
_NAMED: Final = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs", "definitions"})
"""Keywords whose members are schemas under names of the author's (JSON Schema 2020-12, core)."""
_VALUES: Final = frozenset({"const", "enum", "default", "examples"})
"""Keywords that hold values, in which nothing is a reference."""


def answers_content(output_schema: Mapping[str, Any] | None) -> bool:
    """Whether a tool of this output schema answers ``Content``: over MCP it has no output schema then."""
    return output_schema is not None and output_schema == _CONTENT


def envelope_schema(
    output_schema: Mapping[str, Any] | None, *, always: Iterable[str] = CALLER
) -> dict[str, Any]:
    """JSON Schema 2020-12 of what a call answers, its ``result`` by ``output_schema``.

    ``result`` is held to it only where it is whole and new. One that was cut keeps its members and not its bounds, one
    that is replayed may be of an earlier version of the tool, and where a person said that it was done it is null. The
    ``$defs`` of ``output_schema`` move to the root, where their references lead; references to anything else of it
    follow to where it stands now. ``always``: the members that are always there.
    """
    schema: dict[str, Any] = {
        "$schema": DIALECT,
        "type": "object",
        "properties": {name: dict(member) for name, member in MEMBERS.items()},
        "required": list(always),
    }
    if output_schema is None:
        return schema
    own = _moved(output_schema)
    own.pop("$schema", None)
    own.pop("$id", None)
    if "$defs" in own:
        schema["$defs"] = own.pop("$defs")
    schema["anyOf"] = [
        {"properties": {"result": own}},
        {"properties": {"result": {"type": "null"}}},
        {"required": ["truncated"]},
        {"required": ["replayed"]},
    ]
    return schema


def _moved(node: Any) -> Any:
    """``node`` in dicts and lists, whatever it is kept in, its references pointing to where they lead then."""
    if isinstance(node, list | tuple):
        return [_moved(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    moved: dict[str, Any] = {}
    for key, value in node.items():
        if key in _VALUES:
            moved[key] = _plain(value)
        elif key in _NAMED and isinstance(value, Mapping):
            moved[key] = {name: _moved(item) for name, item in value.items()}
        elif key == "$ref" and isinstance(value, str):
            moved[key] = _led(value)
        else:
            moved[key] = _moved(value)
    return moved


def _led(reference: str) -> str:
    here = reference == "#" or (reference.startswith("#/") and not reference.startswith("#/$defs/"))
    return _RESULT + reference[1:] if here else reference


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
