"""``/mcp``: streamable HTTP, both eras on one address, each message from somebody whose credential is checked anew.

A session of the handshake era belongs to the credential that opened it: anybody else gets the answer of a session that
never was. It lives in one process, so a server that is one of several gives none, which the protocol leaves to it
(2025-11-25, transports, "Session Management"). The token is looked at here and handed to nobody. Not here: messages
(``handlers``), and what every request passes before it comes here (``surfaces.http.app``).
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import AccessToken
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from toolgate.domain.canonical import UnfitJson
from toolgate.domain.errors import GateFault
from toolgate.domain.names import traceparent
from toolgate.domain.principal import Action, Principal, Scope, forbids
from toolgate.surfaces.http.credentials import NotSignedIn
from toolgate.surfaces.http.marks import request_id_of
from toolgate.surfaces.http.middleware.again import again
from toolgate.surfaces.http.middleware.own_origin import why_not
from toolgate.surfaces.http.problems import Problem, not_signed_in
from toolgate.surfaces.http.streams import is_same
from toolgate.surfaces.mcp.asked import MARK, Asked
from toolgate.surfaces.mcp.calls import TRACEPARENT, WORKFLOW_HEADER
from toolgate.surfaces.mcp.handlers import ASKING, mcp_server
from toolgate.surfaces.mcp.hot import Hot
from toolgate.surfaces.mcp.plain import recognised
from toolgate.surfaces.mcp.resource import PATH, metadata_url, resource_routes
from toolgate.surfaces.mcp.service import service_of
from toolgate.surfaces.mcp.sessions import Sessions
from toolgate.surfaces.mcp.wire import NOT_SENT, read

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.responses import Response
    from starlette.types import Message, Receive, Send
    from starlette.types import Scope as AsgiScope

    from toolgate.surfaces.http.office import Office
    from toolgate.surfaces.mcp.handlers import Around

SURFACE: Final = "mcp"
MOST_SESSIONS: Final = 10_000
IDLE_SECONDS: Final = 30 * 60.0
SESSION: Final = "mcp-session-id"
BAD_REQUEST: Final = 400
_PARSE_ERROR: Final = -32700
_OF_A_SESSION: Final = frozenset({"GET", "DELETE"})


class McpHttp:
    """The MCP side of one server: ``routes`` for its application, ``running`` for as long as it serves.

    Args:
        office: what the routes are given.
        around: what stands between a call and its answer.
        direct: plain messages are answered without the SDK (``hot``), as the SDK would answer them.
        sessions: clients of the handshake era get a session, by which they can be asked something during a call. Not
            where other processes serve the same clients: a message may reach any of them.
    """

    def __init__(
        self, office: Office, *, around: Around | None = None, direct: bool = True, sessions: bool = True
    ) -> None:
        self._office = office
        self._keeps_sessions = sessions
        self._sessions: Sessions[AuthenticatedUser] = Sessions()
        service = service_of(office)
        server = mcp_server(service, around=around)
        self._hot = Hot(service, server) if direct else None
        self._manager = StreamableHTTPSessionManager(
            server,
            json_response=False,
            stateless=not sessions,
            # Every host and origin was compared before a request comes here.
            security_settings=None,
            max_request_body_size=office.settings.body_limit,
            session_idle_timeout=IDLE_SECONDS,
            max_sessions=MOST_SESSIONS,
        )

    def routes(self) -> list[BaseRoute]:
        """``/mcp``, and what says where credentials for it come from."""
        return [Route(PATH, self), *resource_routes(self._office.settings)]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hold sessions. Those that are left end with the block; what their calls began is settled by the gate."""
        held, end = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with self._manager.run():
                held.set()
                await end.wait()

        # In a task of its own: what happens in the block is nobody's fault here, and stays as it is.
        holding = asyncio.create_task(hold(), name="toolgate-mcp")
        beginning = asyncio.create_task(held.wait())
        try:
            await asyncio.wait({holding, beginning}, return_when=asyncio.FIRST_COMPLETED)
            yield
        finally:
            beginning.cancel()
            end.set()
            await holding

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Answer one request, or follow it for as long as it lasts."""
        request = Request(scope)
        by = await self._office.credentials.bearer(request)
        if isinstance(by, NotSignedIn):
            await self._challenge(request, by)(scope, receive, send)
            return
        if (why := forbids(by, Action.CALL_TOOLS)) is not None:
            await self._insufficient(request, why)(scope, receive, send)
            return
        if scope["method"] in _OF_A_SESSION and not self._keeps_sessions:
            await _no_session(request)(scope, receive, send)
            return
        if scope["method"] == "GET":
            await self._stream(request, by, receive, send)
            return
        first = await receive()
        body = first.get("body", b"")
        if self._hot is not None and (known := recognised(scope, body)) is not None:
            asked = _asked(request, by, known.workflows, known.params.get("arguments", NOT_SENT))
            if await self._hot.answered(known, asked, receive, send):
                return
        try:
            message = read(body)
        except UnfitJson as unfit:
            await _unreadable(unfit)(scope, receive, send)
            return
        workflows = tuple(request.headers.getlist(WORKFLOW_HEADER))
        scope[MARK] = _asked(request, by, workflows, message.arguments)
        scope["user"] = _owner(by)
        ASKING.set(by)
        await self._manager.handle_request(
            scope, again({**first, "body": message.raw}, receive), self._counting(scope, send)
        )

    async def _stream(self, request: Request, by: Principal, receive: Receive, send: Send) -> None:
        """The stream for what belongs to no request, for as long as the credential and the server last."""
        office, scope = self._office, request.scope
        # Reading it changes nothing, but another site's page must not even do that (MCP, transports, "Security").
        if (why := why_not(request.headers, office.settings.origins)) is not None:
            await Problem(code="cross_origin", detail=why).response(request)(scope, receive, send)
            return
        if (busy := office.streams.why_not(by)) is not None:
            await busy.response(request)(scope, receive, send)
            return
        scope["user"] = _owner(by)
        last = {"more_body": False}

        async def noting(message: Message) -> None:
            last["more_body"] = message["type"] == "http.response.start" or message.get("more_body", False)
            await send(message)

        with office.streams.held(by):
            await self._manager.handle_request(scope, self._until_over(request, by, receive), noting)
        if last["more_body"]:
            # It was ended by us: its client sees an end and no broken connection.
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _until_over(self, request: Request, by: Principal, receive: Receive) -> Receive:
        """What ``receive`` says; that the client has left as soon as it has no business here any more."""

        async def listening() -> Message:
            said = asyncio.ensure_future(receive())
            over = asyncio.ensure_future(self._over(request, by))
            try:
                await asyncio.wait({said, over}, return_when=asyncio.FIRST_COMPLETED)
                return said.result() if said.done() else {"type": "http.disconnect"}
            finally:
                said.cancel()
                over.cancel()

        return listening

    async def _over(self, request: Request, by: Principal) -> None:
        """Until the server ends, or the credential opens nothing more."""
        office = self._office
        while True:
            try:
                async with asyncio.timeout(office.streams.heartbeat):
                    await office.closing.wait()
                    return
            except TimeoutError:
                try:
                    now = await office.credentials.bearer(request)
                except GateFault:
                    return
                if not is_same(by, now):
                    return

    def _counting(self, scope: AsgiScope, send: Send) -> Send:
        """``send``, noting which session was opened or used."""
        user: AuthenticatedUser = scope["user"]
        # Whatever credential they show: whoever may have many would otherwise have that many times as much.
        whose = user.access_token.subject or ""
        named = Headers(scope=scope).get(SESSION)
        if named is not None:
            self._sessions.used(whose, named)

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start" and named is None and message["status"] < BAD_REQUEST:
                opened = Headers(raw=message["headers"]).get(SESSION)
                if opened is not None and (oldest := self._sessions.opened(whose, opened, user)) is not None:
                    await self._end(scope, *oldest)
            await send(message)

        return noting

    async def _end(self, scope: AsgiScope, session: str, user: AuthenticatedUser) -> None:
        """End a session as its client would, which is known by the credential that opened it."""

        async def nothing() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def ignored(message: Message) -> None:
            """Whether it was there still is nobody's business."""

        headers = [(SESSION.encode(), session.encode())]
        ending = {**scope, "method": "DELETE", "headers": headers, "user": user}
        await self._manager.handle_request(ending, nothing, ignored)

    def _challenge(self, request: Request, refusal: NotSignedIn) -> Response:
        response = not_signed_in(refusal).response(request)
        if refusal.retry_after is None:
            sent = "authorization" in request.headers
            response.headers["WWW-Authenticate"] = self._bearer('error="invalid_token"' if sent else None)
        return response

    def _insufficient(self, request: Request, why: str) -> Response:
        response = Problem(code="forbidden", detail=why).response(request)
        response.headers["WWW-Authenticate"] = self._bearer('error="insufficient_scope"')
        return response

    def _bearer(self, error: str | None) -> str:
        """RFC 6750, section 3, and RFC 9728, section 5.1."""
        where = f'resource_metadata="{metadata_url(self._office.settings)}"'
        return "Bearer " + ", ".join(part for part in (error, where, f'scope="{Scope.CALL.value}"') if part)


