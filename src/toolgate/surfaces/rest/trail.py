"""The audit trail: in pages, verified, and as an export."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from anyio import CancelScope
from starlette.responses import StreamingResponse

from toolgate.domain.errors import GateFault
from toolgate.domain.principal import Declined
from toolgate.operations.export_trail import begin_export, end_export, next_piece
from toolgate.operations.read_trail import TrailFilter, read_trail, verify_trail
from toolgate.surfaces.http.marks import may_take
from toolgate.surfaces.http.problems import Problem
from toolgate.surfaces.rest.answers import TrailList, VerifyBody
from toolgate.surfaces.rest.cursors import cursor_of, link_to_next, number_of
from toolgate.surfaces.rest.endpoint import Answer, Asked, NoBody, Reply
from toolgate.surfaces.rest.requests import Query, TrailQuery, micros

if TYPE_CHECKING:
    from toolgate.operations.export_trail import TrailExport
    from toolgate.surfaces.http.gate import Gate

LINES: Final = "application/x-ndjson"
VERIFY_SECONDS: Final = 600.0
"""Within which a verification over HTTP has to end; a longer trail is exported and checked offline."""
VERIFY_AGAIN: Final = 10.0


async def list_(asked: Asked[TrailQuery, NoBody]) -> Reply:
    """Read the trail, newest first. A page looks at a bounded number of records: it may be short and have a `next`."""
    query = asked.query
    before = number_of(query.cursor)
    if isinstance(before, Problem):
        return before
    wanted = TrailFilter(
        call_id=query.call_id,
        tool=query.tool,
        caller=query.caller,
        agent=query.agent,
        actor=query.actor,
        transition=query.transition,
        status=query.status,
        event=query.event,
        since=micros(query.since),
        until=micros(query.until),
    )
    page = await asked.office.gate.operate(
        read_trail, by=asked.by, before=before, limit=query.limit, wanted=wanted
    )
    if isinstance(page, Declined):
        return page
    end = cursor_of(page.next)
    events = [{"seq": seq, **line} for seq, line in page.rows]
    return Answer(content=TrailList(events=events, next=end), headers=link_to_next(asked.request, end))


async def verify(asked: Asked[Query, NoBody]) -> Reply:
    """Check every record, link and head of the store, one verification at a time.

    A long trail takes a while, and the gate goes on meanwhile; whoever asks during that is told to come back.
    """
    verifying = asked.office.verifying
    if not verifying.take():
        busy = "the trail is being verified for somebody already; ask again later"
        return Problem(code="unavailable", detail=busy, retry_after=VERIFY_AGAIN)
    try:
        may_take(asked.request, VERIFY_SECONDS)
        report = await asked.office.gate.operate(verify_trail, by=asked.by)
    finally:
        verifying.release()
    return report if isinstance(report, Declined) else Answer(content=VerifyBody.of(report))


async def export(asked: Asked[Query, NoBody]) -> Reply:
    """The trail as lines of JSON, from which every hash can be computed again, offline and without keys.

    A stream that breaks off lacks its last line, which holds the heads; an export without one is not whole.
    """
    begun = await asked.office.gate.operate(begin_export, by=asked.by)
    if isinstance(begun, Declined):
        return begun
    headers = {"Cache-Control": "no-store", "Content-Disposition": 'attachment; filename="trail.jsonl"'}
    return StreamingResponse(_pieces(asked.office.gate, begun), media_type=LINES, headers=headers)


async def _pieces(gate: Gate, export: TrailExport) -> AsyncIterator[bytes]:
    try:
        while (piece := await gate.operate(next_piece, export)) is not None:
            yield piece
    except GateFault:
        # The status is said already: the missing last line tells that this is not all.
        return
    finally:
        with CancelScope(shield=True):  # a client that left cancels whatever is awaited here
            await gate.operate(end_export, export)
