"""What a tool of an upstream takes and gives, by its JSON Schema: a ``domain.schema.Form`` over jsonschema-rs.

Values are plain JSON, and defaults are not filled in: what was sent is what is judged, approved and passed on. Errors
come in the words and under the names that the gate's own types have, so that whoever sent a value reads the same thing
whatever stands behind a tool. Not here: making a schema strict (``domain.upstream.strict``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

import jsonschema_rs
from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from toolgate.domain.canonical import JsonValue, canonical_json, check_json
from toolgate.domain.schema import Unstable
from toolgate.domain.upstream.definition import Unusable
from toolgate.domain.upstream.effort import MAX_STEPS, steps, unfolded
from toolgate.domain.upstream.patterns import looks_around

_BACKTRACKS: Final = 10_000
"""Steps back that one match may take; beyond it a value does not fit."""
_LIGHT: Final = 40
"""Schemas up to which the work for a value is not counted beforehand."""
_EXPLAINED: Final = 20_000
"""Steps up to which it is told where a value does not fit; telling takes far longer than finding that it does not."""
_REGEX_SIZE: Final = 2 * 1024 * 1024
_MOST_ERRORS: Final = 20
_MOST_CHOICES: Final = 8
_LONGEST_CHOICE: Final = 64
_LONGEST_PATTERN: Final = 200
_RESULT_DEPTH: Final = 64
_RESULT_NODES: Final = 200_000
_RESULT_STRING: Final = 16 * 1024 * 1024
_WHOLE: Final = "whole"
_UNCHANGED: Final = frozenset({"not", "if", "contains", "oneOf", "default", "examples", "enum", "const"})
_BY_NAME: Final = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs"})

_Kind: TypeAlias = jsonschema_rs.ValidationErrorKind

Location = tuple[str | int, ...]
Complaint = tuple[Location, str, str]
"""Where, the name of the error, and what would be right."""


class JsonShape:
    """A JSON Schema with its validator.

    ``strict`` is for inputs: besides what the schema says, a whole number is written without a fraction.
    """

    __slots__ = ("_counted", "_validator", "schema")

    def __init__(self, schema: Mapping[str, Any], *, strict: bool) -> None:
        self.schema = schema
        self._validator = _compiled(schema, strict=strict)
        size, winding = unfolded(schema)
        self._counted = winding or size > _LIGHT

    @classmethod
    def of(cls, schema: Mapping[str, Any], *, strict: bool) -> JsonShape | Unusable:
        """As the class, or why the validator cannot work with ``schema``."""
        try:
            return cls(schema, strict=strict)
        except (ValueError, jsonschema_rs.ReferencingError) as broken:
            kind = getattr(getattr(broken, "kind", None), "name", type(broken).__name__)
            return Unusable(f"the validator does not take its schema ({kind})")

    def load(self, raw: bytes, tree: JsonValue = None) -> Any:
        """The value that ``raw`` stands for; see ``Shape.load``.

        Raises:
            pydantic.ValidationError: if it does not fit.
        """
        value = json.loads(raw) if tree is None else tree
        self._check(value)
        return value

    def load_again(self, raw: bytes) -> Any:
        """As ``load``, for what was judged before."""
        return self.load(raw)

    def load_stable(self, raw: bytes) -> Any:
        """As ``load``, for canonical bytes.

        Raises:
            Unstable: if what is read from them would be written in other bytes.
        """
        value = self.load(raw)
        if canonical_json(value) != raw:
            raise Unstable("the sealed arguments are not in their canonical form")
        return value

    def check_form(self, tree: JsonValue) -> None:
        """Nothing: no form of writing is left to judge beside the schema."""

    def load_result(self, raw: bytes) -> Any:
        """As ``load``."""
        return self.load(raw)

    def dump(self, value: Any) -> Any:
        """``value`` as it is."""
        return value

    def dump_loaded(self, value: Any) -> Any:
        """``value`` as it is."""
        return value

    def to_json(self, value: Any) -> bytes:
        """``value`` as JSON bytes.

        Raises:
            ValueError: for what is not plain JSON that every reader understands alike.
        """
        check_json(value, max_depth=_RESULT_DEPTH, max_nodes=_RESULT_NODES, max_string=_RESULT_STRING)
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()

    def _check(self, value: Any) -> None:
        effort = self._effort(value) if self._counted else 0
        if effort > MAX_STEPS:
            raise _misfit([((), *_TOO_WINDING)])
        if self._validator.is_valid(value):
            return
        if effort > _EXPLAINED:
            raise _misfit([((), *_UNEXPLAINED)])
        found = [
            complaint for error in self._validator.iter_errors(value) for complaint in _complaints(error)
        ]
        raise _misfit(list(dict.fromkeys(found))[:_MOST_ERRORS])

    def _effort(self, value: Any) -> int:
        try:
            return steps(self.schema, value)
        except RecursionError:
            return MAX_STEPS + 1


def _misfit(complaints: Iterable[Complaint]) -> ValidationError:
    # The value itself goes nowhere.
    details = [
        InitErrorDetails(type=_error(kind, words), loc=at, input=None) for at, kind, words in complaints
    ]
    return ValidationError.from_exception_data("arguments", details)


def _error(kind: Any, words: Any) -> PydanticCustomError:
    return PydanticCustomError(kind, words.replace("{", "(").replace("}", ")"))


class _Whole:
    """``1.0`` is an integer to JSON Schema (Core 6.1.1) and none to the gate, whatever side it comes from."""

    def __init__(self, parent: Mapping[str, Any], value: Any, path: list[str | int]) -> None:
        pass

    def validate(self, instance: Any) -> None:
        """Raise for a number that is written with a fraction."""
        if isinstance(instance, float):
            raise TypeError("whole")


def _compiled(schema: Mapping[str, Any], *, strict: bool) -> jsonschema_rs.Draft202012Validator:
    checked = _marked(schema) if strict else schema
    return jsonschema_rs.Draft202012Validator(
        dict(checked),
        validate_formats=True,
        offline=True,
        pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=_BACKTRACKS, size_limit=_REGEX_SIZE),
        keywords={_WHOLE: _Whole},
    )


def _marked(node: Any) -> Any:
    """``node`` with a mark wherever an integer is demanded; where a narrower schema would let more in, without."""
    if isinstance(node, list):
        return [_marked(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    marked: dict[str, Any] = {}
    for key, value in node.items():
        if key in _UNCHANGED:
            marked[key] = value
        elif key in _BY_NAME and isinstance(value, Mapping):
            marked[key] = {
                name: item if key == "$defs" and name.endswith(".given") else _marked(item)
                for name, item in value.items()
            }
        else:
            marked[key] = _marked(value)
    if "maxLength" in marked and "pattern" in marked and looks_around(marked["pattern"]):
        # The validator tells every error, and would compare what is too long already.
        short = {"if": {"maxLength": marked["maxLength"]}, "then": {"pattern": marked.pop("pattern")}}
        marked["allOf"] = [*marked.get("allOf", ()), short]
    kind = node.get("type")
    if kind == "integer" or (isinstance(kind, list) and "integer" in kind and "number" not in kind):
        marked[_WHOLE] = True
    return marked


_TOO_WINDING: Final = ("too_complex", "Input is larger than its many alternatives can be compared with it")
_UNEXPLAINED: Final = ("union", "Input fits none of the forms that it may have")


# --- words ----------------------------------------------------------------------------------------------------

_TYPES: Final[Mapping[str, tuple[str, str]]] = {
    "string": ("string_type", "a valid string"),
    "integer": ("int_type", "a valid integer"),
    "number": ("float_type", "a valid number"),
    "boolean": ("bool_type", "a valid boolean"),
    "null": ("none_required", "null"),
    "array": ("list_type", "a valid list"),
    "object": ("dict_type", "a valid object"),
}
_LIMITS: Final[Mapping[str, tuple[str, str]]] = {
    "MaxLength": ("string_too_long", "String should have at most {} characters"),
    "MinLength": ("string_too_short", "String should have at least {} characters"),
    "MaxItems": ("too_long", "List should have at most {} items"),
    "MinItems": ("too_short", "List should have at least {} items"),
    "MaxProperties": ("too_long", "Object should have at most {} fields"),
    "MinProperties": ("too_short", "Object should have at least {} fields"),
    "Maximum": ("less_than_equal", "Input should be less than or equal to {}"),
    "Minimum": ("greater_than_equal", "Input should be greater than or equal to {}"),
    "ExclusiveMaximum": ("less_than", "Input should be less than {}"),
    "ExclusiveMinimum": ("greater_than", "Input should be greater than {}"),
}
_PLAIN: Final[Mapping[str, tuple[str, str]]] = {
    "FalseSchema": ("extra_forbidden", "Extra inputs are not permitted"),
    "AdditionalItems": ("too_long", "List holds more items than it may"),
    "UnevaluatedItems": ("too_long", "List holds more items than it may"),
    "UniqueItems": ("unique", "List should hold no item twice"),
    "Contains": ("contains", "List lacks an item of the kind that it should hold"),
    "PropertyNames": ("invalid_key", "A key here is not of the form that keys should have"),
    "OneOfMultipleValid": ("one_of", "Input fits several of the forms of which it should have exactly one"),
    "Not": ("not_allowed", "Input is of a form that is not allowed here"),
    "BacktrackLimitExceeded": (
        "string_pattern_mismatch",
        "String takes too long to compare with its pattern",
    ),
    "RegexEngineFailure": ("string_pattern_mismatch", "String takes too long to compare with its pattern"),
}


def _complaints(error: jsonschema_rs.ValidationError, above: Location = ()) -> Iterator[Complaint]:
    at: Location = (*above, *error.instance_path)
    match error.kind:
        case _Kind.Required(property=field):
            yield (*at, field), "missing", "Field required"
        case _Kind.AdditionalProperties(unexpected=fields) | _Kind.UnevaluatedProperties(unexpected=fields):
            for field in fields:
                yield (*at, field), "extra_forbidden", "Extra inputs are not permitted"
        case _Kind.AnyOf(context=branches) | _Kind.OneOfNotValid(context=branches):
            yield from _of_alternatives(branches, at, above)
        case kind:
            yield at, *_worded(kind)


def _worded(kind: Any) -> tuple[str, str]:
    """The name of one error and what would be right, from the schema alone."""
    name = type(kind).__name__
    match kind:
        case _Kind.Type(types=types):
            code = _TYPES[types[0]][0] if len(types) == 1 and types[0] in _TYPES else "type"
            return code, f"Input should be {' or '.join(_TYPES[one][1] for one in types if one in _TYPES)}"
        case _Kind.Enum(options=options):
            return "enum", f"Input should be one of {_choices(options)}"
        case _Kind.Constant(expected_value=only):
            return "literal_error", f"Input should be {_choices([only])}"
        case _Kind.Pattern(pattern=pattern):
            return "string_pattern_mismatch", f"String should match pattern '{pattern[:_LONGEST_PATTERN]}'"
        case _Kind.Format(format=form):
            return "format", f"Input should be a valid {form}"
        case _Kind.MultipleOf(multiple_of=step):
            return "multiple_of", f"Input should be a multiple of {step}"
        case _Kind.Custom():
            return "int_type", "Input should be a valid integer, written without a fraction"
        case _ if name in _LIMITS:
            code, words = _LIMITS[name]
            return code, words.format(kind.limit)
        case _:
            rule = str(kind.name)[:_LONGEST_CHOICE]
            return _PLAIN.get(name, ("constraint", f"Input does not keep the rule {rule}"))


def _of_alternatives(
    branches: Iterable[Iterable[jsonschema_rs.ValidationError]], at: Location, above: Location
) -> Iterator[Complaint]:
    """What the nearest alternative lacks; where several are as near, that none fits."""
    found = [[each for error in branch for each in _complaints(error, above)] for branch in branches]
    ranked = sorted(
        (_distance(complaints, at), place) for place, complaints in enumerate(found) if complaints
    )
    if ranked and (len(ranked) == 1 or ranked[0][0] < ranked[1][0]):
        yield from found[ranked[0][1]]
    else:
        yield at, "union", "Input fits none of the forms that it may have"


def _distance(complaints: list[Complaint], at: Location) -> tuple[int, int]:
    """How far off an alternative is: first those that want another type or another constant."""
    other_kind = sum(
        (where == at and kind.endswith("_type")) or kind in {"literal_error", "none_required"}
        for where, kind, _ in complaints
    )
    return other_kind, len(complaints)


def _choices(options: list[Any]) -> str:
    shown = [json.dumps(option, ensure_ascii=True)[:_LONGEST_CHOICE] for option in options[:_MOST_CHOICES]]
    more = f" or {len(options) - len(shown)} more" if len(options) > len(shown) else ""
    return ", ".join(shown) + more


__all__ = ["JsonShape"]
