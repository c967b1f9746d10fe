"""One POST to an address that an operator named, and what its answer means.

The transport is used without its client: the client would follow the environment to a proxy or a ``.netrc``, and
writes every URL to the log, and the URL of a Slack webhook is a secret. Redirects are never followed, the body of an
answer is never read. Not here: what is sent.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.parse import urlsplit

import httpx

from toolgate.domain.duration import MICRO
from toolgate.domain.errors import ConfigurationError
from toolgate.domain.notice import target_problem
from toolgate.ports import Failed, Sent

PHASE_TIMEOUT: Final = 15.0
"""Seconds for each of connecting, sending and waiting for the answer; whoever sends bounds the whole."""

_OK: Final = range(200, 300)
_REDIRECTS: Final = range(300, 400)
_GONE: Final = 410


class Target:
    """Where to post. Neither its repr nor an error of it shows the address."""

    __slots__ = ("_context", "_url")

    def __init__(self, url: str, *, ssl_context: ssl.SSLContext | None = None) -> None:
        """``ssl_context``: your own certificate authorities; by default those of ``SSL_CERT_FILE``, or the usual ones.

        Raises:
            ConfigurationError: for an address that nothing may be sent to.
        """
        if (problem := target_problem(url)) is not None:
            raise ConfigurationError(f"a sink's address: {problem}")
        if not _read_alike(url):
            raise ConfigurationError("a sink's address: it can be read in two ways; write it plainly")
        self._url = url
        self._context = ssl_context
        if ssl_context is None and url.startswith("https"):
            # Once: reading the authorities takes longer than all the rest.
            self._context = httpx.create_ssl_context()

    def __repr__(self) -> str:
        return "Target()"

    async def post(self, body: bytes, headers: Mapping[str, str], *, now: int) -> Sent | Failed:
        """Post JSON, and read the status alone. ``now`` in microseconds, for a ``Retry-After`` that is a date."""
        request = httpx.Request(
            "POST",
            self._url,
            content=body,
            headers={"content-type": "application/json", "user-agent": "toolgate", **headers},
            extensions={"timeout": httpx.Timeout(PHASE_TIMEOUT).as_dict()},
        )
        try:
            async with httpx.AsyncHTTPTransport(verify=self._context or False, trust_env=False) as transport:
                answer = await transport.handle_async_request(request)
                status, wish = answer.status_code, answer.headers.get("retry-after")
                # Unread: the connection is closed under whatever else comes.
                await answer.aclose()
        except httpx.TimeoutException as late:
            return Failed(f"no answer in time: {type(late).__name__}")
        except (httpx.TransportError, ssl.SSLError, OSError) as broken:
            # By its name alone: its text may hold the address.
            return Failed(f"no connection: {type(broken).__name__}")
        return _judged(status, wish, now)


def _read_alike(url: str) -> bool:
    """Whether the client dials the very host that was judged."""
    try:
        return httpx.URL(url).host == urlsplit(url).hostname
    except httpx.InvalidURL:
        return False


def _judged(status: int, wish: str | None, now: int) -> Sent | Failed:
    if status in _OK:
        return Sent()
    if status == _GONE:
        return Failed("answered 410: the receiver is gone for good", final=True)
    if status in _REDIRECTS:
        return Failed(f"answered {status}: redirects are not followed; configure the address it leads to")
    return Failed(f"answered {status}", retry_after=_seconds(wish, now))


def _seconds(wish: str | None, now: int) -> float | None:
    """``Retry-After`` (RFC 9110, section 10.2.3): seconds, or a date."""
    if wish is None:
        return None
    text = wish.strip()
    if text.isascii() and text.isdecimal():
        return float(text[:12])
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    moment = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
    return max(0.0, moment.timestamp() - now / MICRO)
