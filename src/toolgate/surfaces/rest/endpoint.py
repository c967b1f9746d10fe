"""What an endpoint is: one row of the table in ``endpoints``, and the ladder that every request climbs to its handler.

Credential, then what it is good for (``domain.principal.ACCESS``), then the request's form; only then is a handler
asked. The route, the description in OpenAPI, the reference page and the tests of access are made from the same rows,
so that none of them can know an endpoint, or an answer, that the others do not. Not here: the rows.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from pydantic import BaseModel
from starlette.responses import Response

from toolgate.domain.caller import Caller
from toolgate.domain.principal import Action, Declined, Principal, forbids
from toolgate.surfaces.http.credentials import NotSignedIn
from toolgate.surfaces.http.problems import Problem, declined, not_signed_in
from toolgate.surfaces.rest.forms import read_body, read_query
from toolgate.surfaces.rest.requests import AnyBody, Body, Query

if TYPE_CHECKING:
    from starlette.requests import Request

    from toolgate.surfaces.http.office import Office

Q = TypeVar("Q", bound=Query)
B = TypeVar("B", bound=AnyBody)

JSON: Final = "application/json"
_ID: Final = re.compile(r"[A-Za-z0-9_:]{1,128}")
"""What every id and every tool's name fits; anything else was never one, and is mostly not looked for."""
_NO_STORE: Final = {"Cache-Control": "no-store"}
_NOBODY: Final = Principal(caller=Caller("nobody"), granted=frozenset())
"""Who asks where no credential is needed: somebody who may do nothing."""
_ANYWHERE: Final = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.MISDIRECTED_REQUEST,
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""What the middleware, or a query that does not fit, may answer wherever somebody asks."""
_WITH_LOGIN: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS})
_WITH_BODY: Final = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    }
)


class Empty(Query):
    """Nothing may stand behind the question mark."""


class NoBody(Body):
    """No body is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Generic[Q, B]):
    """A request that climbed the ladder.

    Attributes:
        id: what the path names; empty where it names nothing.
    """

    office: Office
    by: Principal
    id: str
    query: Q
    body: B
    request: Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A good answer: the model is what the description says of this status."""

    content: BaseModel
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        """As JSON. Nothing of it may be kept by a cache: it depends on who asked, and when."""
        return Response(
            self.content.model_dump_json(),
            self.status,
            headers={**_NO_STORE, **self.headers},
            media_type=JSON,
        )


Reply = Answer | Problem | Declined | Response
Handler = Callable[[Asked[Any, Any]], Awaitable[Reply]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Says:
    """What the answer of one status holds.

    Attributes:
        content: the model of a JSON body, or a media type for anything else.
        headers: name → what it says.
    """

    content: type[BaseModel] | str
    description: str
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One method of one path.

    Attributes:
        path: with at most one ``{id}`` or ``{name}``.
        handler: its docstring is the endpoint's description, the first line its summary.
        needs: what somebody must be allowed to do, one of these; where it is empty a credential is enough to ask, and
            the operation says what it opens.
        answers: what it says by status. Problem details that follow from the ladder are added by themselves.
        problems: the other statuses with which it may say no.
        login: whether it asks for a credential.
        form: the form that its handler reads from the body by itself.
        any_name: whether its path may name anything, slashes and line breaks too: the gate says what it thinks of it,
            and records that. Only the head's limit bounds it.
    """

    method: str
    path: str
    handler: Handler
    needs: tuple[Action, ...] = ()
    query: type[Query] = Empty
    body: type[AnyBody] = NoBody
    answers: Mapping[HTTPStatus, Says]
    problems: tuple[HTTPStatus, ...] = ()
    login: bool = True
    form: type[Query] | None = None
    any_name: bool = False

    @property
    def parameter(self) -> str | None:
        """What the path names."""
        found = re.search(r"{(\w+)}", self.path)
        return None if found is None else found[1]

    @property
    def takes_body(self) -> bool:
        """Whether a JSON body is read."""
        return self.body is not NoBody

    @property
    def summary(self) -> str:
        """The first line of the handler's docstring."""
        return (self.handler.__doc__ or "").strip().partition("\n")[0]

    def statuses(self) -> frozenset[HTTPStatus]:
        """Every status that it may answer with, the middleware's included."""
        found = {*self.answers, *self.problems, *_ANYWHERE}
        if self.login:
            found |= _WITH_LOGIN
        if self.method != "GET":
            # A commit whose answer was lost: look before asking again.
            found.add(HTTPStatus.CONFLICT)
        if self.takes_body or self.form is not None:
            found |= _WITH_BODY
        if self.parameter is not None:
            found.add(HTTPStatus.NOT_FOUND)
        return frozenset(found)

    async def answer(self, office: Office, request: Request) -> Response:
        """Climb the ladder, ask the handler, and translate what it says."""
        reply = await self._reply(office, request)
        if isinstance(reply, Declined):
            reply = declined(reply)
        return reply if isinstance(reply, Response) else _response(reply, request)

    async def _reply(self, office: Office, request: Request) -> Reply:
        by = await office.credentials.bearer(request) if self.login else _NOBODY
        if isinstance(by, NotSignedIn):
            return not_signed_in(by)
        if self.needs and all(forbids(by, action) for action in self.needs):
            return Problem(code="forbidden", detail=forbids(by, self.needs[0]) or "")
        query = read_query(request, self.query)
        if isinstance(query, Problem):
            return query
        body = await read_body(request, self.body) if self.takes_body else NoBody()
        if isinstance(body, Problem):
            return body
        id = request.path_params.get(self.parameter or "", "")
        if self.parameter is not None and not self.any_name and not _ID.fullmatch(id):
            return Problem(code="not_found", detail=f"{id[:100]!r} names nothing here")
        return await self.handler(Asked(office=office, by=by, id=id, query=query, body=body, request=request))


def _response(reply: Answer | Problem, request: Request) -> Response:
    return reply.response() if isinstance(reply, Answer) else reply.response(request)
