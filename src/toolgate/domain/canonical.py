"""One form for each JSON value, and the door through which JSON from outside comes in.

Here belong: the canonical bytes of a value (what digests, fingerprints and audit records are made of), the
check that a Python value is plain JSON within bounds, and the strict parser. Here do not belong: schemas
(what a *tool* accepts), redaction, and hashing itself.

The canonical form is RFC 8785 (JCS), restricted so that two implementations cannot differ: integers lie
within ±(2^53-1), numbers are finite, keys are strings, strings are Unicode without lone surrogates.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from math import isfinite
from typing import Any, Final, NoReturn, TypeAlias, cast

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"

MAX_SAFE_INTEGER: Final = 2**53 - 1
"""Beyond it a double no longer holds every integer: readers of one text would disagree (RFC 7493, 2.2)."""

MAX_CANONICAL_DEPTH: Final = 128
"""Levels of nesting in a canonical value; twice what input may have, since records wrap arguments."""

MAX_CANONICAL_NODES: Final = 1_000_000
"""Values within one canonical value: a structure that shares its parts could otherwise unfold without end."""

RESERVED_KEYS: Final = frozenset({"__proto__", "__entity", "__extn"})
"""Keys that change what an object means to some reader: JavaScript's prototypes, Cedar's typed values."""

_Path: TypeAlias = tuple[str | int, ...]

_STRINGS_ONLY: Final = frozenset({str})
_PLAIN: Final = frozenset({str, bool, type(None)})
_LONGEST_SAFE_INTEGER: Final = len(str(-MAX_SAFE_INTEGER))
_SHOWN_OF_A_KEY: Final = 24
_LEAST_PLAIN_FLOAT: Final = 1e-4
_FIRST_EXPONENT_FLOAT: Final = 1e16
_MOST_WHOLE_DIGITS: Final = 21  # from here on ECMAScript writes an exponent; Python does from 16
_MOST_LEADING_ZEROS: Final = 6  # the same for small numbers; Python from 4
_ASTRAL: Final = re.compile("[\U00010000-\U0010ffff]")
# A whole string (also one that never ends) or one bracket; possessive, so that no input makes it go back.
_STRING_OR_BRACKET: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)


class _JsonFault(ValueError):
    """`path` says where (as `items[3].name`, empty for the whole value), `problem` what is wrong there."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path}: {problem}" if path else problem)
        self.path = path
        self.problem = problem

    def __reduce__(self) -> tuple[type[_JsonFault], tuple[str, str]]:
        return type(self), (self.path, self.problem)


class NotCanonical(_JsonFault):
    """The value has no canonical form. Our fault: it should have been refused before it came so far."""


class UnfitJson(_JsonFault):
    """JSON from outside that breaks a rule: its sender's fault, in words for the sender.

    The message repeats at most a short, escaped piece of a key, and never a value.
    """


def encoder(*, sort_keys: bool) -> Callable[[object], str]:
    """Compact JSON without escaping what need not be, NaN refused. Raises what ``json`` raises.

    ``JSONEncoder.encode`` builds its C encoder anew for each value, which for small values is most of the work;
    this keeps one, where the interpreter has it.
    """
    plain = json.JSONEncoder(
        ensure_ascii=False, check_circular=False, allow_nan=False, sort_keys=sort_keys, separators=(",", ":")
    )
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return plain.encode
    kept = make(None, plain.default, json.encoder.encode_basestring, None, ":", ",", sort_keys, False, False)
    return lambda value: "".join(kept(value, 0))


# --- the canonical form -------------------------------------------------------------------------------------

_encode_sorted = encoder(sort_keys=True)
_encode_string = json.JSONEncoder(ensure_ascii=False).encode


