"""Whether a regular expression from outside may be matched against what a model sends.

A reading of the pattern's structure alone (ECMA 262, 22.2.1), without compiling it: what repeats without end inside
something that repeats takes time beyond all bounds in a backtracking engine, unless a punctuation mark sets the
rounds apart, as in a list of words. A rule of thumb, for the sake of clients that match it themselves: the gate's own
engine has a bound besides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MAX_PATTERN: Final = 2_000
"""Characters of one pattern."""
_MAX_REPEAT: Final = 1_000
_MAX_DEPTH: Final = 24
_QUANTIFIER: Final = re.compile(r"(?:[*+?]|\{(\d{1,9})(,?)(\d{0,9})\})[?+]?")
_GROUP: Final = re.compile(r"\((?:\?(?::|=|!|<=|<!|<[A-Za-z_]\w*>|[a-z]+:))?")
_LOOKS: Final = frozenset({"(?=", "(?!", "(?<=", "(?<!"})
_CLASS: Final = re.compile(r"\[\^?(?:\\.|[^\]\\])*\]", re.DOTALL)
_ESCAPE: Final = re.compile(
    r"\\(?:u\{[0-9A-Fa-f]+\}|u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[pP]\{[^}]{1,64}\}|k<[^>]*>|.)", re.DOTALL
)


def pattern_problem(pattern: str) -> str | None:
    """Why ``pattern`` is not used, in words; None where it may be."""
    if len(pattern) > MAX_PATTERN:
        return f"a pattern is longer than {MAX_PATTERN} characters"
    try:
        _Reader(pattern).read()
    except _Unfit as unfit:
        return str(unfit)
    return None


class _Unfit(Exception):
    pass


def looks_around(pattern: str) -> bool:
    """Whether a usable ``pattern`` looks ahead or behind from anywhere but the very beginning of the text.

    Such a look costs as much as the text is long, at each place of the text. ``^(?=…)(?!…)`` looks once.
    """
    reader = _Reader(pattern)
    reader.read()
    return reader.roams


@dataclass(slots=True)
class _Group:
    """What is known of an open group: whether it repeats without end, and whether a sign sets its rounds apart."""

    endless: bool = False
    parts: int = 0
    starts: bool = False
    ends: bool = False
    branched: bool = False

    def add(self, *, sign: bool) -> None:
        self.starts = sign if not self.parts else self.starts
        self.ends = sign
        self.parts += 1

    @property
    def apart(self) -> bool:
        return (self.starts or self.ends) and not self.branched


class _Reader:
    """One pass over the pattern."""

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.at = 0
        self.groups = [_Group()]
        self.roams = False
        self._at_beginning = pattern.startswith("^")

    def read(self) -> None:
        """Walk to the end."""
        while self.at < len(self.pattern):
            char = self.pattern[self.at]
            if char == "(":
                self._open()
            elif char == ")":
                self._close()
            elif char in "^$|":
                self.groups[-1].branched |= char == "|"
                self._at_beginning &= char == "^" and not self.at
                self.at += 1
            else:
                # What stands inside of a look at the beginning is still a part of that look.
                self._at_beginning &= len(self.groups) > 1
                sign = self._atom()
                quantified, endless = self._repeated(None)
                self.groups[-1].endless |= endless
                self.groups[-1].add(sign=sign and not quantified)
        if len(self.groups) > 1:
            raise _Unfit("a pattern leaves a group open")

    def _open(self) -> None:
        found = _GROUP.match(self.pattern, self.at)
        assert found is not None
        if found[0] == "(" and self.pattern.startswith("(?", self.at):
            raise _Unfit("a pattern has a group of a kind that nobody here knows")
        if len(self.groups) > _MAX_DEPTH:
            raise _Unfit(f"a pattern nests more than {_MAX_DEPTH} groups")
        if found[0] in _LOOKS:
            self.roams |= not self._at_beginning or len(self.groups) > 1
        elif len(self.groups) == 1:
            self._at_beginning = False
        self.at = found.end()
        self.groups.append(_Group())

    def _close(self) -> None:
        if len(self.groups) == 1:
            raise _Unfit("a pattern closes a group that it never opened")
        self.at += 1
        inner = self.groups.pop()
        _, endless = self._repeated(inner)
        self.groups[-1].endless |= endless or inner.endless
        self.groups[-1].add(sign=False)

    def _atom(self) -> bool:
        """Step over one; whether it is a single punctuation mark."""
        char = self.pattern[self.at]
        if char in "*+?":
            raise _Unfit("a pattern repeats nothing")
        if char not in "[\\":
            self.at += 1
            return char not in ".{" and not char.isalnum()
        found = (_CLASS if char == "[" else _ESCAPE).match(self.pattern, self.at)
        if found is None:
            raise _Unfit("a pattern leaves a character class open, or ends in a backslash")
        if char == "\\" and found[0][1] in "123456789k":
            raise _Unfit("a pattern refers back to what it matched, which no bound holds for")
        self.at = found.end()
        return char == "\\" and len(found[0]) == len("\\.") and not found[0][1].isalnum()

    def _repeated(self, inner: _Group | None) -> tuple[bool, bool]:
        """Whether a quantifier stands here, and whether it has no end. It may not repeat what itself has none."""
        found = _QUANTIFIER.match(self.pattern, self.at)
        if found is None:
            return False, False
        self.at = found.end()
        least, comma, most = found[1], found[2], found[3]
        if least is None:
            endless = often = found[0][0] in "*+"
        else:
            if int(most or least) > _MAX_REPEAT:
                raise _Unfit(f"a pattern repeats something more than {_MAX_REPEAT} times")
            endless = bool(comma and not most)
            often = endless or int(most or least) > 1
        if inner is not None and inner.endless and often and not inner.apart:
            raise _Unfit("a pattern repeats what itself repeats without end; matching it could take for ever")
        return True, endless


__all__ = ["MAX_PATTERN", "looks_around", "pattern_problem"]
