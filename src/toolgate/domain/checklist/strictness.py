"""Is an input schema closed and bounded at every place? Question 2, as far as the schema itself tells.

The rules: every object refuses unknown fields; every string has `maxLength`, a list of choices, a format of known
length or a pattern that cannot match without end; every number is bounded on both sides; every list has `maxItems`;
every mapping has `maxProperties` and bounded keys; no place takes any value. Not here: whether the validator holds to
it (`wrong_inputs`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from toolgate.domain.canonical import MAX_SAFE_INTEGER
from toolgate.domain.checklist.answers import Defect
from toolgate.domain.checklist.places import Place, Shape, chosen, kinds_of

FORMATS_OF_KNOWN_LENGTH: Final = frozenset({
    "date", "date-time", "time", "duration", "uuid", "ipv4", "ipv6", "uuid1", "uuid3", "uuid4", "uuid5",
})  # fmt: skip


def unbounded(place: Place) -> Iterator[Defect]:
    """What is open at ``place``, each with the bound that is missing."""
    told = set()
    for shape in place.shapes:
        for why, how in _open(shape):
            if why not in told:
                told.add(why)
                yield Defect(why=why, how=how, place=place.shown or None)


def _open(shape: Shape) -> Iterator[tuple[str, str]]:
    if chosen(shape):
        return
    for kind in kinds_of(shape):
        if kind == "any":
            yield "any value is accepted", "give it one type; where it has fields, a model that names them"
        elif kind == "string" and not is_bounded_text(shape):
            yield (
                "text of any length is accepted",
                "bound it: Field(max_length=...) (maxLength), a Literal, or a shipped type such as Identifier",
            )
        elif kind in {"integer", "number"}:
            yield from _open_number(shape)
        elif kind == "array":
            yield from _open_list(shape)
        elif kind == "object":
            yield from _open_object(shape)


def is_bounded_text(shape: Shape) -> bool:
    """Whether a string of this shape has a greatest length."""
    if isinstance(shape.get("maxLength"), int) or chosen(shape):
        return True
    if shape.get("format") in FORMATS_OF_KNOWN_LENGTH:
        return True
    pattern = shape.get("pattern")
    return isinstance(pattern, str) and has_end(pattern)


def bounds(shape: Shape) -> tuple[Any, Any]:
    """The least and greatest number that the author chose; ``None`` for a side that nobody chose.

    ±(2^53-1) is where JSON numbers end (RFC 7493). `schema` writes it where the author wrote nothing, so it counts
    as nothing.
    """
    least = _number(shape, "minimum", "exclusiveMinimum")
    most = _number(shape, "maximum", "exclusiveMaximum")
    return (
        None if least is None or least <= -MAX_SAFE_INTEGER else least,
        None if most is None or most >= MAX_SAFE_INTEGER else most,
    )


def _number(shape: Shape, *keys: str) -> Any:
    values = [shape[key] for key in keys if type(shape.get(key)) in {int, float}]
    return values[0] if values else None


def _open_number(shape: Shape) -> Iterator[tuple[str, str]]:
    least, most = bounds(shape)
    missing = [
        side
        for side, bound in (("below (ge=, minimum)", least), ("above (le=, maximum)", most))
        if bound is None
    ]
    if missing:
        yield (
            f"the number has no bound {' and none '.join(missing)}",
            "bound both sides: Field(ge=..., le=...); for money, Annotated[Money, MoneyRange(...)]",
        )


def _open_list(shape: Shape) -> Iterator[tuple[str, str]]:
    leading = isinstance(shape.get("prefixItems"), list)
    if not isinstance(shape.get("maxItems"), int) and not (leading and shape.get("items") is False):
        yield "a list of any length is accepted", "bound it: Field(max_length=...) (maxItems)"
    if not leading and not isinstance(shape.get("items"), Mapping):
        yield "the list's items may be anything", "give the items a type: list[...] (items)"


def _open_object(shape: Shape) -> Iterator[tuple[str, str]]:
    rest = shape.get("additionalProperties", True)
    if rest is False or shape.get("unevaluatedProperties") is False:
        return
    if shape.get("properties"):
        yield "unknown fields are accepted", "close it: additionalProperties: false (a model's default here)"
        return
    if rest is True or rest == {}:
        if not isinstance(shape.get("patternProperties"), Mapping):
            yield "an object with any content is accepted", "write a model that names each field"
        else:
            yield "fields of any name are accepted", "close it: additionalProperties: false"
        return
    if not isinstance(shape.get("maxProperties"), int):
        yield "a mapping of any size is accepted", "bound it: Field(max_length=...) (maxProperties)"
    names = shape.get("propertyNames")
    if not (isinstance(names, Mapping) and is_bounded_text(names)):
        yield (
            "keys of any length are accepted",
            "bound the keys: dict[Annotated[str, Field(max_length=...)], ...] (propertyNames)",
        )


_CLASS: Final = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]")
_ESCAPE: Final = re.compile(r"\\.")
_GROUP: Final = re.compile(r"\((?:[^()]*)\)")


def has_end(pattern: str) -> bool:
    """Whether what ``pattern`` matches has a greatest length: anchored on both sides and nothing repeats for ever."""
    plain = _ESCAPE.sub("x", _CLASS.sub("x", pattern))
    if not (plain.startswith("^") and plain.endswith("$")) or re.search(r"[*+]|\{\d*,\}", plain):
        return False
    # "^a|b$" is anchored on one side each: an alternative outside of every group loosens the whole.
    while (shorter := _GROUP.sub("x", plain)) != plain:
        plain = shorter
    return "|" not in plain