def canonical_json(value: JsonValue) -> bytes:
    """The RFC 8785 bytes of `value`: equal values give equal bytes, whatever the order of their keys.

    Only exact `dict`, `list`, `str`, `int`, `float`, `bool` and `None` are taken (a tuple or an enum is not),
    to `MAX_CANONICAL_DEPTH` levels and `MAX_CANONICAL_NODES` values. Raises `NotCanonical`, naming the place.
    """
    if type(value) is str and value.isascii():  # a sensitive field on its way to its digest
        return _encode_string(value).encode()
    kind = type(value)
    if (kind is dict or kind is list) and _count_if_c_encoder_is_exact(value, MAX_CANONICAL_DEPTH):
        text = _encode_sorted(value)
        # The encoder sorts by code point, RFC 8785 by UTF-16 unit; without astral characters they agree.
        if text.isascii() or not _ASTRAL.search(text):
            try:
                return text.encode()
            except UnicodeEncodeError:
                pass  # a lone surrogate somewhere: the exact encoder will say where
    exact = _ExactEncoder()
    exact.write(value, (), MAX_CANONICAL_DEPTH)
    return "".join(exact.parts).encode()


def _count_if_c_encoder_is_exact(container: Any, depth: int) -> int:
    """How many values `container` holds with itself, or 0 if the C encoder may not be trusted with it."""
    items = container
    if type(container) is dict:
        if not _STRINGS_ONLY.issuperset(map(type, container)):
            return 0
        items = container.values()
    count = 1 + len(container)
    for item in items:
        kind = type(item)
        if kind in _PLAIN or (kind is int and -MAX_SAFE_INTEGER <= item <= MAX_SAFE_INTEGER):
            continue
        if kind is float:
            if not _is_written_alike(item):
                return 0
        elif (kind is dict or kind is list) and depth > 1:
            inner = _count_if_c_encoder_is_exact(item, depth - 1)
            if not inner:
                return 0
            count += inner - 1
        else:
            return 0
    return count if count <= MAX_CANONICAL_NODES else 0


def _is_written_alike(number: float) -> bool:
    """Whether Python's repr is ECMAScript's text: shortest digits, no exponent, a fraction."""
    return _LEAST_PLAIN_FLOAT <= abs(number) < _FIRST_EXPONENT_FLOAT and not number.is_integer()


class _ExactEncoder:
    """The slow way: right for all that has a canonical form, and naming the place in what has not."""

    __slots__ = ("nodes_left", "parts")

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.nodes_left = MAX_CANONICAL_NODES

    def write(self, value: JsonValue, path: _Path, depth: int) -> None:
        self.nodes_left -= 1
        if self.nodes_left < 0:
            _refuse(NotCanonical, path, f"more than {MAX_CANONICAL_NODES} values")
        if type(value) is dict:
            self._write_object(value, path, depth)
        elif type(value) is list:
            self._write_array(value, path, depth)
        else:
            self.parts.append(_canonical_scalar(value, path))

    def _write_object(self, value: dict[str, JsonValue], path: _Path, depth: int) -> None:
        _require_depth(path, depth)
        for key in value:
            if type(key) is not str:
                _refuse(NotCanonical, path, f"a key is {_name_of_type(key)}; keys are strings")
        separator = "{"
        for key in sorted(value, key=lambda name: _utf16(name, path)):
            self.parts.append(f"{separator}{_encode_string(key)}:")
            self.write(value[key], (*path, key), depth - 1)
            separator = ","
        self.parts.append("}" if value else "{}")

    def _write_array(self, value: list[JsonValue], path: _Path, depth: int) -> None:
        _require_depth(path, depth)
        separator = "["
        for index, item in enumerate(value):
            self.parts.append(separator)
            self.write(item, (*path, index), depth - 1)
            separator = ","
        self.parts.append("]" if value else "[]")


def _require_depth(path: _Path, depth: int) -> None:
    if depth < 1:
        _refuse(NotCanonical, path[:4], f"nested deeper than {MAX_CANONICAL_DEPTH} levels")


def _utf16(key: str, path: _Path) -> bytes:
    """The sort key of RFC 8785, 3.2.3: UTF-16 code units, compared as numbers."""
    try:
        return key.encode("utf-16-be")
    except UnicodeEncodeError:
        _refuse(NotCanonical, path, "a key holds a lone surrogate, which is not Unicode text")


def _canonical_scalar(value: Any, path: _Path) -> str:
    if value is None:
        return "null"
    kind = type(value)
    if kind is bool:
        return "true" if value else "false"
    if problem := _scalar_problem(value):
        _refuse(NotCanonical, path, problem)
    if kind is str:
        return _encode_string(value)
    return str(value) if kind is int else ecmascript_number(value)


