"""The fields of a form as MCP has them (2026-07-28, ``PrimitiveSchemaDefinition``): which there are, what fits one.

A subset of JSON Schema that every client can show: flat, of primitive values, with choices and defaults. Pure. Not
here: the form around them (``questions``), and a whole answer (``answers``).
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from toolgate.domain.canonical import NotCanonical, canonical_json
from toolgate.domain.errors import ContractError

MOST_CHOICES: Final = 100
LONGEST_MESSAGE: Final = 4_000
"""Characters of what a user is told."""
FORMATS: Final = frozenset({"email", "uri", "date", "date-time"})

_ALWAYS: Final = frozenset({"type", "title", "description", "default"})
_KEYWORDS: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "string": frozenset({"minLength", "maxLength", "format"}),
        "integer": frozenset({"minimum", "maximum"}),
        "number": frozenset({"minimum", "maximum"}),
        "boolean": frozenset(),
        "array": frozenset({"items", "minItems", "maxItems"}),
    }
)
_COUNTS: Final = frozenset({"minLength", "maxLength", "minItems", "maxItems"})
_BOUNDS: Final = frozenset({"minimum", "maximum"})
_WORDS: Final = frozenset({"title", "description"})
_CHOICES: Final = (
    {"enum"},
    {"enum", "enumNames"},
    {"oneOf"},
)
"""How a choice of one says what there is: plainly, with names beside it (deprecated), or each with its title."""
LONGEST_TEXT: Final = 4_000
"""Characters of one answer where its field says no less."""
_GREATEST: Final = 2**53 - 1
_EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s]+")
_DATE: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")
_TIME: Final = re.compile(rf"{_DATE.pattern}[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)")
_PATTERNS: Final = MappingProxyType({"email": _EMAIL, "uri": _URI, "date": _DATE, "date-time": _TIME})


def check_field(schema: object, *, of: str) -> None:
    """Refuse what is none of MCP's primitive schemas, or contradicts itself. ``of``: what it is called in words.

    Raises:
        ContractError: saying what would be right.
    """
    kind = str(schema.get("type")) if isinstance(schema, Mapping) else ""
    if not isinstance(schema, Mapping) or kind not in _KEYWORDS:
        raise ContractError(f"{of}: its type is one of {', '.join(sorted(_KEYWORDS))}")
    try:
        canonical_json(plain(schema))
    except NotCanonical as unfit:
        raise ContractError(f"{of}: {unfit}") from None
    given = set(schema) - _ALWAYS
    choice = next((one for one in _CHOICES if kind == "string" and given == one), None)
    if choice is not None:
        _check_choices(choices(schema), of)
        if "enumNames" in choice and not _are_names(schema["enumNames"], of=schema["enum"]):
            raise ContractError(f"{of}: enumNames has one name for each choice")
    elif strange := given - _KEYWORDS[kind]:
        raise ContractError(f"{of}: {kind} has no {min(strange)!r} in a form of MCP")
    if kind == "array":
        _check_items(schema.get("items"), of)
        _check_choices(choices(schema), of)
    _check_keywords(schema, of)
    if "default" in schema and (why := misfit(schema, schema["default"])) is not None:
        raise ContractError(f"{of}: its default {why}")


def _check_choices(found: list[Any], of: str) -> None:
    texts = all(isinstance(each, str) and 0 < len(each) <= LONGEST_MESSAGE for each in found)
    if not texts or not 1 <= len(set(map(str, found))) == len(found) <= MOST_CHOICES:
        raise ContractError(f"{of}: it takes 1 to {MOST_CHOICES} choices, each a text and each once")


def _are_names(names: object, *, of: Collection[Any]) -> bool:
    if not isinstance(names, list | tuple) or len(names) != len(of):
        return False
    return all(isinstance(each, str) for each in names)


def _check_items(items: object, of: str) -> None:
    known = isinstance(items, Mapping) and (
        set(items) == {"anyOf"} or (set(items) == {"type", "enum"} and items["type"] == "string")
    )
    if not known:
        raise ContractError(f"{of}: items is either a string with its enum, or an anyOf of const and title")


def _check_keywords(schema: Mapping[str, Any], of: str) -> None:
    for name, value in schema.items():
        if name in _COUNTS and (type(value) is not int or value < 0):
            raise ContractError(f"{of}: {name} is an integer of at least 0")
        if name in _BOUNDS and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ContractError(f"{of}: {name} is a number")
        if name in _WORDS and not (isinstance(value, str) and len(value) <= LONGEST_MESSAGE):
            raise ContractError(f"{of}: {name} is a text of at most {LONGEST_MESSAGE} characters")
        if name == "format" and value not in FORMATS:
            raise ContractError(f"{of}: format is one of {', '.join(sorted(FORMATS))}")
    for least, most in (("minLength", "maxLength"), ("minimum", "maximum"), ("minItems", "maxItems")):
        if least in schema and most in schema and schema[least] > schema[most]:
            raise ContractError(f"{of}: {least} is more than {most}")


def choices(schema: Mapping[str, Any]) -> list[Any]:
    """What a choice may be, in the order shown; empty for a field that is none."""
    source = schema.get("items", {}) if schema["type"] == "array" else schema
    if not isinstance(source, Mapping):
        return []
    titled = source.get("anyOf" if schema["type"] == "array" else "oneOf")
    if isinstance(titled, list | tuple):
        return list(_titled(titled))
    plain = source.get("enum")
    return list(plain) if isinstance(plain, list | tuple) else []


def _titled(given: Collection[Any]) -> Iterator[Any]:
    for each in given:
        whole = isinstance(each, Mapping) and set(each) == {"const", "title"}
        yield each["const"] if whole and isinstance(each["title"], str) else None


def misfit(schema: Mapping[str, Any], value: object) -> str | None:
    """Why ``value`` is no answer to a field of this schema; None where it is. Nothing of ``value`` is repeated."""
    match schema["type"]:
        case "string":
            return _misfit_of_text(schema, value)
        case "boolean":
            return None if isinstance(value, bool) else "must be true or false"
        case "array":
            return _misfit_of_several(schema, value)
        case kind:
            return _misfit_of_number(schema, value, whole=kind == "integer")


def _misfit_of_text(schema: Mapping[str, Any], value: object) -> str | None:
    if not isinstance(value, str):
        return "must be a text"
    if among := choices(schema):
        return None if value in among else "must be one of the choices"
    least, most = schema.get("minLength", 0), min(schema.get("maxLength", LONGEST_TEXT), LONGEST_TEXT)
    if not least <= len(value) <= most:
        return f"must have {least} to {most} characters"
    written = schema.get("format")
    return None if written is None or _PATTERNS[written].fullmatch(value) else f"must be written as {written}"


def _misfit_of_number(schema: Mapping[str, Any], value: object, *, whole: bool) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return "must be an integer" if whole else "must be a number"
    least, most = schema.get("minimum", -_GREATEST), schema.get("maximum", _GREATEST)
    return None if math.isfinite(value) and least <= value <= most else f"must be from {least} to {most}"


def _misfit_of_several(schema: Mapping[str, Any], value: object) -> str | None:
    among = choices(schema)
    if not isinstance(value, list | tuple) or not all(each in among for each in value):
        return "must be some of the choices"
    if len(set(value)) < len(value):
        return "must have each choice once"
    least, most = schema.get("minItems", 0), min(schema.get("maxItems", len(among)), len(among))
    return None if least <= len(value) <= most else f"must be {least} to {most} of the choices"


def plain(value: Any) -> Any:
    """``value`` in dicts and lists, whatever it is kept in."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value
