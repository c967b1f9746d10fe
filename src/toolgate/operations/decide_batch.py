"""One decision on several like calls, each still bound to what was shown of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.domain.principal import Declined
from toolgate.operations.decide_approval import Decision, decide_approval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolgate.domain.principal import Principal
    from toolgate.gateway.world import World
    from toolgate.operations.review import Review

MOST_AT_ONCE = 100


async def decide_batch(
    world: World, items: Sequence[tuple[str, bytes]], decision: Decision, *, by: Principal, reason: str
) -> tuple[tuple[str, Review | Declined], ...] | Declined:
    """One decision on each of several like calls, each bound to the digest that was shown of it.

    ``items``: approval ids with their digests, at most 100. Each is decided by itself: that one changed meanwhile
    keeps none of the others back.
    """
    if not 1 <= len(items) <= MOST_AT_ONCE:
        return Declined("invalid", f"decide 1 to {MOST_AT_ONCE} approvals at once")
    if len({approval_id for approval_id, _ in items}) < len(items):
        return Declined("invalid", "an approval is named twice")
    decided = [
        (id_, await decide_approval(world, id_, decision, by=by, reason=reason, digest=digest))
        for id_, digest in items
    ]
    return tuple(decided)
