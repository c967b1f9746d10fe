"""Cutting a result to what a model may be shown. What is cut says so, in the text and beside it.

Not here: the limit itself (``contract.result_size``), and redaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.domain.canonical import encoder

if TYPE_CHECKING:
    from toolgate.domain.canonical import JsonValue

_SMALLEST_STRING = 64
_encode = encoder(sort_keys=False)


def json_size(value: object) -> int:
    """Bytes of ``value`` as compact JSON. Numbers that only canonical JSON refuses are measured, too."""
    return len(_encode(value).encode())


def bounded(value: JsonValue, *, limit: int, measured: int | None = None) -> tuple[JsonValue, bool]:
    """``value`` if its JSON has at most ``limit`` bytes, else a cut copy, and whether it was cut.

    Long texts keep their beginning, long lists their first items; keys of objects are kept. If nothing of
    that helps, only a note is left. ``measured``: the size, where the caller knows it.
    """
    if (json_size(value) if measured is None else measured) <= limit:
        return value, False
    text, items = limit, limit
    while text >= _SMALLEST_STRING:
        text //= 2
        items = max(items // 4, 1)
        cut = _cut(value, text, items)
        if json_size(cut) <= limit:
            return cut, True
    return f"[cut: the result is longer than {limit} bytes and could not be shortened]", True


def _cut(value: JsonValue, text: int, items: int) -> JsonValue:
    if isinstance(value, str) and len(value) > text:
        return f"{value[:text]}…[cut: {len(value) - text} more characters]"
    if isinstance(value, list):
        kept = [_cut(item, text, items) for item in value[:items]]
        return [*kept, f"…[cut: {len(value) - items} more items]"] if len(value) > items else kept
    if isinstance(value, dict):
        return {key: _cut(item, text, items) for key, item in value.items()}
    return value
