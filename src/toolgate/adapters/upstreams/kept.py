"""A connection that comes back by itself: at most one link at a time, and none while the upstream is down.

While it is down every call fails at once, so that a sick upstream costs its callers nothing. Not here: what a link is
made of (``stdio``, ``http``).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final

from pydantic_core import to_json

from toolgate.adapters.upstreams.deadline import Deadline
from toolgate.adapters.upstreams.failures import ConnectionFailure, Lost, NotSent, RpcError, UpstreamDown
from toolgate.adapters.upstreams.link import Link
from toolgate.adapters.upstreams.messages import METHOD_NOT_FOUND, MISSING_CAPABILITY
from toolgate.adapters.upstreams.terms import (
    ABSENT,
    Answering,
    Called,
    ConnectionKey,
    Phase,
    Progress,
    State,
)
from toolgate.domain.duration import MICRO
from toolgate.ports import Clock

_log = logging.getLogger("toolgate")

FIRST_WAIT: Final = 1.0
LONGEST_WAIT: Final = 60.0
HEALTHY_AFTER: Final = 60.0
"""Seconds of a link's life after which its end counts as the first."""
LIST_TIMEOUT: Final = 10.0
MAX_PAGES: Final = 100
MAX_TOOLS: Final = 5_000
MAX_LIST: Final = 32 << 20
"""Bytes of all definitions of a list, as JSON."""
MAX_ROUNDS: Final = 8
"""Times that one call is continued because the upstream asks for something more."""

Dial = Callable[[], Awaitable[Link]]


