"""Points inside a Postgres writer's transactions, where no port is: before and after each statement.

Not here: what is killed there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolgate.adapters.stores.postgres.connection import WritingConnection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import asyncpg

    from toolgate.testing import PortTap

_ASKED = frozenset({"execute", "executemany", "fetch", "fetchrow", "fetchval"})
_MADE = WritingConnection.made


def tap_postgres(tap: PortTap) -> None:
    """Have every writer of this process pass ``tap`` with each statement. Once a process."""

    async def made(self: WritingConnection, until: float) -> Any:
        return _TappedConnection(await _MADE(self, until), tap)

    WritingConnection.made = made  # type: ignore[method-assign]


class _TappedConnection:
    def __init__(self, real: asyncpg.Connection, tap: PortTap) -> None:
        self._connection = real
        self._tap = tap

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._connection, name)
        return self._marked(found) if name in _ASKED else found

    def _marked(self, ask: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def asked(statement: str, *values: Any, **given: Any) -> Any:
            words = " ".join(statement.split()[:3])
            self._tap.mark(f"writer: before {words}")
            answer = await ask(statement, *values, **given)
            self._tap.mark(f"writer: after {words}")
            return answer

        return asked
