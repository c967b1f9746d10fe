"""Waiting for a call to end, whoever asks and over which surface: woken by the trail, never by asking again and again.

Not here: how many may wait at once (``Office.waits``), and what is said of the call.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from toolgate.domain.principal import Declined
from toolgate.operations.see_call import Seen, see_call
from toolgate.surfaces.http.streams import next_of

if TYPE_CHECKING:
    from toolgate.domain.principal import Principal
    from toolgate.surfaces.http.closing import Closing
    from toolgate.surfaces.http.feed import Feed
    from toolgate.surfaces.http.gate import Gate


async def wait_for_end(
    gate: Gate, feed: Feed, closing: Closing, call_id: str, *, by: Principal, seconds: float
) -> Seen | Declined:
    """The call once it ended, or as it stands when ``seconds`` are over or the server is ending.

    Look, then look again only when the trail says something of this call, and once more at the end.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    async with feed.watch(lambda event: event.call_id == call_id) as watch:
        while True:
            seen = await gate.operate(see_call, call_id, by=by)
            left = until - loop.time()
            if isinstance(seen, Declined) or seen.ended or left <= 0 or closing.begun:
                return seen
            await next_of(watch, closing, left)
