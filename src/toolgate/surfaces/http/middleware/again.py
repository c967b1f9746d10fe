"""A message that was taken from a request, put back before what is still to come."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Message, Receive


def again(first: Message, receive: Receive) -> Receive:
    """``receive``, which says ``first`` once more before it goes on."""
    told = False

    async def once_more() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return first

    return once_more
