"""Is a schema a JSON Schema 2020-12 document? Question 2, for schemas that somebody wrote by hand.

Here: the types of its keywords, its references, and the words of older dialects that 2020-12 passes over in silence,
so that a bound is written and not held. Not here: whether the schema is strict (`strictness`).
Source: draft-bhutton-json-schema-01 and -validation-01.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from toolgate.domain.checklist.answers import Defect
from toolgate.domain.checklist.places import resolved
from toolgate.domain.schema import DIALECT

_TYPES: Final = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_IGNORED: Final = frozenset(
    {"additionalItems", "dependencies", "disallow", "divisibleBy", "extends", "nullable"}
)
_MAX_NODES: Final = 20_000


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_number(value: Any) -> bool:
    return type(value) in {int, float}


def _is_names(value: Any) -> bool:
    return (
        isinstance(value, list)
        and all(isinstance(item, str) for item in value)
        and len(set(value)) == len(value)
    )


def _is_type(value: Any) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and _is_names(names) and _TYPES.issuperset(names)


def _is_pattern(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        re.compile(value)
    except re.error:
        return False
    return True


_KEYWORDS: Final[Mapping[str, tuple[Callable[[Any], bool], str]]] = {
    "type": (_is_type, "a JSON type or a list of them"),
    "required": (_is_names, "a list of different names"),
    "enum": (lambda value: isinstance(value, list), "a list"),
    "pattern": (_is_pattern, "a regular expression"),
    "format": (lambda value: isinstance(value, str), "a text"),
    "uniqueItems": (lambda value: isinstance(value, bool), "true or false"),
    "multipleOf": (lambda value: _is_number(value) and value > 0, "a number above zero"),
    **dict.fromkeys(
        ("maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties"),
        (_is_count, "a whole number, not negative"),
    ),
    **dict.fromkeys(
        ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
        (_is_number, "a number (true and false are draft 4)"),
    ),
}
_ONE: Final = ("additionalProperties", "contains", "else", "if", "items", "not", "propertyNames", "then")
_ONE_MORE: Final = ("unevaluatedItems", "unevaluatedProperties")
_MANY: Final = ("allOf", "anyOf", "oneOf", "prefixItems")
_NAMED: Final = ("$defs", "definitions", "dependentSchemas", "patternProperties", "properties")


def misuse(schema: Mapping[str, Any]) -> Iterator[Defect]:
    """What makes ``schema`` no 2020-12 document, or says less than it seems to."""
    named = schema.get("$schema", DIALECT)
    if not isinstance(named, str) or named.rstrip("#") != DIALECT:
        yield Defect(why="the schema names another dialect", how=f"write it in 2020-12: $schema {DIALECT}")
    if schema.get("type") != "object":
        yield Defect(why="the arguments are no object", how="write type: object at the top")
    pending: list[tuple[Any, str]] = [(schema, "")]
    for _ in range(_MAX_NODES):
        if not pending:
            return
        node, where = pending.pop()
        if isinstance(node, Mapping):
            yield from _keywords(schema, node, where)
            yield from _collect(node, where, pending)
        elif not isinstance(node, bool):
            yield Defect(why="not a schema", how="write an object, or true or false", place=where or None)


def _keywords(root: Mapping[str, Any], node: Mapping[str, Any], where: str) -> Iterator[Defect]:
    for key, value in node.items():
        if key in _IGNORED:
            yield Defect(
                why=f"{key} means nothing in 2020-12", how="say it in words of 2020-12", place=where or None
            )
        elif key in _KEYWORDS and not _KEYWORDS[key][0](value):
            yield Defect(why=f"{key} is wrong", how=f"{key} takes {_KEYWORDS[key][1]}", place=where or None)
        elif key == "$ref" and (not isinstance(value, str) or resolved(root, value) is None):
            yield Defect(
                why="$ref leads nowhere within the schema",
                how="write what it means under $defs",
                place=where or None,
            )


def _collect(node: Mapping[str, Any], where: str, pending: list[tuple[Any, str]]) -> Iterator[Defect]:
    """The schemas within ``node`` go to ``pending``."""
    pending += (
        (node[key], f"{where}[]" if key == "items" else where) for key in (*_ONE, *_ONE_MORE) if key in node
    )
    for key in _MANY:
        if key in node:
            if isinstance(node[key], list) and node[key]:
                pending += ((item, where) for item in node[key])
            else:
                yield Defect(why=f"{key} is wrong", how=f"{key} takes a list of schemas", place=where or None)
    for key in _NAMED:
        if key in node:
            if isinstance(node[key], Mapping):
                deeper = key == "properties"
                pending += (
                    (item, f"{where}.{name}".lstrip(".") if deeper else where)
                    for name, item in node[key].items()
                )
            else:
                yield Defect(
                    why=f"{key} is wrong", how=f"{key} takes names with schemas", place=where or None
                )
