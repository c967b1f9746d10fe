"""The gap between what a schema says and what pydantic reads, closed on the schema's side.

pydantic reads ``"1577836800"`` as a date, ``true`` as the choice ``1`` and ``" 1_000"`` as a decimal, in its
strict mode too. Here: one written form for each such type, put into the schema as a ``pattern``, and the check
that a value has the form its schema shows. Not here: everything on which the two agree by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from toolgate.domain.canonical import UnfitJson
from toolgate.domain.errors import ContractError

_DATE: Final = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME: Final = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\\.[0-9]{1,6})?)?"
_FULL_TIME: Final = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?"
_OFFSET: Final = "([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
_DURATION: Final = (
    "P(?=[0-9T])([0-9]{1,4}Y)?([0-9]{1,9}D)?(T(?=[0-9])([0-9]{1,9}H)?([0-9]{1,9}M)?([0-9]{1,9}S)?)?"
)
_LONGEST_WHOLE: Final = 18
_LONGEST_FRACTION: Final = 6
"""Beyond it Python itself writes a decimal with an exponent, which would not be read back."""

PATTERNS: Final[Mapping[str, str]] = {
    "date": f"^{_DATE}$",
    "date-time": f"^{_DATE}[Tt]{_FULL_TIME}{_OFFSET}$",
    "local-date-time": f"^{_DATE}T{_TIME}$",
    "local-time": f"^{_TIME}$",
    "time": f"^{_FULL_TIME}{_OFFSET}$",
    "duration": f"^{_DURATION}$",
    "uuid": "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
}
"""The form of each ``format``: RFC 3339 for times, whole seconds of ISO 8601 for durations, RFC 9562 for UUIDs."""

_SHOWN: Final[Mapping[str, str]] = {
    "date": "write a date as 2026-01-31",
    "date-time": "write a time with its offset, as 2026-01-31T10:00:00Z",
    "local-date-time": "write a local time without an offset, as 2026-01-31T10:00:00",
    "local-time": "write a time of day without an offset, as 10:00:00",
    "time": "write a time of day with its offset, as 10:00:00Z",
    "duration": "write a duration in whole seconds as PT90S or P1DT2H",
    "uuid": "write a UUID as 32 hexadecimal digits in five groups with hyphens",
    "decimal": 'write a decimal number as a string of digits, such as "12.50"',
}


class InputSchema(GenerateJsonSchema):
    """pydantic's schema of an input, with one form each for times, durations, decimals and UUIDs."""

    def date_schema(self, schema: core_schema.DateSchema) -> JsonSchemaValue:
        """A calendar day of RFC 3339."""
        return _formed(super().date_schema(schema), "date")

    def datetime_schema(self, schema: core_schema.DatetimeSchema) -> JsonSchemaValue:
        """A moment of RFC 3339 with its offset; without one where the type is ``NaiveDatetime``."""
        naive = schema.get("tz_constraint") == "naive"
        return _formed(super().datetime_schema(schema), "local-date-time" if naive else "date-time")

    def time_schema(self, schema: core_schema.TimeSchema) -> JsonSchemaValue:
        """A time of day without an offset; with one where the type demands it."""
        aware = schema.get("tz_constraint") == "aware"
        return _formed(super().time_schema(schema), "time" if aware else "local-time")

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        """Whole seconds of ISO 8601."""
        return _formed(super().timedelta_schema(schema), "duration")

    def uuid_schema(self, schema: core_schema.UuidSchema) -> JsonSchemaValue:
        """The text form of RFC 9562."""
        return _formed(super().uuid_schema(schema), "uuid")

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        """A string: a JSON number would be read as a double somewhere on its way (RFC 8259, 6).

        Raises:
            ContractError: for more than six decimal places; an integer of the smallest unit holds them.
        """
        if (schema.get("decimal_places") or 0) > _LONGEST_FRACTION:
            raise ContractError(
                f"a Decimal has at most {_LONGEST_FRACTION} decimal places; write an integer of the smallest unit"
            )
        shown: JsonSchemaValue = {"type": "string", "format": "decimal", "pattern": _decimal_pattern(schema)}
        bounds = [
            f"{word} {schema[bound]}"  # type: ignore[literal-required]
            for bound, word in (
                ("ge", "at least"),
                ("gt", "more than"),
                ("le", "at most"),
                ("lt", "less than"),
            )
            if schema.get(bound) is not None
        ]
        if bounds:
            # No keyword of JSON Schema bounds a number that is written as a string; words are seen all the same.
            shown["description"] = f"A decimal number, {' and '.join(bounds)}."
        return shown


def _formed(shown: JsonSchemaValue, form: str) -> JsonSchemaValue:
    return {**shown, "format": form, "pattern": PATTERNS[form]}


def _decimal_pattern(schema: core_schema.DecimalSchema) -> str:
    places, digits = schema.get("decimal_places"), schema.get("max_digits")
    fraction = _LONGEST_FRACTION if places is None else places
    whole = _LONGEST_WHOLE if digits is None else max(digits - (places or 0), 1)
    return f"^-?(0|[1-9][0-9]{{0,{whole - 1}}})" + (f"(\\.[0-9]{{1,{fraction}}})?$" if fraction else "$")


