"""From a type to a strict JSON Schema 2020-12, and from JSON back to that type, as strictly.

Strict means: unknown fields are refused at every depth, whatever the model's own configuration; ``"5"``
is not ``5``, ``true`` is not ``1``, ``1.0`` is not an integer; integers stay within ±(2^53-1) (RFC 7493).
Not here: what JSON may come in at all (``canonical``), and whether a schema is a *good* one (``checklist``).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema

from toolgate.domain.canonical import MAX_SAFE_INTEGER, JsonValue, canonical_json
from toolgate.domain.errors import ContractError
from toolgate.domain.forms import InputSchema, form_check
from toolgate.domain.input_types import unfit_type
from toolgate.domain.redaction import redact_text
from toolgate.domain.sensitive import ANY_DEPTH, EACH, SensitivePath

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")
DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_SHOWN_PROBLEMS = 5
_LONG_NUMBER = re.compile(rb"[0-9]{16}")
_UNIONS = ("anyOf", "oneOf", "allOf")
_SUBSCHEMAS = frozenset({"items", "prefixItems", "additionalProperties", "patternProperties", *_UNIONS})
MAX_SHOWN_LOCATION = 120
MAX_SHOWN_WORDS = 300
_WITHOUT_VALUES = frozenset({
    "missing", "extra_forbidden", "unexpected_keyword_argument",
    "string_type", "int_type", "float_type", "bool_type", "list_type", "dict_type", "model_type", "none_required",
    "string_too_short", "string_too_long", "string_pattern_mismatch", "too_short", "too_long",
    "greater_than", "greater_than_equal", "less_than", "less_than_equal", "multiple_of", "literal_error", "enum",
})  # fmt: skip
"""Errors whose words come from the schema alone."""


class Unstable(ValueError):
    """Arguments that change when they are read again. The author's fault: make the validators idempotent."""


class Form(Protocol[T]):
    """What the gate needs of a tool's input or output, whether a type or a schema from outside says what fits."""

    @property
    def schema(self) -> Mapping[str, Any]:
        """JSON Schema 2020-12."""

    def load(self, raw: bytes, tree: JsonValue = None) -> T:
        """See ``Shape.load``."""

    def load_again(self, raw: bytes) -> T:
        """See ``Shape.load_again``."""

    def load_stable(self, raw: bytes) -> T:
        """See ``Shape.load_stable``."""

    def check_form(self, tree: JsonValue) -> None:
        """See ``Shape.check_form``."""

    def load_result(self, raw: bytes) -> T:
        """See ``Shape.load_result``."""

    def dump(self, value: T) -> Any:
        """See ``Shape.dump``."""

    def dump_loaded(self, value: T) -> Any:
        """See ``Shape.dump_loaded``."""

    def to_json(self, value: T) -> bytes:
        """See ``Shape.to_json``."""


