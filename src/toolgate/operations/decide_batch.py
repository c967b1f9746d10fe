"""One decision on several like calls, each still bound to what was shown of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolgate.domain.errors import StoreInDoubt, StoreUnavailable
from toolgate.domain.principal import Declined
from toolgate.operations.decide_approval import Decision, decide_approval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from toolgate.domain.principal import Principal
    from toolgate.gateway.world import World
    from toolgate.operations.review import Review

MOST_AT_ONCE = 100
# Some of a batch may be written already: what the store says of one is then no word about all.
_IN_DOUBT = Declined("conflict", "it is not known whether it was recorded; look at it again")
_NOT_WRITTEN = Declined("conflict", "the store could not be used, and it was not decided; decide it again")


async def decide_batch(
    world: World, items: Sequence[tuple[str, bytes]], decision: Decision, *, by: Principal, reason: str
) -> tuple[tuple[str, Review | Declined], ...] | Declined:
    """One decision on each of several like calls, each bound to the digest that was shown of it.

    ``items``: approval ids with their digests, at most 100. Each is decided by itself: that one changed meanwhile
    keeps none of the others back, nor does one that could not be written.

    Raises:
        StoreUnavailable: if none of them could be written.
    """
    if not 1 <= len(items) <= MOST_AT_ONCE:
        return Declined("invalid", f"decide 1 to {MOST_AT_ONCE} approvals at once")
    if len({approval_id for approval_id, _ in items}) < len(items):
        return Declined("invalid", "an approval is named twice")
    decided: list[tuple[str, Review | Declined]] = []
    for id_, digest in items:
        try:
            answer = await decide_approval(world, id_, decision, by=by, reason=reason, digest=digest)
        except StoreInDoubt:
            answer = _IN_DOUBT
        except StoreUnavailable:
            answer = _NOT_WRITTEN
        decided.append((id_, answer))
    if all(answer is _NOT_WRITTEN for _, answer in decided):
        raise StoreUnavailable("none of the decisions could be written")
    return tuple(decided)
