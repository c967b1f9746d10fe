"""A form made from a tool's JSON Schema, filled with what an approval shows, and read back as changes.

One field for each argument at the top: a number, a text, a choice, a yes or no, and JSON for whatever holds others.
What is masked starts empty and stays as it is unless something is written. Only what differs becomes a change; whether
it fits is the gate's to say. Not here: HTML, and saving.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from toolgate.domain.canonical import UnfitJson, parse_json
from toolgate.surfaces.console.spelling import is_plain

if TYPE_CHECKING:
    from starlette.datastructures import FormData

    from toolgate.domain.canonical import JsonValue

Kind = Literal["text", "long", "integer", "number", "choice", "boolean", "json"]
PREFIX: Final = "field."
NULL: Final = "null."
_LONG: Final = 120
_LEAST_ROWS: Final = 3
_MOST_ROWS: Final = 20
_MISSING: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One argument as a form shows it.

    Attributes:
        written: what stands in the field.
        before: the value as it is shown; None where there is none or it is masked.
        masked: part of it or all is hidden: an empty field leaves it as it is.
        may_be_null: whether nothing at all is a value of it.
        error: what is wrong with what was typed.
    """

    name: str
    kind: Kind
    written: str
    before: JsonValue
    present: bool
    masked: bool
    may_be_null: bool
    is_null: bool
    required: bool
    hint: str
    choices: tuple[tuple[str, str], ...] = ()
    error: str = ""

    @property
    def rows(self) -> int:
        """Lines of a field that has several."""
        lines = self.written.count("\n") + len(self.written) // _LONG + 2
        return min(_MOST_ROWS, max(_LEAST_ROWS, lines))

    @property
    def key(self) -> str:
        """The name of its input."""
        return PREFIX + self.name

    @property
    def null_key(self) -> str:
        """The name of the box that says: no value."""
        return NULL + self.name


def fields(
    schema: Mapping[str, Any], arguments: Mapping[str, JsonValue], masked: Sequence[tuple[str, ...]]
) -> list[Field]:
    """The form's fields, in the schema's order, filled with ``arguments``."""
    hidden = {path[0] for path in masked if path}
    required = set(schema.get("required", ()))
    return [
        _field(name, _resolved(shape, schema), arguments, name in hidden, required=name in required)
        for name, shape in schema.get("properties", {}).items()
    ]


def _field(
    name: str,
    shape: Mapping[str, Any],
    arguments: Mapping[str, JsonValue],
    masked: bool,  # noqa: FBT001 - one of two facts about a field, both named
    *,
    required: bool,
) -> Field:
    branches = [branch for branch in shape.get("anyOf", [shape]) if branch.get("type") != "null"]
    nullable = len(branches) < len(shape.get("anyOf", [shape])) or "null" in _types(shape)
    inner = {**shape, **branches[0]} if len(branches) == 1 else shape
    value = arguments.get(name, shape.get("default"))
    kind = _kind(inner, value)
    shown = None if masked else value
    return Field(
        name=name,
        kind=kind,
        written="" if shown is None else _as_written(kind, shown),
        before=shown,
        present=name in arguments,
        masked=masked,
        may_be_null=nullable,
        is_null=not masked and name in arguments and value is None,
        required=required and not masked,
        hint=_hint(inner),
        choices=_choices(inner) if kind == "choice" else (),
    )


def _types(shape: Mapping[str, Any]) -> list[str]:
    found = shape.get("type", [])
    return [found] if isinstance(found, str) else list(found)


