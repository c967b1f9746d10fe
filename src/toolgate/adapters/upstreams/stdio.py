"""A link over standard input and output: one process, many requests on their way at the same time.

Here: lines, their limits, what ends the link. Not here: the process itself (``process``), which answer is whose
(``dialogue``).
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from toolgate.adapters.upstreams.dialogue import Dialogue, with_progress
from toolgate.adapters.upstreams.failures import ConnectionFailure, NoAnswer, NotSent
from toolgate.adapters.upstreams.handshake import shake_hands
from toolgate.adapters.upstreams.link import Peer
from toolgate.adapters.upstreams.messages import Manner, Question, notification, refusal, request
from toolgate.adapters.upstreams.process import ServerProcess
from toolgate.adapters.upstreams.questions import News, answer_to
from toolgate.adapters.upstreams.strays import Strays
from toolgate.adapters.upstreams.terms import Answering, Progress
from toolgate.domain.redaction import redact_text
from toolgate.domain.upstream.settings import StdioSettings, without_secrets
from toolgate.ports import Clock

_log = logging.getLogger("toolgate")

WINDOW: Final = 60.0
"""Seconds over which output is counted where nobody waits for an answer."""
MESSAGE_COST: Final = 256
"""Bytes that each message counts beside its own: many short ones cost as much as few long ones."""
WRITE_LIMIT: Final = 16 << 20
"""Bytes that it has not read, beyond which nothing more is sent."""
REPLY_LIMIT: Final = 1 << 20
"""The same for answers to its own requests, which are then left out."""
MAX_QUESTIONS: Final = 16
"""Requests of its own that are being answered at the same time."""
ERROR_LINES: Final = 5
ERROR_LINE: Final = 200
ERROR_TAIL: Final = 4_096
_NAMES_ERROR: Final = re.compile(rb"\s*(?:Uncaught )?[\w.]{0,80}(?:Error|Exception)\b[^:]{0,40}: \S")
_UNCANCELLED: Final = frozenset({"initialize", "server/discover"})


class StdioLink:
    """A process that was started and has shaken hands. ``StdioLink.dial`` makes one."""

    def __init__(
        self,
        name: str,
        settings: StdioSettings,
        *,
        clock: Clock,
        tools_changed: Callable[[], None],
        answering: Answering | None,
        capabilities: Mapping[str, Any],
    ) -> None:
        self._name = name
        self._settings = settings
        self._clock = clock
        self._answering = answering
        self._counted = Strays(name)
        self._news = News(tools_changed, clock)
        self._dialogue = Dialogue(
            strays=self._counted, asked=self._asked, tools_changed=self._news.tools_changed
        )
        self._manner = Manner(version=None, modern=False, capabilities=capabilities)
        self._process: ServerProcess | None = None
        self._peer: Peer | None = None
        self._partial = bytearray()
        self._written = 0
        self._written_since = clock.monotonic()
        self._errors: deque[bytes] = deque(maxlen=ERROR_LINES)
        self._error_name = b""
        self._error_tail = b""
        self._replying: set[asyncio.Task[None]] = set()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    @classmethod
    async def dial(
        cls,
        name: str,
        settings: StdioSettings,
        *,
        clock: Clock,
        tools_changed: Callable[[], None],
        answering: Answering | None = None,
        capabilities: Mapping[str, Any],
    ) -> StdioLink:
        """Start the program and shake hands with it, or leave nothing of it.

        Raises:
            ConnectionFailure: if that fails, or takes longer than ``connect_timeout``.
        """
        link = cls(
            name,
            settings,
            clock=clock,
            tools_changed=tools_changed,
            answering=answering,
            capabilities=capabilities,
        )
        try:
            await link._open()
        except ConnectionFailure as failure:
            await link.retire()
            raise NotSent(f"{failure.reason}{link._last_errors()}") from failure
        except BaseException:
            await link.retire()
            raise
        return link

    async def _open(self) -> None:
        self._process = await ServerProcess.start(
            self._settings,
            clock=self._clock,
            on_output=self._heard,
            on_errors=self._complained,
            on_end=self._over,
        )
        seconds = self._settings.connect_timeout
        peer = await shake_hands(
            self, seconds=seconds, clock=self._clock, capabilities=self._manner.capabilities
        )
        self._peer = peer
        self._manner = Manner(
            version=peer.version, modern=peer.modern, capabilities=self._manner.capabilities
        )

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
        """The child process."""
        return None if self._process is None else self._process.pid

    def learn(self, tools: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """All of them: there are no headers here."""
        return list(tools)

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
        process = self._process
        if process is None or self.ended.done():
            raise NotSent("its process has ended")
        if process.backlog > WRITE_LIMIT:
            raise NotSent("it does not read what it is sent")
        id, future = self._dialogue.expect(progress)
        try:
            worded = (manner or self._manner).worded(with_progress(params, id) if progress else params)
            process.write(request(id, method, worded) + b"\n")
        except NotSent:
            self._dialogue.forget(id)
            raise
        timer = self._clock.call_later(max(seconds, 0.0), lambda: _expire(future, seconds))
        try:
            return await future
        except (NoAnswer, asyncio.CancelledError):
            self._give_up(id, method)
            raise
        finally:
            timer.cancel()

    def _give_up(self, id: int, method: str) -> None:
        """Forget a request, and say so where the protocol wants it said (basic/patterns/cancellation)."""
        if self._dialogue.forget(id) and method not in _UNCANCELLED:
            self._send(notification("notifications/cancelled", {"requestId": id, "reason": "nobody waits"}))

    async def tell(self, method: str, params: Mapping[str, Any], *, manner: Manner | None = None) -> None:
        """Send a notification."""
        self._send(notification(method, (manner or self._manner).worded(params)))

    async def retire(self) -> None:
        """End the process at once: nobody hears it any more."""
        if self._process is not None:
            self._process.kill("it was closed")
        await self.close()

    async def close(self) -> None:
        """End the process; what is on its way is lost."""
        self._news.close()
        for task in self._replying:
            task.cancel()
        self._over("it was closed")
        if self._process is not None:
            await self._process.close()

    # --- what comes ----------------------------------------------------------------------------------------------

    def _heard(self, data: bytes) -> None:
        if b"\n" not in data:
            self._partial += data
            lines: list[bytes] = []
        else:
            head, *lines = data.split(b"\n")
            lines.insert(0, bytes(self._partial) + head if self._partial else head)
            self._partial = bytearray(lines.pop())
        limit = self._settings.message_limit
        lines = [line for line in lines if line and not line.isspace()]
        if len(self._partial) > limit or any(len(line) > limit for line in lines):
            self._too_much(f"it wrote one message of more than {limit} bytes")
            return
        if self._dialogue.hear(lines):
            self._written = 0
        self._count(len(data) + MESSAGE_COST * len(lines))

    def _count(self, cost: int) -> None:
        now = self._clock.monotonic()
        if now - self._written_since > WINDOW:
            self._written, self._written_since = 0, now
        self._written += cost
        if self._written > self._settings.output_limit:
            self._too_much(
                f"it wrote more than {self._settings.output_limit} bytes that answer nothing, and was ended"
            )

    def _too_much(self, reason: str) -> None:
        self._partial.clear()
        assert self._process is not None
        self._process.kill(reason)

    def _asked(self, question: Question) -> None:
        if question.method == "ping":
            self._reply_later(question)
        elif self._answering is None or len(self._replying) >= MAX_QUESTIONS:
            self._send(refusal(question.id, -32601, "Method not found"), limit=REPLY_LIMIT)
        else:
            self._reply_later(question)

    def _reply_later(self, question: Question) -> None:
        if len(self._replying) >= MAX_QUESTIONS:
            self._counted.note("more requests at once than are answered")
            return
        task = asyncio.get_running_loop().create_task(self._reply(question))
        self._replying.add(task)
        task.add_done_callback(self._replying.discard)

    async def _reply(self, question: Question) -> None:
        self._send(await answer_to(question, self._answering), limit=REPLY_LIMIT)

    def _send(self, data: bytes, *, limit: int = WRITE_LIMIT) -> None:
        """Write what nobody waits for; a process that has ended, or does not read, goes without it."""
        if self._process is None or self._process.backlog > limit:
            return
        try:
            self._process.write(data + b"\n")
        except NotSent:
            return

    def _complained(self, data: bytes) -> None:
        """Keep the last lines, and log them at debug: the beginning of each, redacted, the last few of a piece."""
        self._count(len(data))
        *lines, self._error_tail = (self._error_tail + data)[-ERROR_TAIL:].split(b"\n")
        kept = [line.strip()[: 2 * ERROR_LINE] for line in lines[-ERROR_LINES:] if line.strip()]
        self._errors.extend(kept)
        named = [line.strip() for line in lines if _NAMES_ERROR.match(line)]
        if named:
            self._error_name = named[-1][: 2 * ERROR_LINE]
        if _log.isEnabledFor(logging.DEBUG):
            for line in kept:
                _log.debug("upstream %s: %s", self._name, self._readable(line))

    def _over(self, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(f"{reason}{self._last_errors()}")
        self._dialogue.end(reason)

    def _last_errors(self) -> str:
        last = [*self._errors, self._error_tail.strip()[:ERROR_LINE]][-ERROR_LINES:]
        if self._error_name not in last:  # a stack stands below it, as Node writes it
            last.insert(0, self._error_name)
        said = " | ".join(self._readable(line) for line in last if line)
        return f"; it said: {said}" if said else ""

    def _readable(self, line: bytes) -> str:
        said = without_secrets(line.decode(errors="replace"), self._settings)
        return redact_text(said, max_characters=ERROR_LINE)


def _expire(future: asyncio.Future[Any], seconds: float) -> None:
    if not future.done():
        future.set_exception(NoAnswer(f"no answer within {seconds:g} seconds"))
