"""How grants stand: which could still be used, and why the others could not. Not here: making and ending them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from toolgate.operations.grants import state_of

if TYPE_CHECKING:
    from toolgate.domain.rows import GrantRow
    from toolgate.gateway.world import World


async def grant_states(world: World, grants: Iterable[GrantRow], *, now: int) -> Mapping[str, str]:
    """The id of each of ``grants`` → ``active``, or why it is good for nothing any more. ``now``: µs."""
    return {grant.grant_id: state_of(world, grant, now) for grant in grants}
