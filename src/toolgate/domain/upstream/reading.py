"""A schema from outside in the words of JSON Schema 2020-12, each keyword well formed, before anything is made of it.

Here: dialects, and what is malformed. Not here: making it strict (``strict``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from toolgate.domain.schema import DIALECT
from toolgate.domain.upstream.keywords import (
    ANNOTATIONS,
    ASSERTIONS,
    DIALECTS,
    IGNORED,
    LISTS,
    MAPPINGS,
    SINGLE,
    UNSUPPORTED,
)
from toolgate.domain.upstream.patterns import pattern_problem

_KNOWN: Final = ANNOTATIONS | ASSERTIONS.keys() | LISTS | MAPPINGS | SINGLE | {"$ref"}
_OF_OLDER_DRAFTS: Final = frozenset({"additionalItems", "dependencies"})
_LATER: Final = frozenset(
    {"unevaluatedItems", "unevaluatedProperties", "dependentRequired", "dependentSchemas"}
)
"""Keywords that draft-07 does not have, and so does not heed."""
_SHOWN: Final = 120


class Refused(Exception):
    """Carries out of the walk why a schema cannot be used."""


def shown(at: str) -> str:
    """A place within a schema, in words."""
    plain = "".join(char if char.isprintable() else "?" for char in at)
    return plain[:_SHOWN] or "the arguments"


def dialect_of(schema: Mapping[str, Any]) -> str:
    """``2020-12``, ``2019-09`` or ``draft-07``.

    Raises:
        Refused: for any other.
    """
    said = schema.get("$schema", DIALECT)
    if not isinstance(said, str) or (dialect := DIALECTS.get(said.rstrip("#"))) is None:
        raise Refused("its $schema names a dialect that is not read here; 2020-12, 2019-09 and draft-07 are")
    return dialect


def today(node: Mapping[str, Any], at: str, dialect: str) -> tuple[dict[str, Any], list[str]]:
    """``node`` in the words of 2020-12, and the keywords that were left out because no validator knows them.

    Raises:
        Refused: for a keyword that cannot be followed, or whose value cannot be read.
    """
    _refuse_unreadable(node, at)
    read = {key: value for key, value in node.items() if key in _KNOWN}
    if dialect == "draft-07":
        read = {key: value for key, value in read.items() if key not in _LATER}
    _translate(read, node, at, dialect)
    if dialect == "draft-07" and "$ref" in read:
        # What stands beside a reference did not count then (draft-07 core, 8.3).
        read = {key: value for key, value in read.items() if key in ANNOTATIONS | {"$ref"}}
    return read, sorted(node.keys() - _KNOWN - IGNORED - _OF_OLDER_DRAFTS)


def _refuse_unreadable(node: Mapping[str, Any], at: str) -> None:
    for key, value in node.items():
        if key in UNSUPPORTED:
            raise Refused(f"{shown(at)}: {key} cannot be followed: {UNSUPPORTED[key]}")
        if key == "$id" and at and not str(value).startswith("#"):
            raise Refused(f"{shown(at)}: a schema within a schema has an address of its own ($id)")
        if key in ASSERTIONS and not ASSERTIONS[key](value):
            raise Refused(f"{shown(at)}: the value of {key} cannot be read")
    if "pattern" in node and (problem := pattern_problem(node["pattern"])) is not None:
        raise Refused(f"{shown(at)}: {problem}")


def _translate(read: dict[str, Any], node: Mapping[str, Any], at: str, dialect: str) -> None:
    """What draft-07 and 2019-09 write otherwise."""
    if isinstance(node.get("items"), list):
        if dialect == "2020-12":
            raise Refused(f"{shown(at)}: items is one schema; a list of them is prefixItems")
        read["prefixItems"] = read.pop("items")
        if "additionalItems" in node:
            read["items"] = node["additionalItems"]
    if isinstance(dependencies := node.get("dependencies"), Mapping):
        named = {key: value for key, value in dependencies.items() if isinstance(value, list)}
        if not ASSERTIONS["dependentRequired"](named):
            raise Refused(f"{shown(at)}: the value of dependencies cannot be read")
        if named:
            read["dependentRequired"] = {**read.get("dependentRequired", {}), **named}
        if schemas := {key: value for key, value in dependencies.items() if key not in named}:
            read["dependentSchemas"] = {**read.get("dependentSchemas", {}), **schemas}


__all__ = ["Refused", "dialect_of", "shown", "today"]
