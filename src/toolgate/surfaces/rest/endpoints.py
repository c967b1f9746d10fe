"""THE table: every endpoint, what somebody must be allowed to do, what it takes and everything that it may answer.

Routes, OpenAPI, the reference page and the tests of access are made from these rows and from nothing else. Not here:
what a row means (``endpoint``), and what a handler does.
"""

from __future__ import annotations

import json
import re
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from toolgate.domain.principal import Action
from toolgate.surfaces.rest import answers as bodies
from toolgate.surfaces.rest import (
    approvals,
    calls,
    events,
    grants,
    jobs,
    notifications,
    tokens,
    tools,
    trail,
)
from toolgate.surfaces.rest import requests as forms
from toolgate.surfaces.rest.endpoint import JSON, Asked, Endpoint, NoBody, Reply, Says
from toolgate.surfaces.rest.openapi import document
from toolgate.surfaces.rest.requests import Query
from toolgate.surfaces.rest.statuses import FAILURE_STATUSES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import BaseModel
    from starlette.requests import Request

    from toolgate.surfaces.http.office import Office

_UNFIT: Final = (HTTPStatus.UNPROCESSABLE_ENTITY,)
_LINK: Final = {"Link": 'the next page, as `rel="next"`'}


def _ok(
    content: type[BaseModel] | str, description: str, headers: Mapping[str, str] | None = None
) -> dict[HTTPStatus, Says]:
    return {HTTPStatus.OK: Says(content=content, description=description, headers=headers or {})}


async def describe(asked: Asked[Query, NoBody]) -> Reply:
    """This description, in OpenAPI 3.1. The tools' own schemas are at `/v1/tools`."""
    del asked
    return Response(_described(), media_type=JSON)


@cache
def openapi_document() -> dict[str, Any]:
    """OpenAPI of every endpoint."""
    return document(ENDPOINTS)


@cache
def _described() -> bytes:
    return json.dumps(openapi_document(), ensure_ascii=False, separators=(",", ":")).encode()


