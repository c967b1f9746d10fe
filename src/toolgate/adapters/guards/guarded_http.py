"""``httpx`` transports and clients that fetch what an ``AllowedUrl`` allows, and nothing else.

Here: judging each request (and so each redirect) as it is sent, bounding the response, and the ready clients. Not
here: reading URLs (``domain.argument_types``), choosing addresses (``pinned_network``).

Every request passes these, whatever the URL went through before:
the URL as httpx will dial it is on the allow-list · nothing overrides the Host header, the TLS name or the target ·
no proxy, no HTTP/2 connection shared between names · the response is not compressed, so that bytes read are bytes
received · the body ends at ``max_bytes``.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import httpcore
import httpx

from toolgate.adapters.guards.pinned_network import (
    AsyncConnector,
    AsyncPinnedBackend,
    AsyncResolver,
    Connector,
    PinnedBackend,
    Resolver,
    async_socket_connector,
    async_system_resolver,
    socket_connector,
    system_resolver,
)
from toolgate.adapters.guards.refusal import UrlRefused
from toolgate.domain.argument_types.allowed_url import DEFAULT_PORTS, AllowedUrl
from toolgate.domain.argument_types.refusal import ArgumentRefusal
from toolgate.domain.errors import ContractError

DEFAULT_MAX_BYTES: Final = 1024 * 1024
DEFAULT_TIMEOUT: Final = 10.0  # seconds, for each of connecting, sending, reading

_MAX_CONNECTIONS = 20
_KEEPALIVE_SECONDS = 5.0

_HTTPX_ERRORS: tuple[tuple[type[Exception], type[httpx.TransportError]], ...] = (
    (httpcore.ConnectTimeout, httpx.ConnectTimeout),
    (httpcore.ReadTimeout, httpx.ReadTimeout),
    (httpcore.WriteTimeout, httpx.WriteTimeout),
    (httpcore.PoolTimeout, httpx.PoolTimeout),
    (httpcore.ConnectError, httpx.ConnectError),
    (httpcore.ReadError, httpx.ReadError),
    (httpcore.WriteError, httpx.WriteError),
    (httpcore.LocalProtocolError, httpx.LocalProtocolError),
    (httpcore.RemoteProtocolError, httpx.RemoteProtocolError),
    (httpcore.UnsupportedProtocol, httpx.UnsupportedProtocol),
)


class GuardedTransport(httpx.BaseTransport):
    """The transport of a sync ``httpx.Client``.

    Args:
        allowed: the same declaration that stands on the tool's argument.
        resolver: looks names up; for tests and demos.
        connector: opens connections to addresses; for tests and demos.
        max_bytes: most bytes of a response body.
        ssl_context: your own certificate authorities. It must verify certificates and host names.

    Raises:
        ContractError: a bound or an ``ssl_context`` that guards nothing.
    """

    def __init__(
        self,
        allowed: AllowedUrl,
        *,
        resolver: Resolver = system_resolver,
        connector: Connector = socket_connector,
        max_bytes: int = DEFAULT_MAX_BYTES,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._allowed = allowed
        self._max_bytes = _positive(max_bytes)
        self._pool = httpcore.ConnectionPool(
            ssl_context=_verifying(ssl_context),
            max_connections=_MAX_CONNECTIONS,
            keepalive_expiry=_KEEPALIVE_SECONDS,
            network_backend=PinnedBackend(allowed=allowed, resolver=resolver, connector=connector),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request.

        Raises:
            UrlRefused: the URL, an address or the response is not allowed. A refused URL or address is never dialled.
            httpx.TransportError: the network failed.
        """
        with _as_httpx_errors():
            answer = self._pool.handle_request(_judged_request(self._allowed, request))
        stream = _BoundedStream(answer, self._max_bytes)
        if _is_compressed(answer):
            stream.close()
            raise _compressed()
        return httpx.Response(
            answer.status, headers=answer.headers, stream=stream, extensions=_extensions(answer)
        )

    def close(self) -> None:
        """Close every connection."""
        self._pool.close()