class KeptConnection:
    """A ``Connection`` over whatever ``dial`` makes.

    Args:
        dial: makes a link, within ``connect_timeout`` seconds, or raises ``ConnectionFailure``.
        on_ready: called each time that a link was made: the list may have changed meanwhile.
        answering: answers what a call is asked in its midst; see ``terms.Answering``.
        release: lets go of what all links shared, in the end.
        jitter: a number from 0 to 1 by which waits of many gateways are spread.
        masked: takes what the upstream was given in confidence out of what it says of an error.
    """

    def __init__(
        self,
        key: ConnectionKey,
        dial: Dial,
        *,
        clock: Clock,
        connect_timeout: float,
        on_ready: Callable[[], None],
        answering: Answering | None = None,
        release: Callable[[], Awaitable[None]] | None = None,
        jitter: Callable[[], float] = random.random,  # noqa: S311 - it spreads waits
        masked: Callable[[str], str] = str,
    ) -> None:
        self.key = key
        self._masked = masked
        self._dial = dial
        self._clock = clock
        self._connect_timeout = connect_timeout
        self._on_ready = on_ready
        self._answering = answering
        self._release = release
        self._jitter = jitter
        self._link: Link | None = None
        self._phase: Phase = "connecting"
        self._since = clock.now()
        self._reason: str | None = None
        self._next_try: int | None = None
        self._connected = 0
        self._strays = 0
        self._closed = False
        loop = asyncio.get_running_loop()
        self._first: asyncio.Future[None] = loop.create_future()
        self._retiring: dict[asyncio.Task[None], Link] = {}
        self._keeper = loop.create_task(self._keep(), name=f"upstream {key.upstream}")

    @property
    def name(self) -> str:
        """The upstream's name in the configuration."""
        return self.key.upstream

    def state(self) -> State:
        """How it stands now."""
        link = self._link
        peer = None if link is None else link.peer
        return State(
            phase=self._phase,
            since=self._since,
            reason=self._reason,
            next_try=self._next_try,
            version=None if peer is None else peer.version,
            server_name=None if peer is None else peer.name,
            server_version=None if peer is None else peer.server_version,
            connected=self._connected,
            strays=self._strays + (0 if link is None else link.strays),
            pid=None if link is None else link.pid,
        )

    # --- keeping it ----------------------------------------------------------------------------------------------

    async def _keep(self) -> None:
        attempt = 0
        while True:
            reason, lived = await self._one_life()
            attempt = 1 if lived >= HEALTHY_AFTER else attempt + 1
            wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(attempt - 1, 10)) * (0.75 + 0.25 * self._jitter())
            self._stands("down", reason, next_try=self._clock.now() + round(wait * MICRO))
            self._first_try_over()
            _log.warning("upstream %s is unavailable: %s; next try in %.1f s", self.name, reason, wait)
            await self._clock.sleep(wait)
            self._stands("connecting", reason)

    async def _one_life(self) -> tuple[str, float]:
        """Make a link and wait for its end; why it ended, and how many seconds it lived."""
        try:
            link = await self._dial()
        except ConnectionFailure as failure:
            return failure.reason, 0.0
        except Exception as fault:  # noqa: BLE001 - a fault of ours must not leave the upstream down for good
            _log.exception("upstream %s: a fault while connecting", self.name)
            return f"a fault of the gateway while connecting: {type(fault).__name__}", 0.0
        began = self._clock.monotonic()
        self._link = link
        self._connected += 1
        self._stands("ready", None)
        self._first_try_over()
        peer = link.peer
        _log.info(
            "upstream %s is ready: %s %s, MCP %s", self.name, peer.name, peer.server_version, peer.version
        )
        self._on_ready()
        # Shielded: whoever closes the connection cancels this wait, and never what the link tells others.
        reason = await asyncio.shield(link.ended)
        self._link = None
        self._strays += link.strays
        retiring = asyncio.get_running_loop().create_task(link.retire())
        self._retiring[retiring] = link
        retiring.add_done_callback(self._retiring.pop)
        return reason, self._clock.monotonic() - began

    def _stands(self, phase: Phase, reason: str | None, *, next_try: int | None = None) -> None:
        if phase != self._phase:
            self._since = self._clock.now()
        self._phase, self._reason, self._next_try = phase, reason, next_try

    def _first_try_over(self) -> None:
        if not self._first.done():
            self._first.set_result(None)

    async def close(self) -> None:
        """End it. What is on its way is lost. Bounded by what a link's end takes."""
        if self._closed:
            return
        self._closed = True
        self._first_try_over()
        link, self._link = self._link, None
        self._keeper.cancel()
        await asyncio.wait([self._keeper])
        if link is not None:
            self._strays += link.strays
            await link.close()
        for task, retiring in list(self._retiring.items()):
            await retiring.close()
            await asyncio.wait([task])
        if self._release is not None:
            await self._release()
        self._stands("down", "it was closed")

    # --- using it ------------------------------------------------------------------------------------------------

    async def _ready(self, seconds: float) -> tuple[Link, float]:
        """The link, and the seconds that are left. Waits for the very first try alone, and not for longer than that."""
        if (link := self._link) is not None:
            return link, seconds
        if not self._first.done():
            began = self._clock.monotonic()
            with suppress(TimeoutError), Deadline(self._clock, min(seconds, self._connect_timeout)):
                await asyncio.shield(self._first)
            seconds -= self._clock.monotonic() - began
            if (link := self._link) is not None:
                return link, seconds
        raise NotSent(f"{self.name} is unavailable: {self._reason or 'it is not connected yet'}")

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        seconds: float,
        meta: Mapping[str, Any],
        progress: Progress | None,
    ) -> Called:
        """Call a tool; see ``Connection.call``."""
        link, seconds = await self._ready(seconds)
        params: dict[str, Any] = {"name": tool, "arguments": dict(arguments)}
        if meta:
            params["_meta"] = dict(meta)
        try:
            result = await link.ask("tools/call", params, seconds=seconds, progress=progress)
            if type(result) is dict and result.get("resultType", "complete") != "complete":
                result = await self._continued(link, params, result, seconds, progress)
        except RpcError as failure:
            said = self._masked(failure.message)
            raise RpcError(failure.code, said, data=failure.data, status=failure.status) from None
        answer = called(result)
        if not answer.is_error:
            return answer
        return replace(answer, content=tuple(_masked(block, self._masked) for block in answer.content))

    async def _continued(
        self,
        link: Link,
        params: dict[str, Any],
        result: dict[str, Any],
        seconds: float,
        progress: Progress | None,
    ) -> Any:
        """Answer what a call is asked in its midst (basic/patterns/mrtr), where somebody is there to answer."""
        until = self._clock.monotonic() + seconds
        for _ in range(MAX_ROUNDS):
            if type(result) is not dict or (kind := result.get("resultType", "complete")) == "complete":
                return result
            if kind != "input_required":
                raise Lost(f"it answered with a result of kind {kind}, which nobody asked for")
            if self._answering is None:
                raise RpcError(MISSING_CAPABILITY, "it asks for input, which the gate does not give")
            answers = await _answers(self._answering, result.get("inputRequests") or {})
            again = {**params, "inputResponses": answers}
            if "requestState" in result:
                again["requestState"] = result["requestState"]
            left = until - self._clock.monotonic()
            try:
                result = await link.ask("tools/call", again, seconds=left, progress=progress)
            except NotSent as failure:
                # The rounds before it were sent, and what they did is not known.
                raise Lost(failure.reason, status=failure.status) from failure
        raise Lost("it asked for more input again and again")

    async def tools(self) -> tuple[Mapping[str, Any], ...]:
        """The raw definitions of all pages; see ``Connection.tools``."""
        seconds = max(LIST_TIMEOUT, self._connect_timeout)
        try:
            link, _ = await self._ready(seconds)
            with Deadline(self._clock, LIST_TIMEOUT):
                return tuple(link.learn(await _pages(link)))
        except RpcError as failure:
            if failure.code == METHOD_NOT_FOUND:
                return ()
            raise UpstreamDown(f"its list of tools cannot be read: {failure.reason}") from failure
        except TimeoutError as late:
            raise UpstreamDown(f"its list of tools did not come within {LIST_TIMEOUT:g} seconds") from late
        except ConnectionFailure as failure:
            raise UpstreamDown(failure.reason) from failure


