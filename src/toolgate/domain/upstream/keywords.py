"""Every keyword of JSON Schema that is understood from outside, and which values it may have.

JSON Schema 2020-12, with what draft-07 and 2019-09 write otherwise. What is not here is unknown to a validator and is
left out; what is here and malformed makes the schema unusable. Not here: what becomes of them (``strict``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from toolgate.domain.canonical import MAX_SAFE_INTEGER

DIALECTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "https://json-schema.org/draft/2020-12/schema": "2020-12",
        "https://json-schema.org/draft/2019-09/schema": "2019-09",
        "http://json-schema.org/draft-07/schema": "draft-07",
        "https://json-schema.org/draft-07/schema": "draft-07",
        "http://json-schema.org/draft-06/schema": "draft-07",
    }
)
"""``$schema`` without its ``#`` → the dialect. Draft-06 has no keyword that draft-07 reads otherwise."""

TYPES: Final = frozenset({"string", "integer", "number", "boolean", "null", "array", "object"})

ANNOTATIONS: Final = frozenset({"title", "description", "default", "examples", "deprecated"})
"""Kept, and without effect on what fits. A default is never filled in."""

IGNORED: Final = frozenset({
    "$schema", "$id", "$anchor", "$comment", "$vocabulary", "$dynamicAnchor", "$recursiveAnchor", "$defs",
    "definitions", "readOnly", "writeOnly", "contentEncoding", "contentMediaType", "contentSchema",
})  # fmt: skip
"""Known, left out, and no loss: what they say is no condition on a value, or is said elsewhere."""

FORMATS: Final = frozenset({
    "date", "date-time", "time", "duration", "email", "idn-email", "hostname", "idn-hostname", "ipv4", "ipv6", "uri",
    "uri-reference", "iri", "iri-reference", "uuid", "json-pointer", "relative-json-pointer", "regex", "uri-template",
})  # fmt: skip
"""Formats of JSON Schema 2020-12 (Validation, 7.3): checked, not only noted."""

SILENT_FORMATS: Final = frozenset({"byte", "binary", "password", "float", "double", "decimal"})
"""Formats of OpenAPI that say nothing that could be checked; left out."""

NUMBER_FORMATS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        **{f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32)},
        **{f"uint{bits}": (0, 2**bits - 1) for bits in (8, 16, 32)},
        "int": (-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER),
        "int64": (-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER),
        "uint": (0, MAX_SAFE_INTEGER),
        "uint64": (0, MAX_SAFE_INTEGER),
    }
)
"""Formats of OpenAPI and of Rust's and Go's generators, as the bounds that they are."""

OF_OBJECTS: Final = frozenset(
    {"properties", "patternProperties", "required", "minProperties", "maxProperties", "propertyNames",
     "additionalProperties", "dependentRequired"}
)  # fmt: skip
OF_ARRAYS: Final = frozenset({"items", "prefixItems", "minItems", "maxItems", "uniqueItems", "contains"})
OF_STRINGS: Final = frozenset({"minLength", "maxLength", "pattern", "format"})
OF_NUMBERS: Final = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})


def _count(value: Any) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 and value == int(value)
    )


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _positive(value: Any) -> bool:
    return _number(value) and value > 0


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _types(value: Any) -> bool:
    named = value if isinstance(value, list) else [value]
    return bool(named) and all(isinstance(item, str) and item in TYPES for item in named)


ASSERTIONS: Final[Mapping[str, Callable[[Any], bool]]] = MappingProxyType(
    {
        "type": _types,
        "enum": lambda value: isinstance(value, list) and bool(value),
        "const": lambda _: True,
        "minLength": _count,
        "maxLength": _count,
        "pattern": lambda value: isinstance(value, str),
        "format": lambda value: isinstance(value, str),
        "minimum": _number,
        "maximum": _number,
        "exclusiveMinimum": _number,
        "exclusiveMaximum": _number,
        "multipleOf": _positive,
        "minItems": _count,
        "maxItems": _count,
        "uniqueItems": lambda value: isinstance(value, bool),
        "minContains": _count,
        "maxContains": _count,
        "required": _texts,
        "minProperties": _count,
        "maxProperties": _count,
        "dependentRequired": lambda value: (
            isinstance(value, Mapping) and all(_texts(item) for item in value.values())
        ),
    }
)
"""Keyword → whether its value can be read. All of them are conditions on the value itself."""

LISTS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
MAPPINGS: Final = frozenset({"properties", "patternProperties", "dependentSchemas"})
SINGLE: Final = frozenset({
    "items", "additionalProperties", "propertyNames", "contains", "not", "if", "then", "else", "unevaluatedItems",
    "unevaluatedProperties",
})  # fmt: skip
IN_PLACE: Final = frozenset({"$ref", "allOf", "anyOf", "oneOf", "if", "then", "else", "dependentSchemas"})
"""Keywords that apply further schemas to the very same value."""
DECLARING: Final = frozenset(
    {"properties", "patternProperties", "additionalProperties", "unevaluatedProperties"}
)
"""Keywords by which a schema says which fields an object has."""
UNSUPPORTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "$dynamicRef": "what it refers to depends on who refers to it",
        "$recursiveRef": "what it refers to depends on who refers to it",
    }
)
