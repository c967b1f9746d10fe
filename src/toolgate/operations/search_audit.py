"""Find events in the trail: by who, what, how it ended, and by a value that was never written down.

A sensitive value stands in the trail as a keyed digest, so it is looked up by computing its digest anew; the value
itself goes nowhere. Not here: printing.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from toolgate.domain.canonical import JsonValue, NotCanonical, canonical_json
from toolgate.domain.trail import flat_line

if TYPE_CHECKING:
    from toolgate.ports import Keys, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which events; ``None`` means any.

    Args:
        exact: flat names (``user_id``, ``tool``, ``decision``, ``status``) and the values that they must have.
        since: microseconds since the epoch, UTC.
        values: dotted paths into the arguments, and the values looked for there; kept out of the repr.
    """

    exact: Mapping[str, str] = field(default_factory=dict)
    call_id: str | None = None
    since: int | None = None
    values: Mapping[str, tuple[JsonValue, ...]] = field(default_factory=dict, repr=False)


async def search_audit(store: Store, keys: Keys, wanted: Wanted) -> AsyncIterator[dict[str, JsonValue]]:
    """The flat lines of the events that fit, in the order they were written."""
    shown = {path: _as_shown(keys, values) for path, values in wanted.values.items()}
    async for found in store.records(call_id=wanted.call_id):
        line = flat_line(_record(found.record))
        if _fits(line, wanted) and all(
            _at(line.get("arguments"), path) in forms for path, forms in shown.items()
        ):
            yield line


def said_values(text: str) -> tuple[JsonValue, ...]:
    """What somebody who typed ``text`` may mean: the text, or the number, truth value or null that it spells."""
    try:
        value = json.loads(text)
    except ValueError:
        return (text,)
    return (text,) if isinstance(value, str | dict | list) else (text, value)


def _as_shown(keys: Keys, values: tuple[JsonValue, ...]) -> list[JsonValue]:
    """How the trail may show the values: as they are, or as the digest that replaces them where they are sensitive."""
    shown: list[JsonValue] = []
    for value in values:
        shown.append(value)
        try:
            shown.append(keys.redaction_mac(canonical_json(value)))
        except NotCanonical:
            continue
    return shown


def _fits(line: Mapping[str, Any], wanted: Wanted) -> bool:
    if wanted.since is not None and line.get("time", 0) < wanted.since:
        return False
    return all(line.get(name) == value for name, value in wanted.exact.items())


def _at(value: Any, path: str) -> Any:
    """The value at a dotted path; something that equals nothing where there is none."""
    for part in path.split("."):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return _NOWHERE
    return value


_NOWHERE = object()


def _record(raw: bytes) -> dict[str, JsonValue]:
    """The record; one that was damaged is shown as such instead of ending the search."""
    try:
        value = json.loads(raw)
    except ValueError:
        return {"event": "unreadable"}
    return value if isinstance(value, dict) else {"event": "unreadable"}
