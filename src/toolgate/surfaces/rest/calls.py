"""Calls: asking for one, and what became of it. Who calls, and through which agent, is the credential's word alone."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import JSONResponse

from toolgate.domain.names import traceparent
from toolgate.domain.outcome import PendingApproval, Started
from toolgate.domain.principal import Declined
from toolgate.operations.call_story import call_story
from toolgate.operations.list_calls import list_calls
from toolgate.operations.resolve_call import resolve_call
from toolgate.operations.see_call import Seen, see_call
from toolgate.operations.withdraw import withdraw
from toolgate.ports import CallFilter
from toolgate.surfaces.http.marks import may_take, request_id_of
from toolgate.surfaces.http.problems import MEDIA_TYPE, Problem, unsuccessful
from toolgate.surfaces.http.waiting import wait_for_end
from toolgate.surfaces.rest.answers import ApprovalBody, CallInfo, CallList, OutcomeBody, StoryBody
from toolgate.surfaces.rest.cursors import cursor_of, link_to_next, place_of
from toolgate.surfaces.rest.endpoint import Answer, Asked, NoBody, Reply
from toolgate.surfaces.rest.requests import (
    CallBody,
    CallsQuery,
    Query,
    ResolveBody,
    WaitQuery,
    WithdrawBody,
    micros,
)
from toolgate.surfaces.rest.statuses import status_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from toolgate.domain.outcome import Outcome
    from toolgate.surfaces.http.office import Office

MARGIN: Final = 30.0
"""Seconds beyond a tool's deadline, or a wait, until the request itself is given up.

Longer than the grace that the gate gives a store that hangs (10 s): the gate's own answer says whether something
happened, and 504 for the request as a whole could not.
"""


async def ask(asked: Asked[Query, CallBody]) -> Reply:
    """Ask for a call of the tool, and wait for its outcome.

    The answer holds the JSON that a model gets: as the body where it succeeded (200) or waits for a person (202, with
    `Location`), as the member `outcome` of problem details otherwise. A status that clients repeat by themselves means
    that nothing happened; 409 with `effect` other than `none` means that it did, or may have.

    A retry is the same request again, with the same `workflow_id`: the key that makes it one comes from the tool's
    contract, never from the client. A header such as `Idempotency-Key` is not read.
    """
    office, by, body = asked.office, asked.by, asked.body
    workflow = office.gate.make_workflow(
        body.workflow_id, agent=by.agent, model=body.model, user_input=body.user_input
    )
    _take_time(office, asked)
    outcome = await office.gate.request(
        asked.id,
        body.arguments,
        caller=by.caller,
        workflow=workflow,
        actor=by,
        request_id=request_id_of(asked.request),
        rationale=body.rationale,
        trace=_trace(asked.request),
        surface="rest",
    )
    return _told(outcome, asked.request)


def _take_time(office: Office, asked: Asked[Query, CallBody]) -> None:
    """A tool may have a longer deadline than requests have in general."""
    tools = (tool for tool in office.gate.tools(asked.by.caller) if tool.name == asked.id)
    if (tool := next(tools, None)) is not None:
        may_take(asked.request, tool.contract.timeout + MARGIN)


def _trace(request: Request) -> str | None:
    sent = request.headers.getlist("traceparent")
    return traceparent(sent[0]) if len(sent) == 1 else None


def _told(outcome: Outcome[Any], request: Request) -> Reply:
    problem = unsuccessful(outcome)
    status = status_of(outcome)
    if problem is not None:
        return _problem(problem, status, request)
    waits = isinstance(outcome, PendingApproval | Started)
    return Answer(
        content=OutcomeBody(outcome.to_model()),
        status=status,
        headers={"Location": f"/v1/calls/{outcome.call_id}"} if waits else {},
    )


def _problem(problem: Problem, status: HTTPStatus, request: Request) -> Response:
    headers = {"Cache-Control": "no-store", **problem.headers()}
    body = problem.body(request) | {"status": int(status)}
    return JSONResponse(body, status, headers=headers, media_type=MEDIA_TYPE)


async def list_(asked: Asked[CallsQuery, NoBody]) -> Reply:
    """List calls, newest first: your own, or those of the tenant where you may see them."""
    query = asked.query
    before = place_of(query.cursor)
    if isinstance(before, Problem):
        return before
    wanted = CallFilter(
        tool=query.tool,
        caller_id=query.caller,
        agent=query.agent,
        status=query.status,
        error_type=None if query.error_type is None else query.error_type.value,
        workflow_id=query.workflow,
        unresolved=query.unresolved,
        since=micros(query.since),
        until=micros(query.until),
        before=before,
        limit=query.limit,
    )
    page = await asked.office.gate.operate(list_calls, wanted, by=asked.by)
    if isinstance(page, Declined):
        return page
    end = cursor_of(page.next)
    return Answer(
        content=CallList(calls=[CallInfo.of(row) for row in page.rows], next=end),
        headers=link_to_next(asked.request, end),
    )


async def get(asked: Asked[WaitQuery, NoBody]) -> Reply:
    """How a call stands; with `wait`, as soon as it ended or so many seconds passed.

    The caller gets what the call answers; whoever else may see it, how it ended, without the result. The status is 200
    however the call ended: this is the truth about it, and no call of its own.
    """
    wait = asked.query.wait
    if not wait:
        seen = await _look(asked)
    else:
        if (busy := asked.office.waits.why_not(asked.by)) is not None:
            return busy
        may_take(asked.request, wait + MARGIN)
        with asked.office.waits.held(asked.by):
            office = asked.office
            seen = await wait_for_end(
                office.gate, office.feed, office.closing, asked.id, by=asked.by, seconds=wait
            )
    return seen if isinstance(seen, Declined) else Answer(content=OutcomeBody(seen.outcome))


async def _look(asked: Asked[Any, Any]) -> Seen | Declined:
    return await asked.office.gate.operate(see_call, asked.id, by=asked.by)


async def story(asked: Asked[Query, NoBody]) -> Reply:
    """Everything that is known about a call: who, what, each step, its approval, its end. Redacted."""
    told = await asked.office.gate.operate(call_story, asked.id, by=asked.by)
    return told if isinstance(told, Declined) else Answer(content=StoryBody.of(told))


async def resolve(asked: Asked[Query, ResolveBody]) -> Reply:
    """Say how an unknown effect ended. Not applied frees its key."""
    body = asked.body
    row = await asked.office.gate.operate(
        resolve_call, asked.id, applied=body.applied, by=asked.by, reason=body.reason
    )
    if isinstance(row, Declined):
        return row
    asked.office.decided()
    return Answer(content=CallInfo.of(row))


async def take_back(asked: Asked[Query, WithdrawBody]) -> Reply:
    """Withdraw a call that waits for a person. It will not run."""
    seen = await _look(asked)
    if isinstance(seen, Declined):
        return seen
    if seen.row.approval_id is None:
        return Declined("conflict", "this call waits for nobody")
    review = await asked.office.gate.operate(
        withdraw, seen.row.approval_id, by=asked.by, reason=asked.body.reason
    )
    if isinstance(review, Declined):
        return review
    asked.office.decided()
    return Answer(content=ApprovalBody.of(review))
