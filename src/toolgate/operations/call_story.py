"""Everything that the ledger knows about one call: the row, what the trail says of it, its approval, its answer.

The caller is told what the call answered. Everybody else learns how it ended and never its result, which stands in
no row in clear and was meant for the caller alone. Not here: who sees which calls (``list_calls``).
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from toolgate.domain.lifecycle import EffectState
from toolgate.domain.outcome import ERRORS, ErrorType, WorldEffect
from toolgate.domain.principal import Action, Declined, forbids
from toolgate.domain.rows import RUNNING, ByCall, CallRow
from toolgate.domain.trail import flat_line
from toolgate.operations.get_call import MAX_ID, get_call
from toolgate.operations.list_calls import list_calls, may_see_call
from toolgate.operations.review_approval import review_approval

if TYPE_CHECKING:
    from toolgate.domain.principal import Principal
    from toolgate.gateway.world import World
    from toolgate.operations.review import Review
    from toolgate.ports import CallFilter

MOST_EVENTS: Final = 200
MOST_READ: Final = 2_000
"""Events of one call that are looked at. A call that is asked for again and again leaves a replay each time."""
_KEPT_REPLAYS: Final = 10

_NO_SUCH_CALL: Final = Declined("not_found", "there is no such call")

_WORLD: Final = {
    None: WorldEffect.NONE,
    EffectState.INTENDED: WorldEffect.UNKNOWN,
    EffectState.UNKNOWN: WorldEffect.UNKNOWN,
    EffectState.APPLIED: WorldEffect.APPLIED,
    EffectState.NOT_APPLIED: WorldEffect.NONE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """One call as somebody who may see it sees it.

    Attributes:
        events: flat lines of the trail, oldest first, redacted as they were written; replays beyond the last ten
            and whatever is beyond two hundred are left out.
        left_out: how many events are not among ``events``, at least.
        review: its approval, where it has one and this person may see it.
        outcome: what the caller is answered; for anybody else how it ended, without the result. None while it runs.
        reconciles: whether the tool's contract can find out by itself what became of an effect in doubt.
        now: the store's time (µs).
    """

    row: CallRow
    events: tuple[dict[str, Any], ...]
    left_out: int
    review: Review | None
    outcome: dict[str, Any] | None
    reconciles: bool
    now: int

    @property
    def arguments(self) -> dict[str, Any] | None:
        """The arguments as the trail holds them: redacted."""
        return next((event["arguments"] for event in self.events if "arguments" in event), None)

    @property
    def world(self) -> WorldEffect:
        """What is known to have happened."""
        return world_effect(self.row)

    @property
    def in_doubt(self) -> bool:
        """Whether somebody has to say how its effect ended."""
        if self.row.effect_state is EffectState.UNKNOWN:
            return True
        return self.row.effect_state is not None and self.row.incident is not None

    @property
    def may_still_run(self) -> bool:
        """Whether the attempt's lease has not run out: until then nobody may say that nothing happened."""
        return self.row.lease_until > self.now


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryPage:
    """Stories, newest first, and the cursor from which to go on."""

    rows: tuple[Story, ...]
    next: str | None


async def call_story(world: World, call_id: str, *, by: Principal) -> Story | Declined:
    """The story of one call; one that ``by`` may not see is answered like one that never was."""
    ours = call_id.isascii() and len(call_id) <= MAX_ID
    row = (await world.store.find(ByCall(call_id))).call if ours else None
    if row is None or row.tenant != by.tenant:
        return _NO_SUCH_CALL
    review = await _review(world, row, by)
    if review is None and not may_see_call(row, by):
        return _NO_SUCH_CALL
    return await _told(world, row, by, review)


async def unresolved_calls(world: World, wanted: CallFilter, *, by: Principal) -> StoryPage | Declined:
    """The stories of what a person has to look at: effects in doubt, and incidents."""
    if (why := forbids(by, Action.SEE_ALL_CALLS)) is not None:
        return Declined("forbidden", why)
    page = await list_calls(world, wanted, by=by)
    if isinstance(page, Declined):
        return page
    return StoryPage(
        rows=tuple([await _told(world, row, by, await _review(world, row, by)) for row in page.rows]),
        next=page.next,
    )


async def _told(world: World, row: CallRow, by: Principal, review: Review | None) -> Story:
    events, left_out = await _events(world, row.call_id)
    registered = world.registry.get(row.tool)
    return Story(
        row=row,
        events=events,
        left_out=left_out,
        review=review,
        outcome=await _outcome(world, row, by),
        reconciles=registered is not None and registered.tool.reconcile is not None,
        now=await world.store.now(),
    )


async def _review(world: World, row: CallRow, by: Principal) -> Review | None:
    if row.approval_id is None:
        return None
    review = await review_approval(world, row.approval_id, by=by)
    return None if isinstance(review, Declined) else review


async def _events(world: World, call_id: str) -> tuple[tuple[dict[str, Any], ...], int]:
    """The events worth telling, oldest first, and how many were left out."""
    told: list[tuple[int, dict[str, Any]]] = []
    replays: deque[tuple[int, dict[str, Any]]] = deque(maxlen=_KEPT_REPLAYS)
    number = 0
    async for found in world.store.records(call_id=call_id):
        number += 1
        if number > MOST_READ:
            break
        line = flat_event(found.record)
        if line.get("transition") == "replayed":
            replays.append((number, line))
        elif len(told) < MOST_EVENTS:
            told.append((number, line))
    shown = tuple(line for _, line in sorted([*told, *replays], key=lambda pair: pair[0]))
    return shown, number - len(shown)


def flat_event(record: bytes) -> dict[str, Any]:
    """A record of the trail under its short names; one that was damaged says so instead of ending the page."""
    try:
        value = json.loads(record)
    except ValueError:
        return {"event": "unreadable"}
    return dict(flat_line(value)) if isinstance(value, dict) else {"event": "unreadable"}


async def _outcome(world: World, row: CallRow, by: Principal) -> dict[str, Any] | None:
    if row.status == RUNNING:
        return None
    if row.caller_id == by.id and may_see_call(row, by):
        return (await get_call(world, row.call_id, caller=by.caller)).to_model()
    return how_it_ended(row)


def world_effect(row: CallRow) -> WorldEffect:
    """What a call did to the world, as far as the ledger knows. An incident has two witnesses and no truth."""
    return WorldEffect.UNKNOWN if row.incident else _WORLD[row.effect_state]


def how_it_ended(row: CallRow) -> dict[str, Any]:
    """The end of a call for those whom its result was not meant for."""
    ended: dict[str, Any] = {
        "ok": row.status == "succeeded",
        "status": row.status,
        "effect": world_effect(row).value,
    }
    if row.error_type is not None:
        ended["error_type"] = row.error_type
        # The words of the table: the author's own were meant for the caller, and lie encrypted.
        if row.error_type in set(ErrorType):
            ended["message"] = ERRORS[ErrorType(row.error_type)].message
    return ended
