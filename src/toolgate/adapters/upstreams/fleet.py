"""All upstreams of one gateway: connections that open and close with it, and what their live lists say of the lock.

A tool runs only over a link whose list was compared with the lock since the link was made; one that differs or is gone
is set aside until somebody has read what changed and pinned it anew. Not here: contracts (``tools``) and how a
connection lives (``connection``).
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Literal

from toolgate.adapters.upstreams.connection import (
    Called,
    Connection,
    ListOutdated,
    NotSent,
    Progress,
    State,
    UpstreamDown,
    open_connection,
)
from toolgate.adapters.upstreams.thread import Harbour
from toolgate.adapters.upstreams.tools import Call, Placed, governed
from toolgate.domain.errors import ToolError
from toolgate.domain.names import label
from toolgate.domain.outcome import ErrorType
from toolgate.domain.tool import Tool
from toolgate.domain.upstream.definition import Definition, Unusable
from toolgate.domain.upstream.lock import Difference, PinnedTool, differences
from toolgate.domain.upstream.settings import ConnectionSettings
from toolgate.ports import Clock, UpstreamState

SET_ASIDE: Final = ErrorType.TOOL_QUARANTINED.value
RECHECK: Final = 300.0
"""Seconds after which a list is compared again, though nobody said that it changed."""
_CLOSE_TIMEOUT: Final = 30.0
_ROUNDS: Final = 3
_log = logging.getLogger("toolgate")

Open = Callable[..., Connection]


@dataclass(frozen=True, slots=True, kw_only=True)
class Berth:
    """One upstream: how it is reached, what is pinned of it, and which of that stands behind the gate."""

    name: str
    settings: Callable[[], ConnectionSettings]
    pinned: Mapping[str, PinnedTool]
    placed: Sequence[Placed]


class _Dock:
    """A berth in use: its connection, and what the last comparison found. Lives in the harbour's loop.

    ``aside`` is replaced as a whole, so that any thread may read it.
    """

    def __init__(self, berth: Berth, clock: Clock) -> None:
        self.berth = berth
        self.aside: Mapping[str, str] = MappingProxyType({})
        self.found: tuple[Difference, ...] = ()
        self._clock = clock
        self._connection: Connection | None = None
        self._checked = 0
        self._checking: asyncio.Task[str | None] | None = None
        self._changes = 1
        self._judged = 0
        self._again: asyncio.Task[None] | None = None
        self._watched = frozenset(placed.tool for placed in berth.placed)
        self._last: State | None = None

    def open(self, opening: Open) -> None:
        self._connection = opening(
            self.berth.settings(),
            name=self.berth.name,
            on_tools_changed=self._changed,
            clock=self._clock,
        )
        self._again = asyncio.get_running_loop().create_task(self._recheck())

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None

    async def close(self) -> None:
        for task in (self._again, self._checking):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        if (connection := self._connection) is not None:
            self._last, self._connection = connection.state(), None
            await connection.close()

    def state(self) -> State | None:
        if self._connection is not None:
            self._last = self._connection.state()
        return self._last

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        seconds: float,
        meta: Mapping[str, Any],
        progress: Progress | None,
    ) -> Called:
        """As ``Connection.call``, over a link whose list was compared."""
        until = self._clock.monotonic() + seconds
        for last in (False, True):
            connection = await self._compared()
            if tool in self.aside:
                # It was found only now, after the gate had asked.
                raise ToolError(
                    "It is not the tool that was reviewed. Nothing was done.", effect="none", code=SET_ASIDE
                )
            left = until - self._clock.monotonic()
            try:
                # No other task runs between the comparison and this line: the link is the one whose list was read.
                return await connection.call(tool, arguments, seconds=left, meta=meta, progress=progress)
            except ListOutdated:
                if last:
                    raise
        raise AssertionError  # pragma: no cover - the second round ends above

    # --- comparing ---------------------------------------------------------------------------------------------

    def _changed(self) -> None:
        self._changes += 1
        _ = self._check()

    @property
    def _fresh(self) -> bool:
        """Whether what was found last holds: it was read over this link, and after the last change that was told."""
        assert self._connection is not None
        return self._judged == self._changes and self._checked == self._connection.state().connected

    def _check(self) -> asyncio.Task[str | None]:
        if self._checking is None or self._checking.done():
            self._checking = asyncio.get_running_loop().create_task(self._compare())
        return self._checking

    async def _compared(self) -> Connection:
        connection = self._connection
        if connection is None:
            raise NotSent(f"{self.berth.name} is not open")
        for _ in range(_ROUNDS):
            if self._fresh:
                return connection
            if (why := await asyncio.shield(self._check())) is not None:
                raise NotSent(why)
        raise NotSent(f"{self.berth.name} changes its list of tools faster than it can be read")

    async def _compare(self) -> str | None:
        """Read the list and judge it; why that was not possible."""
        connection = self._connection
        assert connection is not None
        changes = self._changes
        try:
            listed = await connection.tools()
            self._judge(*definitions_of(listed))
        except UpstreamDown as down:
            self._changes += 1
            return down.reason
        except BaseException:
            # Whatever kept us from judging the list: what was judged before says nothing of it.
            self._changes += 1
            raise
        self._checked, self._judged = connection.state().connected, changes
        return None

    def _judge(self, live: Mapping[str, Definition], broken: Mapping[str, str]) -> None:
        pinned = {name: tool for name, tool in self.berth.pinned.items() if name in self._watched}
        self.found = differences(pinned, live)
        aside = {each.tool: each.words for each in self.found if each.kind != "new"}
        aside |= {name: why for name, why in broken.items() if name in pinned}
        for name, why in aside.items():
            if self.aside.get(name) != why:
                _log.warning(
                    "upstream %s: %s is set aside: %s; read `toolgate upstreams diff`",
                    self.berth.name,
                    name,
                    why,
                )
        self.aside = MappingProxyType(aside)

    async def _recheck(self) -> None:
        while True:
            await self._clock.sleep(RECHECK)
            # However one comparison ends: the next one comes, and each call makes its own where this one failed.
            checking = self._check()
            await asyncio.wait([checking])
            if not checking.cancelled() and (fault := checking.exception()) is not None:
                _log.error("upstream %s: its list cannot be compared: %s", self.berth.name, label(fault))


def definitions_of(listed: Sequence[Mapping[str, Any]]) -> tuple[dict[str, Definition], dict[str, str]]:
    """What an upstream lists, by name, and why some of it cannot be used. A name that stands twice is nobody's."""
    live: dict[str, Definition] = {}
    broken: dict[str, str] = {}
    for raw in listed:
        name = str(raw.get("name"))
        made = Definition.of(raw)
        if isinstance(made, Unusable):
            broken[name] = made.reason
        elif name in live or name in broken:
            broken[name] = "the upstream lists it twice"
        else:
            live[name] = made
    return {name: made for name, made in live.items() if name not in broken}, broken