class Shape(Generic[T]):
    """A type with its strict validator, serialiser and schema.

    Raises:
        ContractError: if the type has no JSON Schema; the message names ``where``.
    """

    __slots__ = ("_adapter", "_dump", "_exact_needed", "_forms", "_is_input", "_json", "_load", "schema")

    def __init__(self, kind: Any, *, where: str, mode: str = "validation") -> None:
        try:
            self._adapter: TypeAdapter[T] = TypeAdapter(kind)
            schema = (
                self._adapter.json_schema(mode="validation", schema_generator=InputSchema)
                if mode == "validation"
                else self._adapter.json_schema(mode="serialization")
            )
        except (PydanticSchemaGenerationError, PydanticInvalidForJsonSchema, PydanticUserError) as broken:
            raise ContractError(f"{where}: {kind!r} has no JSON form: {broken}") from broken
        if mode == "validation" and (reason := unfit_type(self._adapter.core_schema)) is not None:
            raise ContractError(f"{where}, {reason}")
        self.schema: Mapping[str, Any] = strict_schema(schema)
        self._is_input = mode == "validation"
        self._forms = form_check(self.schema) if self._is_input else None
        self._exact_needed = _holds_floats(self.schema)
        self._load = self._adapter.validator.validate_json
        self._dump = self._adapter.serializer.to_python
        self._json = self._adapter.serializer.to_json

    def load(self, raw: bytes, tree: JsonValue = None) -> T:
        """The value that ``raw`` (JSON already checked by ``canonical``) stands for. ``tree``: the same, parsed.

        Raises:
            pydantic.ValidationError: if it does not fit.
            UnfitJson: if it fits and is not written as the schema says.
        """
        value: T = self._load(raw, strict=True, extra="forbid", by_alias=True, by_name=False)
        if self._forms is not None:
            self._forms(json.loads(raw) if tree is None else tree, "")
        return value

    def load_again(self, raw: bytes) -> T:
        """As ``load``, for what ``dump`` wrote of something that was loaded: it was judged when it came."""
        value: T = self._load(raw, strict=True, extra="forbid", by_alias=True, by_name=False)
        return value

    def load_stable(self, raw: bytes) -> T:
        """As ``load_again``, for the canonical bytes that somebody approved, or that a key was claimed for.

        Raises:
            Unstable: if what is read from them would be written in other bytes: a validator changes what it is
                given each time, so that something else would run than was seen.
        """
        value = self.load_again(raw)
        if canonical_json(self.dump_loaded(value)) != raw:
            raise Unstable("the input's own validators change its values each time they are read")
        return value

    def check_form(self, tree: JsonValue) -> None:
        """Whether the fields in ``tree`` are written as the schema says; others may be missing.

        Raises:
            UnfitJson: naming the field.
        """
        if self._forms is not None:
            self._forms(tree, "")

    def load_result(self, raw: bytes) -> T:
        """As ``load``, for what a tool itself returned: computed fields are the author's own and no strangers."""
        value: T = self._load(raw, strict=True, extra="ignore")
        return value

    def dump(self, value: T) -> Any:
        """``value`` as plain JSON values, by alias, defaults filled in; of an input without its computed fields.

        Raises:
            pydantic_core.PydanticSerializationError: if it is not of the type.
        """
        # What an input computes from its fields is no argument: nobody sent it, and read back it would be unknown.
        return self._dump(
            value, mode="json", by_alias=True, warnings="error", exclude_computed_fields=self._is_input
        )

    def to_json(self, value: T) -> bytes:
        """``value`` as JSON bytes that another reader will understand alike.

        Raises:
            ValueError: for NaN, infinities, lone surrogates and integers beyond ±(2^53-1), which JSON does not
                hold for every reader (RFC 8259 6, RFC 7493 2.2).
            pydantic_core.PydanticSerializationError: if it is not of the type.
        """
        if not self._exact_needed:
            raw: bytes = self._json(value, by_alias=True, warnings="error")
            if not _LONG_NUMBER.search(raw):
                return raw
        return canonical_json(self.dump(value))

    def dump_loaded(self, value: T) -> Any:
        """As ``dump``, for what ``load`` made: it is of the type, so looking for strangers would find none."""
        return self._dump(value, mode="json", by_alias=True, exclude_computed_fields=self._is_input)


def _holds_floats(node: Any) -> bool:
    """Whether a value of this schema may hold a number that is no integer: pydantic writes NaN as null."""
    if isinstance(node, list):
        return any(_holds_floats(item) for item in node)
    if not isinstance(node, Mapping):
        return node is True
    if "number" in (node.get("type"), *(node["type"] if isinstance(node.get("type"), list) else ())):
        return True
    named = [*node.get("properties", {}).values(), *node.get("$defs", {}).values()]
    inner = [value for key, value in node.items() if key in _SUBSCHEMAS]
    says_what = node.keys() & {"type", "$ref", "enum", "const", *_UNIONS}
    return not says_what or any(_holds_floats(item) for item in (*named, *inner))


