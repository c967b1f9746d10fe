"""How a call to an upstream can fail, told apart by what may have happened to the world.

Their words are for the trail and the operator: bounded, without known secrets, without addresses. Not here: what the
gate makes of them (``tools``).
"""

from __future__ import annotations

from typing import Final

from toolgate.domain.names import label

MAX_REASON: Final = 500
MAX_ERROR_TEXT: Final = 8_192


class ConnectionFailure(Exception):
    """A request to an upstream has no result. ``status`` is that of HTTP, where one was answered."""

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        super().__init__(label(reason, limit=MAX_REASON))
        self.status = status

    @property
    def reason(self) -> str:
        """Why, in words for the operator."""
        return str(self.args[0])


class NotSent(ConnectionFailure):
    """Nothing ran: nothing reached the upstream, or it refused before any tool could run."""


class ListOutdated(NotSent):
    """Nothing ran, and what the upstream listed may not hold any more: it began a new session, or wants other headers.

    Whoever compares lists compares it again, and may then ask again.
    """


class Lost(ConnectionFailure):
    """It was sent, and no answer came that can be believed. Whether the tool ran cannot be told."""


class NoAnswer(Lost):
    """It was sent, and the time that the caller had is over."""


class UpstreamDown(ConnectionFailure):
    """The list of tools could not be read."""


class RpcError(ConnectionFailure):
    """The upstream answered with a JSON-RPC error. ``message`` is its own text, bounded, and nobody's but its."""

    def __init__(self, code: int, message: str, *, data: object = None, status: int | None = None) -> None:
        super().__init__(f"error {code}: {message}", status=status)
        self.code = code
        self.message = message[:MAX_ERROR_TEXT]
        self.data = data
