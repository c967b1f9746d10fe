"""What the trail says behind a place in it: for whoever follows it as it grows.

It tells of every tenant; whoever hands it on to people decides what of it is theirs. Not here: reading backwards, in
pages and with a reader's rights (``read_trail``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from toolgate.gateway.world import World
    from toolgate.ports import Change

MOST: Final = 500
"""Events of one look; a full look means that there may be more."""


async def read_changes(world: World, after: int | None) -> Sequence[Change]:
    """The events behind ``after``, oldest first; None: only the newest one, to begin from."""
    return await world.store.changes(after, MOST)