def _resolved(shape: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """``shape`` with a reference at its top followed, once for each name."""
    seen: set[str] = set()
    while (reference := shape.get("$ref")) and reference not in seen:
        seen.add(reference)
        target: Any = schema
        for step in str(reference).removeprefix("#/").split("/"):
            target = target.get(step, {}) if isinstance(target, Mapping) else {}
        shape = {**target, **{key: value for key, value in shape.items() if key != "$ref"}}
    if "anyOf" in shape:
        shape = {
            **shape,
            "anyOf": [_resolved(branch, schema) if "$ref" in branch else branch for branch in shape["anyOf"]],
        }
    return shape


def _kind(shape: Mapping[str, Any], value: Any) -> Kind:
    if "enum" in shape or "const" in shape:
        return "choice"
    types = set(_types(shape)) - {"null"}
    match sorted(types):
        case ["boolean"]:
            return "boolean"
        case ["integer"]:
            return "integer"
        case ["number"]:
            return "number"
        case ["string"] if not is_plain(value):
            # A field would show nothing of such characters, and browsers change some of them: JSON spells them.
            return "json"
        case ["string"]:
            long = shape.get("maxLength", 0) > _LONG or (
                isinstance(value, str) and ("\n" in value or len(value) > _LONG)
            )
            return "long" if long else "text"
        case _:
            return "json"


def _choices(shape: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    values = shape.get("enum", [shape.get("const")])
    return tuple(
        (json.dumps(value), value if isinstance(value, str) else json.dumps(value)) for value in values
    )


def _as_written(kind: Kind, value: JsonValue) -> str:
    if kind == "json":
        return json.dumps(value, indent=2, ensure_ascii=not is_plain(value))
    if kind == "choice":
        return json.dumps(value)
    return value if isinstance(value, str) else json.dumps(value)


def _hint(shape: Mapping[str, Any]) -> str:
    """The bounds in words, after what the author says."""
    said = [str(shape["description"])] if shape.get("description") else []
    bounds = [
        f"{words} {shape[bound]}"
        for bound, words in (
            ("minimum", "at least"),
            ("exclusiveMinimum", "more than"),
            ("maximum", "at most"),
            ("exclusiveMaximum", "less than"),
            ("multipleOf", "a multiple of"),
        )
        if bound in shape
    ]
    if shape.get("minLength", 0) == shape.get("maxLength"):
        bounds.append(f"exactly {shape['maxLength']} characters")
    else:
        bounds += [
            f"{words} {shape[bound]} characters"
            for bound, words in (("minLength", "at least"), ("maxLength", "at most"))
            if bound in shape
        ]
    if bounds:
        words = ", ".join(bounds)
        said.append(f"{words[0].upper()}{words[1:]}.")
    return " ".join(said)


# --- reading it back ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Read:
    """What was typed: the changes, and the fields as they were typed, errors beside them."""

    changes: dict[str, JsonValue]
    fields: list[Field]

    @property
    def wrong(self) -> bool:
        """Whether something cannot be read at all."""
        return any(one.error for one in self.fields)


def read(form: FormData, asked: Sequence[Field]) -> Read:
    """The changes that ``form`` makes to ``asked``."""
    changes: dict[str, JsonValue] = {}
    told = []
    for one in asked:
        typed = form.get(one.key)
        written = typed.replace("\r\n", "\n") if isinstance(typed, str) else ""
        null = one.may_be_null and form.get(one.null_key) is not None
        error = ""
        value: Any = _MISSING
        try:
            value = None if null else _value(one, written, sent=isinstance(typed, str))
        except ValueError as unreadable:
            error = str(unreadable)
        if value is not _MISSING and _differs(one, value):
            changes[one.name] = value
        told.append(_retyped(one, written, is_null=null, error=error))
    return Read(changes, told)


def _value(one: Field, written: str, *, sent: bool) -> Any:
    """What was typed, or that nothing was. Raises ``ValueError`` with what would be right."""
    if one.kind == "boolean" and not one.masked:
        return _boolean(written)
    if not written and (one.masked or not one.present or one.kind not in {"text", "long"}):
        return _MISSING
    if not sent:
        return _MISSING
    return _boolean(written) if one.kind == "boolean" else typed_value(one.kind, written)


def typed_value(kind: Kind, written: str) -> Any:
    """The value that ``written`` stands for in a field of ``kind``.

    Raises:
        ValueError: saying what would be right.
    """
    match kind:
        case "text" | "long":
            return written
        case "integer":
            return _whole(written)
        case "boolean":
            if (value := _boolean(written)) is _MISSING:
                raise ValueError("choose yes or no")
            return value
        case "number" | "choice" | "json":
            return _json(written)


def _boolean(written: str) -> Any:
    return {"true": True, "false": False}.get(written, _MISSING)


def _whole(written: str) -> int:
    text = written.strip()
    if not text.removeprefix("-").isascii() or not text.removeprefix("-").isdigit():
        raise ValueError("write a whole number, without a point or a separator")
    return int(text)


def _json(written: str) -> JsonValue:
    try:
        parsed: JsonValue = parse_json(written)
    except UnfitJson as unfit:
        raise ValueError(f"this is not JSON: {unfit}") from None
    return parsed


def _differs(one: Field, value: Any) -> bool:
    if one.masked:
        return True
    same = value == one.before and type(value) is type(one.before)
    return not same if one.present else not same and value != ""


def _retyped(one: Field, written: str, *, is_null: bool, error: str) -> Field:
    return replace(one, written=written, is_null=is_null, error=error)
