"""What the server answers, handed to the SDK: its low-level ``Server``, which validates nothing and decides nothing.

``ask`` is the whole way of a call: read what is said beside it, ask the gate, and translate. Between the gate's answer
and the result stands one seam, ``Around``: ``confirm`` asks the caller there, ``tasks`` answers with a task.
Not here: the words of results and lists (``calls``, ``listing``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from mcp.server.caching import CacheHint
from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolRequestParams, PaginatedRequestParams

from toolgate.surfaces.mcp.asked import asked_of
from toolgate.surfaces.mcp.calls import (
    INVALID_PARAMS,
    Malformed,
    is_unknown_tool,
    read_call,
    result_of,
    unknown_tool,
)
from toolgate.surfaces.mcp.faults import contained
from toolgate.surfaces.mcp.inputs import kinds_of
from toolgate.surfaces.mcp.listing import FRESH_MS, listed, plain
from toolgate.surfaces.mcp.looking import look
from toolgate.surfaces.mcp.older_tasks import with_tasks
from toolgate.surfaces.mcp.reports import Reports
from toolgate.surfaces.mcp.rounds import Rounds
from toolgate.surfaces.mcp.spans import traced
from toolgate.surfaces.mcp.tasks import serve_tasks
from toolgate.surfaces.mcp.words import GET_CALL

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

    from toolgate.domain.contract import Contract
    from toolgate.domain.outcome import Outcome
    from toolgate.domain.principal import Principal
    from toolgate.surfaces.mcp.asked import Asked
    from toolgate.surfaces.mcp.calls import CallRequest
    from toolgate.surfaces.mcp.service import Service

NAME: Final = "toolgate"
INSTRUCTIONS: Final = (
    "Every tool here runs behind a gate. An answer says what happened: `status`, `effect` (what was done to the world: "
    "none, applied or unknown) and `advice` (what to do next). `pending_approval` is no failure: somebody is asked "
    "first, and get_call tells how it went. Where `effect` is unknown, do not repeat the call and do not report it as "
    "done or as failed. Retry only where `advice` says retry or retry_later."
)
ASKING: Final[ContextVar[Principal | None]] = ContextVar("toolgate_mcp_asking", default=None)
"""Who sends the message that is being read, for what the SDK asks before it hands a message on."""

Context = "ServerRequestContext[Any, Any]"


@dataclass(frozen=True, slots=True, kw_only=True)
class McpCall:
    """One ``tools/call`` on its way, for whoever stands around it.

    Attributes:
        request: what it says beside its arguments.
        params: its parameters as they came, for what an extension adds to them.
        context: the SDK's: protocol version, capabilities of the client, and how to ask it something.
        rounds: how far it has come, where its tool asks its user.
    """

    service: Service
    asked: Asked
    request: CallRequest
    params: Mapping[str, Any]
    context: ServerRequestContext[Any, Any]
    rounds: Rounds = field(default_factory=Rounds)

    @property
    def asks(self) -> bool:
        """Whether its tool may ask its user for input. Such a tool is never held."""
        contracts = _contracts(self.service, self.asked.by)
        return any(contract.asks for contract in contracts if contract.name == self.request.tool)


Answered: TypeAlias = "Outcome[Any] | Mapping[str, Any]"
"""The outcome, or a result that is none of a call (``input_required``, a task)."""
Ask = Callable[[], Awaitable[Answered]]
Around = Callable[[McpCall, Ask], Awaitable[Answered]]
"""``(call, ask)``: what the call answers. ``ask()`` asks whoever stands further in, and at last the gate."""


def mcp_server(service: Service, *, around: Around | None = None) -> Server[Any]:
    """The server. ``around`` stands between a call and its answer."""
    stands_around = around or _nobody_around

    async def list_tools(
        context: ServerRequestContext[Any, Any], params: PaginatedRequestParams
    ) -> dict[str, Any]:
        if params.cursor is not None:
            raise MCPError(INVALID_PARAMS, "the list has one page; there is no such cursor")
        return _complete({"tools": listed(_contracts(service, asked_of(context.request).by))})

    async def call_tool(
        context: ServerRequestContext[Any, Any], params: CallToolRequestParams
    ) -> dict[str, Any]:
        asked = asked_of(context.request)
        request = read_call(context.params or {}, asked)
        if isinstance(request, Malformed):
            raise MCPError(INVALID_PARAMS, request.words)
        if params.name == GET_CALL and not _has_its_own(service, asked.by):
            reports = Reports(context.session.report_progress) if request.reports else None
            async with reports.sending() if reports else contextlib.nullcontext():
                return _complete(await look(service, asked.given, by=asked.by, reports=reports))
        call = McpCall(
            service=service, asked=asked, request=request, params=context.params or {}, context=context
        )
        answer = await stands_around(call, lambda: ask(call))
        if isinstance(answer, Mapping):
            return dict(answer)
        if is_unknown_tool(answer):
            raise MCPError(INVALID_PARAMS, unknown_tool(params.name))
        return _complete(result_of(answer))

    server: Server[Any] = Server(
        NAME,
        version=version(NAME),
        title="Toolgate",
        instructions=INSTRUCTIONS,
        cache_hints={"tools/list": CacheHint(ttl_ms=FRESH_MS, scope="private")},
        get_tool_input_schema=lambda name: _schema_of(service, name),
    )
    server.middleware[:] = [traced, contained, with_tasks]
    server.add_request_handler("tools/list", PaginatedRequestParams, list_tools)
    server.add_request_handler("tools/call", CallToolRequestParams, call_tool)
    serve_tasks(server, service)
    return server


def _complete(result: dict[str, Any]) -> dict[str, Any]:
    """``result`` as one that is whole (2026-07-28, ``resultType``); older versions do not get the word."""
    return {"resultType": "complete", **result}


async def _nobody_around(call: McpCall, ask: Ask) -> Answered:  # noqa: ARG001 - the seam's signature
    return await ask()


async def ask(call: McpCall) -> Outcome[Any]:
    """Ask the gate. Whoever cancels the request, or hangs up, gives the call up as far as that is still possible."""
    request, asked, gate, rounds = call.request, call.asked, call.service.gate, call.rounds
    by = asked.by
    workflow = rounds.within(
        gate.make_workflow(
            request.workflow, agent=by.agent, model=request.model, user_input=request.user_input
        )
    )
    known: list[str] = []
    if request.reports and rounds.reports is None:
        rounds.reports = Reports(call.context.session.report_progress)
    reports = rounds.reports
    try:
        async with reports.sending() if reports else contextlib.nullcontext():
            return await gate.request(
                request.tool,
                asked.given,
                caller=by.caller,
                workflow=workflow,
                actor=by,
                request_id=asked.request_id,
                rationale=request.rationale,
                trace=request.trace,
                surface=asked.surface,
                progress=reports.tell if reports else None,
                answers=dict(rounds.answers) if rounds.answers else None,
                can_ask=kinds_of(call.context),
                on_received=known.append,
            )
    except BaseException:
        for call_id in known:
            gate.cancel(call_id)
        raise


def _contracts(service: Service, by: Principal) -> list[Contract]:
    return [tool.contract for tool in service.gate.tools(by.caller)]


def _has_its_own(service: Service, by: Principal) -> bool:
    """Whether a registered tool has the name of ours: then that is meant."""
    return any(contract.name == GET_CALL for contract in _contracts(service, by))


def _schema_of(service: Service, name: str) -> Mapping[str, Any] | None:
    """What headers beside a call are compared with; nothing of a tool that whoever asks cannot see."""
    by = ASKING.get()
    if by is None:
        return None
    found = (contract for contract in _contracts(service, by) if contract.name == name)
    contract = next(found, None)
    return None if contract is None else plain(contract.input_schema)
