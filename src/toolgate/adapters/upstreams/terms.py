"""The words that everything around a connection uses: the Protocol, what a call gives, how a connection stands.

Not here: how one is opened (``connection``), how it fails (``failures``), and how any of it is done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Literal, Protocol, TypeAlias


class Absent(Enum):
    """The type of ``ABSENT``."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT
"""No structured content came, which is not the same as ``null``."""

Progress: TypeAlias = Callable[[float, float | None, str | None], None]
"""Told how far a call is: done, of how much, and a word. Must neither block nor raise."""
Phase: TypeAlias = Literal["connecting", "ready", "down"]
Answering: TypeAlias = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Answers a request of the upstream by its method and parameters; the gate itself gives none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Called:
    """What a tool answered. ``content`` holds MCP's blocks as they came: nothing in them is to be trusted."""

    content: tuple[Mapping[str, Any], ...]
    structured: Any
    is_error: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionKey:
    """Whose connection it is. What belongs to a connection (session, token, process) is held under no other key.

    ``identity`` is None for the gate's own.
    """

    upstream: str
    identity: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How a connection stands. Times in microseconds since the epoch.

    ``strays`` counts what came and was not believed: lines that are no message, answers to nothing, second answers.
    """

    phase: Phase
    since: int
    reason: str | None = None
    next_try: int | None = None
    version: str | None = None
    server_name: str | None = None
    server_version: str | None = None
    connected: int = 0
    strays: int = 0
    pid: int | None = None


class Connection(Protocol):
    """One upstream, for one identity. It comes back by itself, and every wait in it has a bound.

    To be used in the loop in which it was opened.
    """

    @property
    def name(self) -> str:
        """The upstream's name in the configuration."""

    @property
    def key(self) -> ConnectionKey:
        """Whose it is."""

    async def tools(self) -> tuple[Mapping[str, Any], ...]:
        """The raw definitions of all pages.

        Raises:
            UpstreamDown: if it is not connected, or the list cannot be read whole.
        """

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        seconds: float,
        meta: Mapping[str, Any],
        progress: Progress | None,
    ) -> Called:
        """Call a tool by the upstream's own name for it. ``seconds`` is what the caller has left.

        Cancelling it tells the upstream, and forgets the call.

        Raises:
            NotSent: nothing ran.
            Lost: it was sent, and no answer came that can be believed.
            RpcError: the upstream answered with an error of the protocol.
        """

    def state(self) -> State:
        """How it stands now."""

    async def close(self) -> None:
        """End it. What is on its way is lost."""
