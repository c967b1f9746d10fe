"""Connections that a test opens, and what of them is left when it is over: nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from toolgate.adapters.clock import SystemClock
from toolgate.adapters.upstreams.connection import Called, Connection, open_connection
from toolgate.domain.upstream.settings import ConnectionSettings, StdioSettings

SERVERS = Path(__file__).parent.parent / "servers"
PATIENCE = 30.0


async def until(condition: Callable[[], object]) -> None:
    """Wait for ``condition``; a test that waits too long has failed."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what another process does sets no event
            await asyncio.sleep(0.005)


def living(group: int) -> list[int]:
    """The processes of a group that are no zombies."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z" and int(fields[2]) == group:
            found.append(int(stat.parent.name))
    return found


def evil(*how: str, **settings: Any) -> StdioSettings:
    """The settings of an upstream that misbehaves; see ``servers/evil.py``."""
    return StdioSettings(command=sys.executable, args=(str(SERVERS / "evil.py"), *how), **settings)


def good() -> StdioSettings:
    """The settings of a well-behaved upstream, made with the SDK."""
    return StdioSettings(command=sys.executable, args=(str(SERVERS / "sdk.py"),))


class Opened:
    """Opens connections, and counts what each was told of its list."""

    def __init__(self) -> None:
        self.connections: list[Connection] = []
        self.groups: set[int] = set()
        self.changes = 0

    def __call__(self, settings: ConnectionSettings, **options: Any) -> Connection:
        connection = open_connection(
            settings,
            **{"name": "up", "on_tools_changed": self._changed, "clock": SystemClock(), **options},
        )
        self.connections.append(connection)
        return connection

    def _changed(self) -> None:
        self.changes += 1

    async def ready(self, settings: ConnectionSettings, **options: Any) -> Connection:
        """Open one and wait until it is ready."""
        connection = self(settings, **options)
        await until(lambda: connection.state().phase == "ready")
        if (pid := connection.state().pid) is not None:
            self.groups.add(pid)
        return connection


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    opening = Opened()
    yield opening
    for connection in opening.connections:
        if (pid := connection.state().pid) is not None:
            opening.groups.add(pid)
        await connection.close()
    await until(lambda: not any(living(group) for group in opening.groups))


async def call(connection: Connection, tool: str, *, seconds: float = PATIENCE, **arguments: Any) -> Called:
    return await connection.call(tool, arguments, seconds=seconds, meta={}, progress=None)


def text(called: Called) -> str:
    value: str = called.content[0]["text"]
    return value
