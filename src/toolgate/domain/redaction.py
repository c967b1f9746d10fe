"""Turns any value into one that may be written down: bounded, JSON, and without secrets.

Here: the walk that replaces marked fields by keyed digests, secret-named keys and known formats by
`[redacted:<kind>]`, and says where it cut. Not here: what looks like a secret (`secret_shapes`), which fields are
marked (`sensitive`), and the key of the digest (an adapter hands in the function).

The walk never raises: it runs on whatever a tool returned or an error carried, and a trail that cannot be written
stops every call. What it gives always has a canonical form.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final

from toolgate.domain.canonical import MAX_SAFE_INTEGER, JsonValue, NotCanonical, canonical_json
from toolgate.domain.secret_shapes import is_card_number, may_hold_secret, scrub, secret_name
from toolgate.domain.sensitive import (
    ANY_DEPTH,
    EACH,
    Sensitive,
    SensitivePath,
    dotted_paths,
    sensitive_paths,
)

__all__ = [
    "Redactor",
    "Sensitive",
    "SensitivePath",
    "dotted_paths",
    "redact_text",
    "sensitive_paths",
]

MAX_TEXT: Final = 8_192
_MAX_KEY: Final = 128
_MAX_TYPE_NAME: Final = 40
_LEAST_CARD_NUMBER: Final = 10**12
_SHORTEST_PART: Final = 4
"""A hidden value of fewer characters is looked for as a whole word: "1" is in every sentence."""
_UNFIT_FOR_A_DIGEST: Final = "[redacted:sensitive]"


def redact_text(text: str, *, max_characters: int = MAX_TEXT) -> str:
    """`text` fit for a row, a log or an error: known secrets replaced, cut after `max_characters`, valid Unicode.

    A NUL character becomes a question mark: no text column of Postgres takes one (PostgreSQL, 8.3).
    """
    return scrub(_as_unicode(text).replace("\0", "?"), max_characters)


class Redactor:
    """Replaces what must not be written, for one tool: `mac` digests what stands at the `sensitive` paths.

    `mac` is a keyed function of canonical JSON bytes to a short string; equal values give equal strings. The
    bounds hold for one value given to `redact`: levels, values, characters of one string, and of all together.
    Safe to share between threads.
    """

    __slots__ = ("_mac", "_max_depth", "_max_nodes", "_max_string", "_max_total", "_rules")

    def __init__(
        self,
        mac: Callable[[bytes], str],
        sensitive: Iterable[SensitivePath] = (),
        *,
        max_depth: int = 32,
        max_nodes: int = 5_000,
        max_string: int = 4_096,
        max_total: int = 65_536,
    ) -> None:
        self._mac = mac
        self._rules = _rules_of(sensitive)
        self._max_depth = max_depth
        self._max_nodes = max_nodes
        self._max_string = max_string
        self._max_total = max_total

    def redact(self, value: object) -> JsonValue:
        """A new tree without the secrets of `value`, which is left as it is. Never raises; says what it cut."""
        walk = _Walk(self._mac, self._max_nodes, self._max_string, self._max_total)
        if any(rule.hit for rule in self._rules):
            return walk.digest(value)
        return walk.value(value, self._rules, self._max_depth)

    def said(self, text: object, about: object) -> str:
        """An author's words about the arguments `about`, fit for a row: as `redact_text`, and without what they hide.

        A preview, a reason or a refusal may well repeat a sensitive value, in the midst of a sentence.
        """
        words = redact_text(
            text if isinstance(text, str) else f"[not text: {type(text).__name__[:_MAX_TYPE_NAME]}]"
        )
        for hidden in sorted(self._hidden(about), key=len, reverse=True):
            whole = len(hidden) < _SHORTEST_PART
            shape = rf"(?<!\w){re.escape(hidden)}(?!\w)" if whole else re.escape(hidden)
            words = re.sub(shape, "[redacted:sensitive]", words)
        return words

    def _hidden(self, value: object) -> set[str]:
        """The scalars of `value`, as text, that `redact` would hide by a mark or by the name of their key."""
        found: set[str] = set()
        pending: list[tuple[Any, _Rules, bool]] = [
            (value, self._rules, any(rule.hit for rule in self._rules))
        ]
        while pending and len(found) < self._max_nodes:
            item, rules, hidden = pending.pop()
            if type(item) is dict or type(item) is list:
                pairs = item.items() if type(item) is dict else ((None, each) for each in item)
                for key, inner in pairs:
                    after = _after(rules, key) if rules else ()
                    named = type(key) is str and secret_name(key) is not None
                    pending.append((inner, after, hidden or named or any(rule.hit for rule in after)))
            elif hidden and item is not None and type(item) is not bool and str(item).strip():
                found.add(str(item))
        return found


# --- sensitive paths, as a tree of rules ----------------------------------------------------------------------


class _Rule:
    """One step reached in the tree of paths: what follows by key, for each, or at any depth below."""

    __slots__ = ("anywhere", "each", "hit", "named", "sticky")

    def __init__(self, *, sticky: bool = False) -> None:
        self.named: dict[str, _Rule] = {}
        self.each: _Rule | None = None
        self.anywhere: _Rule | None = None
        self.sticky = sticky
        self.hit = False

    def follow(self, step: str) -> _Rule:
        if step == EACH:
            self.each = self.each or _Rule()
            return self.each
        if step == ANY_DEPTH:
            self.anywhere = self.anywhere or _Rule(sticky=True)
            return self.anywhere
        return self.named.setdefault(step, _Rule())


_Rules = tuple[_Rule, ...]


def _rules_of(paths: Iterable[SensitivePath]) -> _Rules:
    root = _Rule()
    for path in paths:
        rule = root
        for step in path:
            rule = rule.follow(step)
        rule.hit = True
    return _with_anywhere([root]) if root.named or root.each or root.anywhere or root.hit else ()


def _with_anywhere(rules: list[_Rule]) -> _Rules:
    """`rules` and what they say of any depth, which begins at this very level."""
    for rule in rules:
        if rule.anywhere is not None and rule.anywhere not in rules:
            rules.append(rule.anywhere)  # found by this same loop, for "**" may follow "**"
    return tuple(rules)


def _after(rules: _Rules, step: str | None) -> _Rules:
    """The rules that hold one level down, at the key `step` or, if `None`, at an item of a list."""
    reached: list[_Rule] = []
    for rule in rules:
        if step is not None and (named := rule.named.get(step)) is not None:
            reached.append(named)
        if rule.each is not None:
            reached.append(rule.each)
        if rule.sticky:
            reached.append(rule)
    return _with_anywhere(reached) if reached else ()


# --- the walk -------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _judge_key(key: str) -> tuple[str, str | None]:
    """How a key is shown, and what replaces its value if the name says that it holds a secret."""
    secret = secret_name(key)
    return scrub(_as_unicode(key), _MAX_KEY), f"[redacted:{secret}]" if secret else None


class _Walk:
    """One value on its way; holds what is left of its bounds."""

    __slots__ = ("mac", "max_string", "nodes_left", "text_left")

    def __init__(self, mac: Callable[[bytes], str], max_nodes: int, max_string: int, max_total: int) -> None:
        self.mac = mac
        self.max_string = max_string
        self.nodes_left = max_nodes
        self.text_left = max_total

    def value(self, value: Any, rules: _Rules, depth: int) -> JsonValue:
        kind = type(value)
        if kind is str:
            return self.text(value)
        if kind is bool or value is None:
            return value  # type: ignore[no-any-return]
        if kind is int:
            return _integer(value)
        if kind is float:
            return _float(value)
        if kind is dict or kind is list:
            if depth < 1:
                return "…[cut: nested too deep]"
            return self.entries(value, rules, depth) if kind is dict else self.items(value, rules, depth)
        return f"[not JSON: {kind.__name__[:_MAX_TYPE_NAME]}]"

    def entries(self, value: dict[Any, Any], rules: _Rules, depth: int) -> dict[str, JsonValue]:
        shown: dict[str, JsonValue] = {}
        for key, item in value.items():
            if self.nodes_left < 1:
                shown["…"] = f"[cut: {len(value) - len(shown)} more entries]"
                break
            self.nodes_left -= 1
            name, secret = self.key(key)
            while name in shown:
                name = f"{name}#{len(shown)}"
            inner = _after(rules, key) if rules else ()
            if inner and any(rule.hit for rule in inner):
                shown[name] = self.digest(item)
            elif secret is not None:
                shown[name] = secret
            elif type(item) is str:
                shown[name] = self.text(item)
            else:
                shown[name] = self.value(item, inner, depth - 1)
        return shown

    def items(self, value: list[Any], rules: _Rules, depth: int) -> list[JsonValue]:
        inner = _after(rules, None) if rules else ()
        marked = any(rule.hit for rule in inner)
        shown: list[JsonValue] = []
        for item in value:
            if self.nodes_left < 1:
                shown.append(f"…[cut: {len(value) - len(shown)} more items]")
                break
            self.nodes_left -= 1
            shown.append(self.digest(item) if marked else self.value(item, inner, depth - 1))
        return shown

    def key(self, key: object) -> tuple[str, str | None]:
        if type(key) is not str:
            return f"[not JSON: {type(key).__name__[:_MAX_TYPE_NAME]}]", None
        self.text_left -= len(key)
        # A long key is judged afresh: the cache is for the names of fields, not for what somebody sends as one.
        return _judge_key(key) if len(key) <= _MAX_KEY else _judge_key.__wrapped__(key)

    def text(self, text: str) -> str:
        limit = self.max_string if self.max_string < self.text_left else max(self.text_left, 0)
        if len(text) > limit or may_hold_secret(text):
            text = scrub(text, limit)
        self.text_left -= len(text)
        return text if text.isascii() else _as_unicode(text)

    def digest(self, value: Any) -> str:
        """What stands in for a sensitive value; a plain mark where the value has no canonical form to digest."""
        try:
            return self.mac(canonical_json(value))
        except NotCanonical:
            return _UNFIT_FOR_A_DIGEST


def _integer(value: int) -> JsonValue:
    if -_LEAST_CARD_NUMBER < value < _LEAST_CARD_NUMBER:
        return value
    if abs(value) >= 1 << 64:
        return f"[not JSON: integer of {value.bit_length()} bits]"
    if is_card_number(digits := str(abs(value))):
        return "[redacted:card]"
    return value if abs(value) <= MAX_SAFE_INTEGER else digits if value > 0 else f"-{digits}"


def _float(value: float) -> JsonValue:
    if value - value != 0:
        return "[not JSON: number that is not finite]"
    if value.is_integer() and abs(value) >= _LEAST_CARD_NUMBER and is_card_number(str(abs(int(value)))):
        return "[redacted:card]"
    return value


def _as_unicode(text: str) -> str:
    """`text` with each lone surrogate replaced by a question mark, since it could not be written as UTF-8."""
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode()
