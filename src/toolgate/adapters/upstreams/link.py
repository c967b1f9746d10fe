"""One connection that lives once: a process, or a session over HTTP. ``kept`` makes a new one when it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from toolgate.adapters.upstreams.messages import Manner
from toolgate.adapters.upstreams.terms import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Who answered the handshake, and the version agreed on. Its names are its own claim, made printable."""

    version: str
    modern: bool
    name: str
    server_version: str
    tells_of_changes: bool


class Wire(Protocol):
    """Carries requests in a given manner; what a handshake is made with."""

    async def ask(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        seconds: float,
        manner: Manner | None = None,
        progress: Progress | None = None,
    ) -> Any:
        """The result of a request; by default in the manner agreed on.

        Raises:
            NotSent: nothing ran. ``Lost``: no answer that can be believed. ``RpcError``: an error was answered.
        """

    async def tell(self, method: str, params: Mapping[str, Any], *, manner: Manner | None = None) -> None:
        """Send a notification; what becomes of it is not known."""


class Link(Wire, Protocol):
    """A wire after its handshake."""

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""

    @property
    def ended(self) -> asyncio.Future[str]:
        """Done when it serves no more, with the reason. Nobody cancels it."""

    @property
    def strays(self) -> int:
        """What came and was not believed."""

    @property
    def pid(self) -> int | None:
        """The child process, if it is one."""

    def learn(self, tools: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Those of the listed ``tools`` that can be called over this wire, whose particulars it keeps."""

    async def retire(self) -> None:
        """End it once what is on its way is over, as far as it still can be."""

    async def close(self) -> None:
        """End it now. What is on its way is lost."""
