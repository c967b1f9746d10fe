"""What the gate counts: calls as the trail tells of them, and what waits for people now.

It is read when somebody asks for it, so that a call pays nothing for being counted. It tells of all tenants and all
processes of one store. Not here: how the numbers are shown (``surfaces.http.metrics``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from toolgate.operations.read_changes import read_changes
from toolgate.ports import ApprovalFilter

if TYPE_CHECKING:
    from toolgate.gateway.world import World
    from toolgate.ports import Change

COUNTED: Final = 1_000
"""Open approvals and unknown effects are counted up to here; more is as bad."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What there is to count. ``tools`` are the names that may become labels; a caller can make up others."""

    changes: Sequence[Change]
    tools: frozenset[str]
    open_approvals: int
    unknown_effects: int


async def observe(world: World, after: int | None) -> Observed:
    """The events behind ``after`` (None: where the trail ends now), and what waits.

    Raises:
        StoreUnavailable: if the ledger cannot be read.
    """
    changes = await read_changes(world, after)
    waiting = await world.store.approvals(ApprovalFilter(open_only=True, limit=COUNTED))
    unknown = await world.store.unknown(COUNTED)
    return Observed(
        changes=changes,
        tools=frozenset(world.registry),
        open_approvals=len(waiting),
        unknown_effects=len(unknown),
    )
