"""Where a key stands: the line of every key of a TOML document, which ``tomllib`` does not tell.

The text was parsed by ``tomllib`` before it comes here, so this walk may trust its grammar (TOML 1.0) and only
has to know where strings, comments and brackets end. Not here: what a key means.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from contextlib import suppress

Path = tuple[str | int, ...]
"""Keys from the top; an ``int`` is the place in an array."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}'
    r"|'''(?:[^']|'{1,2}(?!'))*'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE = re.compile(r"[^,\]}#\n]+")


def lines_of(text: str) -> Mapping[Path, int]:
    """The line, from 1, at which each key and each item of an array begins.

    A table that only a deeper header implies has the line of that header. ``text`` must be valid TOML; should the
    walk lose its way nevertheless, the rest of the lines are missing, and nothing else.
    """
    walk = _Walk(text)
    with suppress(_LostError, IndexError):
        walk.document()
    return walk.lines


def line_of(lines: Mapping[Path, int], path: Path) -> int | None:
    """The line of ``path``, or of the nearest key above it that has one."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return None


class _LostError(Exception):
    """The text is not what this walk expects."""


class _Walk:
    """One pass over one document."""

    def __init__(self, text: str) -> None:
        # tomllib reads \r\n as \n; columns are not reported, so the same may be done here.
        self.text = text.replace("\r\n", "\n")
        self.at = 0
        self.lines: dict[Path, int] = {}
        self._counted_to = 0
        self._line = 1
        self._tables: dict[Path, int] = {}

    def document(self) -> None:
        base: Path = ()
        self.skip(_BLANK)
        while self.at < len(self.text):
            base = self.header() if self.text[self.at] == "[" else self.pair(base)
            self.skip(_BLANK)

    def header(self) -> Path:
        """``[a.b]`` or ``[[a.b]]``: what the keys below it belong to."""
        line = self.line()
        of_array = self.text.startswith("[[", self.at)
        self.at += 2 if of_array else 1
        keys = self.dotted()
        self.at += 2 if of_array else 1
        path = self.inside_arrays(keys[:-1])
        for depth in range(1, len(path) + 1):
            self.note(path[:depth], line)
        path = (*path, keys[-1])
        if not of_array:
            self.note(path, line)
            return self.inside_arrays(keys)
        self.note(path, line)
        self._tables[path] = self._tables.get(path, -1) + 1
        item: Path = (*path, self._tables[path])
        self.note(item, line)
        return item

    def inside_arrays(self, keys: tuple[str, ...]) -> Path:
        """The path that ``keys`` mean here: below an array of tables, its newest one."""
        path: Path = ()
        for key in keys:
            path = (*path, key)
            if path in self._tables:
                path = (*path, self._tables[path])
        return path

    def pair(self, base: Path) -> Path:
        """``key = value``. Answers ``base``, which the next line belongs to."""
        line = self.line()
        path = base
        for key in self.dotted():
            path = (*path, key)
            self.note(path, line)
        self.at += 1  # the sign of equality
        self.value(path)
        return base

    def dotted(self) -> tuple[str, ...]:
        keys: list[str] = []
        while True:
            self.skip(_SPACE)
            keys.append(_plain(self.take(_STRING, _BARE_KEY)))
            self.skip(_SPACE)
            if self.text[self.at] != ".":
                return tuple(keys)
            self.at += 1

    def value(self, path: Path) -> None:
        self.skip(_SPACE)
        start = self.text[self.at]
        if start == "[":
            self.array(path)
        elif start == "{":
            self.inline_table(path)
        else:
            self.take(_STRING, _BARE_VALUE)

    def array(self, path: Path) -> None:
        self.at += 1
        place = 0
        self.skip(_BLANK)
        while self.text[self.at] != "]":
            item: Path = (*path, place)
            self.note(item, self.line())
            self.value(item)
            self.skip(_BLANK)
            if self.text[self.at] == ",":
                self.at += 1
                self.skip(_BLANK)
            place += 1
        self.at += 1

    def inline_table(self, path: Path) -> None:
        self.at += 1
        self.skip(_BLANK)
        while self.text[self.at] != "}":
            self.pair(path)
            self.skip(_BLANK)
            if self.text[self.at] == ",":
                self.at += 1
                self.skip(_BLANK)
        self.at += 1

    def note(self, path: Path, line: int) -> None:
        self.lines.setdefault(path, line)

    def skip(self, what: re.Pattern[str]) -> None:
        self.take(what)

    def take(self, *patterns: re.Pattern[str]) -> str:
        """What the first pattern that matches here covers."""
        for pattern in patterns:
            if found := pattern.match(self.text, self.at):
                self.at = found.end()
                return found.group()
        raise _LostError

    def line(self) -> int:
        self._line += self.text.count("\n", self._counted_to, self.at)
        self._counted_to = self.at
        return self._line


def _plain(key: str) -> str:
    """A key without its quotes and escapes."""
    if key[0] not in "\"'":
        return key
    (name,) = tomllib.loads(f"{key} = 0")
    return str(name)