def ecmascript_number(number: float) -> str:
    """A finite double as ECMAScript's `Number::toString` writes it (ECMA-262, 6.1.6.1.20)."""
    if number == 0:
        return "0"  # also for -0.0
    sign = "-" if number < 0 else ""
    mantissa, _, exponent = repr(abs(number)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    padded = (whole + fraction).rstrip("0")
    digits = padded.lstrip("0")
    # `point` is where the decimal point stands, counted from the first significant digit.
    point = len(whole) + int(exponent or 0) - (len(padded) - len(digits))
    if 0 < point <= _MOST_WHOLE_DIGITS:
        body = digits.ljust(point, "0")
        return sign + (body if len(digits) <= point else f"{digits[:point]}.{digits[point:]}")
    if -_MOST_LEADING_ZEROS < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{point - 1:+d}"


# --- checking Python values from outside --------------------------------------------------------------------


def check_json(
    value: object, *, max_depth: int = 64, max_nodes: int = 10_000, max_string: int = 262_144
) -> None:
    """Raise `UnfitJson` unless `value` is plain JSON within bounds; what passes has a canonical form.

    `max_depth` counts nested objects and arrays, `max_nodes` all values, `max_string` the characters of one
    string or key. Types are exact: a tuple, an enum or a model is not JSON. `RESERVED_KEYS` are refused at
    every level.
    """
    _Check(max_depth=max_depth, max_nodes=max_nodes, max_string=max_string).walk([value], (), 0)


class _Check:
    __slots__ = ("max_depth", "max_nodes", "max_string", "nodes")

    def __init__(self, *, max_depth: int, max_nodes: int, max_string: int) -> None:
        self.max_depth = max_depth
        self.max_nodes = max_nodes
        self.max_string = max_string
        self.nodes = 0

    def walk(self, container: Any, path: _Path, depth: int) -> None:
        """Judge what `container` holds. At depth 0 it wraps the whole value and is no step of the path."""
        self.nodes += len(container)
        if self.nodes > self.max_nodes:
            _refuse(UnfitJson, (), f"more than {self.max_nodes} values")
        is_object = type(container) is dict
        if is_object:
            self._check_keys(container, path)
        for step, item in container.items() if is_object else enumerate(container):
            kind = type(item)
            if kind is str:
                if len(item) > self.max_string or not item.isascii():
                    self._check_scalar(item, (*path, step) if depth else ())
            elif kind is dict or kind is list:
                here = (*path, step) if depth else ()
                if depth == self.max_depth:
                    _refuse(UnfitJson, here[:4], f"nested deeper than {self.max_depth} levels")
                self.walk(item, here, depth + 1)
            elif kind is not bool and item is not None and (kind is not int or abs(item) > MAX_SAFE_INTEGER):
                self._check_scalar(item, (*path, step) if depth else ())

    def _check_keys(self, container: dict[Any, Any], path: _Path) -> None:
        for key in container:
            if type(key) is not str:
                _refuse(UnfitJson, path, f"a key is {_name_of_type(key)}; keys are strings")
            if not key.isascii() or len(key) > self.max_string:
                self._check_scalar(key, path, what="key")
        if not RESERVED_KEYS.isdisjoint(container):
            reserved = min(RESERVED_KEYS.intersection(container))
            _refuse(UnfitJson, path, f'"{reserved}" is a reserved key; use another name')

    def _check_scalar(self, value: object, path: _Path, *, what: str = "string") -> None:
        if type(value) is str and len(value) > self.max_string:
            _refuse(UnfitJson, path, f"a {what} is longer than {self.max_string} characters")
        if problem := _scalar_problem(value):
            _refuse(UnfitJson, path, problem)


# --- parsing ------------------------------------------------------------------------------------------------


def parse_json(
    raw: bytes | str, *, max_bytes: int = 262_144, max_depth: int = 64, max_nodes: int = 10_000
) -> JsonValue:
    """The value that `raw` says, if it says exactly one (RFC 8259, with the stricter choices of RFC 7493).

    Refused with `UnfitJson`: more than `max_bytes` of UTF-8, a byte order mark, bytes that are not UTF-8, a
    key twice in one object, NaN and infinities (also by overflow), integers beyond ±(2^53-1), lone
    surrogates, nesting deeper than `max_depth` (found before anything recurses), anything after the value,
    and all that `check_json` refuses.
    """
    text = _text_within(raw, max_bytes)
    if text.count("[") + text.count("{") > max_depth:
        _refuse_deep_nesting(text, max_depth)
    try:
        value = _decoder.decode(text)
    except json.JSONDecodeError as fault:
        reason = fault.msg[:1].lower() + fault.msg[1:]
        problem = f"not JSON: {reason} (line {fault.lineno}, column {fault.colno})"
    except RecursionError:
        problem = "nested too deep to read"  # only where `max_depth` was set beyond what Python's stack takes
    else:
        check_json(value, max_depth=max_depth, max_nodes=max_nodes, max_string=max_bytes)
        return cast("JsonValue", value)
    raise UnfitJson("", problem)  # out of the handler: the decoder's error carries the whole input


def _text_within(raw: bytes | str, max_bytes: int) -> str:
    too_long = f"longer than {max_bytes} bytes"
    if len(raw) > max_bytes:
        raise UnfitJson("", too_long)
    if isinstance(raw, str):
        if not raw.isascii():
            if problem := _scalar_problem(raw):
                raise UnfitJson("", problem)
            if len(raw.encode()) > max_bytes:
                raise UnfitJson("", too_long)
        text = raw
    else:
        text = _utf8(raw)
    if text.startswith("\ufeff"):
        raise UnfitJson("", "begins with a byte order mark; send plain UTF-8")
    return text


def _utf8(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as fault:
        position = fault.start
    raise UnfitJson("", f"not UTF-8 (at byte {position})")  # out of the handler: its error carries the input


def _refuse_deep_nesting(text: str, max_depth: int) -> None:
    """One pass over strings and brackets; up to the first error in `text` it counts as the parser would."""
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        piece = match[0]
        if piece in "[{":
            depth += 1
            if depth > max_depth:
                raise UnfitJson("", f"nested deeper than {max_depth} levels")
        elif piece in "]}":
            depth -= 1


def _object_without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise UnfitJson("", f"the key {_shown_key(key)} appears twice in one object")
            seen.add(key)
    return value


def _bounded_integer(digits: str) -> int:
    """An integer for `check_json` to judge; reading thousands of digits would cost quadratic time."""
    return int(digits) if len(digits) <= _LONGEST_SAFE_INTEGER else MAX_SAFE_INTEGER + 1


_decoder = json.JSONDecoder(object_pairs_hook=_object_without_duplicates, parse_int=_bounded_integer)


# --- words --------------------------------------------------------------------------------------------------


def _scalar_problem(value: object) -> str | None:
    """What is wrong with one value that is no container; `None` if nothing is."""
    kind = type(value)
    if value is None or kind is bool:
        return None
    if kind is str:
        try:
            cast("str", value).encode()
        except UnicodeEncodeError:
            return "a lone surrogate (half of a UTF-16 pair) is not Unicode text"
        return None
    if kind is int:
        safe = abs(cast("int", value)) <= MAX_SAFE_INTEGER
        return None if safe else "an integer beyond ±(2^53-1) is not exact everywhere; send it as a string"
    if kind is float:
        finite = isfinite(cast("float", value))
        return None if finite else "not a finite number (NaN, Infinity, or too large for a double)"
    return f"{_name_of_type(value)} is not JSON; use an object, array, string, number, true, false or null"


def _name_of_type(value: object) -> str:
    return f"of type {type(value).__name__[:_SHOWN_OF_A_KEY]}"


def _refuse(fault: type[_JsonFault], path: _Path, problem: str) -> NoReturn:
    raise fault(show_path(path), problem)


def show_path(path: _Path) -> str:
    """A path for people: `items[3].name`. Keys that are no plain words are quoted, escaped and cut."""
    shown = ""
    for step in path:
        if isinstance(step, int):
            shown += f"[{step}]"
        elif step.isascii() and step.isidentifier() and len(step) <= _SHOWN_OF_A_KEY:
            shown += f".{step}" if shown else step
        else:
            shown += f"[{_shown_key(step)}]"
    return shown


def _shown_key(key: str) -> str:
    return ascii(key[:_SHOWN_OF_A_KEY]) + ("…" if len(key) > _SHOWN_OF_A_KEY else "")
