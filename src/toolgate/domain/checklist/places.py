"""Every place in a JSON Schema where a value may stand, with what is accepted there.

Here: the walk through references, alternatives and containers. Not here: whether what it finds is good
(`strictness`), or what could be sent to try it (`wrong_inputs`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, TypeAlias

Shape: TypeAlias = Mapping[str, Any]
"""One alternative of a place: a schema without ``$ref``, ``allOf``, ``anyOf``, ``oneOf`` or a list of types."""

Step: TypeAlias = str | int

EVERY_KEY: Final = "*"
MAX_PLACES: Final = 500
_MAX_ALTERNATIVES: Final = 64
_MAX_REFERENCES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One step down, and what has to stand beside it so that a validator looks there (the tag of a union)."""

    step: Step
    beside: Mapping[str, Any]
    before: int = 0

    def around(self, value: Any) -> Any:
        """``value`` inside the smallest container that leads to it."""
        if isinstance(self.step, int):
            return [*([None] * self.before), value]
        return {**self.beside, self.step: value}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One place. ``ambiguous``: it lies within one of several objects that no tag tells apart."""

    layers: tuple[Layer, ...]
    shapes: tuple[Shape, ...]
    required: bool = True
    ambiguous: bool = False

    @property
    def steps(self) -> tuple[Step, ...]:
        """The location as a validator reports it."""
        return tuple(layer.step for layer in self.layers)

    @property
    def name(self) -> str | None:
        """The name of the field, also of the items of a list in it; ``None`` at the root."""
        names = [step for step in self.steps if isinstance(step, str) and step != EVERY_KEY]
        return names[-1] if names else None

    @property
    def shown(self) -> str:
        """The place in words: ``items[].sku``; nothing at the root."""
        text = ""
        for step in self.steps:
            text += "[]" if isinstance(step, int) else f".{step}" if text else step
        return text

    @property
    def kinds(self) -> frozenset[str]:
        """The JSON types that are accepted, ``any`` among them where nothing is said."""
        return frozenset(kind for shape in self.shapes for kind in kinds_of(shape))

    def document(self, value: Any) -> Any:
        """Arguments in which ``value`` stands at this place."""
        for layer in reversed(self.layers):
            value = layer.around(value)
        return value


def places(schema: Mapping[str, Any]) -> list[Place]:
    """Every place, the root first; at most `MAX_PLACES`. What refers to itself is entered once."""
    walk = _Walk(schema)
    found = []
    for place in walk.down(schema, (), frozenset(), ambiguous=False, required=True):
        found.append(place)
        if len(found) >= MAX_PLACES:
            break
    return found


def kinds_of(shape: Shape) -> frozenset[str]:
    """The JSON types of one alternative."""
    if "const" in shape or "enum" in shape:
        values = shape["enum"] if isinstance(shape.get("enum"), list) else [shape.get("const")]
        return frozenset(_kind(value) for value in values)
    kind = shape.get("type")
    if isinstance(kind, str):
        return frozenset({kind})
    if "properties" in shape or "additionalProperties" in shape:
        return frozenset({"object"})
    return frozenset({"array" if "items" in shape or "prefixItems" in shape else "any"})


def chosen(shape: Shape) -> bool:
    """Whether the values are listed."""
    return "const" in shape or "enum" in shape


def _kind(value: object) -> str:
    if value is None:
        return "null"
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "any")


class _Walk:
    """One schema on its way; holds the root, which references are read from."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self.root = root

    def down(
        self,
        node: Any,
        layers: tuple[Layer, ...],
        entered: frozenset[str],
        *,
        ambiguous: bool,
        required: bool,
    ) -> Iterator[Place]:
        flat = list(islice(self.alternatives(node, entered), _MAX_ALTERNATIVES))
        shapes = tuple(shape for shape, _ in flat)
        yield Place(layers=layers, shapes=shapes, ambiguous=ambiguous, required=required)
        containers = [(shape, seen) for shape, seen in flat if kinds_of(shape) & {"object", "array"}]
        untold = len(containers) > 1 and not self._tagged(containers)
        for shape, seen in containers:
            if seen is None:  # it contains itself: entered once already
                continue
            yield from self._inside(shape, layers, seen, ambiguous=ambiguous or untold)

    def alternatives(
        self, node: Any, entered: frozenset[str]
    ) -> Iterator[tuple[Shape, frozenset[str] | None]]:
        """What may stand there, each with the references that led to it; ``None`` if one leads back."""
        if not isinstance(node, Mapping):
            yield ({}, entered) if node is not False else ({"enum": []}, entered)
            return
        folded, seen = self._folded(node, entered)
        for key in ("anyOf", "oneOf"):
            if isinstance(branches := folded.get(key), list):
                if seen is None:  # a union that leads back to itself: judged where it was entered
                    return
                rest = {name: value for name, value in folded.items() if name != key}
                for branch in branches:
                    merged = {**rest, **branch} if isinstance(branch, Mapping) else rest
                    yield from self.alternatives(merged, seen)
                return
        kind = folded.get("type")
        for one in kind if isinstance(kind, list) else [kind]:
            yield (folded if one is kind else {**folded, "type": one}), seen

    def _folded(
        self, node: Mapping[str, Any], entered: frozenset[str]
    ) -> tuple[dict[str, Any], frozenset[str] | None]:
        """``node`` with what it refers to and what ``allOf`` adds. Its own words win over those it refers to."""
        folded, seen, again = dict(node), entered, False
        for _ in range(_MAX_REFERENCES):
            reference = folded.pop("$ref", None)
            parts = [resolved(self.root, reference)] if isinstance(reference, str) else []
            again = again or reference in entered
            seen = seen | {reference} if isinstance(reference, str) else seen
            more = folded.pop("allOf", None)
            parts += more if isinstance(more, list) else []
            if not parts:
                break
            for part in parts:
                folded = _merged(part, folded) if isinstance(part, Mapping) else folded
        return folded, None if again else seen

    def _inside(
        self, shape: Shape, layers: tuple[Layer, ...], entered: frozenset[str], *, ambiguous: bool
    ) -> Iterator[Place]:
        for layer, node, required in self._parts(shape):
            yield from self.down(node, (*layers, layer), entered, ambiguous=ambiguous, required=required)

    def _parts(self, shape: Shape) -> Iterator[tuple[Layer, Any, bool]]:
        properties = shape.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        tags = {name: tag for name, node in properties.items() for tag in self._tag(node)}
        needed = shape.get("required", ())
        for name, node in properties.items():
            yield Layer(step=name, beside=tags), node, name in needed
        for mapping in _mappings(shape):
            yield Layer(step=EVERY_KEY, beside=tags), mapping, False
        leading = shape.get("prefixItems")
        for index, node in enumerate(leading if isinstance(leading, list) else ()):
            yield Layer(step=index, beside={}, before=index), node, True
        if isinstance(items := shape.get("items"), Mapping):
            yield Layer(step=0, beside={}), items, False

    def _tag(self, node: Any) -> Iterator[Any]:
        for shape, _ in self.alternatives(node, frozenset()):
            if "const" in shape:
                yield shape["const"]
            elif isinstance(choices := shape.get("enum"), list) and len(choices) == 1:
                yield choices[0]
            return

    def _tagged(self, containers: Sequence[tuple[Shape, frozenset[str] | None]]) -> bool:
        return all("discriminator" in shape for shape, _ in containers)


def _merged(part: Mapping[str, Any], node: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**part, **node}
    if isinstance(one := part.get("properties"), Mapping) and isinstance(
        other := node.get("properties"), Mapping
    ):
        merged["properties"] = {**one, **other}
    return merged


def _mappings(shape: Shape) -> Iterator[Mapping[str, Any]]:
    if isinstance(rest := shape.get("additionalProperties"), Mapping):
        yield rest
    if isinstance(by_pattern := shape.get("patternProperties"), Mapping):
        yield from (node for node in by_pattern.values() if isinstance(node, Mapping))


def resolved(root: Mapping[str, Any], reference: str) -> Any:
    """What a reference within the document stands for (RFC 6901); ``None`` if it leads nowhere or outside."""
    if not reference.startswith("#"):
        return None
    node: Any = root
    for part in reference[1:].split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if not isinstance(node, Mapping) or key not in node:
            return None
        node = node[key]
    return node
