"""Fetching a page of the handbook's site, at a URL that a model wrote.

Belongs here: the list of what may be fetched, and the one client that fetches it. The URL is judged twice: as
text, by the argument's type, and as a connection, by the guard, once the name has been looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated

import httpcore
import httpx

from toolgate import LOOPBACK, AllowedUrl, InternalHost, ToolError, TransientError, guarded_async_client
from toolgate.adapters.guards import aread_up_to
from toolgate.adapters.guards.pinned_network import async_socket_connector

HOST = "runbooks.desk.example"
SITE = AllowedUrl(hosts=(InternalHost(HOST, LOOPBACK),), schemes=("http",), max_length=200)
RunbookUrl = Annotated[str, SITE]
MOST_BYTES = 262_144


class SiteAwayError(TransientError):
    """The handbook's site did not answer. Asking again is safe."""

    code = "site_away"


class NoSuchPageError(ToolError):
    """The handbook's site has no such page."""

    code = "no_such_page"
    effect = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunbookPage:
    """A page as it was served. `complete` is False where the site had more than the desk reads."""

    url: str
    complete: bool
    text: str


async def fetch(url: str, *, site_port: int) -> RunbookPage:
    """Read one page, at most `MOST_BYTES` of it. Redirects are not followed.

    Args:
        url: one that `SITE` allows.
        site_port: where the site listens on this machine.

    Raises:
        SiteAwayError: no answer.
        NoSuchPageError: any answer but the page.
        UrlRefused: the connection leads elsewhere.
    """
    try:
        async with (
            _client(site_port) as client,
            client.stream("GET", url) as answer,
        ):
            if answer.status_code != HTTPStatus.OK:
                raise NoSuchPageError
            body = await aread_up_to(answer, MOST_BYTES)
    except httpx.TransportError as away:
        raise SiteAwayError from away
    return RunbookPage(url=url, complete=not body.cut, text=body.text())


def _client(site_port: int) -> httpx.AsyncClient:
    """The guarded client of real code, with a name server and a router that end on this machine."""

    async def to_the_site(
        address: IPv4Address | IPv6Address, _port: int, timeout: float | None, /
    ) -> httpcore.AsyncNetworkStream:
        return await async_socket_connector(address, site_port, timeout)

    return guarded_async_client(SITE, resolver=_this_machine, connector=to_the_site, timeout=2.0)


async def _this_machine(_host: str, _port: int, /) -> Sequence[str]:
    return ["127.0.0.1"]
