"""What passes between the gateway and a child: framed JSON over two pipes, never a pickle.

A message is two frames, a header and a body; a frame is its length in four bytes (big-endian) and that many
bytes. Header and body are JSON; the body is the canonical arguments on the way in and the result on the
way out. Not here: who reads and writes, and what an error means.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolgate.domain.errors import BusinessRule, NeedsApproval, ToolError, TransientError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolgate.domain.approval import Risk

_LENGTH = 4
_CHUNK = 1 << 16
MAX_HEADER = 1 << 18
"""Bytes of a header: caller, roles and words of an error."""
MAX_WORDS = 8000
"""Characters of an error's message; what a model sees of it is shorter still."""


class Garbled(Exception):
    """What came is no message: the child's end of the pipe cannot be trusted any more."""


@dataclass(frozen=True, slots=True)
class Message:
    """A header and a body of JSON bytes."""

    header: Mapping[str, Any]
    body: bytes = b""

    def encoded(self) -> bytes:
        """Both frames."""
        header = json.dumps(dict(self.header), ensure_ascii=False, separators=(",", ":")).encode(
            "utf-8", "replace"
        )
        return b"".join(len(part).to_bytes(_LENGTH, "big") + part for part in (header, self.body))


def send(fd: int, message: Message) -> None:
    """Write all of ``message``. Raises ``OSError`` where nobody reads any more."""
    left = memoryview(message.encoded())
    while left:
        left = left[os.write(fd, left) :]


def receive(fd: int, *, max_body: int) -> Message | None:
    """The next message; None once the other side is gone.

    Raises:
        Garbled: for a frame that is longer than allowed, or no JSON object.
    """
    raw = _frame(fd, MAX_HEADER)
    body = None if raw is None else _frame(fd, max_body)
    if raw is None or body is None:
        return None
    try:
        header = json.loads(raw)
    except ValueError as broken:
        raise Garbled("a header is no JSON") from broken
    if not isinstance(header, dict):
        raise Garbled("a header is no object")
    return Message(header, body)


def _frame(fd: int, limit: int) -> bytes | None:
    size = _exactly(fd, _LENGTH)
    if size is None:
        return None
    length = int.from_bytes(size, "big")
    if length > limit:
        raise Garbled(f"a frame of {length} bytes, where {limit} are allowed")
    return _exactly(fd, length)


def _exactly(fd: int, count: int) -> bytes | None:
    parts = []
    while count:
        part = os.read(fd, min(count, _CHUNK))
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


_DECLARED: dict[str, type[ToolError]] = {
    "needs_approval": NeedsApproval,
    "business_rule": BusinessRule,
    "transient": TransientError,
    "tool_error": ToolError,
}

PROGRESS = "progress"
"""The kind of a message that may come, any number of times, before the one that is the answer."""


def progress_to_header(done: Any, total: Any, note: Any) -> dict[str, Any] | None:
    """What a tool reported as plain data; None where it is nothing that JSON could carry."""
    numbers = [value if _is_number(value) else None for value in (done, total)]
    if numbers[0] is None:
        return None
    return {
        "kind": PROGRESS,
        "done": numbers[0],
        "total": numbers[1],
        "note": note[:MAX_WORDS] if isinstance(note, str) else None,
    }


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False


_RISKS: dict[str, Risk] = {"low": "low", "medium": "medium", "high": "high"}


def error_to_header(error: BaseException) -> dict[str, Any]:
    """``error`` as plain data. Of an undeclared one only its class of failure passes, never its text."""
    if isinstance(error, ToolError):
        kind = next(name for name, known in _DECLARED.items() if isinstance(error, known))
        header: dict[str, Any] = {
            "kind": kind,
            "code": str(error.error_code),
            "effect": error.effect,
            "message": error.message[:MAX_WORDS],
        }
        if isinstance(error, NeedsApproval):
            header |= {"approvers": sorted(error.approvers), "risk": error.risk}
        return header
    if isinstance(error, TimeoutError):
        return {"kind": "timeout"}
    if isinstance(error, ConnectionError):
        return {"kind": "connection"}
    return {"kind": "failed"}


def error_from_header(header: Mapping[str, Any]) -> Exception | None:
    """The error that a reply stands for; None where its kind is none of an error."""
    kind = header.get("kind")
    if kind == "timeout":
        return TimeoutError()
    if kind == "connection":
        return ConnectionError()
    if kind == "failed":
        return IsolatedToolFailed("the tool failed in its process with an error that it did not declare")
    if kind not in _DECLARED:
        return None
    effect = header["effect"] if header.get("effect") in {"none", "applied", "unknown"} else None
    message, code = str(header.get("message")), str(header.get("code"))
    if kind == "needs_approval":
        risk = _RISKS.get(str(header.get("risk")), "high")
        wish = NeedsApproval(message, approvers=frozenset(map(str, header.get("approvers", ()))), risk=risk)
        wish.effect, wish.error_code = effect, code
        return wish
    declared = _DECLARED[str(kind)](message, code=code)
    declared.effect = effect
    return declared


class IsolatedToolFailed(RuntimeError):
    """An isolated tool raised what it had not declared. Its text stays in the child, for it may hold anything."""
