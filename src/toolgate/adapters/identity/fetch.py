"""The only way out to an issuer: one document, over https, bounded in size and time, and from nowhere else.

A redirect is not followed: it would let whoever answers for the issuer choose where the keys come from. Proxies and
credentials of the environment are not used. Loopback may speak http, for an issuer on one's own machine.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

MAX_DOCUMENT: Final = 256 * 1024
SECONDS: Final = 10.0
"""For the whole of one request, however slowly the bytes come."""


_HEADERS: Final = {
    "Accept": "application/json",
    # A packed answer could be many times as long as it looks on the way.
    "Accept-Encoding": "identity",
}


class Unreachable(Exception):
    """The issuer gave no usable answer. The text is for the log; it repeats no byte of the answer."""


class Outbound:
    """Requests to the issuer.

    Args:
        transport: in place of the network, for tests.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._transport = transport
        # Read once: the certificates of the machine take longer to load than a request takes.
        self._certificates = httpx.create_ssl_context(trust_env=False) if transport is None else False

    async def get(self, url: str) -> dict[str, Any]:
        """The JSON object at ``url``. Raises ``Unreachable``."""
        return await self._ask("GET", url)

    async def post(
        self, url: str, form: Mapping[str, str], *, basic: tuple[str, str] | None = None
    ) -> dict[str, Any]:
        """The JSON object that answers a form. Raises ``Unreachable``."""
        return await self._ask("POST", url, data=dict(form), auth=httpx.BasicAuth(*basic) if basic else None)

    async def _ask(self, method: str, url: str, **said: Any) -> dict[str, Any]:
        if (problem := url_problem(url)) is not None:
            raise Unreachable(problem)
        try:
            # A client for each request: they are rare, and a connection kept for the next is bound to an event loop.
            async with (
                asyncio.timeout(SECONDS),
                httpx.AsyncClient(
                    transport=self._transport,
                    verify=self._certificates,
                    follow_redirects=False,
                    trust_env=False,
                    timeout=SECONDS,
                ) as client,
                client.stream(method, url, headers=_HEADERS, **said) as response,
            ):
                if response.status_code != httpx.codes.OK:
                    raise Unreachable(f"it answered {response.status_code}")
                return _object(await _bounded(response))
        except TimeoutError:
            raise Unreachable(f"it did not answer within {SECONDS:g} seconds") from None
        except httpx.HTTPError as fault:
            raise Unreachable(f"no answer: {type(fault).__name__}") from None
        except (httpx.InvalidURL, ValueError):
            raise Unreachable("its address is no URL") from None


def url_problem(url: str) -> str | None:
    """Why ``url`` is not asked, in words for whoever wrote it; None where it is."""
    try:
        parts = urlsplit(url)
        host, named = parts.hostname, parts.username is None and parts.password is None
    except ValueError:
        return "write a URL, for example https://login.example.com"
    if not host or not named or parts.fragment or not url.isprintable() or " " in url:
        return "write a URL without user, password and fragment, for example https://login.example.com"
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)):
        return None
    return "an issuer speaks https; http is for loopback alone"


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine, by name or address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _bounded(response: httpx.Response) -> bytes:
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > MAX_DOCUMENT:
            raise Unreachable(f"its answer is longer than {MAX_DOCUMENT} bytes")
    return bytes(body)


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise Unreachable("its answer is no JSON") from None
    if not isinstance(document, dict):
        raise Unreachable("its answer is no JSON object")
    return document
