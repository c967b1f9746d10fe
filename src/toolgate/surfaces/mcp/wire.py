"""One message as it came: the arguments of a call, cut out before any lenient parser sees them.

The SDK reads JSON as most readers do: of two equal names the last counts, and where one implementation reads a number
another refuses it. What is decided about a call must not hang on that. So a name twice is refused, and arguments reach
the gate as they were sent. So are bytes refused that only some readers take for text: the SDK guesses at UTF-16 and
UTF-32, and would find arguments where none were cut out. Not here: what a message means.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from toolgate.domain.canonical import UnfitJson, parse_json
from toolgate.surfaces.http.members import judged_later, slices

CALL: Final = "tools/call"
BEGIN: Final = "initialize"
LONGEST_BEGIN: Final = 16 * 1024
"""Bytes of the message that opens a session: what a client says of itself is kept for as long as that lasts."""
NOT_SENT: Final = object()
"""In place of arguments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message for the SDK, and beside it what only the gate may judge.

    Attributes:
        raw: what the SDK reads. Arguments that are no strict JSON object are left out of it.
        arguments: those of a call, as plain values or as the bytes that were sent; ``NOT_SENT`` where there are none.
    """

    raw: bytes
    arguments: Any = NOT_SENT


def read(raw: bytes) -> Message:
    """The message that ``raw`` is. JSON that is no object is left for the SDK to refuse, and so is no body at all.

    Raises:
        UnfitJson: for a name twice, or anything else that is no strict JSON, outside the arguments of a call; and for
            more words of a client about itself than are kept.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise UnfitJson("", "not valid UTF-8") from None
    if not raw:
        return Message(raw=raw)
    if not text.lstrip(" \t\r\n").startswith("{"):
        parse_json(text)
        return Message(raw=raw)
    members = slices(text)
    params = members.get("params", "")
    method = parse_json(members.get("method", "null"))
    if method == BEGIN and len(raw) > LONGEST_BEGIN:
        raise UnfitJson("", f"longer than the {LONGEST_BEGIN} bytes that {BEGIN} may have")
    inner = slices(params) if method == CALL and params.startswith("{") else {}
    _refuse_unfit({name: value for name, value in members.items() if not (inner and name == "params")})
    _refuse_unfit({name: value for name, value in inner.items() if name != "arguments"})
    if "arguments" not in inner:
        return Message(raw=raw)
    arguments = judged_later(inner["arguments"])
    if not isinstance(arguments, dict):
        inner["arguments"] = "{}"
        raw = _joined({**members, "params": _joined(inner)}).encode()
    return Message(raw=raw, arguments=arguments)


def _refuse_unfit(members: dict[str, str]) -> None:
    """Nobody but the SDK looks at these, and it takes the last of two names."""
    for value in members.values():
        parse_json(value)


def _joined(members: dict[str, str]) -> str:
    return "{" + ",".join(f"{json.dumps(name)}:{value}" for name, value in members.items()) + "}"