def _asked(request: Request, by: Principal, workflows: tuple[str, ...], arguments: object) -> Asked:
    return Asked(
        by=by,
        surface=SURFACE,
        request_id=request_id_of(request),
        trace=_trace(request),
        workflows=workflows,
        arguments=arguments,
    )


def _trace(request: Request) -> str | None:
    sent = request.headers.getlist(TRACEPARENT)
    return traceparent(sent[0]) if len(sent) == 1 else None


def _no_session(request: Request) -> Response:
    """There is no stream to listen to and nothing to end (2025-11-25, transports, both times with this status)."""
    detail = "this server keeps no sessions: send each message with POST"
    response = Problem(code="method_not_allowed", detail=detail).response(request)
    response.headers["Allow"] = "POST"
    return response


def _unreadable(unfit: UnfitJson) -> Response:
    error = {"code": _PARSE_ERROR, "message": f"the body is no JSON that everybody reads alike: {unfit}"}
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, 400)


def _owner(by: Principal) -> AuthenticatedUser:
    """Whose session it is, as the SDK compares it. It gets no secret: that of ``AccessToken`` is never looked at."""
    whose = "\x00".join((by.tenant, by.id, by.agent or ""))
    return AuthenticatedUser(AccessToken(token="", client_id=by.credential, scopes=[], subject=whose))
