"""How much work a schema is for a validator: what its references come to when each is written out in its place.

A validator follows every alternative, so that a schema of a few lines can keep it busy beyond all bounds. One whose
references do not come back to themselves is measured once; one that holds itself is measured by each value. Pure. Not
here: what else makes a schema unusable (``strict``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from toolgate.domain.upstream.keywords import IN_PLACE, LISTS, MAPPINGS, SINGLE

MAX_UNFOLDED: Final = 50_000
"""Schemas of a schema, those behind references counted wherever they are referred to."""
MAX_STEPS: Final = 200_000
"""Times that some schema is compared with some part of one value."""
_HERE: Final = (IN_PLACE | {"not"}) - {"dependentSchemas"}


def unfolded(schema: Mapping[str, Any]) -> tuple[int, bool]:
    """How many schemas it comes to, and whether it holds itself; a reference back counts as one.

    Raises:
        RecursionError: if it is nested too deeply to be followed.
    """
    definitions = schema.get("$defs", {})
    known: dict[str, int] = {}
    open_: set[str] = set()
    winding = False

    def size(node: Any) -> int:
        nonlocal winding
        if not isinstance(node, Mapping):
            return 1
        total = 1 + sum(size(part) for part in _parts(node))
        if isinstance(reference := node.get("$ref"), str):
            name = reference.rpartition("/")[2]
            if name in open_:
                winding = True
                return total + 1
            if name not in known:
                open_.add(name)
                known[name] = size(definitions.get(name))
                open_.discard(name)
            total += known[name]
        return total

    return size(schema), winding


def _parts(node: Mapping[str, Any]) -> Iterator[Any]:
    for key, value in node.items():
        if key in LISTS and isinstance(value, list):
            yield from value
        elif key in MAPPINGS and isinstance(value, Mapping):
            yield from value.values()
        elif key in SINGLE or key == "not":
            yield value


def steps(schema: Mapping[str, Any], value: Any) -> int:
    """How often, at most, comparing ``value`` with ``schema``, which may hold itself, compares two parts of them."""
    return _Steps(schema.get("$defs", {})).of(schema, value)


class _Steps:
    """Each pair of a schema and a part of the value is counted once, and used wherever it comes again."""

    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions
        self._known: dict[tuple[int, int], int] = {}

    def of(self, node: Any, value: Any) -> int:
        if not isinstance(node, Mapping):
            return 1
        key = (id(node), id(value) if isinstance(value, dict | list) else 0)
        if key not in self._known:
            self._known[key] = 1  # a schema that comes back to itself in place was refused before
            self._known[key] = 1 + self._here(node, value) + self._inside(node, value)
        return self._known[key]

    def _here(self, node: Mapping[str, Any], value: Any) -> int:
        total = 0
        for key in _HERE & node.keys():
            inner = node[key]
            if key == "$ref":
                inner = self._definitions.get(inner.rpartition("/")[2]) if isinstance(inner, str) else None
            total += sum(self.of(each, value) for each in (inner if isinstance(inner, list) else [inner]))
        dependents = node.get("dependentSchemas")
        return total + sum(self.of(each, value) for each in (dependents or {}).values())

    def _inside(self, node: Mapping[str, Any], value: Any) -> int:
        if isinstance(value, dict):
            fields, patterns = node.get("properties") or {}, node.get("patternProperties") or {}
            rest = [node[key] for key in ("additionalProperties", "unevaluatedProperties") if key in node]
            return sum(
                self.of(each, item)
                for name, item in value.items()
                for each in ([fields[name]] if name in fields else rest) + list(patterns.values())
            )
        if isinstance(value, list):
            first = node.get("prefixItems") or []
            rest = [node[key] for key in ("items", "contains", "unevaluatedItems") if key in node]
            return sum(self.of(each, item) for each, item in zip(first, value, strict=False)) + sum(
                self.of(each, item) for item in value for each in rest
            )
        return 0


__all__ = ["MAX_STEPS", "MAX_UNFOLDED", "steps", "unfolded"]
