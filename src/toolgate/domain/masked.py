"""Which arguments an approver does not see, and whether their author meant it so.

What is marked ``Sensitive``, or is a field whose author named it like a secret, was hidden on purpose, and people may
agree to it unseen. What only looked like a secret may hide the very account that money goes to: it has to be revealed
before anybody may approve it. Not here: the replacing itself (``redaction``).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from toolgate.domain.secret_shapes import secret_name
from toolgate.domain.sensitive import ANY_DEPTH, EACH

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from toolgate.domain.canonical import JsonValue
    from toolgate.domain.sensitive import SensitivePath


class Masked(NamedTuple):
    """One place. ``by``: ``contract`` where it is marked sensitive, ``likeness`` where it looked like a secret."""

    path: tuple[str, ...]
    by: Literal["contract", "likeness"]


def masked(
    whole: JsonValue,
    shown: JsonValue,
    sensitive: Iterable[SensitivePath],
    schema: Mapping[str, Any] = MappingProxyType({}),
) -> tuple[Masked, ...]:
    """The places where ``shown`` says something else than ``whole``; ``schema`` is what its author wrote of it."""
    rules = tuple(sensitive)
    return tuple(
        Masked(path, "contract" if _meant(path, rules, schema) else "likeness")
        for path in _differing(whole, shown, ())
    )


def _meant(path: tuple[str, ...], rules: Iterable[SensitivePath], schema: Mapping[str, Any]) -> bool:
    if any(covers(rule, path) for rule in rules):
        return True
    return bool(path) and secret_name(path[-1]) is not None and _is_declared(path, schema)


def _is_declared(path: tuple[str, ...], schema: Mapping[str, Any]) -> bool:
    """Whether the schema names each step. A key of an open mapping was chosen by whoever filled it in."""
    node: Mapping[str, Any] = schema
    for step in path:
        if "$ref" in node:
            node = schema.get("$defs", {}).get(str(node["$ref"]).rpartition("/")[2], {})
        if node.get("type") == "array" and step.isdigit():
            node = node.get("items", {})
        elif step in node.get("properties", {}):
            node = node["properties"][step]
        else:
            return False
    return True


def _differing(whole: JsonValue, shown: JsonValue, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    if isinstance(whole, dict) and isinstance(shown, dict) and whole.keys() == shown.keys():
        for key, value in whole.items():
            yield from _differing(value, shown[key], (*path, key))
    elif isinstance(whole, list) and isinstance(shown, list) and len(whole) == len(shown):
        for place, (value, seen) in enumerate(zip(whole, shown, strict=True)):
            yield from _differing(value, seen, (*path, str(place)))
    elif type(whole) is not type(shown) or whole != shown:
        yield path


def covers(rule: SensitivePath, path: tuple[str, ...]) -> bool:
    """Whether ``path`` lies at ``rule`` or below it: a rule covers the whole of what it names."""
    if not rule:
        return True
    if rule[0] == ANY_DEPTH:
        return any(covers(rule[1:], path[start:]) for start in range(len(path) + 1))
    return bool(path) and rule[0] in {EACH, path[0]} and covers(rule[1:], path[1:])
