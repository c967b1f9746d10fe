"""A link over streamable HTTP: many requests at the same time on a pool of connections, both eras.

Here: headers, sessions, tokens, resumption. Not here: one exchange and what its status means (``exchange``), events
(``sse``), tokens (``oauth``).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import Any, Final

import aiohttp

from toolgate.adapters.upstreams.asking import Asking
from toolgate.adapters.upstreams.deadline import Deadline
from toolgate.adapters.upstreams.exchange import (
    BAD_REQUEST,
    EVENTS,
    JSON,
    KEEP_ALIVE,
    SESSION,
    TROUBLE,
    Post,
    Unreachable,
)
from toolgate.adapters.upstreams.failures import ConnectionFailure, NoAnswer, NotSent, RpcError
from toolgate.adapters.upstreams.handshake import shake_hands
from toolgate.adapters.upstreams.header_names import ParameterHeaders, safe_value
from toolgate.adapters.upstreams.link import Peer
from toolgate.adapters.upstreams.listening import Listening
from toolgate.adapters.upstreams.messages import (
    HEADER_MISMATCH,
    UNSUPPORTED_VERSION,
    Manner,
    Notice,
    Question,
    notification,
)
from toolgate.adapters.upstreams.oauth import Authorizer
from toolgate.adapters.upstreams.questions import PROGRESS, TOOLS_CHANGED, News, answer_to, pass_on
from toolgate.adapters.upstreams.strays import Strays
from toolgate.adapters.upstreams.terms import Answering, Progress
from toolgate.domain.upstream.settings import HttpSettings
from toolgate.ports import Clock

_log = logging.getLogger("toolgate")

TROUBLES: Final = 3
"""Times in a row that a proxy says that the server is not there, until it is believed."""
ASIDE_TIMEOUT: Final = 5.0
"""Seconds for what nobody waits for: notifications, our answers, the end of a session."""
MAX_ASIDE: Final = 64
_REFUSED_AS_SUCH: Final = frozenset({HEADER_MISMATCH, UNSUPPORTED_VERSION})
"""Errors of the protocol that name a request which was refused as such (2026-07-28, basic/index, "Error Codes")."""


def _refused_as_such(failure: ConnectionFailure) -> bool:
    """Whether the refusal came with the status that it has to have; later, beside a 200, it proves nothing."""
    return (
        isinstance(failure, RpcError) and failure.code in _REFUSED_AS_SUCH and failure.status == BAD_REQUEST
    )


def open_session(settings: HttpSettings) -> aiohttp.ClientSession:
    """A pool of connections for one identity: no cookies, nothing from the environment, certificates checked."""
    trust: ssl.SSLContext | bool = True
    if settings.ca_file is not None:
        trust = ssl.create_default_context(cafile=settings.ca_file)
    return aiohttp.ClientSession(
        # One more for what the server says without being asked.
        connector=aiohttp.TCPConnector(limit=settings.pool + 1, ssl=trust, keepalive_timeout=KEEP_ALIVE),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        trust_env=False,
        auto_decompress=False,
        headers={
            **settings.headers,
            "accept": f"{JSON}, {EVENTS}",
            "accept-encoding": "identity",
            "user-agent": "toolgate",
        },
    )


class HttpLink:
    """A server that has answered a handshake. ``HttpLink.dial`` makes one."""

    def __init__(
        self,
        name: str,
        settings: HttpSettings,
        *,
        http: aiohttp.ClientSession,
        authorizer: Authorizer,
        clock: Clock,
        tools_changed: Callable[[], None],
        answering: Answering | None,
        capabilities: Mapping[str, Any],
    ) -> None:
        self._name = name
        self.settings = settings
        self.http = http
        self.authorizer = authorizer
        self.clock = clock
        self._answering = answering
        self._counted = Strays(name)
        self._tools_changed = tools_changed
        self.news = News(tools_changed, clock)
        self.generation = 0
        self.manner = Manner(version=None, modern=False, capabilities=capabilities)
        self._session: str | None = None
        self._renewing: asyncio.Task[None] | None = None
        self._parameters = ParameterHeaders()
        self._ids = count(1)
        self._troubles = 0
        self._active = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._aside: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Task[None] | None = None
        self._peer: Peer | None = None
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @classmethod
    async def dial(
        cls,
        name: str,
        settings: HttpSettings,
        *,
        http: aiohttp.ClientSession,
        authorizer: Authorizer,
        clock: Clock,
        tools_changed: Callable[[], None],
        answering: Answering | None = None,
        capabilities: Mapping[str, Any],
    ) -> HttpLink:
        """Shake hands with the server. ``http`` and ``authorizer`` are of one connection, and stay its own.

        Raises:
            ConnectionFailure: if that fails, or takes longer than ``connect_timeout``.
        """
        link = cls(
            name,
            settings,
            http=http,
            authorizer=authorizer,
            clock=clock,
            tools_changed=tools_changed,
            answering=answering,
            capabilities=capabilities,
        )
        await link._shake()
        await link._listen()
        return link

    async def _shake(self) -> None:
        peer = await shake_hands(
            self,
            seconds=self.settings.connect_timeout,
            clock=self.clock,
            capabilities=self.manner.capabilities,
        )
        self._peer = peer
        self.manner = Manner(version=peer.version, modern=peer.modern, capabilities=self.manner.capabilities)
        if peer.modern:
            self._session = None

    async def _listen(self) -> None:
        """Hear what is not asked for, where there is something to be heard; again after each new session."""
        before, self._listening = self._listening, None
        if before is not None:
            before.cancel()
        if not self.peer.tells_of_changes and self._answering is None:
            return
        listening = Listening(self)
        self._listening = asyncio.get_running_loop().create_task(listening.run())
        if self._answering is not None and not self.manner.modern:
            # A question that is asked before anybody listens is lost.
            with suppress(TimeoutError), Deadline(self.clock, ASIDE_TIMEOUT):
                await listening.begun.wait()

    # --- the link ------------------------------------------------------------------------------------------------

    @property
    def peer(self) -> Peer:
        """Who is at the other end."""
        assert self._peer is not None
        return self._peer

    @property
    def strays(self) -> int:
        """What came and was not believed."""
        return self._counted.count

    @property
    def pid(self) -> int | None:
        """No process of ours."""
        return None

    def learn(self, tools: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """The tools that can be called, whose parameters go into headers as they say."""
        return self._parameters.learn(tools) if self.manner.modern else list(tools)

    async def ask(
        self,
        method: str,
        params: Mapping[str, Any],
        *,
        seconds: float,
        manner: Manner | None = None,
        progress: Progress | None = None,
    ) -> Any:
        """The result of a request; see ``Wire.ask``."""
        asking = Asking(self, method, params, manner, progress)
        self._active += 1
        self._idle.clear()
        try:
            with Deadline(self.clock, seconds):
                result = await asking.answer()
        except TimeoutError as late:
            asking.give_up()
            if not asking.started:
                raise NotSent(f"it could not be asked within {seconds:g} seconds") from late
            raise NoAnswer(f"no answer within {seconds:g} seconds") from late
        except asyncio.CancelledError:
            asking.give_up()
            raise
        except ConnectionFailure as failure:
            self._judge(failure)
            if manner is None and _refused_as_such(failure):
                raise NotSent(failure.reason, status=failure.status) from failure
            raise
        finally:
            self._active -= 1
            if not self._active:
                self._idle.set()
        self._troubles = 0
        return result

    def _judge(self, failure: ConnectionFailure) -> None:
        """Whether the server is there at all."""
        if isinstance(failure, Unreachable):
            self._over(failure.reason)
        elif failure.status in TROUBLE:
            self._troubles += 1
            if self._troubles >= TROUBLES:
                self._over(failure.reason)
        elif isinstance(failure, RpcError) and failure.code == UNSUPPORTED_VERSION and self._peer is not None:
            self._over("it speaks another version of the protocol by now")

    def _over(self, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)

    async def tell(self, method: str, params: Mapping[str, Any], *, manner: Manner | None = None) -> None:
        """Send a notification, and wait until it was taken: what follows may depend on it."""
        manner = manner or self.manner
        body = notification(method, manner.worded(params))
        with suppress(ConnectionFailure, TimeoutError), Deadline(self.clock, ASIDE_TIMEOUT):
            async with Post(self.http, self.settings, body, await self.headers(method, manner)):
                pass

    async def retire(self) -> None:
        """End it once what is on its way is over."""
        await self._idle.wait()
        await self.close()

    async def close(self) -> None:
        """End it now: what is said aside, and the session."""
        self._over("it was closed")
        self.news.close()
        for task in [*self._aside, *([self._listening] if self._listening else [])]:
            task.cancel()
        session, self._session = self._session, None
        if session is None:
            return
        headers = {**await self.headers("", self.manner), SESSION: session}
        with suppress(aiohttp.ClientError, OSError, ConnectionFailure), Deadline(self.clock, ASIDE_TIMEOUT):
            async with self.http.delete(
                self.settings.url, headers=headers, allow_redirects=False, proxy=self.settings.proxy
            ):
                pass

    # --- what each exchange needs --------------------------------------------------------------------------------

    async def headers(
        self, method: str, manner: Manner, params: Mapping[str, Any] | None = None
    ) -> dict[str, str]:
        """The headers of one request (2026-07-28, basic/transports/streamable-http, "Request Metadata")."""
        headers: dict[str, str] = {}
        if (value := await self.authorizer.header()) is not None:
            headers["authorization"] = value
        if manner.version is not None:
            headers["mcp-protocol-version"] = manner.version
        if manner.modern:
            headers["mcp-method"] = method
            if method == "tools/call" and params is not None:
                headers["mcp-name"] = safe_value(params["name"])
                headers |= self._parameters.of(params["name"], params["arguments"])
        elif self._session is not None and method != "initialize":
            headers[SESSION] = self._session
        return headers

    async def settled(self) -> None:
        """Wait while another session is being agreed on."""
        if self._renewing is not None:
            await asyncio.shield(self._renewing)

    async def renew(self, stale: str) -> None:
        """Agree on a new session in place of ``stale``, once however many calls found it gone.

        Raises:
            ConnectionFailure: if there is no agreement. Then the link is over.
        """
        if self._renewing is None and self._session == stale:
            _log.info("upstream %s: its session has expired and is renewed", self._name)
            # A task of its own: the call that found it out may be given up, and the others wait for it, too.
            self._renewing = asyncio.get_running_loop().create_task(self._renew())
        await self.settled()

    async def _renew(self) -> None:
        self._session = None
        try:
            await self._shake()
            self.outdate()
            await self._listen()
        except ConnectionFailure as failure:
            self._over(f"its session has expired, and no new one was to be had: {failure.reason}")
            raise NotSent(
                f"its session has expired, and no new one was to be had: {failure.reason}"
            ) from failure
        finally:
            self._renewing = None

    def outdate(self) -> None:
        """The list that was read last may not hold any more: no call that was begun under it is sent from now on."""
        self.generation += 1
        self._tools_changed()

    def began(self, session: str | None) -> None:
        """The server answered ``initialize``, and named a session or not."""
        self._session = session if session is None or (session.isascii() and session.isprintable()) else None

    def aside(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do what nobody waits for; False where too much of it is under way, and it is left out."""
        if len(self._aside) >= MAX_ASIDE:
            work.close()
            return False
        task = asyncio.get_running_loop().create_task(work)
        self._aside.add(task)
        task.add_done_callback(self._aside.discard)
        return True

    def next_id(self) -> int:
        """A number that no other request of this link has."""
        return next(self._ids)

    def noticed(self, notice: Notice, waiting: Mapping[Any, Progress | None]) -> None:
        """A notification that came beside an answer."""
        if notice.method == PROGRESS:
            if not pass_on(notice, waiting):
                self._counted.note("progress of nothing that runs")
        elif notice.method == TOOLS_CHANGED:
            self.news.tools_changed()

    async def answered(self, question: Question) -> None:
        """Answer a request of the server, by a POST of its own as 2025-11-25 and before have it."""
        body = await answer_to(question, self._answering)
        with suppress(ConnectionFailure, TimeoutError), Deadline(self.clock, ASIDE_TIMEOUT):
            async with Post(self.http, self.settings, body, await self.headers("", self.manner)):
                pass

    def stray(self, why: str, data: bytes) -> None:
        """Something came that is not believed."""
        self._counted.note(why, data)
