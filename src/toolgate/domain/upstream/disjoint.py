"""Whether no value can fit two of several schemas: what lets ``oneOf`` be read as ``anyOf``.

It says yes only where a proof is at hand: other types, other constants, a field that both require with other
constants, or, once they are closed, a field that each requires and the other does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any, Final, TypeAlias

from toolgate.domain.canonical import canonical_json
from toolgate.domain.upstream.keywords import IN_PLACE, TYPES

Resolve: TypeAlias = Callable[[Any], Any]
_MAX_REFERENCES: Final = 16
_KINDS: Final = {str: "string", bool: "boolean", type(None): "null", list: "array", dict: "object"}


def told_apart(branches: Sequence[Any], resolve: Resolve, *, closed: bool) -> bool:
    """Whether at most one of ``branches`` fits any value. ``closed``: each will refuse fields that it does not name."""
    plain = [_plain(branch, resolve) for branch in branches]
    return all(_apart(one, other, resolve, closed=closed) for one, other in combinations(plain, 2))


def _plain(node: Any, resolve: Resolve) -> Mapping[str, Any]:
    """``node``, or what it refers to where that is all it says."""
    for _ in range(_MAX_REFERENCES):
        if node is False:
            return {"enum": []}
        if not isinstance(node, Mapping):
            return {}
        if "$ref" not in node:
            return node
        node = resolve(node["$ref"])
    return {}


def _apart(one: Mapping[str, Any], other: Mapping[str, Any], resolve: Resolve, *, closed: bool) -> bool:
    if not _kinds(one) & _kinds(other):
        return True
    if _values_apart(one, other):
        return True
    if _kinds(one) != {"object"} or _kinds(other) != {"object"}:
        return False
    return _tagged(one, other, resolve) or (closed and _strange(one, other) and _strange(other, one))


def _kinds(node: Mapping[str, Any]) -> set[str]:
    values = _values(node)
    if values is not None:
        return {_KINDS.get(type(value), "number") for value in values}
    kind = node.get("type", sorted(TYPES))
    named = {kind} if isinstance(kind, str) else set(kind)
    # An integer is a number, and so is 1.0 (JSON Schema 2020-12, Core 6.1.1).
    return {"number" if name == "integer" else name for name in named}


def _values(node: Mapping[str, Any]) -> list[Any] | None:
    if "const" in node:
        return [node["const"]]
    return node["enum"] if isinstance(node.get("enum"), list) else None


def _values_apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    first, second = _values(one), _values(other)
    if first is None or second is None:
        return False
    return not {canonical_json(value) for value in first} & {canonical_json(value) for value in second}


def _tagged(one: Mapping[str, Any], other: Mapping[str, Any], resolve: Resolve) -> bool:
    """A field that both require and that cannot have the same value in both."""
    for name in set(one.get("required", ())) & set(other.get("required", ())):
        fields = [_plain(node.get("properties", {}).get(name, {}), resolve) for node in (one, other)]
        if _values_apart(fields[0], fields[1]) or not _kinds(fields[0]) & _kinds(fields[1]):
            return True
    return False


def _strange(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether ``one``, closed, refuses a field that ``other`` requires."""
    if one.keys() & IN_PLACE or one.get("patternProperties") or "unevaluatedProperties" in one:
        return False
    if isinstance(one.get("additionalProperties"), Mapping) and one["additionalProperties"]:
        return False
    return bool(one.get("properties")) and bool(set(other.get("required", ())) - set(one["properties"]))


__all__ = ["told_apart"]