def strict_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """``schema`` with every object closed, integers bounded, titles of fields dropped, and its dialect named."""
    closed = _closed(schema)
    reference = closed.pop("$ref", None)
    if isinstance(reference, str):
        # A model that holds itself: MCP and the contract look for the fields where the schema begins.
        closed = {**closed["$defs"][reference.rsplit("/", 1)[-1]], **closed}
    closed.pop("title", None)
    return {"$schema": DIALECT, **closed}


def _closed(node: Any) -> Any:
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    closed: dict[str, Any] = {}
    for key, value in node.items():
        if key in {"properties", "$defs"}:
            closed[key] = {name: _untitled(_closed(item)) for name, item in value.items()}
        elif key in {"default", "const", "enum", "examples"}:
            closed[key] = value
        else:
            closed[key] = _closed(value)
    if closed.get("type") == "object" and "properties" in closed:
        closed["additionalProperties"] = False
    if closed.get("type") == "object" and "properties" not in closed and "additionalProperties" not in closed:
        # An object type without a field (an empty model) accepts only {}.
        closed.update({"properties": {}, "additionalProperties": False})
    if closed.get("type") == "integer" and "enum" not in closed and "const" not in closed:
        _bound_integer(closed)
    return closed


def _untitled(node: Any) -> Any:
    return {key: value for key, value in node.items() if key != "title"} if isinstance(node, dict) else node


def _bound_integer(node: dict[str, Any]) -> None:
    """Say the bound that ``canonical`` holds anyway, on each side where the author gave none."""
    if "minimum" not in node and "exclusiveMinimum" not in node:
        node["minimum"] = -MAX_SAFE_INTEGER
    if "maximum" not in node and "exclusiveMaximum" not in node:
        node["maximum"] = MAX_SAFE_INTEGER


def problems(error: ValidationError, sensitive: Iterable[SensitivePath] = ()) -> str:
    """What does not fit, in words for whoever sent it: each place and what is wanted there, never the value.

    Words that may repeat a value (an author's own ``ValueError``, an unknown tag) are kept from ``sensitive`` places
    and from what holds such a place, and a key below one is not named.
    """
    hidden = tuple(sensitive)
    shown = []
    for item in error.errors(include_url=False, include_input=False, include_context=False)[
        :MAX_SHOWN_PROBLEMS
    ]:
        location, words = item["loc"], item["msg"]
        for path in hidden:
            depth = _depth_of(path, location)
            if (depth is not None or _may_hold(path, location)) and item["type"] not in _WITHOUT_VALUES:
                words = "this does not fit what the tool takes here"
            location = location[:depth]
        where = _printable(redact_text(".".join(str(part) for part in location))[:MAX_SHOWN_LOCATION])
        # Each by itself: "token: Input should be" would be taken for a token.
        shown.append(f"{where or 'the arguments'}: {_printable(redact_text(words))[:MAX_SHOWN_WORDS]}")
    more = error.error_count() - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")


def _may_hold(path: SensitivePath, location: tuple[int | str, ...]) -> bool:
    """Whether ``path`` may begin at ``location`` or below it."""
    return ANY_DEPTH in path or not location or path[0] in (EACH, str(location[0]))


def _depth_of(path: SensitivePath, location: tuple[int | str, ...]) -> int | None:
    """How many steps of ``location`` lead to ``path``, None where it leads elsewhere.

    pydantic puts names of union members between the steps, so those of the path need not follow each other.
    """
    steps = [step for step in path if step != ANY_DEPTH]
    for depth, part in enumerate(location, start=1):
        if steps and steps[0] in (EACH, str(part)):
            steps.pop(0)
        if not steps:
            return depth
    return None


def _printable(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)


def model_fields(kind: Any) -> Iterable[str]:
    """The field names of a pydantic model, as JSON knows them."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return [field.alias or name for name, field in kind.model_fields.items()]
    return []


def is_model(kind: Any) -> bool:
    """Whether ``kind`` is a pydantic model class."""
    return isinstance(kind, type) and issubclass(kind, BaseModel)


__all__ = [
    "DIALECT",
    "JsonValue",
    "Shape",
    "Unstable",
    "is_model",
    "model_fields",
    "problems",
    "strict_schema",
]
