"""The text of an ``[upstreams.NAME]`` section, as ``toolgate upstreams add`` writes it for a person to review.

What an upstream says of a tool (its hints, its first line) stands there as a comment or as a proposal, and each
proposed tool carries ``enabled = false`` until somebody takes that out. Not here: files.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from toolgate.domain.upstream.definition import Definition
from toolgate.domain.upstream.lock import escaped

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_LINE: Final = 100
_SECTION_ORDER: Final = ("command", "args", "env", "cwd", "url", "auth", "headers")


def section_text(name: str, section: Mapping[str, Any]) -> str:
    """``[upstreams.NAME]`` with how it is reached."""
    lines = [f"[upstreams.{_key(name)}]"]
    lines += [f"{key} = {_value(section[key])}" for key in _SECTION_ORDER if key in section]
    return "\n".join(lines) + "\n"


def proposal_text(name: str, definitions: Iterable[Definition]) -> str:
    """A closed overlay for each tool."""
    tools = sorted(definitions, key=lambda definition: definition.name)
    if not tools:
        return ""
    head = (
        f"# Proposed from what {name} says of itself, which proves nothing. None of these tools is open yet.\n"
        f"# For each: read it (toolgate upstreams pin {name} --dry-run), correct what it does, say who may call it\n"
        "# (roles), and take out enabled = false. Delete what nobody needs: what is not listed does not exist.\n"
    )
    return head + "".join(f"\n{_tool(name, definition)}" for definition in tools)


def _tool(upstream: str, definition: Definition) -> str:
    effect, why = _effect(definition.annotations)
    lines = [
        f"[upstreams.{_key(upstream)}.tools.{_key(definition.name)}]",
        *_comment(definition.description),
        "enabled = false",
        f'effect = "{effect}"  # {why}',
        '# roles = ["…"]',
    ]
    if effect != "read":
        lines += ['approval = { approvers = ["operator"] }', '# idempotency = "{…}:{workflow_id}"']
    return "\n".join(lines) + "\n"


def _effect(hints: Mapping[str, Any]) -> tuple[str, str]:
    """What the hints come to. Unsaid, a tool destroys (MCP 2025-11-25, ToolAnnotations)."""
    if hints.get("readOnlyHint") is True:
        return "read", "its hint: readOnlyHint"
    if hints.get("destructiveHint") is False:
        return "write", "its hint: not destructive"
    said = "its hint: destructiveHint" if hints.get("destructiveHint") is True else "it gives no hint"
    return "destructive", said


def _comment(description: str) -> list[str]:
    first = " ".join(description.strip().split("\n", 1)[0].split())
    if not first:
        return []
    shown = escaped(first)
    return [f"# it says: {shown[:_LINE]}{'…' if len(shown) > _LINE else ''}"]


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + " }"
    return "[" + ", ".join(_value(item) for item in value) + "]"


def _text(value: str) -> str:
    """A basic string of TOML 1.0: as in JSON, and what does not show escaped, so that nothing hides from a review."""
    return "".join(
        char if char.isprintable() else f"\\U{ord(char):08x}"
        for char in json.dumps(value, ensure_ascii=False)
    )


__all__ = ["proposal_text", "section_text"]
