"""Values drawn from a JSON Schema as a tool publishes it: whatever a careful client might send."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

_DEEPEST = 4
_TIMES = {
    "date": st.dates().map(lambda day: day.isoformat()),
    "date-time": st.datetimes().map(lambda at: f"{at.isoformat(timespec='seconds')}Z"),
    "local-time": st.times().map(lambda at: at.isoformat()),
    "duration": st.integers(0, 10**6).map(lambda count: f"PT{count}S"),
    "uuid": st.uuids().map(str),
}


def drawn_from(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """Values that ``schema``, and what it refers to, accepts."""
    return _Drawing(schema.get("$defs", {})).of(schema, 0)


class _Drawing:
    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self.definitions = definitions

    def of(self, node: Mapping[str, Any], depth: int) -> st.SearchStrategy[Any]:
        if "$ref" in node:
            return st.deferred(lambda: self.of(self.definitions[node["$ref"].rsplit("/", 1)[-1]], depth))
        for union in ("anyOf", "oneOf"):
            if union in node:
                branches = [
                    branch for branch in node[union] if depth < _DEEPEST or branch.get("type") == "null"
                ]
                return st.one_of([self.of(branch, depth + 1) for branch in branches or node[union]])
        if "enum" in node or "const" in node:
            return st.sampled_from(node.get("enum") or [node["const"]])
        drawn: st.SearchStrategy[Any] = getattr(self, f"_{node['type']}")(node, depth)
        return drawn

    def _object(self, node: Mapping[str, Any], depth: int) -> st.SearchStrategy[Any]:
        if "properties" in node:
            fields = {name: self.of(item, depth + 1) for name, item in node["properties"].items()}
            required = {name: fields.pop(name) for name in node.get("required", ())}
            # Beyond the depth only what must be there, so that what holds itself comes to an end.
            return st.fixed_dictionaries(required, optional=fields if depth < _DEEPEST else {})
        names = node.get("propertyNames", {"type": "string"}) | {"type": "string"}
        values = self.of(node["additionalProperties"], depth + 1)
        return st.dictionaries(
            self._string(names, depth), values, max_size=min(node.get("maxProperties", 3), 3)
        )

    def _array(self, node: Mapping[str, Any], depth: int) -> st.SearchStrategy[Any]:
        if "prefixItems" in node:
            return st.tuples(*(self.of(item, depth + 1) for item in node["prefixItems"])).map(list)
        most = min(node.get("maxItems", 3), 3) if depth < _DEEPEST else 0
        return st.lists(self.of(node["items"], depth + 1), min_size=node.get("minItems", 0), max_size=most)

    def _string(self, node: Mapping[str, Any], depth: int) -> st.SearchStrategy[Any]:
        if node.get("format") in _TIMES:
            return _TIMES[node["format"]]
        if "pattern" in node:
            return st.from_regex(node["pattern"].replace("$", "\\Z")).filter(
                lambda text: not text.startswith("-")
            )
        most = node.get("maxLength", 12)
        return st.text(min_size=node.get("minLength", 0), max_size=most)

    def _integer(self, node: Mapping[str, Any], depth: int) -> st.SearchStrategy[Any]:
        least = node["exclusiveMinimum"] + 1 if "exclusiveMinimum" in node else node["minimum"]
        most = node["exclusiveMaximum"] - 1 if "exclusiveMaximum" in node else node["maximum"]
        return st.integers(least, most)

    def _number(self, node: Mapping[str, Any], depth: int) -> st.SearchStrategy[Any]:
        return st.floats(
            node.get("exclusiveMinimum", node.get("minimum")),
            node.get("exclusiveMaximum", node.get("maximum")),
            exclude_min="exclusiveMinimum" in node,
            exclude_max="exclusiveMaximum" in node,
            allow_nan=False,
            allow_infinity=False,
        )

    def _boolean(self, node: Mapping[str, Any], depth: int) -> st.SearchStrategy[Any]:
        return st.booleans()

    def _null(self, node: Mapping[str, Any], depth: int) -> st.SearchStrategy[Any]:
        return st.none()
