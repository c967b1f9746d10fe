"""``get_call``: how a call stands, for the model that asked for it. Answered as REST answers ``GET /v1/calls/{id}``.

Not here: what is known of a call (``operations.see_call``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from toolgate.domain.outcome import ErrorType, mcp_result, unsuccessful
from toolgate.domain.principal import Declined
from toolgate.operations.follow_call import follow_call
from toolgate.operations.see_call import see_call
from toolgate.surfaces.http.waiting import wait_for_end
from toolgate.surfaces.mcp.listing import LONGEST_ID, MAX_WAIT

if TYPE_CHECKING:
    from toolgate.domain.principal import Principal
    from toolgate.operations.see_call import Seen
    from toolgate.surfaces.mcp.reports import Reports
    from toolgate.surfaces.mcp.service import Service

REPORT_EACH: Final = 1.0
"""Seconds between two looks at how far a job has come."""


async def look(
    service: Service, arguments: Any, *, by: Principal, reports: Reports | None = None
) -> dict[str, Any]:
    """The ``CallToolResult``: how the call stands, once it ended or ``wait_seconds`` are over.

    ``reports`` hears meanwhile how far a job has come.
    """
    if (why := _unfit(arguments)) is not None:
        return _refused(ErrorType.INVALID_ARGUMENTS, "", why)
    call_id, seconds = arguments["call_id"], arguments.get("wait_seconds", 0)
    seen: Seen | Declined
    if not seconds:
        seen = await service.gate.operate(see_call, call_id, by=by)
    else:
        if (busy := service.waits.why_not(by)) is not None:
            return _refused(ErrorType.OVERLOADED, call_id, busy.detail, retry_after=busy.retry_after)
        with service.waits.held(by):
            async with _reporting(service, call_id, reports, by=by):
                seen = await wait_for_end(
                    service.gate, service.feed, service.closing, call_id, by=by, seconds=seconds
                )
    if isinstance(seen, Declined):
        return _refused(ErrorType.INVALID_ARGUMENTS, call_id, "call_id: there is no such call of yours.")
    return mcp_result(seen.outcome)


@asynccontextmanager
async def _reporting(
    service: Service, call_id: str, reports: Reports | None, *, by: Principal
) -> AsyncIterator[None]:
    """Tell how far a job has come, as long as somebody waits for it."""
    if reports is None:
        yield
        return
    telling = asyncio.create_task(_keep_reporting(service, call_id, reports, by=by))
    try:
        yield
    finally:
        telling.cancel()


async def _keep_reporting(service: Service, call_id: str, reports: Reports, *, by: Principal) -> None:
    while True:
        task = await service.gate.operate(follow_call, call_id, by=by)
        if isinstance(task, Declined) or task.job is None:
            return
        if task.job.done is not None:
            reports.tell(task.job.done, task.job.total, task.job.note)
        await asyncio.sleep(REPORT_EACH)


def _refused(
    error_type: ErrorType, call_id: str, words: str, *, retry_after: float | None = None
) -> dict[str, Any]:
    refusal = unsuccessful(error_type, call_id=call_id, message=words, retry_after=retry_after)
    return dict(refusal.to_mcp())


def _unfit(arguments: Any) -> str | None:
    """Why the arguments do not fit the schema that ``tools/list`` shows."""
    if not isinstance(arguments, dict):
        return "the arguments must be one JSON object"
    if unknown := sorted(arguments.keys() - {"call_id", "wait_seconds"}):
        return f"{unknown[0][:LONGEST_ID]}: there is no such argument; it takes call_id and wait_seconds"
    call_id, seconds = arguments.get("call_id"), arguments.get("wait_seconds", 0)
    if not isinstance(call_id, str) or not 0 < len(call_id) <= LONGEST_ID:
        return f"call_id: a text of 1 to {LONGEST_ID} characters, from the answer of the call"
    if type(seconds) is not int or not 0 <= seconds <= MAX_WAIT:
        return f"wait_seconds: an integer from 0 to {MAX_WAIT}"
    return None