class Fleet:
    """The upstreams of a gateway; ``ports.Upstreams``.

    Args:
        berths: each upstream once.
        clock: for every wait.
        lazily: connect to an upstream when one of its tools is called, and not before.
        opening: makes a connection, inside the harbour's loop.
    """

    def __init__(
        self,
        berths: Sequence[Berth],
        *,
        clock: Clock,
        lazily: bool = False,
        opening: Open = open_connection,
    ) -> None:
        self._lazily = lazily
        self._opening = opening
        self._docks = {berth.name: _Dock(berth, clock) for berth in berths}
        self._harbour: Harbour | None = None
        self._lock = threading.Lock()
        self._home = {placed.name: (berth.name, placed.tool) for berth in berths for placed in berth.placed}
        self._faults: dict[str, str] = {}
        self.tools: Sequence[Tool[Any, Any]] = tuple(
            governed(placed, self._caller(berth.name)) for berth in berths for placed in berth.placed
        )

    def with_tools(self, tools: Sequence[Tool[Any, Any]]) -> Fleet:
        """This fleet, its tools under tightened contracts."""
        self.tools = tuple(tools)
        return self

    def _caller(self, upstream: str) -> Call:
        dock = self._docks[upstream]

        async def call(
            tool: str,
            arguments: Mapping[str, Any],
            *,
            seconds: float,
            meta: Mapping[str, Any],
            progress: Progress | None,
        ) -> Called:
            harbour = self._harbour
            if harbour is None:
                raise NotSent("the gateway has not opened its upstreams")

            async def there() -> Called:
                if not dock.is_open and self._lazily:
                    self._open_one(upstream, dock)
                if upstream in self._faults:
                    raise NotSent(self._faults[upstream])
                return await dock.call(tool, arguments, seconds=seconds, meta=meta, progress=progress)

            return await harbour.run(there())

        return call

    # --- ports.Upstreams ---------------------------------------------------------------------------------------

    def open(self) -> None:
        """Begin to connect, and return at once. One that cannot be configured is unavailable, and says why."""
        with self._lock:
            if self._harbour is None:
                self._harbour = Harbour()
                self._faults.clear()
                if not self._lazily:
                    _in(self._harbour, self._open_all()).result(_CLOSE_TIMEOUT)

    async def _open_all(self) -> None:
        for name, dock in self._docks.items():
            self._open_one(name, dock)

    def _open_one(self, name: str, dock: _Dock) -> None:
        try:
            dock.open(self._opening)
        except Exception as fault:  # noqa: BLE001 - one upstream's fault is not the others', nor the gateway's
            self._faults[name] = f"it cannot be opened: {label(fault)}"
            _log.warning("upstream %s cannot be opened: %s", name, label(fault))

    def close(self) -> None:
        """End every connection and process."""
        with self._lock:
            harbour, self._harbour = self._harbour, None
        if harbour is None:
            return
        with suppress(TimeoutError):
            _in(harbour, self._close_all()).result(_CLOSE_TIMEOUT)
        harbour.close()

    async def _close_all(self) -> None:
        await asyncio.gather(*(dock.close() for dock in self._docks.values()), return_exceptions=True)

    def set_aside(self, tool: str) -> str | None:
        """Why this tool may not run now."""
        if (home := self._home.get(tool)) is None:
            return None
        return self._docks[home[0]].aside.get(home[1])

    def states(self) -> Sequence[UpstreamState]:
        """How each of them stands, by name. What one says of itself is cut and made printable."""
        return tuple(self._state(name, dock) for name, dock in sorted(self._docks.items()))

    def _state(self, name: str, dock: _Dock) -> UpstreamState:
        state = dock.state()
        fault = self._faults.get(name)
        names = {placed.tool: placed.name for placed in dock.berth.placed}
        status: Literal["ready", "connecting", "unavailable"] = "connecting"
        if fault is not None or (state is not None and state.phase == "down"):
            status = "unavailable"
        elif state is not None:
            status = "ready" if state.phase == "ready" else "connecting"
        return UpstreamState(
            name=name,
            status=status,
            reason=fault or (state.reason if state is not None and status != "ready" else None),
            since=state.since if state is not None else 0,
            server=_server(state),
            tools=tuple(sorted(names.values())),
            set_aside={names[tool]: why for tool, why in dock.aside.items() if tool in names},
        )


def _server(state: State | None) -> str | None:
    if state is None or state.version is None:
        return None
    return f"{state.server_name or 'unnamed'} {state.server_version or ''}".strip() + f", MCP {state.version}"


def _in(harbour: Harbour, work: Any) -> Future[Any]:
    """``work`` in the harbour, from a thread without a loop."""
    done: Future[Any] = Future()

    def begin() -> None:
        async def go() -> None:
            try:
                done.set_result(await harbour.run(work))
            except BaseException as error:  # noqa: BLE001 - carried to whoever waits
                done.set_exception(error)

        asyncio.run(go())

    threading.Thread(target=begin, daemon=True).start()
    return done


__all__ = ["RECHECK", "Berth", "Fleet", "definitions_of"]
