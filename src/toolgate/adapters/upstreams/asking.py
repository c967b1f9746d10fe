"""One request over HTTP until it has its answer: a new token, a new session or a broken stream on the way included.

A request is sent again only where the first was refused as such, so that nothing of it ran; a call not even then, if
the list that it was judged by may not hold any more. Not here: what the connection knows between requests (``http``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import aiohttp

from toolgate.adapters.upstreams.dialogue import with_progress
from toolgate.adapters.upstreams.exchange import (
    BAD_REQUEST,
    EVENTS,
    FORBIDDEN,
    JSON,
    NOT_FOUND,
    OK,
    SESSION,
    UNAUTHORIZED,
    Get,
    Post,
    finish_reading,
    kind_of,
    refusal_of,
    whole,
)
from toolgate.adapters.upstreams.failures import ConnectionFailure, ListOutdated, Lost, RpcError
from toolgate.adapters.upstreams.messages import (
    HEADER_MISMATCH,
    Answer,
    Manner,
    Notice,
    Question,
    heard,
    request,
)
from toolgate.adapters.upstreams.sse import EventReader
from toolgate.adapters.upstreams.terms import Progress

if TYPE_CHECKING:
    from toolgate.adapters.upstreams.http import HttpLink

STREAM_LIMIT: Final = 64 << 20
"""Bytes of all events before the answer."""
RESUME_WAIT: Final = 1.0
"""Seconds before a broken stream is asked for again, if the server names no other."""
MAX_RESUMPTIONS: Final = 5
_UNCANCELLED: Final = frozenset({"initialize", "server/discover"})


def agreed(answers: list[Answer]) -> Answer:
    """The one answer that ``answers`` give. Raises ``Lost`` if they differ."""
    first = answers[0]
    if any(each.result != first.result or str(each.error) != str(first.error) for each in answers[1:]):
        raise Lost("it gave two different answers to one call")
    return first


def outcome(answer: Answer) -> Any:
    """Its result. Raises its error."""
    if answer.error is not None:
        raise answer.error
    return answer.result


class Asking:
    """A request on its way. ``started`` says whether the server may have read it."""

    __slots__ = (
        "_challenge",
        "_generation",
        "_headers",
        "_id",
        "_link",
        "_manner",
        "_method",
        "_params",
        "_post",
        "_progress",
    )

    def __init__(
        self,
        link: HttpLink,
        method: str,
        params: Mapping[str, Any],
        manner: Manner | None,
        progress: Progress | None,
    ) -> None:
        self._link = link
        self._method = method
        self._params = params
        self._manner = manner
        self._progress = progress
        self._post: Post | None = None
        self._id = 0
        self._headers: Mapping[str, str] = {}
        self._challenge: str | None = None
        self._generation = link.generation

    @property
    def started(self) -> bool:
        """Whether the server may have read what is asked."""
        return self._post is not None and self._post.started

    async def answer(self) -> Any:
        """The result; each reason to send it again counts once."""
        tried: set[str] = set()
        while True:
            if self._manner is None:
                await self._link.settled()
            try:
                return await self._once(self._manner or self._link.manner)
            except ConnectionFailure as failure:
                remedy = self._remedy(failure)
                if remedy is None or remedy in tried:
                    raise
                tried.add(remedy)
                await self._mend(remedy)

    def _remedy(self, failure: ConnectionFailure) -> str | None:
        # A token that is good, and not for this (RFC 6750, section 3.1), may be exchanged for one that is.
        short = failure.status == FORBIDDEN and "insufficient_scope" in (self._challenge or "")
        if failure.status == UNAUTHORIZED or short:
            better = self._link.authorizer.refused(self._headers.get("authorization"), self._challenge)
            return "token" if better else None
        if failure.status == NOT_FOUND and SESSION in self._headers and self._manner is None:
            return "session"
        mismatch = isinstance(failure, RpcError) and failure.code == HEADER_MISMATCH
        # With another status it is no refusal of the request as such.
        known = mismatch and failure.status == BAD_REQUEST and self._method == "tools/call"
        return "headers" if known else None

    async def _mend(self, remedy: str) -> None:
        if remedy == "session":
            await self._link.renew(self._headers[SESSION])
        elif remedy == "headers":
            self._link.outdate()

    async def _once(self, manner: Manner) -> Any:
        link = self._link
        self._id = link.next_id()
        params = with_progress(self._params, self._id) if self._progress else self._params
        body = request(self._id, self._method, manner.worded(params))
        self._headers = await link.headers(self._method, manner, self._params)
        if self._method == "tools/call" and link.generation != self._generation:
            raise ListOutdated("it began anew, and its tools have to be compared first")
        self._post = Post(link.http, link.settings, body, self._headers)
        async with self._post as response:
            if response.status != OK:
                self._challenge = response.headers.get("www-authenticate")
                raise await refusal_of(response)
            if self._method == "initialize":
                link.began(response.headers.get(SESSION))
            return await self._read(response, manner)

    async def _read(self, response: aiohttp.ClientResponse, manner: Manner) -> Any:
        kind = kind_of(response)
        if response.headers.get("content-encoding", "identity") != "identity":
            raise Lost("its answer is compressed, which nobody asked for")
        if kind == JSON:
            body = await whole(response, self._link.settings.message_limit)
            return self._believed(self._sorted(body, manner), body)
        if kind != EVENTS:
            raise Lost("its answer is neither JSON nor a stream of events")
        reader = EventReader(limit=self._link.settings.message_limit)
        answer = await self._events(response, reader, manner)
        if answer is None and not manner.modern:
            answer = await self._resumed(reader, manner)
        if answer is None:
            raise Lost("its stream ended without an answer")
        return outcome(answer)

    def _believed(self, answers: list[Answer], body: bytes) -> Any:
        if not answers:
            self._link.stray("an answer to nothing that was asked", body)
            raise Lost("its answer is none to what was asked")
        return outcome(agreed(answers))

    def _sorted(self, data: bytes, manner: Manner) -> list[Answer]:
        """Our answers in ``data``; whatever else is in it goes where it belongs."""
        answers = []
        for message in heard(data):
            match message:
                case Answer(id=id, error=error) if (type(id) is int and id == self._id) or (
                    id is None and error
                ):
                    answers.append(message)
                case Notice():
                    self._link.noticed(message, {self._id: self._progress})
                case Question() if not manner.modern:
                    self._link.aside(self._link.answered(message))
                case _:
                    self._link.stray("something that nobody asked for beside an answer", data)
        return answers

    async def _events(
        self, response: aiohttp.ClientResponse, reader: EventReader, manner: Manner
    ) -> Answer | None:
        """Our answer in a stream; None if it ended, or broke off, without one."""
        total = 0
        try:
            async for piece in response.content.iter_any():
                total += len(piece)
                if total > STREAM_LIMIT:
                    raise Lost(f"it sent more than {STREAM_LIMIT} bytes before its answer")
                answers: list[Answer] = []
                for event in reader.feed(piece):
                    if event.kind == "message":
                        answers += self._sorted(event.data, manner)
                if answers:
                    self._leave(response)
                    return agreed(answers)
        except (aiohttp.ClientError, ConnectionError):
            return None
        return None

    def _leave(self, response: aiohttp.ClientResponse) -> None:
        """Let the end of the stream come in its own time, so that its connection can be used again."""
        if not response.content.at_eof() and self._post is not None:
            self._post.hand_over()
            if not self._link.aside(finish_reading(response, self._link.clock)):
                response.close()

    async def _resumed(self, reader: EventReader, manner: Manner) -> Answer | None:
        """Ask for the rest of a stream that broke off (2025-11-25, basic/transports, "Resumability and Redelivery")."""
        link = self._link
        for _ in range(MAX_RESUMPTIONS):
            if reader.last_id is None:
                return None
            await link.clock.sleep(RESUME_WAIT if reader.retry is None else reader.retry)
            headers = {**await link.headers("", manner), "last-event-id": reader.last_id, "accept": EVENTS}
            reader.begin_anew()
            async with Get(link.http, link.settings, headers) as response:
                if response.status != OK or kind_of(response) != EVENTS:
                    return None
                if (answer := await self._events(response, reader, manner)) is not None:
                    return answer
        return None

    def give_up(self) -> None:
        """Say that nobody waits: before 2026-07-28 a closed connection does not say it."""
        manner = self._manner or self._link.manner
        if self.started and not manner.modern and self._method not in _UNCANCELLED:
            params = {"requestId": self._id, "reason": "nobody waits"}
            self._link.aside(self._link.tell("notifications/cancelled", params))
