"""Which types may stand in an input: those whose JSON is all of the value, validated strictly and read back the same.

A held call is shown, digested and later run from its JSON. A field that JSON does not hold, that is coerced, or
that changes on its way through JSON would run as something else than a person saw. Here: finding such types when
the tool is made. Not here: whether a schema is a good one (``checklist``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import Secret, SecretBytes, SecretStr

_SECRETS: Final = (Secret, SecretStr, SecretBytes)
_SKIPPED: Final = frozenset(
    {"metadata", "config", "cls", "default", "default_factory", "function", "serialization"}
)
_FIELDS: Final = frozenset({"model-field", "typed-dict-field", "dataclass-field"})
_LAX_IS_HARMLESS: Final = frozenset(
    {"model", "model-fields", "typed-dict", "dataclass", "dataclass-args", "tagged-union"}
)
"""Containers, whose ``strict`` is about instances; JSON brings none, and each field speaks for itself."""

_UNFIT_NODES: Final[Mapping[str, str]] = {
    "set": "write list[...] instead of a set: it has no order, so equal arguments would differ from call to call",
    "frozenset": "write list[...] instead of a frozenset: it has no order, so equal arguments would differ",
    "generator": "write list[...] instead of Iterable: its items would be validated only while the tool runs",
    "named-tuple": "write a model instead of a NamedTuple: it is read from an object as well as from an array",
    "call": "write a model instead of a type that is made by a call: its schema does not say what it takes",
    "json": "write the type itself instead of Json[...]: what it holds could not be read back",
    "complex": "write two numbers instead of complex: JSON has no form for it",
}
_UNFIT_FUNCTIONS: Final[Mapping[str, str]] = {
    "import_string": "remove ImportString: whoever fills it in would choose what code is imported",
}
_OWN_SERIALIZERS: Final = ("pydantic.", "pydantic_core.", "toolgate.")


def unfit_type(schema: Any) -> str | None:
    """Why a pydantic core schema may not stand in an input, naming the field; None where it may."""
    for node, where in _nodes(schema):
        for reason in (_secret(node), _field(node), _node(node), _serializer(node)):
            if reason is not None:
                return f"{where}: {reason}"
    return None


def _nodes(schema: Any) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Every node below ``schema``, outermost first, with the field that it belongs to."""
    pending: list[tuple[Any, str]] = [(schema, "the input")]
    while pending:
        node, where = pending.pop()
        if isinstance(node, Mapping):
            yield node, where
            fields = node.get("fields") if node.get("type") in {"model-fields", "typed-dict"} else None
            for key, value in node.items():
                if fields is not None and key == "fields":
                    pending.extend((item, f"field {name!r}") for name, item in fields.items())
                elif key not in _SKIPPED:
                    pending.append((value, where))
        elif isinstance(node, list | tuple):
            pending.extend((item, _named(item) or where) for item in node)


def _named(item: Any) -> str | None:
    named = isinstance(item, Mapping) and item.get("type") == "dataclass-field"
    return f"field {item['name']!r}" if named else None


def _secret(node: Mapping[str, Any]) -> str | None:
    function = _function(node)
    by_class = isinstance(function, type) and issubclass(function, _SECRETS)
    by_name = getattr(function, "__qualname__", "").startswith("Secret.")
    if by_class or by_name:
        return (
            "write Annotated[str, Sensitive()] instead of a pydantic secret: that one turns into asterisks in JSON, "
            "so a call that waited for a person would run with those"
        )
    return None


def _function(node: Mapping[str, Any]) -> Any:
    holder = node.get("function")
    return holder.get("function") if isinstance(holder, Mapping) else holder


def _field(node: Mapping[str, Any]) -> str | None:
    if node.get("type") not in _FIELDS:
        return None
    if node.get("serialization_exclude") or "serialization_exclude_if" in node:
        return "remove exclude: an approver would not see the field, and no key or digest would hold it"
    if node.get("init_only"):
        return "write a plain field instead of InitVar: its value could not be read back"
    alias = node.get("validation_alias")
    if alias is not None and not isinstance(alias, str):
        return "write one alias='...': of several names or a path the schema shows only the first"
    if alias != node.get("serialization_alias"):
        return "write alias='...' for both ways: with two names the arguments could not be read back"
    return None


def _node(node: Mapping[str, Any]) -> str | None:
    kind = node.get("type")
    if node.get("strict") is False and kind not in _LAX_IS_HARMLESS:
        return "remove strict=False; arguments are never coerced"
    if kind == "model" and node.get("custom_init"):
        return f"remove __init__ from {node['cls'].__name__}: fields that go through it are not validated strictly"
    if (name := getattr(_function(node), "__name__", None)) in _UNFIT_FUNCTIONS:
        return _UNFIT_FUNCTIONS[str(name)]
    return _UNFIT_NODES.get(kind) if isinstance(kind, str) else None


def _serializer(node: Mapping[str, Any]) -> str | None:
    how = node.get("serialization")
    if not isinstance(how, Mapping) or (function := how.get("function")) is None:
        return None
    if (getattr(function, "__module__", None) or "").startswith(_OWN_SERIALIZERS):
        return None
    return "remove the serializer: what is shown to an approver, digested and run again is the JSON that it writes"