async def _answers(answering: Answering, requests: Mapping[str, Any]) -> dict[str, Any]:
    if type(requests) is not dict or not all(type(each) is dict for each in requests.values()):
        raise Lost("it asks for input in no known form")
    return {
        key: await answering(str(each.get("method")), each.get("params") or {})
        for key, each in requests.items()
    }


async def _pages(link: Link) -> list[Mapping[str, Any]]:
    tools: list[Mapping[str, Any]] = []
    size = 0
    params: dict[str, Any] = {}
    for _ in range(MAX_PAGES):
        # The deadline of the whole list is the caller's; this one only has to be no shorter.
        page = await link.ask("tools/list", params, seconds=2 * LIST_TIMEOUT)
        listed = page.get("tools") if type(page) is dict else None
        if type(listed) is not list or not all(_is_tool(each) for each in listed):
            raise UpstreamDown("its list of tools is of no known form")
        tools += listed
        if len(tools) > MAX_TOOLS:
            raise UpstreamDown(f"it lists more than {MAX_TOOLS} tools")
        size += len(to_json(listed, inf_nan_mode="constants"))
        if size > MAX_LIST:
            raise UpstreamDown(f"its list of tools is longer than {MAX_LIST} bytes")
        cursor = page.get("nextCursor")
        if cursor is None:
            return tools
        if cursor == params.get("cursor"):
            raise UpstreamDown("its list of tools begins again and again")
        params = {"cursor": cursor}
    raise UpstreamDown(f"its list of tools has more than {MAX_PAGES} pages")


def _masked(block: Mapping[str, Any], mask: Callable[[str], str]) -> Mapping[str, Any]:
    text = block.get("text")
    return {**block, "text": mask(text)} if isinstance(text, str) else block


def _is_tool(value: Any) -> bool:
    return type(value) is dict and type(value.get("name")) is str


def called(result: Any) -> Called:
    """A tool's result, or what shows that it is none.

    Raises:
        Lost: if it is of no known form.
    """
    if type(result) is not dict:
        raise Lost("its answer is no result of a tool")
    content, is_error = result.get("content", []), result.get("isError", False)
    if (
        type(content) is not list
        or not all(type(each) is dict for each in content)
        or type(is_error) is not bool
    ):
        raise Lost("its answer is no result of a tool")
    return Called(
        content=tuple(content), structured=result.get("structuredContent", ABSENT), is_error=is_error
    )
