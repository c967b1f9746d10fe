"""One HTTP request that carries one message, and what its answer means for what may have run.

Here: sending, statuses, kinds and sizes of answers. Not here: sessions, tokens and versions (``http``).
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractStreamWriter

from toolgate.adapters.upstreams.deadline import Deadline
from toolgate.adapters.upstreams.failures import ConnectionFailure, Lost, NotSent, RpcError
from toolgate.adapters.upstreams.messages import heard_json, rpc_error
from toolgate.domain.upstream.settings import HttpSettings
from toolgate.ports import Clock

SESSION: Final = "mcp-session-id"
JSON: Final = "application/json"
EVENTS: Final = "text/event-stream"
KEEP_ALIVE: Final = 4.0
"""Seconds that an idle connection is kept: less than the 5 after which common servers close one, so that a request
does not meet the close of a connection that it was just given."""
DRAIN_LIMIT: Final = 65_536
DRAIN_TIME: Final = 1.0
"""Bytes and seconds for the end of a stream whose answer was read."""
MAX_ERROR_BODY: Final = 65_536

OK: Final = 200
BAD_REQUEST: Final = 400
UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
_SAME_AGAIN: Final = frozenset({307, 308})
"""Redirects that ask for the very same request elsewhere (RFC 9110, section 15.4), so that nothing ran here."""
_NOT_HANDLED: Final = frozenset(
    {400, 401, 403, 404, 405, 406, 407, 411, 413, 414, 415, 417, 421, 426, 429, 431}
)
"""Refusals of a request as such (RFC 9110, section 15.5), before any tool could run."""
_JUDGED_BY_STATUS: Final = frozenset({401, 403, 407, 429})
"""Here a JSON-RPC error beside it adds nothing: nobody was let in."""
TROUBLE: Final = frozenset({502, 503, 504})
"""What proxies say of a server that they cannot reach."""


class Unreachable(NotSent):
    """No connection was made."""


class _Body(aiohttp.BytesPayload):
    """The bytes of a request, that know whether any of them were given to a connection."""

    started = False

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Give them to the connection."""
        self.started = True
        await super().write(writer)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Give them to the connection."""
        self.started = True
        await super().write_with_length(writer, content_length)


class Post:
    """A POST on its way. As a context manager it gives the response, and never leaves a connection half read."""

    __slots__ = ("_body", "_handed_over", "_headers", "_http", "_response", "_settings")

    def __init__(
        self, http: aiohttp.ClientSession, settings: HttpSettings, body: bytes, headers: Mapping[str, str]
    ) -> None:
        self._http = http
        self._settings = settings
        self._headers = headers
        self._body = _Body(body, content_type=JSON)
        self._response: aiohttp.ClientResponse | None = None
        self._handed_over = False

    def hand_over(self) -> None:
        """Somebody else finishes the response."""
        self._handed_over = True

    @property
    def started(self) -> bool:
        """Whether the upstream may have read what is asked."""
        return self._body.started

    async def __aenter__(self) -> aiohttp.ClientResponse:
        try:
            self._response = await self._http.post(
                self._settings.url,
                data=self._body,
                headers=self._headers,
                allow_redirects=False,
                proxy=self._settings.proxy,
            )
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise self._failure(error) from error
        return self._response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        response = self._response
        assert response is not None
        if self._handed_over:
            return
        if response.content.at_eof() and error is None:
            response.release()
        else:
            response.close()
        if isinstance(error, aiohttp.ClientError | OSError) and not isinstance(error, TimeoutError):
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> ConnectionFailure:
        # Its words hold no address: that may hold a secret.
        if isinstance(error, aiohttp.ClientConnectorError):
            return Unreachable(f"it cannot be reached: {_why(error)}")
        if not self._body.started:
            return Unreachable(f"it cannot be reached: {type(error).__name__}")
        return Lost(f"it hung up before it answered: {type(error).__name__}")


class Get:
    """A GET for the rest of a stream whose request was sent before: whatever goes wrong, that is lost."""

    __slots__ = ("_headers", "_http", "_response", "_settings")

    def __init__(
        self, http: aiohttp.ClientSession, settings: HttpSettings, headers: Mapping[str, str]
    ) -> None:
        self._http = http
        self._settings = settings
        self._headers = headers
        self._response: aiohttp.ClientResponse | None = None

    async def __aenter__(self) -> aiohttp.ClientResponse:
        try:
            self._response = await self._http.get(
                self._settings.url, headers=self._headers, allow_redirects=False, proxy=self._settings.proxy
            )
        except (aiohttp.ClientError, OSError) as error:
            raise Lost(f"its stream broke off: {type(error).__name__}") from error
        return self._response

    async def __aexit__(self, *_: object) -> None:
        assert self._response is not None
        self._response.close()


def _why(error: aiohttp.ClientConnectorError) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name is not known"
    if isinstance(error, aiohttp.ClientSSLError) or isinstance(error.os_error, ssl.SSLError):
        return "TLS was not agreed on, or its certificate is not trusted"
    return error.os_error.strerror or type(error).__name__


async def whole(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body.

    Raises:
        Lost: if it is longer than ``limit`` bytes.
    """
    if (response.content_length or 0) > limit:
        raise Lost(f"it sent one message of more than {limit} bytes")
    content = response.content
    body = await content.readany()
    while not content.at_eof():
        if len(body) > limit:
            break
        body += await content.readany()
    if len(body) > limit:
        raise Lost(f"it sent one message of more than {limit} bytes")
    return body


def kind_of(response: aiohttp.ClientResponse) -> str:
    """The media type, in lower case, without its parameters."""
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


async def refusal_of(response: aiohttp.ClientResponse) -> ConnectionFailure:
    """What an answer that is no success means."""
    status = response.status
    if status in range(300, 400):
        where = "it redirects; configure the address that it leads to"
        return NotSent(where, status=status) if status in _SAME_AGAIN else Lost(where, status=status)
    if status not in _JUDGED_BY_STATUS and (error := await _error_in(response)) is not None:
        return error
    words = f"it answered with status {status}"
    return NotSent(words, status=status) if status in _NOT_HANDLED else Lost(words, status=status)


async def _error_in(response: aiohttp.ClientResponse) -> RpcError | None:
    if kind_of(response) != JSON:
        return None
    try:
        value: Any = heard_json(await whole(response, MAX_ERROR_BODY))
    except Lost:
        return None
    return rpc_error(value.get("error"), status=response.status) if type(value) is dict else None


async def finish_reading(response: aiohttp.ClientResponse, clock: Clock) -> None:
    """Read what little is left of a stream, so that its connection can be used again; else close it."""
    left = DRAIN_LIMIT
    try:
        with suppress(TimeoutError, aiohttp.ClientError, OSError), Deadline(clock, DRAIN_TIME):
            while left > 0 and not response.content.at_eof():
                left -= len(await response.content.readany())
    finally:
        if response.content.at_eof():
            response.release()
        else:
            response.close()
