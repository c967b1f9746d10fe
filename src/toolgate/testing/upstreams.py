"""Upstreams that are no servers: a test gives the tools, and says which of them changed since they were reviewed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from toolgate.domain.tool import Tool
from toolgate.ports import UpstreamState


class FakeUpstreams:
    """One upstream named ``fake`` with the tools that it is given.

    Attributes:
        changed: by a tool's name why it may not run; empty at first.
        down: why it cannot be reached; None at first. It only shows; what a tool does is the tool's.
        is_open: whether a gateway has opened it and not closed it.
    """

    def __init__(self, tools: Iterable[Tool[Any, Any]] = ()) -> None:
        self.tools: Sequence[Tool[Any, Any]] = tuple(tools)
        self.changed: dict[str, str] = {}
        self.down: str | None = None
        self.is_open = False

    def open(self) -> None:
        """Be open."""
        self.is_open = True

    def close(self) -> None:
        """Be closed."""
        self.is_open = False

    def set_aside(self, tool: str) -> str | None:
        """What ``changed`` says."""
        return self.changed.get(tool)

    def states(self) -> Sequence[UpstreamState]:
        """One upstream."""
        return (
            UpstreamState(
                name="fake",
                status="unavailable" if self.down else "ready",
                reason=self.down,
                tools=tuple(tool.name for tool in self.tools),
                set_aside=dict(self.changed),
            ),
        )
