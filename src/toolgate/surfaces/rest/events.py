"""What happens, as it happens: streams of server-sent events for one call, and for whatever somebody may see.

An event says that something changed and where to look; arguments and results are never in it. Not here: the one look at
the trail for all streams (``surfaces.http.feed``), and how a stream goes on and ends (``surfaces.http.streams``).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from toolgate.domain.principal import Action, Declined, Principal, forbids
from toolgate.operations.review_approval import review_approval
from toolgate.operations.see_call import Seen, see_call
from toolgate.surfaces.http.feed import FeedEvent, Resync
from toolgate.surfaces.http.streams import Message, Over, Telling, event_stream

if TYPE_CHECKING:
    from starlette.responses import Response

    from toolgate.surfaces.rest.endpoint import Asked, NoBody, Reply
    from toolgate.surfaces.rest.requests import Query

STREAM: Final = "text/event-stream"


async def follow(asked: Asked[Query, NoBody]) -> Reply:
    """What changes, of all that you may see: your calls, approvals that concern you, or the tenant's calls.

    Each event's `data` is JSON: `seq`, `event`, `call_id`, `approval_id`, `tool`, `caller_id`, `status`. `resync` means
    that events were lost and lists have to be read anew; `Last-Event-ID` gets what was missed.
    """
    by = asked.by
    see_all = forbids(by, Action.SEE_ALL_CALLS) is None

    def wanted(event: FeedEvent) -> bool:
        return event.tenant == by.tenant and (see_all or _is_own(event, by) or event.approval_id is not None)

    async def render(event: FeedEvent | Resync) -> Message | None:
        told = isinstance(event, Resync) or see_all or _is_own(event, by) or await _may_decide(asked, event)
        return _message(event) if told else None

    return _stream(asked, Telling(wanted=wanted, render=render))


async def follow_call(asked: Asked[Query, NoBody]) -> Reply:
    """The steps of one call, and its outcome once it ended, with which the stream ends.

    The last event is `outcome`: its `data` is what `GET /v1/calls/{id}` answers.
    """
    seen = await _look(asked)
    if isinstance(seen, Declined):
        return seen

    async def render(event: FeedEvent | Resync) -> Message:
        return _message(event)

    async def over() -> Over | None:
        now = await _look(asked)
        if isinstance(now, Declined):
            return Over(None)
        return Over(Message("outcome", json.dumps(now.outcome))) if now.ended else None

    return _stream(asked, Telling(wanted=lambda event: event.call_id == asked.id, render=render, over=over))


def _stream(asked: Asked[Any, Any], telling: Telling) -> Response:
    office = asked.office
    identify = office.credentials.bearer
    return event_stream(office, asked.request, telling, principal=asked.by, identify=identify)


async def _look(asked: Asked[Any, Any]) -> Seen | Declined:
    return await asked.office.gate.operate(see_call, asked.id, by=asked.by)


def _is_own(event: FeedEvent, by: Principal) -> bool:
    """Whether it is of a call that ``by`` asked for; an agent sees those that it asked for itself."""
    if forbids(by, Action.CALL_TOOLS) is not None or event.caller_id != by.id:
        return False
    return by.agent is None or event.agent == by.agent


async def _may_decide(asked: Asked[Any, Any], event: FeedEvent) -> bool:
    """Whether it is of an approval that concerns whoever listens."""
    if event.approval_id is None or forbids(asked.by, Action.DECIDE) is not None:
        return False
    review = await asked.office.gate.operate(review_approval, event.approval_id, by=asked.by)
    return not isinstance(review, Declined)


def _message(event: FeedEvent | Resync) -> Message:
    if isinstance(event, Resync):
        return Message("resync", json.dumps({"seq": event.seq}))
    data = {
        "seq": event.seq,
        "event": event.transition,
        "call_id": event.call_id,
        "approval_id": event.approval_id,
        "tool": event.tool,
        "caller_id": event.caller_id,
        "status": event.status,
    }
    return Message("change", json.dumps(data))