_APPROVAL: Final = _ok(bodies.ApprovalBody, "the approval as it is now")

ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    # --- calls
    Endpoint(
        method="POST",
        path="/v1/tools/{name}/calls",
        handler=calls.ask,
        needs=(Action.CALL_TOOLS,),
        body=forms.CallBody,
        any_name=True,
        answers={
            **_ok(bodies.OutcomeBody, "it succeeded, and this is its result"),
            HTTPStatus.ACCEPTED: Says(
                content=bodies.OutcomeBody,
                description="a person decides, or a job runs; nothing is to be repeated",
                headers={"Location": "where to look for its end"},
            ),
        },
        problems=FAILURE_STATUSES,
    ),
    Endpoint(
        method="GET",
        path="/v1/calls",
        handler=calls.list_,
        needs=(Action.CALL_TOOLS, Action.SEE_ALL_CALLS),
        query=forms.CallsQuery,
        answers=_ok(bodies.CallList, "a page of calls", _LINK),
    ),
    Endpoint(
        method="GET",
        path="/v1/calls/{id}",
        handler=calls.get,
        needs=(Action.CALL_TOOLS, Action.SEE_ALL_CALLS),
        query=forms.WaitQuery,
        answers=_ok(bodies.OutcomeBody, "how it stands"),
    ),
    Endpoint(
        method="GET",
        path="/v1/calls/{id}/events",
        handler=events.follow_call,
        needs=(Action.CALL_TOOLS, Action.SEE_ALL_CALLS),
        answers=_ok(events.STREAM, "its steps, until it ended"),
    ),
    Endpoint(
        method="GET",
        path="/v1/calls/{id}/story",
        handler=calls.story,
        answers=_ok(bodies.StoryBody, "its story"),
    ),
    Endpoint(
        method="POST",
        path="/v1/calls/{id}/resolve",
        handler=calls.resolve,
        needs=(Action.RESOLVE,),
        body=forms.ResolveBody,
        answers=_ok(bodies.CallInfo, "the call as it is now"),
        problems=_UNFIT,
    ),
    Endpoint(
        method="POST",
        path="/v1/calls/{id}/withdraw",
        handler=calls.take_back,
        needs=(Action.CALL_TOOLS, Action.SEE_ALL_CALLS),
        body=forms.WithdrawBody,
        answers=_APPROVAL,
        problems=_UNFIT,
    ),
    # --- jobs
    Endpoint(
        method="GET",
        path="/v1/jobs",
        handler=jobs.list_,
        needs=(Action.CALL_TOOLS, Action.SEE_ALL_CALLS),
        query=forms.JobsQuery,
        answers=_ok(bodies.JobList, "a page of jobs", _LINK),
    ),
    Endpoint(
        method="GET",
        path="/v1/jobs/{id}",
        handler=jobs.get,
        needs=(Action.CALL_TOOLS, Action.SEE_ALL_CALLS),
        query=forms.WaitQuery,
        answers=_ok(bodies.JobBody, "the job as it is now"),
    ),
    Endpoint(
        method="GET",
        path="/v1/jobs/{id}/events",
        handler=jobs.follow,
        needs=(Action.CALL_TOOLS, Action.SEE_ALL_CALLS),
        answers=_ok(events.STREAM, "how far it comes, until it ended"),
    ),
    Endpoint(
        method="POST",
        path="/v1/jobs/{id}/cancel",
        handler=jobs.cancel,
        needs=(Action.CALL_TOOLS, Action.SEE_ALL_CALLS),
        body=forms.CancelBody,
        answers=_ok(bodies.JobBody, "the job as it is now"),
        problems=_UNFIT,
    ),
    # --- tools
    Endpoint(
        method="GET",
        path="/v1/tools",
        handler=tools.list_,
        needs=(Action.CALL_TOOLS, Action.SEE_ALL_CALLS),
        answers=_ok(bodies.ToolList, "the tools"),
    ),
    Endpoint(
        method="GET",
        path="/v1/tools/{name}",
        handler=tools.get,
        needs=(Action.CALL_TOOLS, Action.SEE_ALL_CALLS),
        answers=_ok(bodies.ToolInfo, "the tool"),
    ),
    # --- approvals
    Endpoint(
        method="GET",
        path="/v1/approvals",
        handler=approvals.list_,
        query=forms.ApprovalsQuery,
        answers=_ok(bodies.ApprovalList, "a page of approvals", _LINK),
    ),
    Endpoint(
        method="POST",
        path="/v1/approvals/decisions",
        handler=approvals.decide_many,
        needs=(Action.DECIDE,),
        body=forms.BatchBody,
        answers=_ok(bodies.BatchAnswer, "what became of each"),
        problems=_UNFIT,
    ),
    Endpoint(
        method="GET",
        path="/v1/approvals/{id}",
        handler=approvals.get,
        answers=_ok(bodies.ApprovalBody, "the approval"),
    ),
    Endpoint(
        method="GET",
        path="/v1/approvals/{id}/evidence",
        handler=approvals.see_evidence,
        answers=_ok(bodies.EvidenceBody, "the calls before it"),
    ),
    Endpoint(
        method="POST",
        path="/v1/approvals/{id}/decision",
        handler=approvals.decide,
        needs=(Action.DECIDE,),
        body=forms.DecisionBody,
        answers=_APPROVAL,
        problems=_UNFIT,
    ),
    Endpoint(
        method="POST",
        path="/v1/approvals/{id}/propose-edit",
        handler=approvals.propose,
        needs=(Action.DECIDE,),
        body=forms.ProposeBody,
        answers=_ok(bodies.ProposalBody, "what it would come to"),
        problems=_UNFIT,
    ),
    Endpoint(
        method="POST",
        path="/v1/approvals/{id}/reveal",
        handler=approvals.reveal,
        needs=(Action.DECIDE,),
        body=forms.SeenBody,
        answers=_ok(bodies.RevealedBody, "the arguments"),
        problems=_UNFIT,
    ),
    Endpoint(
        method="POST",
        path="/v1/approvals/{id}/withdraw",
        handler=approvals.take_back,
        body=forms.WithdrawBody,
        answers=_APPROVAL,
        problems=_UNFIT,
    ),
    Endpoint(
        method="POST",
        path="/v1/stop",
        handler=approvals.stop,
        needs=(Action.STOP,),
        body=forms.StopBody,
        answers=_ok(bodies.StoppedBody, "how much was cancelled"),
        problems=_UNFIT,
    ),
    # --- grants
    Endpoint(
        method="GET",
        path="/v1/grants",
        handler=grants.list_,
        needs=(Action.GRANT, Action.SEE_ALL_CALLS),
        query=forms.GrantsQuery,
        answers=_ok(bodies.GrantList, "a page of grants", _LINK),
    ),
    Endpoint(
        method="POST",
        path="/v1/grants",
        handler=grants.make,
        needs=(Action.GRANT,),
        body=forms.GrantBody,
        answers=_ok(bodies.GrantInfo, "the grant"),
        problems=(HTTPStatus.NOT_FOUND, *_UNFIT),
    ),
    Endpoint(
        method="POST",
        path="/v1/grants/{id}/revoke",
        handler=grants.revoke,
        needs=(Action.GRANT, Action.STOP),
        body=forms.WithdrawBody,
        answers=_ok(bodies.GrantInfo, "the grant as it is now"),
        problems=_UNFIT,
    ),
    # --- tokens
    Endpoint(
        method="GET",
        path="/v1/tokens",
        handler=tokens.list_,
        answers=_ok(bodies.TokenList, "the credentials"),
    ),
    Endpoint(
        method="POST",
        path="/v1/tokens",
        handler=tokens.make,
        needs=(Action.MANAGE_TOKENS,),
        body=forms.TokenBody,
        answers=_ok(bodies.MadeToken, "the credential and its secret"),
        problems=_UNFIT,
    ),
    Endpoint(
        method="POST",
        path="/v1/tokens/{id}/revoke",
        handler=tokens.revoke,
        answers=_ok(bodies.TokenInfo, "the credential as it is now"),
    ),
    Endpoint(
        method="POST",
        path="/v1/token",
        handler=tokens.exchange,
        login=False,
        form=forms.ExchangeForm,
        answers=_ok(bodies.ExchangedBody, "a token of the two"),
        problems=(HTTPStatus.TOO_MANY_REQUESTS,),
    ),
    # --- trail
    Endpoint(
        method="GET",
        path="/v1/audit",
        handler=trail.list_,
        needs=(Action.READ_AUDIT,),
        query=forms.TrailQuery,
        answers=_ok(bodies.TrailList, "a page of the trail", _LINK),
    ),
    Endpoint(
        method="GET",
        path="/v1/audit/verify",
        handler=trail.verify,
        needs=(Action.READ_AUDIT,),
        answers=_ok(bodies.VerifyBody, "what was found; `intact` says whether all of it fits"),
    ),
    Endpoint(
        method="GET",
        path="/v1/audit/export",
        handler=trail.export,
        needs=(Action.READ_AUDIT,),
        answers=_ok(trail.LINES, "one record a line; the last line holds the heads"),
    ),
    # --- events and notifications
    Endpoint(
        method="GET",
        path="/v1/events",
        handler=events.follow,
        answers=_ok(events.STREAM, "what changes"),
    ),
    Endpoint(
        method="GET",
        path="/v1/notifications",
        handler=notifications.list_,
        needs=(Action.SEE_NOTIFICATIONS,),
        query=forms.NotificationsQuery,
        answers=_ok(bodies.DeliveryList, "the deliveries"),
    ),
    Endpoint(
        method="POST",
        path="/v1/notifications/{id}/retry",
        handler=notifications.retry,
        needs=(Action.SEE_NOTIFICATIONS,),
        body=forms.RetryBody,
        answers=_ok(bodies.RetriedBody, "the delivery as it is now"),
        problems=_UNFIT,
    ),
    # --- this description
    Endpoint(
        method="GET",
        path="/openapi.json",
        handler=describe,
        login=False,
        answers=_ok(bodies.DescriptionBody, "OpenAPI 3.1"),
    ),
)


def routes(office: Office) -> list[BaseRoute]:
    """One route for each path, for the methods that it has."""
    paths: dict[str, dict[str, Endpoint]] = {}
    for endpoint in ENDPOINTS:
        paths.setdefault(endpoint.path, {})[endpoint.method] = endpoint
    return [_route(office, path, by_method) for path, by_method in paths.items()]


def _route(office: Office, path: str, by_method: Mapping[str, Endpoint]) -> Route:
    async def respond(request: Request) -> Response:
        # HEAD is GET without its body (RFC 9110, section 9.3.2).
        endpoint = by_method.get(request.method) or by_method["GET"]
        return await endpoint.answer(office, request)

    route = Route(path, respond, methods=list(by_method), name=path)
    if any(row.any_name for row in by_method.values()):
        # A name with a slash or a line break in it arrives too: the gate says no, and keeps that somebody asked.
        before, after = re.split(r"{\w+}", path)
        route.path_regex = re.compile(f"{before}(?P<name>.*){after}\\Z", re.DOTALL)
    if any(says.content == events.STREAM for row in by_method.values() for says in row.answers.values()):
        # A stream has no end to wait for, and so no head of its own.
        assert route.methods is not None
        route.methods.discard("HEAD")
    return route
