"""Runs isolated tools in child processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from toolgate.domain.call import ClearedCall
    from toolgate.domain.context import Context
    from toolgate.ports import Deps


class ProcessRunner:
    """One attempt in a child."""

    def __init__(self, deps: Deps | None, *, limit: int) -> None:
        self._deps = deps

    async def run(self, call: ClearedCall, context: Context) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        """End idle children."""
