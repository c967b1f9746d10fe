"""Reading no more than was asked for, and saying whether there was more.

Here: the result of a bounded read and how one is taken from an HTTP response. Not here: opening anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from toolgate.adapters.guards.refusal import UrlRefused


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundedBody:
    """The beginning of something.

    Attributes:
        content: at most as many bytes as were asked for.
        cut: whether there was more.
    """

    content: bytes
    cut: bool

    def text(self) -> str:
        """The content as UTF-8; a character that the cut went through, and any other broken one, is replaced."""
        return self.content.decode("utf-8", errors="replace")


def read_up_to(response: httpx.Response, limit: int) -> BoundedBody:
    """Read at most ``limit`` bytes of a response opened with ``client.stream(...)``."""
    taken = bytearray()
    try:
        for chunk in response.iter_bytes():
            taken += chunk
            if len(taken) > limit:
                break
    except UrlRefused as refusal:
        return _at_the_bound(taken, limit, refusal)
    return BoundedBody(content=bytes(taken[:limit]), cut=len(taken) > limit)


async def aread_up_to(response: httpx.Response, limit: int) -> BoundedBody:
    """Read at most ``limit`` bytes of a response opened with ``client.stream(...)`` of an async client."""
    taken = bytearray()
    try:
        async for chunk in response.aiter_bytes():
            taken += chunk
            if len(taken) > limit:
                break
    except UrlRefused as refusal:
        return _at_the_bound(taken, limit, refusal)
    return BoundedBody(content=bytes(taken[:limit]), cut=len(taken) > limit)


def _at_the_bound(taken: bytearray, limit: int, refusal: UrlRefused) -> BoundedBody:
    """The transport's own bound was reached first: that is a cut as well, and any other refusal stays one."""
    if refusal.error_code != "response_too_large":
        raise refusal
    return BoundedBody(content=bytes(taken[:limit]), cut=True)
