"""Server-sent events (WHATWG HTML, section 9.2.6), as far as MCP uses them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from toolgate.adapters.upstreams.failures import Lost


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event; ``data`` is empty where an id alone was sent."""

    kind: str
    data: bytes


class EventReader:
    """Events out of pieces of a stream. ``last_id`` and ``retry`` (seconds) are what the stream said of resuming.

    ``limit``: bytes of one event.
    """

    __slots__ = ("_data", "_kind", "_limit", "_partial", "_size", "last_id", "retry")

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._partial = bytearray()
        self._data: list[bytes] = []
        self._kind = ""
        self._size = 0
        self.last_id: str | None = None
        self.retry: float | None = None

    def feed(self, piece: bytes) -> list[Event]:
        """The events that ``piece`` completes.

        Raises:
            Lost: if an event is longer than the limit.
        """
        # A lone CR ends a line, too, and CRLF may be cut in two: the CR of a cut waits for what follows.
        if b"\n" not in piece and b"\r" not in piece and not self._partial.endswith(b"\r"):
            # Only kept: a long line that comes in small pieces is not copied for each of them.
            self._partial += piece
            self._check()
            return []
        text = bytes(self._partial) + piece
        held = b"\r" if text.endswith(b"\r") else b""
        text = text[: len(text) - len(held)]
        if b"\r" in text:
            text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = text.split(b"\n")
        self._partial = bytearray(rest + held)
        events = [event for line in lines if (event := self._line(line)) is not None]
        self._check()
        return events

    def _check(self) -> None:
        if self._size + len(self._partial) > self._limit:
            raise Lost(f"it sent one message of more than {self._limit} bytes")

    def begin_anew(self) -> None:
        """Another stream follows, which goes on after ``last_id``; what was cut off comes again."""
        self._partial, self._data, self._kind, self._size = bytearray(), [], "", 0

    def _line(self, line: bytes) -> Event | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value) + 1
            if self._size > self._limit:
                raise Lost(f"it sent one message of more than {self._limit} bytes")
        elif name == b"event":
            self._kind = value[:100].decode(errors="replace")
        elif name == b"id" and b"\0" not in value:
            self.last_id = value[:1_000].decode(errors="replace")
        elif name == b"retry" and value.isdigit():
            self.retry = int(value[:9]) / 1000
        return None

    def _dispatch(self) -> Event | None:
        data, self._data = b"\n".join(self._data), []
        kind, self._kind = self._kind or "message", ""
        self._size = 0
        return Event(kind=kind, data=data) if data else None
