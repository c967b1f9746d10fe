"""From a type to a strict JSON Schema 2020-12, and from JSON back to that type, as strictly.

Strict means: unknown fields are refused at every depth, whatever the model's own configuration; ``"5"``
is not ``5``, ``true`` is not ``1``, ``1.0`` is not an integer; integers stay within ±(2^53-1) (RFC 7493).
Not here: what JSON may come in at all (``canonical``), and whether a schema is a *good* one (``checklist``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, PydanticSchemaGenerationError, PydanticUserError, TypeAdapter, ValidationError
from pydantic.errors import PydanticInvalidForJsonSchema

from toolgate.domain.canonical import MAX_SAFE_INTEGER, JsonValue
from toolgate.domain.errors import ContractError

if TYPE_CHECKING:
    from collections.abc import Iterable

T = TypeVar("T")
DIALECT = "https://json-schema.org/draft/2020-12/schema"
MAX_SHOWN_PROBLEMS = 5
MAX_SHOWN_LOCATION = 120


class Shape(Generic[T]):
    """A type with its strict validator, serialiser and schema.

    Raises:
        ContractError: if the type has no JSON Schema; the message names ``where``.
    """

    __slots__ = ("_adapter", "_dump", "_load", "schema")

    def __init__(self, kind: Any, *, where: str, mode: str = "validation") -> None:
        try:
            self._adapter: TypeAdapter[T] = TypeAdapter(kind)
            schema = self._adapter.json_schema(mode="validation" if mode == "validation" else "serialization")
        except (PydanticSchemaGenerationError, PydanticInvalidForJsonSchema, PydanticUserError) as broken:
            raise ContractError(f"{where}: {kind!r} has no JSON form: {broken}") from broken
        if mode == "validation" and (loose := _loosened(self._adapter.core_schema)):
            raise ContractError(f"{where}: remove strict=False from {loose}; arguments are never coerced")
        self.schema: Mapping[str, Any] = strict_schema(schema)
        self._load = self._adapter.validator.validate_json
        self._dump = self._adapter.serializer.to_python

    def load(self, raw: bytes) -> T:
        """The value that ``raw`` (JSON already checked by ``canonical``) stands for.

        Raises:
            pydantic.ValidationError: if it does not fit.
        """
        value: T = self._load(raw, strict=True, extra="forbid")
        return value

    def load_result(self, raw: bytes) -> T:
        """As ``load``, for what a tool itself returned: computed fields are the author's own and no strangers."""
        value: T = self._load(raw, strict=True, extra="ignore")
        return value

    def dump(self, value: T) -> Any:
        """``value`` as plain JSON values, by alias, defaults filled in.

        Raises:
            pydantic_core.PydanticSerializationError: if it is not of the type.
        """
        return self._dump(value, mode="json", by_alias=True, warnings="error")


def strict_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """``schema`` with every object closed, integers bounded to ±(2^53-1), titles of fields dropped, and its dialect named."""
    closed = _closed(schema)
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
    """Say the bound that ``canonical`` holds anyway. Both sides are said only where the author gave neither:
    the checklist tells a bound that somebody chose from this one."""
    if "minimum" not in node and "exclusiveMinimum" not in node:
        node["minimum"] = -MAX_SAFE_INTEGER
    if "maximum" not in node and "exclusiveMaximum" not in node:
        node["maximum"] = MAX_SAFE_INTEGER


def _loosened(schema: Any) -> str | None:
    """The first place where a model insists on lax types; pydantic would let that win over strict validation."""
    pending: list[tuple[Any, str]] = [(schema, "the input")]
    while pending:
        node, where = pending.pop()
        if isinstance(node, Mapping):
            if node.get("strict") is False and node.get("type") not in {"model", "model-fields"}:
                return where
            for key, value in node.items():
                if key in {"metadata", "serialization", "config", "cls", "default"}:
                    continue
                pending.append((value, f"field {key!r}" if isinstance(value, Mapping) and "schema" in value else where))
        elif isinstance(node, list | tuple):
            pending.extend((item, where) for item in node)
    return None


def problems(error: ValidationError) -> str:
    """What does not fit, in words for whoever sent it: each place and what is wanted there, never the value."""
    shown = []
    for item in error.errors(include_url=False, include_input=False, include_context=False)[:MAX_SHOWN_PROBLEMS]:
        where = ".".join(str(part) for part in item["loc"])[:MAX_SHOWN_LOCATION]
        shown.append(f"{_printable(where) or 'the arguments'}: {item['msg']}")
    more = error.error_count() - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more > 0 else "")


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


__all__ = ["DIALECT", "JsonValue", "Shape", "is_model", "model_fields", "problems", "strict_schema"]