class AsyncGuardedTransport(httpx.AsyncBaseTransport):
    """The transport of an ``httpx.AsyncClient``. Arguments and errors are those of ``GuardedTransport``."""

    def __init__(
        self,
        allowed: AllowedUrl,
        *,
        resolver: AsyncResolver = async_system_resolver,
        connector: AsyncConnector = async_socket_connector,
        max_bytes: int = DEFAULT_MAX_BYTES,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._allowed = allowed
        self._max_bytes = _positive(max_bytes)
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=_verifying(ssl_context),
            max_connections=_MAX_CONNECTIONS,
            keepalive_expiry=_KEEPALIVE_SECONDS,
            network_backend=AsyncPinnedBackend(allowed=allowed, resolver=resolver, connector=connector),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request; errors as for ``GuardedTransport.handle_request``."""
        with _as_httpx_errors():
            answer = await self._pool.handle_async_request(_judged_request(self._allowed, request))
        stream = _AsyncBoundedStream(answer, self._max_bytes)
        if _is_compressed(answer):
            await stream.aclose()
            raise _compressed()
        return httpx.Response(
            answer.status, headers=answer.headers, stream=stream, extensions=_extensions(answer)
        )

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()


def guarded_client(
    allowed: AllowedUrl,
    *,
    resolver: Resolver = system_resolver,
    connector: Connector = socket_connector,
    max_bytes: int = DEFAULT_MAX_BYTES,
    max_redirects: int = 0,
    timeout: float = DEFAULT_TIMEOUT,
    ssl_context: ssl.SSLContext | None = None,
) -> httpx.Client:
    """A sync client behind ``GuardedTransport``, deaf to proxies and other settings of the environment.

    Args:
        allowed: as for ``GuardedTransport``.
        resolver: as for ``GuardedTransport``.
        connector: as for ``GuardedTransport``.
        max_bytes: as for ``GuardedTransport``.
        max_redirects: how many are followed, each judged like the first URL. With 0 a redirect is an answer like any
            other. A followed redirect carries the request's own headers, ``Authorization`` excepted where the
            origin changes: leave it at 0 where others are secret.
        timeout: seconds for each of connecting, sending and reading.
        ssl_context: as for ``GuardedTransport``.
    """
    return httpx.Client(
        transport=GuardedTransport(
            allowed, resolver=resolver, connector=connector, max_bytes=max_bytes, ssl_context=ssl_context
        ),
        trust_env=False,
        timeout=timeout,
        follow_redirects=max_redirects > 0,
        max_redirects=max_redirects,
    )


def guarded_async_client(
    allowed: AllowedUrl,
    *,
    resolver: AsyncResolver = async_system_resolver,
    connector: AsyncConnector = async_socket_connector,
    max_bytes: int = DEFAULT_MAX_BYTES,
    max_redirects: int = 0,
    timeout: float = DEFAULT_TIMEOUT,
    ssl_context: ssl.SSLContext | None = None,
) -> httpx.AsyncClient:
    """The async twin of ``guarded_client``."""
    return httpx.AsyncClient(
        transport=AsyncGuardedTransport(
            allowed, resolver=resolver, connector=connector, max_bytes=max_bytes, ssl_context=ssl_context
        ),
        trust_env=False,
        timeout=timeout,
        follow_redirects=max_redirects > 0,
        max_redirects=max_redirects,
    )


class _BoundedStream(httpx.SyncByteStream):
    """A response body that ends at the bound, with the part up to it handed over first."""

    def __init__(self, answer: httpcore.Response, max_bytes: int) -> None:
        self._answer = answer
        self._bound = max_bytes

    def __iter__(self) -> Iterator[bytes]:
        left = self._bound
        with _as_httpx_errors():
            for chunk in self._answer.iter_stream():
                if chunk[:left]:
                    yield chunk[:left]
                if len(chunk) > left:
                    raise _too_large(self._bound)
                left -= len(chunk)

    def close(self) -> None:
        self._answer.close()


class _AsyncBoundedStream(httpx.AsyncByteStream):
    """The same for async clients."""

    def __init__(self, answer: httpcore.Response, max_bytes: int) -> None:
        self._answer = answer
        self._bound = max_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._bound
        with _as_httpx_errors():
            async for chunk in self._answer.aiter_stream():
                if chunk[:left]:
                    yield chunk[:left]
                if len(chunk) > left:
                    raise _too_large(self._bound)
                left -= len(chunk)

    async def aclose(self) -> None:
        await self._answer.aclose()


def _judged_request(allowed: AllowedUrl, request: httpx.Request) -> httpcore.Request:
    """The request as it will go out, or ``UrlRefused``.

    What is judged is the URL that httpx will dial, whatever text it was made from; the fragment is not sent.
    """
    url = request.url.copy_with(fragment=None)
    parsed = allowed.parse(str(url))
    if isinstance(parsed, ArgumentRefusal):
        raise UrlRefused(parsed.message, code=parsed.code)
    dialled = (url.scheme, url.raw_host.decode("ascii"), url.port or DEFAULT_PORTS[parsed.scheme])
    if dialled != (parsed.scheme, parsed.host, parsed.port) or url.userinfo:
        raise UrlRefused(
            "Programs read this URL in different ways: write it more plainly.", code="url_ambiguous"
        )
    hosts = [value for name, value in request.headers.raw if name.lower() == b"host"]
    if hosts != [url.netloc]:
        raise UrlRefused("The Host header must be the host of the URL.", code="request_rewritten")
    return httpcore.Request(
        method=request.method,
        url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
        headers=[*_kept(request.headers.raw), (b"Accept-Encoding", b"identity")],
        content=request.stream,
        # Other extensions could replace the target or the name in TLS.
        extensions={"timeout": request.extensions.get("timeout", {})},
    )


def _kept(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in headers if name.lower() != b"accept-encoding"]


def _is_compressed(answer: httpcore.Response) -> bool:
    return any(
        name.lower() == b"content-encoding" and value.strip().lower() not in (b"", b"identity")
        for name, value in answer.headers
    )


def _extensions(answer: httpcore.Response) -> dict[str, Any]:
    """What httpx shows of the connection, without the raw stream, which would go around the bound."""
    return {name: value for name, value in answer.extensions.items() if name != "network_stream"}


def _compressed() -> UrlRefused:
    return UrlRefused(
        "The server sent a compressed answer although it was asked for a plain one; its size cannot be bounded.",
        code="response_compressed",
    )


def _too_large(bound: int) -> UrlRefused:
    return UrlRefused(f"The answer is larger than {bound} bytes.", code="response_too_large")


def _positive(max_bytes: int) -> int:
    if max_bytes < 1:
        raise ContractError("max_bytes: at least 1")
    return max_bytes


def _verifying(context: ssl.SSLContext | None) -> ssl.SSLContext:
    """The context to use. One that takes any certificate would let a stolen route speak for the host."""
    if context is None:
        return httpx.create_ssl_context(trust_env=False)
    if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
        raise ContractError(
            "ssl_context: it must verify certificates and host names; add your own authority to it"
        )
    return context


@contextmanager
def _as_httpx_errors() -> Generator[None]:
    """Say network faults in the words of httpx; refusals pass unchanged."""
    try:
        yield
    except tuple(ours for ours, _ in _HTTPX_ERRORS) as error:
        theirs = next(theirs for ours, theirs in _HTTPX_ERRORS if isinstance(error, ours))
        raise theirs(str(error)) from error
