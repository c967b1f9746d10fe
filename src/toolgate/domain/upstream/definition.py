"""One tool as an upstream defines it: everything a model would be told of it, and a digest over exactly that.

Here: reading what ``tools/list`` answered, within bounds. What else an upstream sends along (``_meta``, ``icons``,
``execution``) is neither kept nor passed on. Not here: whether it is believed (``scan``), what it is held to
(``strict``), and where it is kept (``lock``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from toolgate.domain.canonical import MAX_SAFE_INTEGER, UnfitJson, canonical_json, check_json

MAX_TOOL_NAME: Final = 128
"""Characters of a tool's name (MCP 2025-11-25, Tools: "SHOULD be between 1 and 128")."""
MAX_DEFINITION: Final = 262_144
"""Bytes of a definition in canonical JSON."""
_MAX_DEPTH: Final = 64
_MAX_NODES: Final = 20_000


@dataclass(frozen=True, slots=True)
class Unusable:
    """Why something from outside cannot stand behind the gate, in words for its operator."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A tool as its upstream describes it. ``digest`` is over these six fields and nothing else."""

    name: str
    title: str | None
    description: str
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any] | None
    annotations: Mapping[str, Any]
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha256(canonical_json(self.described())).hexdigest()
        object.__setattr__(self, "digest", f"sha256:{digest}")

    def described(self) -> dict[str, Any]:
        """The fields under the names that MCP gives them; also what stands in a lock."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "inputSchema": dict(self.input_schema),
            "outputSchema": None if self.output_schema is None else dict(self.output_schema),
            "annotations": dict(self.annotations),
        }

    @classmethod
    def of(cls, raw: object) -> Definition | Unusable:
        """The definition that ``raw``, one item of ``tools/list``, gives."""
        if not isinstance(raw, Mapping):
            return Unusable("a tool's definition is no object")
        name = raw.get("name")
        if not isinstance(name, str) or not 0 < len(name) <= MAX_TOOL_NAME or not name.isprintable():
            return Unusable(f"a tool's name is no printable text of 1 to {MAX_TOOL_NAME} characters")
        texts = {key: raw.get(key) for key in ("title", "description")}
        for key, text in texts.items():
            if text is not None and not isinstance(text, str):
                return Unusable(f"its {key} is no text")
        objects = {key: raw.get(key) for key in ("inputSchema", "outputSchema", "annotations")}
        for key, value in objects.items():
            if value is not None and not isinstance(value, Mapping):
                return Unusable(f"its {key} is no object")
        if objects["inputSchema"] is None:
            return Unusable("it has no inputSchema")
        plain = {key: _plain(value) for key, value in objects.items()}
        try:
            check_json([texts, plain], max_depth=_MAX_DEPTH, max_nodes=_MAX_NODES)
        except UnfitJson as unfit:
            return Unusable(
                f"its definition is not JSON that every reader understands alike: {unfit.problem}"
            )
        made = cls(
            name=name,
            title=texts["title"],
            description=texts["description"] or "",
            input_schema=plain["inputSchema"],
            output_schema=plain["outputSchema"],
            annotations=plain["annotations"] or {},
        )
        if len(canonical_json(made.described())) > MAX_DEFINITION:
            return Unusable(f"its definition is longer than {MAX_DEFINITION} bytes")
        return made


def _plain(value: Any) -> Any:
    """``value`` with integers beyond ±(2^53-1) as doubles, which is how RFC 8785 reads every number."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if type(value) is int and abs(value) > MAX_SAFE_INTEGER:
        try:
            return float(value)
        except OverflowError:
            return value
    return value


__all__ = ["MAX_DEFINITION", "MAX_TOOL_NAME", "Definition", "Unusable"]
