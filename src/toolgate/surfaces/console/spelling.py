"""How values are written on a page: times, spans, and exact JSON that cannot pass for anything else.

Other people's words are data here: each string is quoted as JSON, isolated from the direction of what is around it,
and every character that a reader would not see is spelt out. Not here: what is shown on which page.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from markupsafe import Markup, escape

from toolgate.domain.argument_types.hidden_characters import first_hidden
from toolgate.domain.duration import MICRO

_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400
_SOON: Final = 1_800
"""Seconds before the end from which a request is marked as expiring soon."""
_NOW: Final = 300
_INDENT: Final = "  "
_ESCAPES: Final = {"\n": "\\n", "\t": "\\t", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
_BLANKS: Final = re.compile(r"[ \t\r\n]+")
_UNUSUAL: Final = re.compile(r"[^\x20-\x7e]|[\"\\]")


def iso(at: int) -> str:
    """Microseconds since the epoch as RFC 3339, UTC, to the second."""
    return datetime.fromtimestamp(at // MICRO, UTC).isoformat().replace("+00:00", "Z")


def instant(at: int) -> str:
    """A moment for people, UTC: ``22 Nov 2026, 08:31:07``."""
    return datetime.fromtimestamp(at // MICRO, UTC).strftime("%d %b %Y, %H:%M:%S").lstrip("0")


def span(microseconds: int) -> str:
    """A time left or passed in its two largest units: ``23 h 59 min``."""
    seconds = max(0, microseconds // MICRO)
    if seconds >= _DAY:
        return _two(seconds // _DAY, "d", seconds % _DAY // _HOUR, "h")
    if seconds >= _HOUR:
        return _two(seconds // _HOUR, "h", seconds % _HOUR // _MINUTE, "min")
    if seconds >= _MINUTE:
        return f"{seconds // _MINUTE} min"
    return f"{seconds} s"


def _two(large: int, unit: str, small: int, smaller: str) -> str:
    return f"{large} {unit} {small} {smaller}" if small else f"{large} {unit}"


def ago(at: int, now: int) -> str:
    """How long since ``at``: ``4 min ago``."""
    return "just now" if now - at < 5 * MICRO else f"{span(now - at)} ago"


def urgency(expires_at: int, now: int) -> str:
    """``now``, ``soon`` or nothing: how a time left is marked."""
    seconds = (expires_at - now) // MICRO
    return "now" if seconds < _NOW else "soon" if seconds < _SOON else ""


def when(at: int, now: int | None = None) -> Markup:
    """A moment as a ``<time>``: in words where ``now`` is known, exact in its title."""
    text = instant(at) if now is None else ago(at, now)
    exactly = instant(at)
    # Digits and words of ours alone.
    return Markup(f'<time datetime="{iso(at)}" title="{exactly} UTC">{text}</time>')  # noqa: S704 - as above


def visible(text: object) -> Markup:
    """``text`` as it is, but for what a reader would not see: those characters are spelt out and marked.

    Isolated, so that letters of another direction turn nothing around that stands beside them.
    """
    said = str(text)
    inner = (
        "".join(char if char == "\n" else _plain(char) for char in said)
        if _has_hidden(said)
        else escape(said)
    )
    return Markup(f"<bdi>{inner}</bdi>")  # noqa: S704 - each part was escaped above


def _has_hidden(text: str) -> bool:
    if text.isascii() and text.isprintable():
        return False  # most text, in a tenth of the time
    return any(char != "\n" and _is_hidden(char) for char in text)


def is_plain(value: Any) -> bool:
    """Whether every text in ``value`` can be typed and read in a form's field as it is."""
    if isinstance(value, Mapping):
        return all(is_plain(key) and is_plain(item) for key, item in value.items())
    if isinstance(value, str):
        return not _has_hidden(value)
    return not isinstance(value, Sequence) or all(map(is_plain, value))


def _plain(char: str) -> str:
    return str(_spelt(char)) if _is_hidden(char) else str(escape(char))


def _is_hidden(char: str) -> bool:
    if char == " ":
        return False
    # A selector of a symbol's form is text after a symbol; alone it says nothing, so it is spelt out everywhere. So is
    # every space that is not the plain one.
    other_space = char in "\ufe0e\ufe0f" or unicodedata.category(char) == "Zs"
    return other_space or first_hidden(f"a{char}") is not None


def _spelt(char: str) -> Markup:
    """A character that is not drawn, as its JSON escape, its name in the title."""
    code = json.dumps(char)[1:-1]
    name = unicodedata.name(char, "a character without a name")
    return Markup('<span class="hidden-char" title="U+{} {}">{}</span>').format(
        f"{ord(char):04X}", name, code
    )


def _quoted(text: str, margin: str, kind: str = "text") -> str:
    """A JSON string, whole, as HTML. A line break is spelt as its escape and then also made: long texts can be read."""

    def one(found: re.Match[str]) -> str:
        char = found.group()
        if char == "\n":
            return f'<span class="mark">\\n</span>\n{margin}'
        if char in _ESCAPES:
            return escape(_ESCAPES[char])
        return _spelt(char) if _is_hidden(char) else escape(char)

    parts: list[str] = []
    last = 0
    for found in _UNUSUAL.finditer(text):
        parts += [escape(text[last : found.start()]), one(found)]
        last = found.end()
    parts.append(escape(text[last:]))
    inner = "".join(parts).removesuffix(f"\n{margin}")
    return f'<bdi class="{kind}">"{inner}"</bdi>'


def exact(value: Any, masked: Collection[tuple[str, ...]] = ()) -> Markup:
    """``value`` as JSON for a ``<pre class="exact">``: every value whole, each string quoted and isolated.

    ``masked``: the paths of what stands in for something hidden. What merely looks like a mask is not marked as one.
    """
    # Put together as plain text, each part escaped where it is made: a page of the trail holds a thousand of these.
    return Markup(_written(value, "", (), frozenset(masked)))  # noqa: S704 - as above


def _written(value: Any, margin: str, path: tuple[str, ...], masked: frozenset[tuple[str, ...]]) -> str:
    """``value`` as HTML."""
    deeper = margin + _INDENT
    if isinstance(value, Mapping):
        members = [
            f'<span class="key">{_quoted(str(key), margin)}</span>: '
            f"{_written(item, deeper, (*path, str(key)), masked)}"
            for key, item in value.items()
        ]
        return _lines("{", members, "}", margin)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        items = [_written(item, deeper, (*path, str(index)), masked) for index, item in enumerate(value)]
        return _lines("[", items, "]", margin)
    if isinstance(value, str):
        return _quoted(value, margin, "masked" if path in masked else "text")
    kind = "word" if value is None or isinstance(value, bool) else "number"
    return f'<span class="{kind}">{escape(json.dumps(value))}</span>'


def _lines(opened: str, inner: Collection[str], closed: str, margin: str) -> str:
    if not inner:
        return opened + closed
    deeper = margin + _INDENT
    body = f",\n{deeper}".join(inner)
    return f"{opened}\n{deeper}{body}\n{margin}{closed}"


def one_line(value: Any, longest: int = 160) -> str:
    """Arguments on one line, cut: for lists, where the whole of it is one click away."""
    if isinstance(value, Mapping):
        text = ", ".join(f"{key}: {json.dumps(item, ensure_ascii=False)}" for key, item in value.items())
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = _BLANKS.sub(" ", text)
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