# --- the check -----------------------------------------------------------------------------------------------

Check: TypeAlias = Callable[[Any, str], None]
"""Raises ``UnfitJson`` with the path where a value, good by pydantic, has not the form that its schema shows."""

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "object": (dict,),
    "array": (list,),
}


def form_check(schema: Mapping[str, Any]) -> Check | None:
    """What has to be checked beside pydantic for values of ``schema``; None where nothing has."""
    definitions = schema.get("$defs", {})
    if not (_has_form(schema) or any(_has_form(node) for node in definitions.values())):
        return None
    return _Compiler(definitions).check(schema)


def _has_form(node: Any) -> bool:
    if isinstance(node, list):
        return any(_has_form(item) for item in node)
    if not isinstance(node, Mapping):
        return False
    if node.get("format") in _SHOWN or not all(isinstance(choice, str) for choice in _choices(node)):
        return True
    return any(
        _has_form(value) for key, value in node.items() if key not in {"default", "examples", "enum", "const"}
    )


def _choices(node: Mapping[str, Any]) -> list[Any]:
    return [node["const"]] if "const" in node else list(node.get("enum", ()))


class _Compiler:
    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions
        self._named: dict[str, Check | None] = {}

    def check(self, node: Any) -> Check | None:
        if not isinstance(node, Mapping):
            return None
        if "$ref" in node:
            return self._reference(node["$ref"].rsplit("/", 1)[-1])
        branches = node.get("anyOf") or node.get("oneOf")
        if branches:
            return self._any(branches)
        if node.get("format") in _SHOWN and "pattern" in node:
            return _text(node["pattern"], _SHOWN[node["format"]])
        if choices := _choices(node):
            return None if all(isinstance(choice, str) for choice in choices) else _choice(choices)
        if "items" in node or "prefixItems" in node:
            return _array(
                [self.check(item) for item in node.get("prefixItems", ())], self.check(node.get("items"))
            )
        if node.get("type") == "object":
            known = {name: self.check(item) for name, item in node.get("properties", {}).items()}
            named = {name: check for name, check in known.items() if check is not None}
            return _object(named, frozenset(known), self.check(node.get("additionalProperties")))
        return None

    def _reference(self, name: str) -> Check | None:
        if name not in self._named:
            # While it is being compiled, a reference to itself looks it up when a value is there.
            self._named[name] = lambda value, path: _run(self._named[name], value, path)
            self._named[name] = self.check(self._definitions.get(name))
        return self._named[name]

    def _any(self, branches: list[Any]) -> Check | None:
        compiled = [(self._resolved(branch), self.check(branch)) for branch in branches]
        if all(check is None for _, check in compiled):
            return None

        def check(value: Any, path: str) -> None:
            fault: UnfitJson | None = None
            for branch, each in compiled:
                if _may_be(branch, value):
                    try:
                        _run(each, value, path)
                    except UnfitJson as unfit:
                        fault = unfit
                    else:
                        return
            raise fault or UnfitJson(path, "this has none of the forms that the schema allows")

        return check

    def _resolved(self, node: Any) -> Any:
        while isinstance(node, Mapping) and "$ref" in node:
            node = self._definitions.get(node["$ref"].rsplit("/", 1)[-1], {})
        return node


def _run(check: Check | None, value: Any, path: str) -> None:
    if check is not None:
        check(value, path)


def _may_be(branch: Any, value: Any) -> bool:
    """Whether a branch of a union can be the one that pydantic took."""
    kinds = _TYPES.get(branch.get("type", ""), ())
    if kinds and type(value) not in kinds:
        return False
    if type(value) is dict and "properties" in branch:
        properties, required = branch["properties"], branch.get("required", ())
        return set(value) <= set(properties) and set(required) <= set(value)
    return True


def _text(pattern: str, wanted: str) -> Check:
    matches = re.compile(pattern.removeprefix("^").removesuffix("$")).fullmatch

    def check(value: Any, path: str) -> None:
        if type(value) is not str or not matches(value):
            raise UnfitJson(path, wanted)

    return check


def _choice(choices: list[Any]) -> Check:
    shown = ", ".join(str(choice) if not isinstance(choice, str) else repr(choice) for choice in choices[:8])

    def check(value: Any, path: str) -> None:
        if not any(_same(value, choice) for choice in choices):
            raise UnfitJson(path, f"use one of: {shown}")

    return check


def _same(value: Any, choice: Any) -> bool:
    return type(value) is type(choice) and bool(value == choice)


def _array(leading: list[Check | None], rest: Check | None) -> Check | None:
    if rest is None and all(check is None for check in leading):
        return None

    def check(value: Any, path: str) -> None:
        if type(value) is list:
            for index, item in enumerate(value):
                _run(leading[index] if index < len(leading) else rest, item, f"{path}[{index}]")

    return check


def _object(named: Mapping[str, Check], known: frozenset[str], rest: Check | None) -> Check | None:
    if not named and rest is None:
        return None

    def check(value: Any, path: str) -> None:
        if type(value) is not dict:
            return
        for name, each in named.items():
            if name in value:
                each(value[name], f"{path}.{name}" if path else name)
        if rest is not None:
            for name, item in value.items():
                if name not in known:
                    rest(item, f"{path}.*" if path else "*")

    return check
