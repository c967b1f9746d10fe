"""The members of a JSON object as the texts of their values, each name once: for what is handed on unjudged.

A body may hold, at a known place, something that only the gate judges, such as a call's arguments. Its bytes have to
reach the gate as they came, so that the gate refuses and records what no strict JSON holds (NaN, a key twice, half a
character) in the same way for every surface. Not here: which place that is.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

from toolgate.domain.canonical import UnfitJson, parse_json

_SPACE: Final = re.compile(r"[ \t\r\n]*")
# Only where a value ends is asked here. A float has no end of digits; Python's integer has, and would keep the gate
# from recording one that is too long.
_decoder: Final = json.JSONDecoder(parse_int=float)


def judged_later(value: str) -> Any:
    """The object that the value is, or, where it is none that can be said strictly, its bytes.

    The gate refuses and records those. A text must not be handed on as one: a program in the same process may give its
    arguments as JSON text, and an object in quotes would be read as that.
    """
    try:
        said = parse_json(value)
    except UnfitJson:
        return value.encode()
    return said if isinstance(said, dict) else value.encode()


def slices(text: str) -> dict[str, str]:
    """Each member of the object that ``text`` is, as the text of its value.

    Raises:
        UnfitJson: for anything else than one object without a name twice.
    """
    at = _after(text, 0, "{", "an object begins with {")
    found: dict[str, str] = {}
    if text[at : at + 1] == "}":
        _end(text, at + 1)
        return found
    while True:
        name, after = _value(text, at)
        if not isinstance(name, str) or name in found:
            raise UnfitJson("", "an object has names, each once")
        begin = _after(text, after, ":", "a name is followed by :")
        _, end = _value(text, begin)
        found[name] = text[begin:end]
        at = _skip(text, end)
        if text[at : at + 1] == "}":
            _end(text, at + 1)
            return found
        at = _after(text, at, ",", "members are parted by ,")


def _value(text: str, at: int) -> tuple[Any, int]:
    try:
        return _decoder.raw_decode(text, at)
    except json.JSONDecodeError as fault:
        reason = fault.msg[:1].lower() + fault.msg[1:]
        problem = f"not JSON: {reason} (line {fault.lineno}, column {fault.colno})"
    except (RecursionError, ValueError):
        # A number of thousands of digits is refused by Python itself.
        problem = "a value is too large to read"
    raise UnfitJson("", problem)  # out of the handler: the decoder's error carries the whole input


def _after(text: str, at: int, sign: str, otherwise: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] != sign:
        raise UnfitJson("", f"not JSON: {otherwise}")
    return _skip(text, at + 1)


def _end(text: str, at: int) -> None:
    if _skip(text, at) != len(text):
        raise UnfitJson("", "something follows the object")


def _skip(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return at if found is None else found.end()
